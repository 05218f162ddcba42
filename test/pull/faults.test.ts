import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { failure } from '../failure.js';
import { Random } from '../random.js';
import { COMMIT, type Departure, REPOSITORY, refuse, sendFile, sumOf } from './hub-server.js';
import { Pulling } from './pulling.js';

const SHARD = 'model-00001-of-00002.safetensors';
const DONE = /F16\.gguf$/;

/** The ranges that were asked for, of the large file's bytes. */
function ranges(pulling: Pulling): (string | undefined)[] {
  const sum = sumOf(SHARD, pulling.hub.file(SHARD));
  return pulling.hub.requests
    .filter(({ path }) => path.startsWith(`/cdn/${sum}`))
    .map(({ headers }) => headers.range);
}

async function sound(pulling: Pulling, path = SHARD): Promise<boolean> {
  const bytes = pulling.hub.file(path);
  return (await readFile(pulling.cache('snapshots', COMMIT, path))).equals(bytes);
}

describe('connections that break', () => {
  test('the rest is asked for, wherever it breaks', async () => {
    const pulling = await Pulling.start();
    const random = new Random(7);
    const cuts = Array.from({ length: 5 }, () => 1 + random.below(150_000));
    for (const cut of cuts) pulling.hub.depart(SHARD, { cut });
    expect(await pulling.pull()).toMatch(DONE);
    const begins = ranges(pulling).map((range) => Number(/^bytes=(\d+)-$/.exec(range ?? 'bytes=0-')?.[1]));
    expect(begins).toHaveLength(6);
    for (const [index, cut] of cuts.entries()) {
      const [begin, next] = begins.slice(index) as [number, number];
      expect(next).toBeGreaterThan(begin);
      // What was on its way when it broke may be lost.
      expect(next).toBeLessThanOrEqual(begin + cut);
    }
    expect(await sound(pulling)).toBe(true);
  });

  test('a reset costs no more than what was on its way', async () => {
    const pulling = await Pulling.start();
    pulling.hub.depart(SHARD, { cut: 400_000, reset: true });
    expect(await pulling.pull()).toMatch(DONE);
    expect(ranges(pulling)).toHaveLength(2);
    expect(await sound(pulling)).toBe(true);
  });

  test.each<[string, Departure]>([
    ['at once', { cut: 0 }],
    ['never, but nothing comes', { stall: 5000 }],
    ['never, and not even a first byte comes', { stall: 0 }],
  ])('%s', async (_, departure) => {
    const pulling = await Pulling.start();
    pulling.hub.depart(SHARD, departure);
    expect(await pulling.pull()).toMatch(DONE);
    expect(await sound(pulling)).toBe(true);
    expect(ranges(pulling)).toEqual([undefined, departure.stall === 5000 ? 'bytes=5000-' : undefined]);
    expect(pulling.notes).toContainEqual(
      expect.stringMatching(
        departure.cut === 0 ? /connection failed.*again in/ : /nothing for 0\.4 s.*again in/,
      ),
    );
  });

  test('a slow one is no broken one', async () => {
    const pulling = await Pulling.start();
    const bytes = pulling.hub.file(SHARD);
    pulling.hub.interject(new RegExp(`/cdn/${sumOf(SHARD, bytes)}`), async (_, response) => {
      response.writeHead(200, { 'content-length': bytes.length });
      for (let begin = 0; begin < bytes.length; begin += 100_000) {
        await setTimeout(150);
        response.write(bytes.subarray(begin, begin + 100_000));
      }
      response.end();
    });
    expect(await pulling.pull()).toMatch(DONE);
    expect(ranges(pulling)).toEqual([undefined]);
  });

  test('no answer at all', async () => {
    const pulling = await Pulling.start();
    pulling.hub.interject(/tree/, () => {});
    expect(await pulling.pull()).toMatch(DONE);
    expect(pulling.notes).toContainEqual(expect.stringMatching(/list of files.*nothing for 0\.4 s/));
  });

  test('after too many in a row the pull fails, and the next one goes on', async () => {
    const pulling = await Pulling.start();
    pulling.hub.depart(SHARD, { cut: 1000 }, 6);
    await expect(pulling.pull()).rejects.toEqual(
      failure('ERR_XGENMM_DOWNLOAD', /model-00001.*connection failed.*run the same command again later/),
    );
    const sum = sumOf(SHARD, pulling.hub.file(SHARD));
    expect((await stat(pulling.cache('blobs', `${sum}.incomplete`))).size).toBe(6000);
    pulling.hub.requests.length = 0;
    expect(await pulling.pull()).toMatch(DONE);
    expect(ranges(pulling)).toEqual(['bytes=6000-']);
    expect(pulling.notes).toContainEqual(`Going on with ${SHARD} at byte 6000 of 841438.`);
    expect(await sound(pulling)).toBe(true);
  });

  test('an abort leaves the beginning, and the next pull goes on', async () => {
    const pulling = await Pulling.start();
    pulling.hub.depart(SHARD, { stall: 5000 });
    const controller = new AbortController();
    const reason = new Error('enough');
    const onDownload = ({ file, fileDone }: { file: string; fileDone: number }) => {
      if (file === SHARD && fileDone === 5000) controller.abort(reason);
    };
    await expect(pulling.pull({ signal: controller.signal, onDownload })).rejects.toBe(reason);
    pulling.hub.requests.length = 0;
    expect(await pulling.pull()).toMatch(DONE);
    expect(ranges(pulling)).toEqual(['bytes=5000-']);
    expect(
      await readdir(join(pulling.home, 'hub', '.locks', `models--${REPOSITORY.replace('/', '--')}`)),
    ).toEqual([]);
  });

  test('what Python left unfinished is gone on with', async () => {
    const pulling = await Pulling.start();
    const bytes = pulling.hub.file(SHARD);
    await mkdir(pulling.cache('blobs'), { recursive: true });
    await writeFile(pulling.cache('blobs', `${sumOf(SHARD, bytes)}.incomplete`), bytes.subarray(0, 12_345));
    expect(await pulling.pull()).toMatch(DONE);
    expect(ranges(pulling)).toEqual(['bytes=12345-']);
    expect(await sound(pulling)).toBe(true);
  });
});

