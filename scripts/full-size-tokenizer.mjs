// The vocabulary of the full-size models with random weights. The package must be built first.
import { PieceType } from '../dist/convert/sentencepiece.js';

/**
 * @typedef {import('../dist/convert/sentencepiece.js').Piece} Piece
 * @typedef {import('../dist/convert/tokenizer.js').Tokenizer} Tokenizer
 */

/** What a token's logit gets that must never be chosen. */
const NEVER = -1e4;
const LATE = ['<image>', '<image placeholder>', '<|endofchunk|>'];
const ADDED = [
  ...['endoftext', 'assistant', 'placeholder1', 'placeholder2', 'placeholder3', 'placeholder4', 'system'],
  ...['end', 'placeholder5', 'placeholder6', 'user'],
].map((name) => `<|${name}|>`);

/**
 * Every token that is chosen shows as text: none ends the answer, none is part of a character.
 * @param {Piece} piece
 */
export function logitBias({ text, type }) {
  return type === PieceType.normal && /[^▁]/.test(text) ? 0 : NEVER;
}

/**
 * Ids and added tokens are those of the official checkpoints, the other pieces are made of up to three letters.
 * @param {number} length V0.
 * @returns {Tokenizer}
 */
export function makeTokenizer(length) {
  const normals = length - 1 - ADDED.length;
  const letters = [...'abcdefghijklmnopqrstuvwxyz'];
  const others = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));
  const pairs = letters.flatMap((a) => letters.map((b) => a + b));
  const triples = pairs.flatMap((pair) => letters.map((c) => pair + c));
  const words = ['▁', ...others, ...[...letters, ...pairs].map((text) => `▁${text}`), ...pairs, ...triples];
  words.push(...triples.map((text) => `▁${text}`));

  /** @type {Piece[]} */
  const pieces = ['<unk>', '<s>', '</s>'].map((text) => ({ text, score: 0, type: PieceType.control }));
  pieces[0].type = PieceType.unknown;
  for (let byte = 0; byte < 256; byte++) {
    const digits = byte.toString(16).toUpperCase().padStart(2, '0');
    pieces.push({ text: `<0x${digits}>`, score: 0, type: PieceType.byte });
  }
  for (const text of words.slice(0, normals - pieces.length)) {
    pieces.push({ text, score: -pieces.length, type: PieceType.normal });
  }
  for (const text of [...ADDED, '<pad>', ...LATE]) pieces.push({ text, score: 0, type: PieceType.control });
  const rstripIds = [2, ...ADDED.map((_, index) => normals + index).slice(1)];
  return { pieces, unknownId: 0, bosId: 1, eosId: normals, padId: length - 1, addBos: false, rstripIds };
}

/**
 * The tokenizer files of a checkpoint, by name. Nothing in them is about the tokens that the reference adds at load time.
 * @param {Tokenizer} tokenizer
 */
export function describeFiles({ pieces, rstripIds, eosId, padId }) {
  const stored = pieces.slice(0, -LATE.length);
  const added = [0, 1, 2, ...stored.slice(eosId).map((_, index) => eosId + index)].map((id) => {
    const flags = { lstrip: false, normalized: false, rstrip: rstripIds.includes(id), single_word: false };
    return [id, { content: stored[id].text, ...flags, special: true }];
  });
  const config = {
    add_bos_token: false,
    added_tokens_decoder: Object.fromEntries(added),
    bos_token: '<s>',
    eos_token: stored[eosId].text,
    pad_token: stored[padId].text,
    tokenizer_class: 'LlamaTokenizer',
    unk_token: '<unk>',
  };
  return {
    'tokenizer.model': encodeSentencePiece(stored.slice(0, eosId)),
    'tokenizer_config.json': `${JSON.stringify(config, undefined, 1)}\n`,
  };
}

/**
 * As sentencepiece_model.proto has it: pieces of text, score and type, then a trainer that made a BPE model.
 * @param {Piece[]} pieces
 */
function encodeSentencePiece(pieces) {
  const encoded = pieces.map(({ text, score, type }) => {
    const bytes = Buffer.from(text);
    const value = Buffer.alloc(4);
    value.writeFloatLE(score);
    const piece = Buffer.concat([
      Buffer.of(0x0a, bytes.length),
      bytes,
      Buffer.of(0x15),
      value,
      Buffer.of(0x18, type),
    ]);
    return Buffer.concat([Buffer.of(0x0a, piece.length), piece]);
  });
  return Buffer.concat([...encoded, Buffer.of(0x12, 2, 0x18, 2)]);
}
