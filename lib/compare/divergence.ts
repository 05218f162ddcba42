import { type Agreement, quantile } from './statistics.js';

/** Points of a curve at most. */
const MAX_POINTS = 64;

/** How far the next-token distributions of two models are apart. */
export interface Divergence {
  /** Positions that were compared. */
  positions: number;
  /** KL(P_a || P_b) in nats. */
  mean: number;
  median: number;
  percentile99: number;
  /** Part of the positions at which both find the same token likeliest, 0 to 1. */
  sameTop: number;
}

/** The divergences of some neighbouring positions of all passages. */
export interface CurvePoint {
  /** Middle of these positions; 0 is a passage's first. */
  position: number;
  /** KL(P_a || P_b) in nats: the value below which a tenth lies, the middle one, the value above which a tenth lies. */
  low: number;
  median: number;
  high: number;
}

/** Gathers what {@link compareRows} says, passage by passage. */
export class DivergenceTally {
  /** By position in the passage. */
  readonly #divergences: number[][] = [];
  #positions = 0;
  #same = 0;

  /** `position`: in its passage. */
  add(position: number, { divergence, sameTop }: Agreement): void {
    while (this.#divergences.length <= position) this.#divergences.push([]);
    this.#divergences[position]?.push(divergence);
    this.#positions++;
    if (sameTop) this.#same++;
  }

  /** What was gathered by some tallies together; undefined if that is nothing. */
  static summarise(...tallies: readonly DivergenceTally[]): Divergence | undefined {
    const positions = tallies.reduce((sum, tally) => sum + tally.#positions, 0);
    if (positions === 0) return undefined;
    const all = Float64Array.from(tallies.flatMap((tally) => tally.#divergences.flat())).sort();
    return {
      positions,
      mean: all.reduce((sum, value) => sum + value, 0) / positions,
      median: quantile(all, 0.5),
      percentile99: quantile(all, 0.99),
      sameTop: tallies.reduce((sum, tally) => sum + tally.#same, 0) / positions,
    };
  }

  /** How the divergence goes with the position, from the first to the last. */
  curve(): CurvePoint[] {
    const width = Math.max(1, Math.ceil(this.#divergences.length / MAX_POINTS));
    const points: CurvePoint[] = [];
    for (let begin = 0; begin < this.#divergences.length; begin += width) {
      const group = this.#divergences.slice(begin, begin + width);
      const sorted = Float64Array.from(group.flat()).sort();
      points.push({
        position: begin + (group.length - 1) / 2,
        low: quantile(sorted, 0.1),
        median: quantile(sorted, 0.5),
        high: quantile(sorted, 0.9),
      });
    }
    return points;
  }
}
