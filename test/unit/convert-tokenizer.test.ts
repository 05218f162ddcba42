import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseSentencePiece } from '../../lib/convert/sentencepiece.js';
import { parseTokenizerJson } from '../../lib/convert/tokenizer-json.js';
import { convertToGguf, copyCheckpoint, editJson, TINY } from './checkpoint.js';

const V0 = 612;

interface Vocabulary {
  tokens: string[];
  scores: number[];
  types: number[];
  rstripIds: number[];
  padId: number;
  addBos: boolean;
}

async function convertTokenizer(folder: string, notes: string[] = []): Promise<Vocabulary> {
  const { metadata } = await convertToGguf(folder, { onNote: (note) => notes.push(note) });
  const value = (key: string) => metadata.get(key)?.value;
  return {
    tokens: value('tokenizer.ggml.tokens') as string[],
    scores: value('tokenizer.ggml.scores') as number[],
    types: value('tokenizer.ggml.token_type') as number[],
    rstripIds: value('tokenizer.xgenmm.rstrip_ids') as number[],
    padId: value('tokenizer.ggml.padding_token_id') as number,
    addBos: value('tokenizer.ggml.add_bos_token') as boolean,
  };
}

type Config = Record<string, unknown> & { added_tokens_decoder: Record<string, unknown> };
const editConfig = (folder: string, edit: (config: Config) => void) =>
  editJson<Config>(join(folder, 'tokenizer_config.json'), edit);

describe('tokenizer.model', () => {
  test('gives tokens, scores and types, and the three late tokens follow', async () => {
    const { tokens, scores, types } = await convertTokenizer(TINY);
    expect([tokens.length, scores.length, types.length]).toEqual([V0 + 3, V0 + 3, V0 + 3]);
    expect(tokens.slice(0, 5)).toEqual(['<unk>', '<s>', '</s>', '<0x00>', '<0x01>']);
    expect(types.slice(0, 5)).toEqual([2, 3, 3, 6, 6]);
    expect(tokens.slice(258, 263)).toEqual(['<0xFF>', 'he', '▁t', '▁the', '▁c']);
    expect(types.slice(258, 263)).toEqual([6, 1, 1, 1, 1]);
    expect(scores.slice(258, 263)).toEqual([0, -0, -1, -2, -3]);
    expect(tokens.slice(598, 602)).toEqual(["'", 'A', '<|endoftext|>', '<|assistant|>']);
    expect(scores.slice(598, 602)).toEqual([-339, -340, 0, 0]);
    expect(types.slice(598, 602)).toEqual([1, 1, 3, 3]);
    expect(tokens.slice(V0 - 1)).toEqual(['<pad>', '<image>', '<image placeholder>', '<|endofchunk|>']);
    expect(types.slice(V0 - 1)).toEqual([3, 3, 3, 3]);
  });

  test.each([
    ['cut short', Buffer.from([0x0a, 0x05, 0x0a]), 'Expected 5 more bytes in tokenizer.model, received 1'],
    ['a length beyond 2^53', Buffer.from('0affffffffffffffffff01', 'hex'), 'more bytes in tokenizer.model'],
    ['an endless varint', Buffer.alloc(12, 0xff), 'Expected a varint of at most 10 bytes'],
    ['a group', Buffer.from([0x0b]), 'Expected wire type 0, 1, 2 or 5 in tokenizer.model, received 3'],
    ['a number as piece', Buffer.from([0x08, 0x01]), 'Expected bytes in field 1 in tokenizer.model'],
    ['no UTF-8', Buffer.from('0a030a01ff', 'hex'), 'Expected UTF-8 for piece 0'],
    ['a score of NaN', Buffer.from('0a05150000c07f', 'hex'), 'Expected a finite score for piece 0'],
    ['user-defined pieces', Buffer.from('0a021804', 'hex'), 'Expected type 1, 2, 3, 5 or 6 for piece 0'],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => parseSentencePiece(bytes)).toThrow(
      expect.objectContaining({
        code: 'ERR_XGENMM_MODEL_INVALID',
        message: expect.stringContaining(message),
      }),
    );
  });

  test.each([
    ['unigram', Buffer.from('12021801', 'hex')],
    ['nothing', Buffer.alloc(0)],
  ])('refuses a model that is no BPE: %s', (_, bytes) => {
    expect(() => parseSentencePiece(bytes)).toThrow(
      expect.objectContaining({ code: 'ERR_XGENMM_MODEL_UNSUPPORTED' }),
    );
  });
});

