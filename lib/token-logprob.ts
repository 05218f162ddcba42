/**
 * How likely the model held a token of the answer: natural logarithms of the model's own probabilities, before bias, penalties,
 * temperature and filters.
 */
export interface TokenLogprob {
  /** Its id. */
  token: number;
  /** At most 0. */
  logprob: number;
  /** The likeliest tokens in its place, the likeliest first; the chosen one may be among them. */
  top: {
    /** Its id. */
    token: number;
    /** At most 0. */
    logprob: number;
  }[];
}

/** `top`: tokens and logprobs, row-major `[tokens, count]`. */
export function toTokenLogprobs(
  tokens: Int32Array,
  logprobs: Float32Array,
  top: { tokens: Int32Array; logprobs: Float32Array; count: number },
): TokenLogprob[] {
  return Array.from(tokens, (token, i) => ({
    token,
    logprob: logprobs[i] as number,
    top: Array.from({ length: top.count }, (_, j) => ({
      token: top.tokens[i * top.count + j] as number,
      logprob: top.logprobs[i * top.count + j] as number,
    })),
  }));
}
