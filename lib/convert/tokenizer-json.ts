import { XgenmmError } from '../errors.js';
import { describe } from '../options.js';
import { isJsonObject, type JsonObject } from './json.js';
import { type Piece, PieceType } from './sentencepiece.js';

/**
 * The pieces of a tokenizer.json as SentencePiece would list them. A piece scores minus the lowest rank of a merge that
 * makes it, so that merging the best score first does what merging the lowest rank first does.
 */
export function parseTokenizerJson(json: JsonObject): Piece[] {
  const model = isJsonObject(json.model) ? json.model : {};
  if (model.type !== 'BPE') {
    throw new XgenmmError(
      'ERR_XGENMM_MODEL_UNSUPPORTED',
      `Expected a BPE model in tokenizer.json, received ${describe(model.type)}`,
    );
  }
  const { vocab, merges, unk_token: unknown } = model;
  if (!isJsonObject(vocab)) throw invalid('an object as vocab', describe(vocab));
  if (!Array.isArray(merges)) throw invalid('an array of merges', describe(merges));

  const ranks = rankMerges(merges);
  const pieces = new Array<Piece | undefined>(Object.keys(vocab).length);
  for (const [text, id] of Object.entries(vocab)) {
    if (
      !Number.isInteger(id) ||
      (id as number) < 0 ||
      (id as number) >= pieces.length ||
      pieces[id as number]
    ) {
      throw invalid(`ids 0 to ${pieces.length - 1}, each once,`, `${describe(id)} for ${describe(text)}`);
    }
    pieces[id as number] = describePiece(text, ranks.get(text), merges.length, unknown);
  }
  return pieces as Piece[];
}

function rankMerges(merges: unknown[]): Map<string, number> {
  const ranks = new Map<string, number>();
  merges.forEach((merge, rank) => {
    // Older files write "left right", newer ones ["left", "right"].
    const pair = typeof merge === 'string' ? merge.split(' ') : merge;
    if (!Array.isArray(pair) || pair.length !== 2 || pair.some((half) => typeof half !== 'string')) {
      throw invalid(`two pieces in merge ${rank}`, describe(merge));
    }
    const text = pair.join('');
    if (!ranks.has(text)) ranks.set(text, rank);
  });
  return ranks;
}

function describePiece(text: string, rank: number | undefined, merges: number, unknown: unknown): Piece {
  if (text === unknown) return { text, score: 0, type: PieceType.unknown };
  if (/^<0x[0-9A-F]{2}>$/.test(text)) return { text, score: 0, type: PieceType.byte };
  if (rank !== undefined) return { text, score: 0 - rank, type: PieceType.normal };
  // Characters come after all that is merged, as SentencePiece lists them; what else no merge makes is never produced.
  const isCharacter = [...text].length === 1;
  return { text, score: -merges, type: isCharacter ? PieceType.normal : PieceType.unused };
}

function invalid(expected: string, received: string): XgenmmError {
  return new XgenmmError(
    'ERR_XGENMM_MODEL_INVALID',
    `Expected ${expected} in tokenizer.json, received ${received}`,
  );
}
