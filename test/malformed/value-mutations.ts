import { type GgufFile, type GgufValue, numberBytes, stringBytes, VALUE_TYPES } from '../gguf-file.js';
import { changed, type Mutation, smallModel } from './mutation.js';

const { u32, i32, f32, bool, string, array, u64, f64 } = VALUE_TYPES;
const VALUES = smallModel().values;
/** Keys that the loader can do without. */
const OPTIONAL =
  /^general\.(name|alignment|file_type|quantization_version)$|^xgenmm\.generation\.|head_count_kv|sliding_window|rope|_token_id$|add_bos_token/;
/** Keys that it never reads. */
const UNREAD = /^general\.(file_type|quantization_version)$|^xgenmm\.generation\./;

/** Every key with a value of another type, written as that type wants it. */
export function* wrongTypes(): Generator<Mutation> {
  const others: Omit<GgufValue, 'key'>[] = [
    { type: string, items: [stringBytes('1')] },
    { type: u64, items: [numberBytes(u64, 1)] },
    { type: f64, items: [numberBytes(f64, 1)] },
    { type: array, of: u32, items: [numberBytes(u32, 1)] },
    { type: array, of: string, items: [] },
    { type: bool, items: [numberBytes(bool, 1)] },
  ];
  for (const { key, type } of VALUES) {
    for (const other of others) {
      if (other.type === type && other.of === undefined) continue;
      const name = `${key} has type ${other.type} in place of ${type}`;
      yield changed(name, !UNREAD.test(key), (file) => {
        file.values = file.values.map((value) => (value.key === key ? { key, ...other } : value));
      });
    }
  }
}

export function* missingAndDouble(): Generator<Mutation> {
  for (const { key } of VALUES) {
    yield changed(`no ${key}`, !OPTIONAL.test(key), (file) => {
      file.values = file.values.filter((value) => value.key !== key);
    });
    yield changed(`${key} twice`, true, (file) => file.values.push(file.value(key)));
  }
}

/** Every number at its extremes. */
export function* extremeNumbers(): Generator<Mutation> {
  const integers = [0, 1, 2, 3, 7, 255, 65536, 2 ** 20, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
  const floats = [0, -1, 1e-45, 1e30, Number.POSITIVE_INFINITY, Number.NaN];
  for (const { key, type } of VALUES) {
    const numbers = type === u32 ? integers : type === f32 ? floats : [];
    for (const number of numbers) {
      yield changed(`${key} is ${number}`, false, (file) => file.set(key, type, numberBytes(type, number)));
    }
  }
}

export function* texts(): Generator<Mutation> {
  const strings = ['', 'x', '\n'.repeat(1 << 20), '<|end|>', '\u0000', '\u{1f600}'];
  for (const { key, type } of VALUES) {
    if (type !== string) continue;
    const fatal = !/name|separator/.test(key);
    for (const text of strings) {
      yield changed(`${key} is ${JSON.stringify(text.slice(0, 9))}`, fatal, (file) =>
        file.setString(key, text),
      );
    }
  }
}

export function* grids(): Generator<Mutation> {
  const set = (sides: number[]) => (file: GgufFile) => {
    file.value('xgenmm.anyres_grids').items = sides.map((side) => numberBytes(i32, side));
  };
  const wrong = [[], [76], [0, 0], [76, 0], [-76, 76], [76, -(2 ** 31)], [77, 76], [76, 2 ** 31 - 1]];
  wrong.push([76 * 17, 76], [76 * 5, 76 * 4], Array<number>(130).fill(76), Array<number>(9999).fill(76));
  for (const sides of wrong) yield changed(`grids ${sides.slice(0, 4)}`, true, set(sides));
  yield changed('one grid of one tile', false, set([76, 76]));
  yield changed('grids of 16 tiles', false, set([76 * 16, 76, 76, 76 * 16, 76 * 4, 76 * 4]));
}

/** Vocabularies that make no sense. */
export function* vocabularies(): Generator<Mutation> {
  const tokens = (name: string, change: (text: Buffer, id: number) => Buffer) =>
    changed(`tokens: ${name}`, false, (file) => {
      const value = file.value('tokenizer.ggml.tokens');
      value.items = value.items.map(change);
    });
  yield tokens('all empty', () => stringBytes(''));
  yield tokens('all the same', () => stringBytes('x'));
  yield tokens('ill-formed', (_, id) =>
    Buffer.concat([numberBytes(u64, 2), Buffer.of(0xc0 | (id & 31), 255)]),
  );
  yield tokens('one very long', (text, id) => (id === 300 ? stringBytes('x'.repeat(1 << 20)) : text));
  yield tokens('added ones empty', (text, id) => (id >= 600 ? stringBytes('') : text));
  yield tokens('no bytes', (text, id) => (text.includes('<0x') ? stringBytes(`b${id}`) : text));
  yield tokens('wrong bytes', (text) => (text.includes('<0x') ? stringBytes('<0xZZ>') : text));
  yield tokens('no space', (text) => (text.includes('\u2581') ? stringBytes('x') : text));
  yield tokens('reversed', (text) => stringBytes(text.toString('utf8', 8).split('').reverse().join('')));

  const numbers = (key: string, type: number, value: number) =>
    changed(`${key} are all ${value}`, false, (file) => {
      file.value(key).items = file.value(key).items.map(() => numberBytes(type, value));
    });
  const special = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 3e38];
  for (const score of special) yield numbers('tokenizer.ggml.scores', f32, score);
  for (const type of [-(2 ** 31), -1, 0, 1, 2, 3, 4, 5, 6, 7, 99, 2 ** 31 - 1]) {
    yield numbers('tokenizer.ggml.token_type', i32, type);
  }
  for (const id of [-(2 ** 31), -1, 0, 614, 615, 2 ** 31 - 1])
    yield numbers('tokenizer.xgenmm.rstrip_ids', i32, id);

  for (const key of ['tokenizer.ggml.tokens', 'tokenizer.ggml.scores', 'tokenizer.ggml.token_type']) {
    for (const count of [0, 1, 614]) {
      yield changed(`${count} ${key}`, true, (file) => file.value(key).items.splice(count));
    }
    yield changed(`616 ${key}`, true, (file) =>
      file.value(key).items.push(file.value(key).items[0] as Buffer),
    );
  }
}