describe('servers that answer something else', () => {
  test.each([
    ['ignores ranges', { ignoreRange: true }, [undefined, 'bytes=5000-']],
    [
      'begins elsewhere',
      { headers: { 'content-range': 'bytes 0-836437/841438' } },
      [undefined, 'bytes=5000-', undefined],
    ],
    [
      'speaks of another file',
      { headers: { 'content-range': 'bytes 5000-841438/841439' } },
      [undefined, 'bytes=5000-', undefined],
    ],
  ])('it %s', async (_, departure, expected) => {
    const pulling = await Pulling.start();
    pulling.hub.depart(SHARD, { cut: 5000 });
    pulling.hub.depart(SHARD, departure);
    expect(await pulling.pull()).toMatch(DONE);
    expect(ranges(pulling)).toEqual(expected);
    expect(await sound(pulling)).toBe(true);
  });

  test('a body that ends early, with a length that says so, is not taken', async () => {
    const pulling = await Pulling.start();
    pulling.hub.interject(/\/cdn\//, (_, response) =>
      response.writeHead(200, { 'content-length': 9 }).end('too short'),
    );
    expect(await pulling.pull()).toMatch(DONE);
    expect(pulling.notes).toContainEqual(expect.stringMatching(/received an answer of 9; trying again/));
  });

  test('a body without a length that ends early is gone on with', async () => {
    const pulling = await Pulling.start();
    const bytes = pulling.hub.file(SHARD);
    pulling.hub.interject(new RegExp(`/cdn/${sumOf(SHARD, bytes)}`), (_, response) => {
      response.writeHead(200).end(bytes.subarray(0, 700));
    });
    expect(await pulling.pull()).toMatch(DONE);
    expect(ranges(pulling)).toEqual([undefined, 'bytes=700-']);
  });

  test('an endless body is left, and nothing of it stays', async () => {
    const pulling = await Pulling.start();
    let sent = 0;
    const bytes = pulling.hub.file(SHARD);
    pulling.hub.interject(
      new RegExp(`/cdn/${sumOf(SHARD, bytes)}`),
      (_, response) => {
        response.writeHead(200);
        const chunk = Buffer.alloc(65_536);
        const more = () => {
          while (!response.destroyed && response.write(chunk)) sent += chunk.length;
        };
        response.on('drain', more);
        more();
      },
      2,
    );
    await expect(pulling.pull()).rejects.toEqual(
      failure('ERR_XGENMM_DOWNLOAD', /Expected 841438 bytes for model-00001.*received more, twice/),
    );
    expect(sent).toBeLessThan(100 * bytes.length);
    expect((await pulling.blobs()).filter((name) => name.includes(sumOf(SHARD, bytes)))).toEqual([]);
  });

  test('an answer in another encoding is refused', async () => {
    const pulling = await Pulling.start();
    pulling.hub.depart(SHARD, { headers: { 'content-encoding': 'br' } });
    await expect(pulling.pull()).rejects.toEqual(failure('ERR_XGENMM_DOWNLOAD', /another encoding/));
  });
});