describe('tokenizer.json', () => {
  test('gives the same tokens and types, and the same order of scores', async () => {
    const folder = await copyCheckpoint();
    await rm(join(folder, 'tokenizer.model'));
    const fromJson = await convertTokenizer(folder);
    const fromModel = await convertTokenizer(TINY);
    expect({ ...fromJson, scores: [] }).toEqual({ ...fromModel, scores: [] });
    const byScore = ({ tokens, scores, types }: Vocabulary) =>
      tokens
        .map((token, id) => ({ token, score: scores[id] as number, type: types[id] }))
        .filter(({ type }) => type === 1)
        .sort((a, b) => b.score - a.score)
        .map(({ token }) => token);
    expect(byScore(fromJson)).toEqual(byScore(fromModel));
  });

  const model = { type: 'BPE', unk_token: '<unk>' };

  test('a piece scores by its first merge; what no merge makes is unused unless a character', () => {
    const vocab = { '<unk>': 0, '<0x0A>': 1, a: 2, b: 3, ab: 4, aba: 5, '▁': 6, '😀': 7, zz: 8 };
    const merges = ['a b', ['ab', 'a'], ['a', 'ba']];
    expect(parseTokenizerJson({ model: { ...model, vocab, merges } })).toEqual([
      { text: '<unk>', score: 0, type: 2 },
      { text: '<0x0A>', score: 0, type: 6 },
      { text: 'a', score: -3, type: 1 },
      { text: 'b', score: -3, type: 1 },
      { text: 'ab', score: 0, type: 1 },
      { text: 'aba', score: -1, type: 1 },
      { text: '▁', score: -3, type: 1 },
      { text: '😀', score: -3, type: 1 },
      { text: 'zz', score: -3, type: 5 },
    ]);
  });

  test.each([
    [{ vocab: ['a'], merges: [] }, 'Expected an object as vocab in tokenizer.json, received an array of 1'],
    [{ vocab: {}, merges: 'a b' }, 'Expected an array of merges in tokenizer.json, received "a b"'],
    [
      { vocab: { a: 0, b: 2 }, merges: [] },
      'Expected ids 0 to 1, each once, in tokenizer.json, received 2 for "b"',
    ],
    [{ vocab: { a: 0, b: 0 }, merges: [] }, 'received 0 for "b"'],
    [{ vocab: { a: 0.5 }, merges: [] }, 'received 0.5 for "a"'],
    [{ vocab: {}, merges: ['abc'] }, 'Expected two pieces in merge 0 in tokenizer.json, received "abc"'],
    [{ vocab: {}, merges: [['a', 1]] }, 'Expected two pieces in merge 0'],
  ])('refuses %j', (broken, message) => {
    expect(() => parseTokenizerJson({ model: { ...model, ...broken } })).toThrow(
      expect.objectContaining({
        code: 'ERR_XGENMM_MODEL_INVALID',
        message: expect.stringContaining(message),
      }),
    );
  });

  test('refuses another kind of model', () => {
    expect(() => parseTokenizerJson({ model: { type: 'WordPiece' } })).toThrow(
      expect.objectContaining({ code: 'ERR_XGENMM_MODEL_UNSUPPORTED' }),
    );
  });
});

