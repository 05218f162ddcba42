import { XgenmmError } from '../errors.js';

/** A vocabulary entry as SentencePiece and GGUF number its kinds. */
export interface Piece {
  text: string;
  score: number;
  type: PieceType;
}

export const PieceType = { normal: 1, unknown: 2, control: 3, unused: 5, byte: 6 } as const;
export type PieceType = (typeof PieceType)[keyof typeof PieceType];

/** Field numbers of sentencepiece_model.proto. */
const MODEL_PIECES = 1;
const MODEL_TRAINER_SPEC = 2;
const PIECE_TEXT = 1;
const PIECE_SCORE = 2;
const PIECE_TYPE = 3;
const TRAINER_MODEL_TYPE = 3;
const MODEL_TYPE_BPE = 2;

/** The pieces of a tokenizer.model, in the order of their ids. Throws if it is damaged or no BPE model. */
export function parseSentencePiece(bytes: Uint8Array): Piece[] {
  const pieces: Piece[] = [];
  let modelType: number | undefined;
  for (const field of fields(bytes)) {
    if (field.number === MODEL_PIECES) pieces.push(parsePiece(message(field), pieces.length));
    if (field.number === MODEL_TRAINER_SPEC) {
      for (const inner of fields(message(field))) {
        if (inner.number === TRAINER_MODEL_TYPE) modelType = varint(inner);
      }
    }
  }
  if (modelType !== MODEL_TYPE_BPE) {
    throw new XgenmmError(
      'ERR_XGENMM_MODEL_UNSUPPORTED',
      `Expected a BPE model (model_type 2) in tokenizer.model, received model_type ${modelType}`,
    );
  }
  return pieces;
}

function parsePiece(bytes: Uint8Array, id: number): Piece {
  const piece: Piece = { text: '', score: 0, type: PieceType.normal };
  for (const field of fields(bytes)) {
    if (field.number === PIECE_TEXT) piece.text = decodeUtf8(message(field), id);
    if (field.number === PIECE_SCORE) piece.score = float(field);
    if (field.number === PIECE_TYPE) piece.type = parseType(varint(field), id);
  }
  if (!Number.isFinite(piece.score)) throw damaged(`a finite score for piece ${id}`, piece.score);
  return piece;
}

function parseType(value: number, id: number): PieceType {
  const type = Object.values(PieceType).find((known) => known === value);
  if (type === undefined) throw damaged(`type 1, 2, 3, 5 or 6 for piece ${id}`, value);
  return type;
}

function decodeUtf8(bytes: Uint8Array, id: number): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw damaged(`UTF-8 for piece ${id}`, `${bytes.length} other bytes`);
  }
}

/** One field of a protobuf message; which value it has follows from its wire type. */
interface Field {
  number: number;
  value: number | Uint8Array;
  wireType: number;
}

const WIRE_VARINT = 0;
const WIRE_64_BITS = 1;
const WIRE_BYTES = 2;
const WIRE_32_BITS = 5;

function* fields(bytes: Uint8Array): Generator<Field> {
  let position = 0;
  const take = (length: number): Uint8Array => {
    if (length > bytes.length - position) throw damaged(`${length} more bytes`, bytes.length - position);
    position += length;
    return bytes.subarray(position - length, position);
  };
  /** Exact up to 2^53, which no length or enum here exceeds; bits above count as an absurdly large number. */
  const takeVarint = (): number => {
    let value = 0;
    for (let scale = 1; scale < 2 ** 70; scale *= 128) {
      const byte = take(1)[0] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw damaged('a varint of at most 10 bytes', 'a longer one');
  };
  while (position < bytes.length) {
    const key = takeVarint();
    const wireType = key % 8;
    const number = Math.floor(key / 8);
    if (wireType === WIRE_VARINT) yield { number, wireType, value: takeVarint() };
    else if (wireType === WIRE_BYTES) yield { number, wireType, value: take(takeVarint()) };
    else if (wireType === WIRE_32_BITS) yield { number, wireType, value: take(4) };
    else if (wireType === WIRE_64_BITS) yield { number, wireType, value: take(8) };
    else throw damaged('wire type 0, 1, 2 or 5', wireType);
  }
}

function message(field: Field): Uint8Array {
  if (field.wireType !== WIRE_BYTES)
    throw damaged(`bytes in field ${field.number}`, `wire type ${field.wireType}`);
  return field.value as Uint8Array;
}

function varint(field: Field): number {
  if (field.wireType !== WIRE_VARINT)
    throw damaged(`a varint in field ${field.number}`, `wire type ${field.wireType}`);
  return field.value as number;
}

function float(field: Field): number {
  if (field.wireType !== WIRE_32_BITS)
    throw damaged(`a float in field ${field.number}`, `wire type ${field.wireType}`);
  const bytes = field.value as Uint8Array;
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getFloat32(0, true);
}

function damaged(expected: string, received: unknown): XgenmmError {
  return new XgenmmError(
    'ERR_XGENMM_MODEL_INVALID',
    `Expected ${expected} in tokenizer.model, received ${received}`,
  );
}