describe('sums', () => {
  test.each([SHARD, 'tokenizer_config.json'])('a wrong byte in %s is fetched again', async (path) => {
    const pulling = await Pulling.start();
    corrupt(pulling, path, 1);
    expect(await pulling.pull()).toMatch(DONE);
    expect(await sound(pulling, path)).toBe(true);
    expect(pulling.notes).toContainEqual(
      expect.stringMatching(
        /^Expected the sum [0-9a-f]{40,64} for .*, received [0-9a-f]{40,64}; it is fetched again/,
      ),
    );
  });

  test.each([SHARD, 'tokenizer_config.json'])('twice in %s is an error with both sums', async (path) => {
    const pulling = await Pulling.start();
    const wrong = corrupt(pulling, path, 2);
    const right = sumOf(path, pulling.hub.file(path));
    await expect(pulling.pull()).rejects.toEqual(
      failure('ERR_XGENMM_DOWNLOAD', new RegExp(`the sum ${right} for ${path}.*received ${wrong}, twice`)),
    );
    const left = await pulling.blobs();
    expect(left.filter((name) => name.startsWith(right))).toEqual([]);
    const made = await readdir(pulling.home, { recursive: true });
    expect(made.filter((name) => name.endsWith('.gguf'))).toEqual([]);
  });

  test('a wrong beginning from an earlier run is fetched again', async () => {
    const pulling = await Pulling.start();
    const sum = sumOf(SHARD, pulling.hub.file(SHARD));
    await mkdir(pulling.cache('blobs'), { recursive: true });
    await writeFile(pulling.cache('blobs', `${sum}.incomplete`), Buffer.alloc(1000));
    expect(await pulling.pull()).toMatch(DONE);
    expect(ranges(pulling)).toEqual(['bytes=1000-', undefined]);
    expect(await sound(pulling)).toBe(true);
  });

  test('a beginning that is too long is fetched again', async () => {
    const pulling = await Pulling.start();
    const bytes = pulling.hub.file(SHARD);
    await mkdir(pulling.cache('blobs'), { recursive: true });
    const longer = Buffer.concat([bytes, Buffer.from('x')]);
    await writeFile(pulling.cache('blobs', `${sumOf(SHARD, bytes)}.incomplete`), longer);
    expect(await pulling.pull()).toMatch(DONE);
    expect(await sound(pulling)).toBe(true);
  });

  function corrupt(pulling: Pulling, path: string, times: number): string {
    const bytes = pulling.hub.file(path);
    const wrong = Buffer.from(bytes);
    wrong[wrong.length >> 1] = ~(wrong[wrong.length >> 1] as number);
    const match = path === SHARD ? `/cdn/${sumOf(path, bytes)}` : `/resolve/.*/${path}`;
    pulling.hub.interject(
      new RegExp(match),
      (request, response) => sendFile(request, response, wrong, 'any'),
      times,
    );
    return sumOf(path, wrong);
  }
});

test('a checkpoint of another family is refused before its weights are downloaded', async () => {
  const pulling = await Pulling.start();
  const files = pulling.hub.repositories.get(REPOSITORY)?.files;
  files?.set('config.json', Buffer.from('{"model_type": "llama"}'));
  await expect(pulling.pull()).rejects.toEqual(
    failure('ERR_XGENMM_MODEL_UNSUPPORTED', /"xgenmm" for model_type/),
  );
  expect(pulling.hub.asked.filter((path) => path.includes('model-0'))).toEqual([]);
});

test('what the converter would refuse is found before the weights are downloaded', async () => {
  const pulling = await Pulling.start();
  await expect(pulling.pull({ output: pulling.home })).rejects.toEqual(
    failure('ERR_XGENMM_WRITE_FAILED', /Expected the name of a file as output/),
  );
  await expect(pulling.pull({ imatrix: join(pulling.home, 'absent') })).rejects.toEqual(
    failure('ERR_XGENMM_FILE_NOT_FOUND', /absent/),
  );
  const imatrix = join(pulling.home, 'broken');
  await writeFile(imatrix, 'broken');
  await expect(pulling.pull({ imatrix, type: 'q4_k_m' })).rejects.toEqual(
    failure('ERR_XGENMM_MODEL_INVALID', /broken/),
  );
  expect(pulling.hub.asked.filter((path) => path.includes('model-0'))).toEqual([]);
});

test('any failure leaves the earlier output as it is', async () => {
  const pulling = await Pulling.start();
  const output = join(pulling.home, 'out.gguf');
  await writeFile(output, 'old');
  pulling.hub.interject(/\/cdn\//, (_, response) => refuse(response, 404));
  await expect(pulling.pull({ output })).rejects.toEqual(failure('ERR_XGENMM_DOWNLOAD'));
  // One that is found by the converter: the sum is right, the content is not.
  const files = pulling.hub.repositories.get(REPOSITORY)?.files;
  files?.set(SHARD, Buffer.alloc(1000, 1));
  await expect(pulling.pull({ output })).rejects.toEqual(failure('ERR_XGENMM_MODEL_INVALID'));
  expect(await readFile(output, 'utf8')).toBe('old');
  expect((await readdir(pulling.home)).sort()).toEqual(['hub', 'out.gguf']);
});
