import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { picture } from '../files.js';
import { COMMIT, HubServer, REPOSITORY, refuse, sumOf } from '../pull/hub-server.js';
import { runCli } from './run.js';

const SHARD = 'model-00001-of-00002.safetensors';
const FOLDER = REPOSITORY.replace('/', '--');

let hub: HubServer;
let home: string;
let env: Record<string, string>;
beforeEach(async () => {
  hub = await HubServer.start();
  home = await mkdtemp(join(tmpdir(), 'xgen-mm-pull-'));
  env = hub.environment(home);
  return async () => {
    await hub.stop();
    await rm(home, { recursive: true });
  };
});

test('stdout gets the path and nothing else, stderr what happens, and hf: finds the model', async () => {
  const path = join(home, 'xgen-mm', FOLDER, COMMIT, 'tiny-instruct-interleave-Q4_K_M.gguf');
  const first = await runCli(['pull', REPOSITORY], { env });
  expect(first).toMatchObject({ code: 0, stdout: `${path}\n` });
  expect(first.stderr).toMatch(/^Downloading .*, \d/m);
  expect(first.stderr).toMatch(
    /^Needs .* for the rest of the checkpoint and .* for the model; .* are free at /m,
  );
  expect(first.stderr).not.toMatch(/console|debug|undefined/);

  expect(await runCli(['pull', REPOSITORY], { env })).toEqual({ code: 0, stdout: `${path}\n`, stderr: '' });

  hub.requests.length = 0;
  const inspection = await runCli(['inspect', `hf:${REPOSITORY}:q4_k_m`], { env });
  expect(inspection).toMatchObject({ code: 0, stderr: '' });
  expect(inspection.stdout).toContain('instruct-interleave');
  const question = ['-i', picture(), 'What is this?', '--max-tokens', '2', '--threads', '1'];
  expect(await runCli(['ask', `hf:${REPOSITORY}`, ...question], { env })).toMatchObject({
    code: 0,
    stderr: '',
  });
  expect(await runCli(['chat', `hf:${REPOSITORY}`, '--threads', '1'], { env })).toMatchObject({ code: 0 });
  expect(hub.requests).toEqual([]);
});

test('a model that was not pulled is an error that says how to', async () => {
  for (const command of [
    ['ask', 'hf:acme/other', 'Why?'],
    ['chat', 'hf:acme/other'],
    ['inspect', 'hf:acme/other'],
  ]) {
    const { code, stdout, stderr } = await runCli(command, { env });
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/; run: npx xgen-mm pull acme\/other \(ERR_XGENMM_FILE_NOT_FOUND\)\n$/);
  }
  expect(hub.requests).toEqual([]);
});

test('a failure is one last line with its code', async () => {
  hub.interject(/revision/, (_, response) => refuse(response, 403, 'GatedRepo'));
  const { code, stdout, stderr } = await runCli(['pull', REPOSITORY], { env });
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/^xgen-mm: .*accept its licence at .*HF_TOKEN.* \(ERR_XGENMM_DOWNLOAD\)\n$/);
});

test('what a server says cannot drive the terminal', async () => {
  hub.depart(SHARD, { cut: 1000 });
  hub.depart(SHARD, { headers: { 'content-range': 'bytes \u009b31m' } });
  const { code, stderr } = await runCli(['pull', REPOSITORY], { env });
  expect(code).toBe(0);
  expect(stderr).toContain('\\u{9b}31m');
  expect(stderr).not.toContain('\u009b');
});

// On Windows a signal ends the process at once.
test.skipIf(process.platform === 'win32')(
  'Ctrl-C keeps the beginning, says so and ends with 130',
  async () => {
    hub.depart(SHARD, { stall: 300_000 });
    const stop = await runCli(['pull', REPOSITORY], {
      env,
      onNote: (piece, child) => {
        // Some of it has to be there first.
        if (piece.includes(SHARD)) setTimeout(() => child.kill('SIGINT'), 300);
      },
    });
    expect(stop).toMatchObject({ code: 130, stdout: '' });
    expect(stop.stderr).toMatch(/Stopped\. The same command goes on with what was downloaded\.\n$/);
    const blobs = join(home, 'hub', `models--${FOLDER}`, 'blobs');
    const incomplete = `${sumOf(SHARD, hub.file(SHARD))}.incomplete`;
    expect((await readFile(join(blobs, incomplete))).length).toBe(300_000);
    expect(await readdir(join(home, 'hub', '.locks', `models--${FOLDER}`))).toEqual([]);

    const next = await runCli(['pull', REPOSITORY], { env });
    expect(next.code).toBe(0);
    expect(next.stderr).toContain(`Going on with ${SHARD} at byte 300000 of 841438.`);
  },
);

// A process that was killed has not released what it held.
test.skipIf(process.platform === 'win32')('a pull that was killed is gone on with', async () => {
  hub.depart(SHARD, { stall: 300_000 });
  const killed = await runCli(['pull', REPOSITORY], {
    env,
    onNote: (piece, child) => {
      if (piece.includes(SHARD)) setTimeout(() => child.kill('SIGKILL'), 300);
    },
  });
  expect(killed.code).toBe(null);
  const next = await runCli(['pull', REPOSITORY], { env });
  expect(next.code).toBe(0);
  expect(next.stderr).toContain('Another process is downloading');
  expect(next.stderr).toContain(`Going on with ${SHARD} at byte 300000 of 841438.`);
});

test('two processes at once make one model', async () => {
  const runs = await Promise.all([
    runCli(['pull', REPOSITORY], { env }),
    runCli(['pull', REPOSITORY], { env }),
  ]);
  expect(runs.map(({ code }) => code)).toEqual([0, 0]);
  expect(new Set(runs.map(({ stdout }) => stdout)).size).toBe(1);
  const large = hub.requests.filter(({ cdn }) => cdn).map(({ path }) => path);
  expect(new Set(large).size).toBe(large.length);
  const inspection = await runCli(['inspect', `hf:${REPOSITORY}`], { env });
  expect(inspection.code).toBe(0);
});

test('neither inspect nor ask opens a connection for hf:, whatever is in the environment', async () => {
  const server = createServer((_, response) => response.end());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  let connections = 0;
  server.on('connection', () => connections++);
  const { port } = server.address() as AddressInfo;
  const { code } = await runCli(['inspect', 'hf:acme/x'], {
    env: { ...env, HF_ENDPOINT: `http://127.0.0.1:${port}` },
  });
  expect([code, connections]).toEqual([1, 0]);
});

test('help says what is where', async () => {
  const { code, stdout } = await runCli(['pull', '--help']);
  expect(code).toBe(0);
  for (const word of [
    '--type',
    '--vision',
    '--revision',
    '--output',
    'HF_TOKEN',
    'Examples:',
    'hf:owner/name',
  ])
    expect(stdout).toContain(word);
});

test.each([[['pull']], [['pull', 'a/b', '--type', 'q9']], [['pull', 'a/b', '--force']]])(
  'wrong usage: %j',
  async (args) => {
    const { code, stdout } = await runCli(args, { env });
    expect([code, stdout]).toEqual([2, '']);
    expect(await readdir(home)).toEqual([]);
  },
);
