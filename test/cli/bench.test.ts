import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { loadAddon } from '../../lib/addon.js';
import { modelFile, root } from '../files.js';
import { runScript } from './run.js';

// Programs are started one after another, which a busy machine may take its time over.
vi.setConfig({ testTimeout: 300_000 });

const TINY = modelFile('tiny-f32');

interface Spread {
  least: number;
  median: number;
  most: number;
}
interface Program extends Spread {
  name: string;
  values: number[];
  ratio?: Spread;
  ofLimit?: number;
}
interface Report {
  machine: { processors: number };
  threads: number;
  versions: Record<string, string>;
  rounds: number;
  results: { section: string; name: string; unit: string; limit?: number; programs: Program[] }[];
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function bench(...flags: string[]) {
  return runScript('scripts/bench/main.mjs', flags);
}

/** `turns`: what was measured when, without the time that it took. */
async function report(...flags: string[]): Promise<Report & { turns: string[] }> {
  const { code, stdout, stderr } = await bench('--model', TINY, '--json', ...flags);
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/^( {2}round .+\n)+$/) });
  const turns = stderr
    .trim()
    .split('\n')
    .map((line) => line.trim().replace(/, \d+ s$/, ''));
  return { ...(JSON.parse(stdout) as Report), turns };
}

/** A program that answers as a peer does, however it is asked. */
function standIn(name: string, body: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!${process.execPath}\nconst args = process.argv.slice(2);\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

describe('arguments', () => {
  test('--help names every option', async () => {
    const { code, stdout, stderr } = await bench('--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const options = [
      'type',
      'llama-bench',
      'torch',
      'rounds',
      'threads',
      'only',
      'model',
      'llama-model',
      'json',
    ];
    for (const option of options) expect(stdout).toContain(`--${option} `);
  });

  test.each([
    [['--rounds', '0'], "Expected an integer from 1 to 100 for --rounds, received '0'"],
    [['--threads', 'two'], /^Expected an integer from 1 to \d+ for --threads, received 'two'/],
    [['--type', 'f32'], "Expected q4_k_m, q8_0 for --type, received 'f32'"],
    [['--only', 'decode,speed'], /^Expected peaks, .*, together for --only, received 'speed'/],
    [['--model', 'a', '--type', 'q8_0'], 'Expected --type or --model, received both'],
    [['--model', 'a', '--llama-bench', 'b'], 'Expected both --model and --llama-model beside --llama-bench'],
    [['--llama-model', 'a'], 'Expected --llama-bench beside --llama-model, received none'],
    [['--fast'], "Unknown option '--fast'"],
  ])('%j is refused', async (flags, message) => {
    const { code, stdout, stderr } = await bench(...flags);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    const [line] = stderr.split('\n');
    if (message instanceof RegExp) expect(line).toMatch(message);
    else expect(line).toContain(message);
    expect(stderr).toContain('usage: npm run bench');
  });

  test('a peer that is not there is told before anything is measured', async () => {
    const { code, stdout, stderr } = await bench('--model', TINY, '--torch', join(folder, 'none'));
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^bench: Expected a program at .*none, received .*ENOENT\n$/);
  });

  test('a model that is not there is told in one line', async () => {
    const { code, stderr } = await bench('--model', join(folder, 'none.gguf'), '--only', 'decode');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^bench: expected .*none\.gguf.*\n$/);
  });

  test.skipIf(process.platform === 'win32')('llama.cpp must get the same work', async () => {
    const tool = standIn('versioned', `console.error('version: 1');`);
    const files = ['--model', TINY, '--llama-model', modelFile('wide-f16')];
    const { code, stderr } = await bench(...files, '--llama-bench', tool, '--only', 'decode');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^bench: Expected the same shapes and types in .*wide-f16.* received others for blk.*\n$/,
    );
  });
});

test('JSON has every quantity of every section but the machine’s peaks', async () => {
  const { machine, threads, versions, rounds, results } = await report(
    ...['--only', 'load,vision,first-token,prefill,decode,speculation,together', '--rounds', '2'],
  );
  expect(machine.processors).toBeGreaterThan(0);
  expect(threads).toBe(loadAddon().systemInfo().defaultThreads);
  expect(Object.keys(versions)).toEqual(['xgen-mm']);
  expect(rounds).toBe(2);
  expect(results.map(({ section, name, unit }) => `${section}: ${name.trim()}, ${unit}`)).toEqual([
    'load: loading, ms',
    'load: resident memory, most, GB',
    'load: anonymous, most, GB',
    'load: pages of mapped files, most, GB',
    'vision: tile in the tower, ms',
    'vision: tile in the resampler, ms',
    'vision: tile in both, ms',
    'first-token: first token after a photograph, ms',
    'first-token: of it: decode and preprocess, ms',
    'first-token: of it: vision, ms',
    'first-token: of it: resample, ms',
    'first-token: of it: prefill, ms',
    'prefill: prompt of 512, tokens/s',
    'prefill: prompt of 1024, tokens/s',
    'decode: after 0 positions, tokens/s',
    'decode: after 700 positions, tokens/s',
    'decode: after 2000 positions, tokens/s',
    'speculation: answer that seems to copy, tokens/s',
    'speculation: answer that copies, tokens/s',
    'together: 4 answers after 64 positions, tokens/s',
  ]);
  const others: Record<string, string> = { speculation: 'without speculation', together: 'one alone' };
  for (const { section, programs: all } of results) {
    const [programs, compared] = [all.slice(0, 1), all.slice(1)];
    expect(compared.map(({ name }) => name)).toEqual(section in others ? [others[section]] : []);
    for (const { values, ratio } of compared) {
      expect(values).toHaveLength(2);
      expect(ratio?.least).toBeGreaterThan(0);
    }
    const { name, values, least, median, most, ratio } = programs[0] as Program;
    expect({ name, rounds: values.length, ratio }).toEqual({ name: 'xgen-mm', rounds: 2, ratio: undefined });
    // What only Linux tells.
    if (section === 'load' && process.platform !== 'linux') continue;
    expect(least).toBeGreaterThan(0);
    expect(median).toBeGreaterThanOrEqual(least);
    expect(most).toBeGreaterThanOrEqual(median);
  }
});

