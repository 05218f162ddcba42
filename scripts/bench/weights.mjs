import { loadAddon } from '../../dist/addon.js';
import { translated } from '../../dist/engine.js';

const BYTES_PER_VALUE = { f32: 4, f16: 2, q8_0: 34 / 32 };
/** The tower's matrices that are applied to all positions of a tile. */
const TOWER = /^v\.blk\./;

/**
 * @typedef {import('./machine-peaks.mjs').Peak} Peak
 * @typedef {{ name: string, shape: number[], type: string, bytes: number }} Tensor
 */

/** What a model's weights cost at least: the limits that a machine sets to its speed. */
export class Weights {
  /** @type {Tensor[]} */
  #tensors;

  /** @param {string} path */
  constructor(path) {
    this.#tensors = translated(() => loadAddon().listFile(path)).tensors;
  }

  /**
   * A matrix of the language model's layers that is not the same in the other model; undefined: they cost the same.
   * @param {Weights} other
   */
  textDifference(other) {
    const layers = /^blk\./;
    const kinds = new Map(other.#matrices(layers).map(({ name, shape, type }) => [name, `${shape} ${type}`]));
    const matrices = this.#matrices(layers);
    const different = matrices.find(({ name, shape, type }) => kinds.get(name) !== `${shape} ${type}`);
    return different?.name ?? (matrices.length === kinds.size ? undefined : 'blk');
  }

  /**
   * The least ms for a tile: the matrix products of the tower at the machine's peak.
   * @param {Peak[]} peaks
   */
  tileLimit(peaks) {
    const matrices = this.#matrices(TOWER);
    const tokens = this.#named('v.position_embd.weight')?.shape[1] ?? Number.NaN;
    return (1000 * 2 * tokens * elementsOf(matrices)) / arithmetic(peaks, matrices);
  }

  /**
   * The most tokens in a second of a prompt: the matrix products of the layers at the machine's peak.
   * @param {Peak[]} peaks
   */
  prefillLimit(peaks) {
    const matrices = this.#matrices(/^blk\./);
    return arithmetic(peaks, matrices) / (2 * elementsOf(matrices));
  }

  /**
   * The most tokens in a second after `depth` positions: all weights, keys and values are read once for each.
   * @param {Peak[]} peaks
   * @param {number} depth
   * @param {keyof typeof BYTES_PER_VALUE} kvType
   */
  decodeLimit(peaks, depth, kvType) {
    const head = this.#named('output.weight') === undefined ? 'token_embd' : 'output';
    const matrices = this.#matrices(new RegExp(`^(blk\\.|${head}\\.)`));
    const weights = matrices.reduce((sum, { bytes }) => sum + bytes, 0);
    const keysAndValues = this.#matrices(/\.attn_qkv\./).reduce(
      (sum, { shape: [width, rows] }) => sum + rows - width,
      0,
    );
    const bytes = weights + depth * keysAndValues * BYTES_PER_VALUE[kvType];
    return most(peaks, 'read') / bytes;
  }

  /** @param {string} name */
  #named(name) {
    return this.#tensors.find((tensor) => tensor.name === name);
  }

  /** @param {RegExp} pattern */
  #matrices(pattern) {
    return this.#tensors.filter(({ name, shape }) => pattern.test(name) && shape[1] > 1);
  }
}

/**
 * What the machine multiplies and adds in a second in the precision that most weights ask for.
 * @param {Peak[]} peaks
 * @param {Tensor[]} matrices
 */
function arithmetic(peaks, matrices) {
  const share = (/** @type {string[]} */ types) =>
    elementsOf(matrices.filter(({ type }) => types.includes(type))) / elementsOf(matrices);
  if (share(['f32', 'f16']) > 0.5) return most(peaks, 'f32');
  return most(peaks, share(['bf16']) > 0.5 ? 'bf16' : 'int8');
}

/**
 * NaN where there is none.
 * @param {Peak[]} peaks
 * @param {Peak['kind']} kind
 */
function most(peaks, kind) {
  const values = peaks.flatMap((peak) => (peak.kind === kind && peak.value !== null ? [peak.value] : []));
  return values.length === 0 ? Number.NaN : 1e9 * Math.max(...values);
}

/** @param {Tensor[]} tensors */
function elementsOf(tensors) {
  return tensors.reduce((sum, { shape }) => sum + shape.reduce((product, side) => product * side, 1), 0);
}
