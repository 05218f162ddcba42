/**
 * How much the last third of the readings may lie above the first, once the first quarter of all (the warm-up) is left out. The C
 * library's arenas, one for each thread that has ever had to wait for another, go on filling up for some minutes: hence 5 %.
 */
export const BOUNDS = { resident: 0.05, heap: 0.1 };

/** Readings of resident memory and of JavaScript's heap, in bytes, each after a garbage collection. */
export class Memory {
  #readings = [];

  read() {
    // What the first frees is given back by the second.
    globalThis.gc();
    globalThis.gc();
    const { rss, heapUsed, external } = process.memoryUsage();
    this.#readings.push({ resident: rss, heap: heapUsed + external });
    return this.#readings.at(-1);
  }

  /** What to say about them, and what is wrong if something is. */
  judge() {
    return Object.keys(BOUNDS).map((kind) =>
      judge(
        kind,
        this.#readings.map((reading) => reading[kind]),
      ),
    );
  }
}

/** Medians: a single reading may catch the allocator, or a large request, on its way. */
export function judge(kind, readings) {
  const warm = readings.slice(Math.ceil(readings.length / 4));
  const third = Math.floor(warm.length / 3);
  if (third < 5) throw new Error(`Expected at least 20 readings of memory, received ${readings.length}`);
  const [early, late] = [median(warm.slice(0, third)), median(warm.slice(-third))];
  const growth = late / early - 1;
  const text = `${kind} memory ${mebibytes(early)} -> ${mebibytes(late)} MiB (${(100 * growth).toFixed(1)} %)`;
  return { text, isFlat: growth <= BOUNDS[kind] };
}

export function mebibytes(bytes) {
  return (bytes / 2 ** 20).toFixed(1);
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}
