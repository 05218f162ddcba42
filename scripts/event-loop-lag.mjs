import { monitorEventLoopDelay } from 'node:perf_hooks';

/** How often the two probes look, in ms. */
const RESOLUTION = 2;
const TIMER = 5;

/**
 * How late the event loop was while `work` ran, in ms, as two probes saw it: libuv's own clock, and timers followed by setImmediate.
 * @param {() => Promise<unknown>} work
 * @returns {Promise<Record<'loop' | 'timers', { p99: number, max: number, samples: number }>>}
 */
export async function measureLag(work) {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION });
  /** @type {number[]} */
  const late = [];
  let running = true;
  let due = performance.now() + TIMER;
  const tick = () => {
    late.push(performance.now() - due);
    due = performance.now() + TIMER;
    if (running) setTimeout(() => setImmediate(tick), TIMER);
  };
  setTimeout(() => setImmediate(tick), TIMER);
  histogram.enable();
  try {
    await work();
  } finally {
    histogram.disable();
    running = false;
  }
  const [p99, max] = [histogram.percentile(99), histogram.max].map((ns) => ns / 1e6 - RESOLUTION);
  return {
    loop: { p99, max, samples: histogram.count },
    timers: { p99: percentile(late, 0.99), max: Math.max(...late), samples: late.length },
  };
}

/**
 * @param {number[]} numbers
 * @param {number} share 0 to 1.
 */
export function percentile(numbers, share) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
