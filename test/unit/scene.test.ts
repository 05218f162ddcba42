import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { questionsOf, readScenes } from '../../lib/cli/scene.js';
import { failure } from '../failure.js';

const TURN = { question: 'What color is it?', answer: 'red' };
const SCENE = { pictures: ['a.png', 'b.png'], turns: [TURN, TURN], shows: 'pair' };

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function read(list: unknown) {
  const text = typeof list === 'string' ? list : JSON.stringify(list);
  writeFileSync(join(folder, 'scenes.json'), text);
  return readScenes(folder);
}

test('scenes lie beside their pictures, which stand in front of the first question', async () => {
  const pictures = [join(folder, 'a.png'), join(folder, 'b.png')];
  const [scene] = await read([SCENE]);
  expect(scene).toEqual({ ...SCENE, pictures });
  expect(scene && questionsOf(scene)).toEqual([
    [...pictures.map((image) => ({ image })), TURN.question],
    TURN.question,
  ]);
});

test.each<[string, unknown]>([
  ['no JSON', 'scenes'],
  ['no list', { scenes: [SCENE] }],
  ['no scenes', []],
  ['no scene', [SCENE, 'x']],
  ['no pictures', [{ ...SCENE, pictures: [] }]],
  ['a picture elsewhere', [{ ...SCENE, pictures: ['../a.png'] }]],
  ['the folder for a picture', [{ ...SCENE, pictures: ['.'] }]],
  ['what the folder is in for a picture', [{ ...SCENE, pictures: ['..'] }]],
  ['no turns', [{ ...SCENE, turns: [] }]],
  ['no answer', [{ ...SCENE, turns: [{ question: 'What?' }] }]],
  ['an unknown subject', [{ ...SCENE, shows: 'taste' }]],
])('a list with %s is refused', async (_, list) => {
  await expect(read(list)).rejects.toEqual(
    failure('ERR_XGENMM_INVALID_ARGUMENT', /^Expected .* in .*scenes\.json, received .*/),
  );
});

test('an empty list is told what it lacks', async () => {
  await expect(read([])).rejects.toThrow(/^Expected at least one scene in .*, received an empty array$/);
});

test('a folder without a list is none', async () => {
  await expect(readScenes(join(folder, 'none'))).rejects.toEqual(
    failure('ERR_XGENMM_FILE_NOT_FOUND', /^Expected .*scenes\.json, received ENOENT$/),
  );
});
