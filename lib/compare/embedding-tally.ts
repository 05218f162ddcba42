import { cosine, VectorError } from './statistics.js';

/** How far the embeddings of pictures are apart. */
export interface EmbeddingError {
  pictures: number;
  /** Embeddings: positions that the pictures take in prompts. */
  rows: number;
  meanCosine: number;
  minCosine: number;
  /** Length of all differences over the length of all embeddings of the reference. */
  relativeError: number;
}

/** Gathers pictures' embeddings, row by row. */
export class EmbeddingTally {
  readonly #error = new VectorError();
  #pictures = 0;
  #rows = 0;
  #sum = 0;
  #least = 1;

  /** `[rows, width]` each, of one picture. */
  add(reference: Float32Array, received: Float32Array, width: number): void {
    this.#error.add(reference, received);
    this.#pictures++;
    for (let begin = 0; begin < reference.length; begin += width) {
      const similarity = cosine(
        reference.subarray(begin, begin + width),
        received.subarray(begin, begin + width),
      );
      this.#rows++;
      this.#sum += similarity;
      this.#least = Math.min(this.#least, similarity);
    }
  }

  /** undefined without pictures. */
  result(): EmbeddingError | undefined {
    if (this.#rows === 0) return undefined;
    return {
      pictures: this.#pictures,
      rows: this.#rows,
      meanCosine: this.#sum / this.#rows,
      minCosine: this.#least,
      relativeError: this.#error.relative,
    };
  }
}
