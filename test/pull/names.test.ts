import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hubCacheFolder, pulledFolder, tokenFile } from '../../lib/pull/hf-home.js';
import { readHubSettings } from '../../lib/pull/hub-settings.js';
import { checkRevision, isSafePath } from '../../lib/pull/names.js';
import { parsePullSource } from '../../lib/pull/pull-source.js';
import { failure } from '../failure.js';

const HUB = new URL('https://huggingface.co');
const MIRROR = new URL('http://mirror.lan/hf');
const COMMIT = '0123456789abcdef0123456789abcdef01234567';

describe('what a user may ask for', () => {
  const plain = { kind: 'repository', repository: 'me/my.model_1', revision: undefined, file: undefined };
  test.each([
    ['me/my.model_1', plain],
    ['hf:me/my.model_1', plain],
    ['https://huggingface.co/me/my.model_1', plain],
    ['https://huggingface.co/me/my.model_1/', plain],
    ['https://hf.co/me/my.model_1?x=1#y', plain],
    ['http://mirror.lan/hf/me/my.model_1', plain],
    ['https://huggingface.co/me/my.model_1/tree/v1', { ...plain, revision: 'v1' }],
    ['https://huggingface.co/me/my.model_1/tree/refs%2Fpr%2F1', { ...plain, revision: 'refs/pr/1' }],
    [
      'https://huggingface.co/me/my.model_1/resolve/main/a/b.gguf?download=true',
      { ...plain, revision: 'main', file: 'a/b.gguf' },
    ],
    [
      `http://mirror.lan/hf/me/my.model_1/blob/${COMMIT}/b.GGUF`,
      { ...plain, revision: COMMIT, file: 'b.GGUF' },
    ],
  ])('%s', (text, expected) => {
    expect(parsePullSource(text, MIRROR)).toEqual(expected);
  });

  test.each(['https://example.com/a/b.gguf?key=1', 'http://localhost:8080/b.gguf', 'http://[::1]/b.gguf'])(
    '%s',
    (text) => {
      expect(parsePullSource(text, HUB)).toEqual({ kind: 'url', url: new URL(text) });
    },
  );

  test.each([
    '',
    'model',
    'a/b/c',
    '../b',
    'a/..',
    '.a/b',
    'a-/b',
    'a/b--c',
    'a/b.git',
    'a/b c',
    'a/b\0',
    'a\\b/c',
    `${'a'.repeat(97)}/b`,
    'hf:a',
    'https://huggingface.co/',
    'https://huggingface.co/a',
    'https://huggingface.co/datasets/a/b',
    'https://huggingface.co/a/b/tree/main/folder',
    'https://huggingface.co/a/b/resolve/main/x.bin',
    'https://huggingface.co/a/b/resolve/main/..%2F..%2Fx.gguf',
    'https://huggingface.co/a/b/resolve/..%2F..%2Fmain/x.gguf',
    'https://huggingface.co/a/b/resolve/main/%00.gguf',
    'https://huggingface.co/a/b/resolve/main/%zz.gguf',
    'https://huggingface.co/a/b/commits/main',
    'https://me:secret@example.com/x.gguf',
    'https://example.com/x.bin',
    'https://example.com/..%2Fx.gguf',
    'http://example.com/x.gguf',
    'https://',
    'ftp://example.com/x.gguf',
  ])('%j is refused', (text) => {
    const error = failure('ERR_XGENMM_INVALID_ARGUMENT', /^(?!.*secret)/);
    expect(() => parsePullSource(text, HUB)).toThrow(error);
  });
});

test.each(['main', 'v1.5', 'refs/pr/12', 'feature/new-thing', COMMIT])('%s is a revision', (text) => {
  expect(checkRevision(text)).toBe(text);
});

test.each([
  '',
  '..',
  'a/../b',
  '/a',
  'a/',
  'a//b',
  '.a',
  'a.lock',
  'a b\0',
  'a\\b',
  'c:d',
  'a~1',
  'a^',
  'a@{1}',
  'a?',
])('%j is no revision', (text) => {
  expect(() => checkRevision(text)).toThrow(failure('ERR_XGENMM_INVALID_ARGUMENT'));
});

test.each(['a', 'a/b.gguf', 'a b', '..a'])('%j stays in its folder', (path) => {
  expect(isSafePath(path)).toBe(true);
});

test.each(['con', 'a/NUL.gguf', 'com1.txt/b', 'a.gguf.', 'a /b.gguf'])(
  '%j is another name on Windows',
  (path) => {
    expect(isSafePath(path)).toBe(false);
  },
);

test.each(['', '.', '..', '/a', 'a/', 'a/../b', 'a\\b', 'C:a', 'a\0', 'a\n', 'a\u009b', 'a'.repeat(513)])(
  '%j may lead elsewhere',
  (path) => {
    expect(isSafePath(path)).toBe(false);
  },
);

test('folders come from the environment as in Python', () => {
  const slashes = (path: string) => path.replaceAll('\\', '/').replace(/^[A-Z]:/, '');
  expect(slashes(hubCacheFolder({ HF_HUB_CACHE: '/cache', HF_HOME: '/home' }))).toBe('/cache');
  expect(slashes(hubCacheFolder({ HF_HOME: '/home' }))).toBe('/home/hub');
  expect(slashes(hubCacheFolder({ XDG_CACHE_HOME: '/xdg', HF_HOME: '' }))).toBe('/xdg/huggingface/hub');
  expect(slashes(hubCacheFolder({}))).toMatch(/\/\.cache\/huggingface\/hub$/);
  expect(slashes(hubCacheFolder({ HF_HOME: '~/hf' }))).not.toContain('~');
  expect(hubCacheFolder({ HF_HOME: 'hf' })).toBe(resolve('hf', 'hub'));
  expect(slashes(pulledFolder({ HF_HUB_CACHE: '/cache', HF_HOME: '/home' }))).toBe('/home/xgen-mm');
  expect(slashes(tokenFile({ HF_HOME: '/home' }))).toBe('/home/token');
});

test.each(['nonsense', 'ftp://x', 'https://a:b@x', 'https://x?key=1'])(
  'HF_ENDPOINT=%s is refused',
  (endpoint) => {
    expect(() => readHubSettings({ HF_ENDPOINT: endpoint })).toThrow(
      failure('ERR_XGENMM_INVALID_ARGUMENT', /HF_ENDPOINT/),
    );
  },
);

test('HF_ENDPOINT may have a path', () => {
  expect(readHubSettings({ HF_ENDPOINT: 'http://mirror.lan/hf//', HF_HOME: '/none' }).endpoint).toBe(
    'http://mirror.lan/hf',
  );
  expect(readHubSettings({ HF_HOME: '/none' })).toMatchObject({
    endpoint: 'https://huggingface.co',
    token: undefined,
    offline: false,
  });
});
