// npm run soak -- [--minutes 30] [--seed 1]: random requests by several users at once over one model, in every manner there is. Ends
// with 1 and the reason when an answer is not the one that its prompt gets alone, a piece is lost, a promise does not settle, a
// rejection is not handled or memory grows.
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { loadModel } from 'xgen-mm';
import { makeFixtures } from '../../scripts/fixtures.mjs';
import { BOUNDS, Memory, mebibytes } from './memory.mjs';
import { drawPictures } from './questions.mjs';
import { Random } from './random.mjs';
import { Reference } from './reference.mjs';
import { SCENARIOS } from './scenarios.mjs';

const USERS = 6;
const PATIENCE_MS = 120_000;
/** Memory is read while nothing is asked. */
const BETWEEN_READINGS_MS = 2_000;

const { values } = parseArgs({ options: { minutes: { type: 'string' }, seed: { type: 'string' } } });
const minutes = Number(values.minutes ?? 2);
if (!(minutes >= 1)) throw new Error(`Expected at least 1 for --minutes, received ${values.minutes}`);
const seed = values.seed ?? String(Date.now());
console.error(`soak: ${minutes} minutes, seed ${seed}`);

const failed = (reason) => {
  console.error(`soak: FAILED (seed ${seed}):`, reason);
  process.exit(1);
};
process.on('unhandledRejection', failed);
process.on('warning', failed);

await makeFixtures();
const file = fileURLToPath(new URL('../../build/fixtures/tiny-f32.gguf', import.meta.url));
const load = (maxSequences) => loadModel(file, { threads: 1, contextSize: 768, maxSequences });
const model = await load(3);
const reference = await load(1);
const tally = { requests: 0, cancelled: 0, refused: 0, turns: 0, forks: 0 };
const world = {
  model,
  reference: new Reference(reference),
  pictures: await drawPictures(new Random(seed)),
  tally,
};

const start = performance.now();
const end = start + minutes * 60_000;
const memory = new Memory();
const choices = Array.from({ length: USERS }, (_, index) => new Random(`${seed} ${index}`));
let reported = start;
while (performance.now() < end) {
  const pause = performance.now() + BETWEEN_READINGS_MS;
  await Promise.all(choices.map((random) => use(random, pause)));
  const reading = memory.read();
  if (performance.now() - reported >= 10_000) {
    reported = performance.now();
    report(reading);
  }
}
await reference.dispose();

const verdicts = memory.judge();
const { requests, cancelled, refused, turns, forks } = tally;
console.log(
  `${requests} requests checked, ${cancelled} of them cancelled, ${refused} refused; ${turns} turns, ${forks} forks`,
);
for (const { text } of verdicts) console.log(text);
const grown = verdicts.filter(({ isFlat }) => !isFlat);
if (grown.length > 0) failed(`memory has grown by more than ${JSON.stringify(BOUNDS)}`);

// The model is not disposed: idle, it does not keep the process alive. A request that it had lost would.
setTimeout(10_000, undefined, { ref: false }).then(() => failed('something keeps the process alive'));

/** One thing after another, until it is time for a pause. */
async function use(random, pause) {
  while (performance.now() < pause) {
    const name = random.pick(Object.keys(SCENARIOS));
    const patience = new AbortController();
    const late = setTimeout(PATIENCE_MS, undefined, { signal: patience.signal }).then(
      () => failed(`${name}: not settled after ${PATIENCE_MS} ms`),
      () => {},
    );
    await SCENARIOS[name]({ ...world, random }).catch((error) => failed({ scenario: name, error }));
    patience.abort();
    await late;
  }
}

function report({ resident, heap }) {
  const seconds = Math.round((performance.now() - start) / 1000);
  console.error(
    `soak: ${seconds} s, ${tally.requests} requests, ${tally.cancelled} cancelled, ${tally.refused} refused; ` +
      `resident ${mebibytes(resident)} MiB, heap ${mebibytes(heap)} MiB`,
  );
}
