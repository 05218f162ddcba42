import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, type AnswerStream, type Chat, loadModel, type Model } from '../../lib/index.js';
import { modelFile, root } from '../files.js';

// The soak is long; what is tested here is that it would notice.

type Scenario = (world: Record<string, unknown>) => Promise<void>;
interface Modules {
  SCENARIOS: Record<'complete' | 'converse' | 'encode' | 'score' | 'refuse', Scenario>;
  Random: new (seed: string) => object;
  Reference: new (model: Model) => object;
  drawPictures(random: object): Promise<unknown[]>;
  judge(kind: 'resident' | 'heap', readings: number[]): { isFlat: boolean; text: string };
}

let soak: Modules;
let model: Model;
let alone: Model;
let pictures: unknown[];
beforeAll(async () => {
  const names = ['scenarios', 'random', 'reference', 'questions', 'memory'];
  const urls = names.map((name) => pathToFileURL(join(root, 'test', 'soak', `${name}.mjs`)).href);
  soak = Object.assign({}, ...(await Promise.all(urls.map((url) => import(url)))));
  const load = () => loadModel(modelFile('tiny-f32'), { threads: 1, contextSize: 768 });
  [model, alone] = await Promise.all([load(), load()]);
  pictures = await soak.drawPictures(new soak.Random('pictures'));
});
afterAll(() => Promise.all([model.dispose(), alone.dispose()]));

async function run(name: keyof Modules['SCENARIOS'], tested: Model, rounds = 25): Promise<void> {
  const tally = { requests: 0, cancelled: 0, refused: 0, turns: 0, forks: 0 };
  const reference = new soak.Reference(alone);
  for (let round = 0; round < rounds; round++) {
    const random = new soak.Random(`${name} ${round}`);
    await soak.SCENARIOS[name]({ model: tested, reference, random, pictures, tally });
  }
}

/** `target` with some members replaced. */
function replaced<T extends object>(target: T, members: Partial<T>): T {
  return new Proxy(target, {
    get(object, key) {
      if (Object.hasOwn(members, key)) return members[key as keyof T];
      const value = object[key as keyof T];
      return typeof value === 'function' ? value.bind(object) : value;
    },
  });
}

function withStreams(change: (stream: AnswerStream) => AnswerStream): Model {
  return replaced(model, { stream: (...args) => change(model.stream(...args)) });
}

function withPieces(change: (piece: string, index: number) => string[]): Model {
  return withStreams((stream) =>
    replaced(stream, {
      async *[Symbol.asyncIterator]() {
        let index = 0;
        for await (const piece of stream) yield* change(piece, index++);
      },
    } as Partial<AnswerStream>),
  );
}

function withAnswers(change: (answer: Answer) => Answer): Model {
  return withStreams((stream) =>
    replaced(stream, { answer: () => stream.answer().then(change) } as Partial<AnswerStream>),
  );
}

function withChats(change: (chat: Chat) => Partial<Chat>): Model {
  return replaced(model, {
    chat: (options) => {
      const chat = model.chat(options);
      return replaced(chat, change(chat));
    },
  });
}

describe('a sound model passes', () => {
  test.each(['complete', 'converse', 'encode', 'score', 'refuse'] as const)('%s', (name) => run(name, model));
});

describe('the soak notices', () => {
  test('a lost piece', async () => {
    const faulty = withPieces((piece, index) => (index === 1 ? [] : [piece]));
    await expect(run('complete', faulty)).rejects.toThrow('the pieces are not');
  });

  test('a piece that comes twice', async () => {
    const faulty = withPieces((piece, index) => (index === 0 ? [piece, piece] : [piece]));
    await expect(run('complete', faulty)).rejects.toThrow('the pieces are not');
  });

  test('an answer with another token', async () => {
    const faulty = withAnswers((answer) => ({ ...answer, tokens: answer.tokens.map((token) => token ^ 1) }));
    await expect(run('complete', faulty)).rejects.toThrow(/another|begins/);
  });

  test('an answer that was cut', async () => {
    const faulty = withAnswers((answer) => ({ ...answer, finishReason: 'cancelled' }));
    await expect(run('complete', faulty)).rejects.toThrow('that nobody had left');
  });

  test('a rejection with something else than the reason of the signal', async () => {
    const faulty = withStreams((stream) =>
      replaced(stream, {
        answer: () =>
          stream.answer().catch(() => {
            throw new TypeError('something else');
          }),
      } as Partial<AnswerStream>),
    );
    await expect(run('complete', faulty)).rejects.toThrow('something else');
  });

  test('a turn that is forgotten', async () => {
    const faulty = withChats(() => ({ history: [] }));
    await expect(run('converse', faulty)).rejects.toThrow('history');
  });

  test('a history that is longer than it should be', async () => {
    const faulty = withChats((chat) => ({
      get tokenCount() {
        return chat.tokenCount + 1;
      },
    }));
    await expect(run('converse', faulty)).rejects.toThrow('number of positions');
  });

  test('a fork that has lost what was said', async () => {
    const faulty = withChats(() => ({ fork: () => model.chat() }));
    await expect(run('converse', faulty, 100)).rejects.toThrow(/another|history|positions/);
  });

  test('embeddings with another bit', async () => {
    const faulty = replaced(model, {
      encodeImage: async (...args) => {
        const encoded = await model.encodeImage(...args);
        const bits = new Uint32Array(encoded.embeddings.buffer, encoded.embeddings.byteOffset);
        bits[0] = (bits[0] ?? 0) ^ 1;
        return encoded;
      },
    });
    await expect(run('encode', faulty)).rejects.toThrow('embeddings are others');
  });

  test('memory that grows, and not memory that rests', () => {
    const noise = (index: number) => 1 + 0.02 * Math.sin(index);
    const readings = (slope: number) =>
      Array.from({ length: 100 }, (_, index) => 1e8 * (noise(index) + (slope * index) / 100));
    expect(soak.judge('resident', readings(0))).toMatchObject({ isFlat: true });
    expect(soak.judge('resident', readings(0.15))).toMatchObject({ isFlat: false });
    // What the warm-up takes does not count.
    const early = readings(0).map((reading, index) => (index < 25 ? reading / 2 : reading));
    expect(soak.judge('resident', early)).toMatchObject({ isFlat: true });
    expect(() => soak.judge('resident', readings(0).slice(0, 10))).toThrow('at least 20 readings');
  });
});
