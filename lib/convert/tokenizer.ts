import { XgenmmError } from '../errors.js';
import { describe } from '../options.js';
import type { CheckpointFolder } from './checkpoint-folder.js';
import { isJsonObject, type JsonObject } from './json.js';
import { type Piece, PieceType, parseSentencePiece } from './sentencepiece.js';
import { parseTokenizerJson } from './tokenizer-json.js';

const CONFIG = 'tokenizer_config.json';
const ADDED = 'added_tokens.json';
const MODEL = 'tokenizer.model';
const JSON_MODEL = 'tokenizer.json';

/** In none of the files: the reference adds them at load time, at V0, V0 + 1 and V0 + 2. */
const LATE_TOKENS = ['<image>', '<image placeholder>', '<|endofchunk|>'];

export interface Tokenizer {
  /** V0 + 3 entries, by id. */
  pieces: Piece[];
  bosId: number;
  eosId: number;
  unknownId: number;
  padId: number;
  /** Whether a prompt starts with `<s>`. */
  addBos: boolean;
  /** Added tokens that swallow the whitespace after them. */
  rstripIds: number[];
}

/** The tokenizer of the checkpoint as the reference has it after loading; `length` is V0. */
export async function readTokenizer(
  folder: CheckpointFolder,
  length: number,
  onNote: (note: string) => void,
): Promise<Tokenizer> {
  const config = await folder.readJson(CONFIG);
  const json = (await folder.has(JSON_MODEL)) ? await folder.readJson(JSON_MODEL) : undefined;
  const pieces = await readPieces(folder, json);
  const added = await readAddedTokens(folder, config, json, onNote);
  for (const token of added) insert(pieces, token);

  const eos = tokenName(config, 'eos_token', '<|endoftext|>');
  let pad = tokenName(config, 'pad_token', '<pad>');
  // A pad token equal to the end of text is replaced by a new one (MODEL 1.10).
  if (pad === eos) pad = '<pad>';
  if (pieces.length === length - 1 && !pieces.some(({ text }) => text === '<pad>')) {
    pieces.push({ text: '<pad>', score: 0, type: PieceType.control });
  }
  if (pieces.length !== length) {
    throw invalid(
      `Expected initial_tokenizer_len (${length}) tokens in the tokenizer files, received ${pieces.length}`,
    );
  }
  for (const text of LATE_TOKENS) pieces.push({ text, score: 0, type: PieceType.control });

  const ids = indexPieces(pieces);
  const find = (text: string): number => {
    const id = ids.get(text);
    if (id === undefined)
      throw invalid(`Expected the token ${text}, which ${CONFIG} names, in the tokenizer files`);
    return id;
  };
  const unknownId = find(tokenName(config, 'unk_token', '<unk>'));
  (pieces[unknownId] as Piece).type = PieceType.unknown;
  return {
    pieces,
    unknownId,
    bosId: find(tokenName(config, 'bos_token', '<s>')),
    eosId: find(eos),
    padId: find(pad),
    addBos: flag(config, 'add_bos_token', true, CONFIG),
    rstripIds: added.filter(({ rstrip }) => rstrip).map(({ id }) => id),
  };
}

async function readPieces(folder: CheckpointFolder, json: JsonObject | undefined): Promise<Piece[]> {
  if (await folder.has(MODEL)) return parseSentencePiece(await folder.read(MODEL));
  if (json !== undefined) return parseTokenizerJson(json);
  throw new XgenmmError(
    'ERR_XGENMM_FILE_NOT_FOUND',
    `Expected ${MODEL} or ${JSON_MODEL} in ${folder.path}, received neither`,
  );
}

interface AddedToken {
  id: number;
  text: string;
  rstrip: boolean;
}

/** By id. */
async function readAddedTokens(
  folder: CheckpointFolder,
  { added_tokens_decoder: decoder }: JsonObject,
  json: JsonObject | undefined,
  onNote: (note: string) => void,
): Promise<AddedToken[]> {
  const tokens: AddedToken[] = [];
  if (isJsonObject(decoder)) {
    for (const [id, token] of Object.entries(decoder)) {
      tokens.push(parseAddedToken(token, /^\d+$/.test(id) ? Number(id) : id, CONFIG));
    }
  } else if (Array.isArray(json?.added_tokens)) {
    for (const token of json.added_tokens) {
      tokens.push(parseAddedToken(token, isJsonObject(token) ? token.id : undefined, JSON_MODEL));
    }
  } else if (await folder.has(ADDED)) {
    onNote(`Only ${ADDED} lists the added tokens: none of them will swallow the whitespace after it.`);
    for (const [content, id] of Object.entries(await folder.readJson(ADDED))) {
      tokens.push(parseAddedToken({ content }, id, ADDED));
    }
  } else {
    throw new XgenmmError(
      'ERR_XGENMM_FILE_NOT_FOUND',
      `Expected the added tokens in ${CONFIG}, ${JSON_MODEL} or ${ADDED} in ${folder.path}, received none`,
    );
  }
  return tokens.sort((a, b) => a.id - b.id);
}

function parseAddedToken(token: unknown, id: unknown, file: string): AddedToken {
  const { content, ...flags }: JsonObject = isJsonObject(token) ? token : {};
  if (typeof content !== 'string' || content === '' || !Number.isInteger(id) || (id as number) < 0) {
    throw invalid(
      `Expected added tokens with an id and content in ${file}, received ${JSON.stringify(token)} with id ${describe(id)}`,
    );
  }
  for (const name of ['lstrip', 'single_word']) {
    if (flag(flags, name, false, file)) {
      throw new XgenmmError(
        'ERR_XGENMM_MODEL_UNSUPPORTED',
        `Expected ${name} false for the added token ${describe(content)} in ${file}, received true`,
      );
    }
  }
  return { id: id as number, text: content, rstrip: flag(flags, 'rstrip', false, file) };
}

/** Puts an added token at its id: over the piece of the same text, or behind the last one. */
function insert(pieces: Piece[], { id, text }: AddedToken): void {
  const piece = pieces[id];
  if (id > pieces.length || (piece !== undefined && piece.text !== text)) {
    const expected = piece === undefined ? `id ${pieces.length}` : describe(piece.text);
    throw invalid(`Expected ${expected} for the next added token, received ${describe(text)} with id ${id}`);
  }
  pieces[id] = { text, score: 0, type: PieceType.control };
}

function indexPieces(pieces: Piece[]): Map<string, number> {
  const ids = new Map<string, number>();
  pieces.forEach(({ text }, id) => {
    if (ids.has(text))
      throw invalid(`Expected every token once, received ${describe(text)} as ${ids.get(text)} and ${id}`);
    ids.set(text, id);
  });
  return ids;
}

/** A token named in tokenizer_config.json: a string, an object with `content`, or null for none. */
function tokenName(config: JsonObject, key: string, byDefault: string): string {
  const value = config[key] ?? byDefault;
  const name = isJsonObject(value) ? value.content : value;
  if (typeof name !== 'string')
    throw invalid(`Expected a token for ${key} in ${CONFIG}, received ${describe(value)}`);
  return name;
}

function flag(json: JsonObject, key: string, byDefault: boolean, file: string): boolean {
  const value = json[key] ?? byDefault;
  if (typeof value !== 'boolean')
    throw invalid(`Expected true or false for ${key} in ${file}, received ${describe(value)}`);
  return value;
}

function invalid(message: string): XgenmmError {
  return new XgenmmError('ERR_XGENMM_MODEL_INVALID', message);
}