test('the table has a row for each quantity', async () => {
  const { code, stdout } = await bench('--model', TINY, '--only', 'decode', '--rounds', '1');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^\d{4}-\d\d-\d\d: npm run bench -- --model .* --only decode --rounds 1$/m);
  expect(stdout).toMatch(/^decode\n {2}after 0 positions +tokens\/s( +[\d.]+){3}\n/m);
  expect(stdout).not.toContain('prefill\n');
});

test.skipIf(process.platform === 'win32')('peers take turns, and ratios are of the same round', async () => {
  const llama = standIn(
    'llama-bench',
    `if (args[0] === '--version') { console.error('version: 1 (build 2)'); process.exit(); }
     const after = (flag) => (args.includes(flag) ? args[args.indexOf(flag) + 1].split(',').map(Number) : []);
     const prompts = after('-p').filter((n) => n > 0).map((n_prompt) => ({ n_prompt, n_depth: 0, avg_ts: 1000 }));
     const depths = after('-d').map((n_depth) => ({ n_prompt: 0, n_depth, avg_ts: 100 }));
     console.log(JSON.stringify([...prompts, ...depths]));`,
  );
  const torch = standIn(
    'python',
    `console.log(JSON.stringify({ version: '2', vision: [10, 20, 30], resample: [1, 2, 3] }));`,
  );
  const { turns, versions, results } = await report(
    ...['--llama-bench', llama, '--llama-model', TINY, '--torch', torch, '--rounds', '2'],
    ...['--only', 'vision,first-token,prefill,decode'],
  );
  expect(turns.filter((turn) => turn.includes('prefill'))).toEqual([
    'round 1 of 2, prefill: xgen-mm',
    'round 1 of 2, prefill: llama.cpp',
    'round 2 of 2, prefill: llama.cpp',
    'round 2 of 2, prefill: xgen-mm',
  ]);
  expect(versions).toMatchObject({ 'llama.cpp': '1 (build 2)', PyTorch: '2' });
  const find = (name: string, program: string) => {
    const found = results.find((result) => result.name === name);
    const programs = found?.programs ?? [];
    return [programs[0], programs.find((other) => other.name === program)] as [Program, Program];
  };
  const [tile, torchTile] = find('tile in the tower', 'PyTorch');
  expect(torchTile.values).toEqual([20, 20]);
  expect(torchTile.ratio?.least).toBeCloseTo(20 / tile.most);
  const [decode, llamaDecode] = find('after 700 positions', 'llama.cpp');
  expect(llamaDecode.values).toEqual([100, 100]);
  expect(llamaDecode.ratio?.most).toBeCloseTo(decode.most / 100);
  // 3 tiles or more of 22 ms, and at a token in a ms some 60 positions.
  const [, mix] = find('first token after a photograph', 'PyTorch and llama.cpp');
  expect(mix.median).toBeGreaterThan(3 * 22 + 32);
  expect(mix.ratio?.median).toBeGreaterThan(0);
});

test('Ctrl-C ends it and what it has started, with 130 and without a result', async () => {
  const { code, stdout } = await runScript(
    'scripts/bench/main.mjs',
    ['--model', TINY, '--only', 'decode', '--rounds', '100'],
    { onNote: (_, child) => child.kill('SIGINT') },
  );
  if (process.platform === 'win32') expect(stdout).toBe('');
  else expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
});

test('the full-size model’s folder follows the system', async () => {
  const script = pathToFileURL(join(root, 'scripts', 'cache-folder.mjs')).href;
  const { cacheFolder } = (await import(script)) as {
    cacheFolder(env: Record<string, string>, platform: string): string;
  };
  const absolute = join(folder, 'cache');
  expect(cacheFolder({ XDG_CACHE_HOME: absolute }, 'linux')).toBe(join(absolute, 'xgen-mm'));
  expect(cacheFolder({ LOCALAPPDATA: absolute }, 'win32')).toBe(join(absolute, 'xgen-mm'));
  expect(cacheFolder({ LOCALAPPDATA: absolute }, 'linux')).not.toContain(absolute);
  for (const ignored of ['', 'relative']) {
    const usual = cacheFolder({ XDG_CACHE_HOME: ignored }, 'linux');
    expect(usual).toMatch(/[/\\]\.cache[/\\]xgen-mm$/);
  }
});
