import { cosine, VectorError } from './statistics.js';

/** How far the embeddings of pictures are apart. */
export interface EmbeddingError {
  pictures: number;
  /** Embeddings: positions that the pictures take in prompts. */
  rows: number;
  /** Cosines of single embeddings: their mean and the least of them. */
  meanCosine: number;
  minCosine: number;
  /** Least cosine of all embeddings of a picture together. */
  minPictureCosine: number;
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
  #leastPicture = 1;

  /** `[rows, width]` each, of one picture. */
  add(reference: Float32Array, received: Float32Array, width: number): void {
    this.#error.add(reference, received);
    this.#pictures++;
    this.#leastPicture = Math.min(this.#leastPicture, cosine(reference, received));
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
      minPictureCosine: this.#leastPicture,
      relativeError: this.#error.relative,
    };
  }
}