describe('added tokens', () => {
  const withoutDecoder = async () => {
    const folder = await copyCheckpoint();
    await editConfig(folder, (config) => {
      Reflect.deleteProperty(config, 'added_tokens_decoder');
    });
    return folder;
  };

  test('come from tokenizer.json where tokenizer_config.json lacks them', async () => {
    expect(await convertTokenizer(await withoutDecoder())).toEqual(await convertTokenizer(TINY));
  });

  test('come from added_tokens.json where both lack them, with a note on what is lost', async () => {
    const folder = await withoutDecoder();
    await rm(join(folder, 'tokenizer.json'));
    const notes: string[] = [];
    const vocabulary = await convertTokenizer(folder, notes);
    expect(vocabulary).toEqual({ ...(await convertTokenizer(TINY)), rstripIds: [] });
    expect(notes).toEqual([expect.stringContaining('added_tokens.json')]);
  });

  test('<pad> is created where the files stop short of it and pad means end of text', async () => {
    const folder = await copyCheckpoint();
    await editConfig(folder, (config) => {
      delete config.added_tokens_decoder[V0 - 1];
      config.pad_token = '<|endoftext|>';
    });
    expect(await convertTokenizer(folder)).toEqual(await convertTokenizer(TINY));
  });

  test('named tokens may be objects, and <s> comes first unless the file says no', async () => {
    const folder = await copyCheckpoint();
    await editConfig(folder, (config) => {
      config.pad_token = { content: '<|user|>', rstrip: true };
      Reflect.deleteProperty(config, 'add_bos_token');
    });
    expect(await convertTokenizer(folder)).toMatchObject({ padId: 610, addBos: true });
  });
});

describe('refuses', () => {
  const changes: [string, (config: Config) => void, string][] = [
    [
      'another length than initial_tokenizer_len',
      (config) => {
        delete config.added_tokens_decoder[V0 - 1];
        delete config.added_tokens_decoder[V0 - 2];
      },
      'Expected initial_tokenizer_len (612) tokens in the tokenizer files, received 610',
    ],
    [
      'a hole among the ids',
      (config) => {
        delete config.added_tokens_decoder[605];
      },
      'Expected id 605 for the next added token, received "<|system|>" with id 606',
    ],
    [
      'an added token over another piece',
      (config) => {
        config.added_tokens_decoder[2] = { content: '</S>' };
      },
      'Expected "</s>" for the next added token, received "</S>" with id 2',
    ],
    [
      'a token twice',
      (config) => {
        config.added_tokens_decoder[611] = { content: '<|user|>' };
      },
      'Expected every token once, received "<|user|>" as 610 and 611',
    ],
    [
      'a late token in the files',
      (config) => {
        config.added_tokens_decoder[610] = { content: '<image>' };
      },
      'Expected every token once, received "<image>" as 610 and 612',
    ],
    [
      'an added token without content',
      (config) => {
        config.added_tokens_decoder[611] = { rstrip: true };
      },
      'Expected added tokens with an id and content in tokenizer_config.json, received {"rstrip":true} with id 611',
    ],
    [
      'an id that is no number',
      (config) => {
        config.added_tokens_decoder[''] = { content: '<x>' };
      },
      'Expected added tokens with an id and content in tokenizer_config.json, received {"content":"<x>"} with id ""',
    ],
    [
      'a name that is no token',
      (config) => {
        config.eos_token = '<|eot|>';
      },
      'Expected the token <|eot|>, which tokenizer_config.json names, in the tokenizer files',
    ],
    [
      'a flag that is none',
      (config) => {
        config.add_bos_token = 'no';
      },
      'Expected true or false for add_bos_token in tokenizer_config.json, received "no"',
    ],
  ];
  test.each(changes)('%s', async (_, edit, message) => {
    const folder = await copyCheckpoint();
    await editConfig(folder, edit);
    await expect(convertTokenizer(folder)).rejects.toMatchObject({
      code: 'ERR_XGENMM_MODEL_INVALID',
      message,
    });
  });

  test('a token that swallows whitespace in front of it', async () => {
    const folder = await copyCheckpoint();
    await editConfig(folder, (config) => {
      config.added_tokens_decoder[611] = { content: '<pad>', lstrip: true };
    });
    await expect(convertTokenizer(folder)).rejects.toMatchObject({
      code: 'ERR_XGENMM_MODEL_UNSUPPORTED',
      message: 'Expected lstrip false for the added token "<pad>" in tokenizer_config.json, received true',
    });
  });
});
