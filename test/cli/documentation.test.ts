import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { fixture, modelFile, root } from '../files.js';
import { HubServer, REPOSITORY, type ServedRepository } from '../pull/hub-server.js';
import { runCli, runScript } from './run.js';

// Programs are started one after another, which a busy machine may take its time over.
vi.setConfig({ testTimeout: 300_000 });

const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`),
];
const CARDS = ['models/README.md', 'tools/demo-model/README.md'];
const CHECKPOINT = 'xgen-mm-phi3-mini-instruct-interleave-r-v1.5';

function read(page: string): string {
  return readFileSync(join(root, page), 'utf8');
}

/** The code of all blocks of a language, in order. */
function blocksOf(page: string, language: string): string[] {
  return [...read(page).matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, name]) => name === language)
    .map(([, , code]) => code as string);
}

/** Inside the checkout, where `xgen-mm` is found by its name; it holds the files that the documentation speaks of. */
let folder: string;
beforeAll(() => {
  mkdirSync(join(root, 'build'), { recursive: true });
  folder = mkdtempSync(join(root, 'build', 'documentation-'));
  cpSync(fixture('tiny'), join(folder, CHECKPOINT), { recursive: true });
  copyFileSync(modelFile('tiny-f32'), join(folder, 'model.gguf'));
  const pictures = {
    'photo.jpg': 'street.jpg',
    'before.png': 'balloon.png',
    'after.png': 'table-after.webp',
    'my.png': 'balloon.png',
  };
  for (const [name, picture] of Object.entries(pictures)) {
    copyFileSync(join(root, 'examples', 'pictures', picture), join(folder, name));
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The JavaScript of a page: a block that imports something begins a program, those after it go on with it. */
function programsOf(page: string): string[] {
  const programs: string[] = [];
  for (const block of blocksOf(page, 'js')) {
    if (/^import /m.test(block)) programs.push(block);
    else programs.push(`${programs.pop() ?? ''}\n${block}`);
  }
  return programs;
}

describe('the JavaScript of a page runs as written', () => {
  const programs = PAGES.flatMap((page) =>
    programsOf(page).map((source, index) => [`${page} ${index + 1}`, source] as const),
  );
  test.each(programs)('%s', async (name, source) => {
    const script = join(folder, `${name.replace(/\W/g, '-')}.mjs`);
    writeFileSync(script, source);
    const { code, stdout, stderr } = await runScript(relative(root, script), [], { cwd: folder });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    if (source.includes('missing.jpg'))
      expect(stdout).toContain('ERR_XGENMM_FILE_NOT_FOUND Expected a readable picture at');
  });

  test('the README has two', () => {
    expect(programsOf('README.md')).toHaveLength(2);
  });
});

/** A hub that has {@link CHECKPOINT}, and an environment in which programs ask it. */
async function startHub(): Promise<{ hub: HubServer; env: Record<string, string> }> {
  const hub = await HubServer.start();
  const repository = hub.repositories.get(REPOSITORY) as ServedRepository;
  hub.repositories.set(`Salesforce/${CHECKPOINT}`, repository);
  return { hub, env: hub.environment(join(folder, 'huggingface')) };
}

// Nothing can be typed at them, so `chat` ends as it begins.
test("the README's commands run as written, from checkpoint to answer", async () => {
  const commands = blocksOf('README.md', 'sh')
    .join('')
    .split('\n')
    .filter((line) => line.startsWith('npx xgen-mm '));
  const names = commands.map((command) => command.split(' ')[2]);
  expect(names).toEqual([
    'demo',
    'ask',
    'pull',
    'ask',
    'convert',
    'convert',
    'quantize',
    'convert',
    'ask',
    'ask',
    'ask',
    'chat',
    'inspect',
    'doctor',
  ]);
  rmSync(join(folder, 'model.gguf'));
  const { hub, env } = await startHub();
  onTestFinished(() => hub.stop());
  for (const command of commands) {
    const args = [...command.matchAll(/"([^"]*)"|(\S+)/g)]
      .map(([, quoted, plain]) => quoted ?? plain ?? '')
      .slice(2);
    const { code, stderr } = await runCli(args, { cwd: folder, env });
    expect({ command, code }).toEqual({ command, code: 0 });
    // What makes a file says what it made; a download says more.
    const said = ['convert', 'quantize'].includes(args[0] ?? '') ? /^\S+\.gguf: .* in \S+ s\n$/ : /^$/;
    if (args[0] !== 'pull') expect(stderr).toMatch(said);
  }
  copyFileSync(modelFile('tiny-f32'), join(folder, 'model.gguf'));
});

test.each([...PAGES, ...CARDS])('the links of %s lead somewhere', (page) => {
  const links = [...read(page).matchAll(/\]\(([^)#]+)\)/g)].map(([, target]) => target as string);
  const missing = links.filter(
    (link) => !/^https?:/.test(link) && !existsSync(join(root, dirname(page), link)),
  );
  expect(missing).toEqual([]);
});

test('every error code is explained', () => {
  const known = [...read('lib/errors.ts').matchAll(/'(ERR_XGENMM_\w+)'/g)].map(([, code]) => code);
  const explained = [...read('docs/errors.md').matchAll(/^\| `(ERR_XGENMM_\w+)` \|/gm)].map(
    ([, code]) => code,
  );
  expect(explained.toSorted()).toEqual(known.toSorted());
});
