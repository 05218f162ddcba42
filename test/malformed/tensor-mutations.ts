import { numberBytes, VALUE_TYPES } from '../gguf-file.js';
import { Random } from '../random.js';
import { changed, type Mutation, smallModel } from './mutation.js';

const NAMES = smallModel().tensors.map(({ name }) => name);
/** ggml knows fewer types than this. */
const TYPES = 48;

export function* missingAndDouble(): Generator<Mutation> {
  for (const name of NAMES) {
    yield changed(`no ${name}`, true, (file) => {
      file.tensors = file.tensors.filter((tensor) => tensor.name !== name);
    });
    yield changed(`${name} twice`, true, (file) => file.tensors.push(file.tensor(name)));
  }
}

export function* shapes(): Generator<Mutation> {
  for (const name of NAMES) {
    const reshape = (what: string, fatal: boolean, change: (shape: number[]) => number[]) =>
      changed(`${name} ${what}`, fatal, (file) => {
        const tensor = file.tensor(name);
        tensor.shape = change(tensor.shape);
      });
    // A square stays as it is when it is turned, and a vector when it is flattened.
    yield reshape('turned', false, (shape) => shape.toReversed());
    yield reshape('flat', false, (shape) => [shape.reduce((a, b) => a * b)]);
    yield reshape('of one row', true, (shape) => [1, ...shape]);
    yield reshape('shorter', true, ([first = 0, ...rest]) => [first - 1, ...rest]);
    yield reshape('without dimensions', true, () => []);
    yield reshape('in five dimensions', true, (shape) => [...shape, 1, 1, 1, 1].slice(0, 5));
    yield reshape('with a side of 0', true, (shape) => [...shape.slice(1), 0]);
  }
}

/** Tensors of every type, with enough data for any of them. */
export function* types(): Generator<Mutation> {
  const random = new Random(4);
  const noise = Buffer.from(Array.from({ length: 1 << 19 }, () => random.below(256)));
  const kinds = ['token_embd.weight', 'output.weight', 'blk.0.attn_qkv.weight', 'v.patch_embd.weight'];
  kinds.push(
    'v.blk.0.ffn_up.weight',
    'resampler.blk.0.attn_kv.weight',
    'output_norm.weight',
    'resampler.latents',
  );
  for (const name of kinds) {
    for (let type = 0; type < TYPES; type++) {
      yield changed(`${name} of type ${type}`, false, (file) =>
        Object.assign(file.tensor(name), { type, data: noise }),
      );
    }
  }
}

export function* alignments(): Generator<Mutation> {
  for (const alignment of [0, 1, 8, 16, 31, 33, 2 ** 17, 2 ** 31, 2 ** 32 - 1]) {
    yield changed(`alignment ${alignment}`, true, (file) => file.setU32('general.alignment', alignment));
  }
  // The key says 32, the tensors stand closer, so their offsets are wrong.
  for (const alignment of [1, 4, 8, 16]) {
    yield changed(`tensors aligned to ${alignment}`, true, (file) => {
      // What follows begins at no multiple of 32, whichever of these it is rounded up to.
      file.tensor('output.bias').data = Buffer.alloc(617 * 4);
      file.alignment = alignment;
    });
  }
  for (const alignment of [64, 4096, 65536]) {
    yield changed(`alignment ${alignment}, and so it is`, false, (file) => {
      file.set('general.alignment', VALUE_TYPES.u32, numberBytes(VALUE_TYPES.u32, alignment));
      file.alignment = alignment;
    });
  }
}

/** Names that are no names. */
export function* names(): Generator<Mutation> {
  for (const name of [
    '',
    'x'.repeat(63),
    'x'.repeat(64),
    'x'.repeat(1 << 20),
    'output.bias\u0000',
    'blk.1.ffn_up.weight',
  ]) {
    yield changed(`a tensor ${JSON.stringify(name.slice(0, 20))}`, true, (file) => {
      file.tensor('output_norm.weight').name = name;
    });
    yield changed(`a further tensor ${JSON.stringify(name.slice(0, 20))}`, false, (file) => {
      file.tensors.push({ name, shape: [8], type: 0, data: Buffer.alloc(32) });
    });
  }
}
