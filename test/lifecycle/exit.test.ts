import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modelFile, picture } from '../files.js';
import { runProgram } from './program.js';
import { SlowModels } from './slow-models.js';

/** Far less than the work that is cut short. */
const PROMPT_MS = 1000;

let slow: SlowModels;
beforeAll(() => {
  slow = new SlowModels();
});
afterAll(() => slow.remove());

/** A program with a loaded `model`, whose exit is due when it has written `due`. */
function program(body: string, file = modelFile('tiny-f16')): string {
  return `
    import { loadModel } from 'xgen-mm';
    const due = () => process.stdout.write('due');
    const image = ${JSON.stringify(picture())};
    const file = ${JSON.stringify(file)};
    const model = await loadModel(file, { threads: 1 });
    ${body}`;
}

async function expectExit(source: string, code: number, ...flags: string[]): Promise<void> {
  const { afterOutputMs, ...ended } = await runProgram(source, ...flags);
  expect(ended).toEqual({ code, signal: null, stdout: 'due', stderr: '' });
  expect(afterOutputMs).toBeLessThan(PROMPT_MS);
}

const ANSWER = `await model.chat().ask([{ image }, 'What is it?'], { maxTokens: 4 });`;

describe('a process ends by itself', () => {
  test('after dispose', () => expectExit(program(`${ANSWER} await model.dispose(); due();`), 0));

  test('after dispose that nobody waits for', () =>
    expectExit(program(`${ANSWER} model.dispose(); due();`), 0));

  test('without dispose', () => expectExit(program(`${ANSWER} due();`), 0));

  test('with an unused model', () => expectExit(program('due();'), 0));

  test('after an answer that nobody reads', () =>
    expectExit(program(`model.stream('x', { maxTokens: 4 }); process.on('exit', due);`), 0));

  test('after an answer that failed unheard', () =>
    expectExit(program(`model.stream('x'.repeat(9000)); process.on('exit', due);`), 0));

  test('after a load that failed', () => expectExit(program(`await loadModel('none.gguf').catch(due);`), 0));

  test('after a load that was cancelled', () =>
    expectExit(program(`await loadModel(file, { onProgress() { throw 0; } }).catch(due);`), 0));
});

test('a worker thread that ends itself in a callback takes nobody with it', async () => {
  const worker = `
    const { workerData } = require('node:worker_threads');
    const leave = () => {
      // Meanwhile what follows becomes ready to be delivered.
      for (const start = Date.now(); Date.now() - start < 300; );
      process.exit(3);
    };
    (async () => {
      const { loadModel } = await import('xgen-mm');
      const { file, loading } = workerData;
      const model = await loadModel(file, { threads: 1, ...(loading && { onProgress: leave }) });
      await model.complete('Hello there my friend', { maxTokens: 5, onProgress: leave });
    })();`;
  const source = `
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    for (const loading of [true, false, true, false]) {
      const workerData = { file: ${JSON.stringify(modelFile('tiny-f32'))}, loading };
      const worker = new Worker(${JSON.stringify(worker)}, { eval: true, execArgv: [], workerData });
      const [code] = await once(worker, 'exit');
      if (code !== 3) throw new Error('exit code ' + code);
    }
    process.stdout.write('due');`;
  await expectExit(source, 0);
});

describe('process.exit()', () => {
  test.each([
    { during: 'a load', body: 'loadModel(file);' },
    { during: 'decoding', body: 'model.encodeImage(image);' },
  ])('during $during', ({ body }) => expectExit(program(`${body} due(); process.exit(7);`, slow.text), 7));

  test.each([
    { during: 'encoding', file: () => slow.vision, body: `model.encodeImage(image);` },
    { during: 'reading a prompt', file: () => slow.text, body: `model.complete('x'.repeat(4000));` },
    { during: 'generating', file: () => slow.text, body: `model.complete('x');` },
    {
      during: 'a full queue',
      file: () => slow.text,
      body: `for (let i = 0; i < 20; i++) { model.complete('x'.repeat(400)); model.encodeImage(image); }`,
    },
    {
      during: 'disposal',
      file: () => slow.text,
      body: `model.complete('x').catch(() => {}); setTimeout(() => model.dispose(), 199);`,
    },
  ])('during $during', ({ file, body }) =>
    expectExit(program(`${body} setTimeout(() => { due(); process.exit(7); }, 200);`, file()), 7),
  );

  test('from within an answer', () =>
    expectExit(
      program(`for await (const _ of model.stream('x')) { due(); process.exit(7); }`, slow.text),
      7,
    ));

  test('an error that nobody catches ends the process as always', async () => {
    const source = program(`model.complete('x'); due(); throw new Error('mine');`, slow.text);
    const { code, signal, stderr, afterOutputMs } = await runProgram(source);
    expect({ code, signal }).toEqual({ code: 1, signal: null });
    expect(stderr).toContain('Error: mine');
    expect(afterOutputMs).toBeLessThan(PROMPT_MS);
  });
});

describe('garbage collection', () => {
  test('takes a forgotten model and its memory', async () => {
    const ended = await runProgram(
      `
      import { setTimeout as sleep } from 'node:timers/promises';
      import { loadModel } from 'xgen-mm';
      const load = async () => {
        const model = await loadModel(${JSON.stringify(modelFile('wide-f16'))}, { threads: 1 });
        await model.complete('x', { maxTokens: 2 });
        return new WeakRef(model);
      };
      const models = [];
      for (let i = 0; i < 4; i++) models.push(await load());
      for (let i = 0; i < 10; i++) {
        await sleep(10);
        global.gc();
      }
      console.log(models.filter((model) => model.deref() !== undefined).length);`,
      '--expose-gc',
    );
    expect(ended).toMatchObject({ code: 0, signal: null, stdout: '0\n', stderr: '' });
  });

  test('leaves a model alone that is still answering', async () => {
    const ended = await runProgram(
      `
      import { loadModel } from 'xgen-mm';
      const answer = await (async () => {
        const model = await loadModel(${JSON.stringify(modelFile('tiny-f16'))}, { threads: 1 });
        return { promise: model.complete('the narrow harbour', { maxTokens: 60 }) };
      })();
      const timer = setInterval(global.gc, 1);
      console.log((await answer.promise).tokens.length);
      clearInterval(timer);`,
      '--expose-gc',
    );
    expect(ended).toMatchObject({ code: 0, signal: null, stdout: '60\n', stderr: '' });
  });
});
