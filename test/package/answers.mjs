// node answers.mjs REQUESTS RESULTS, in a project that has xgen-mm: loads models and answers, as v8.serialize() writes both. A request
// may name another installation that does the same in this process.
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { deserialize, serialize } from 'node:v8';

const [requests = '', results = ''] = process.argv.slice(2);
/** @type {import('./golden-answers.js').Request[]} */
const work = deserialize(readFileSync(requests));
const answers = await Promise.all(
  work.map(async ({ installation, file, content, last, maxTokens }) => {
    const { loadModel } = await import(installation ? pathToFileURL(installation).href : 'xgen-mm');
    const model = await loadModel(file, { threads: 1 });
    try {
      const { logits } = await model.logits(content, { parseSpecial: true, last });
      const { tokens } = await model.complete(content, { parseSpecial: true, maxTokens });
      return { logits, tokens };
    } finally {
      await model.dispose();
    }
  }),
);
writeFileSync(results, serialize(answers));
