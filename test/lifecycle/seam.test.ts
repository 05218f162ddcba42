import { once } from 'node:events';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { NativeEngine, NativeEvent, NativeModule } from '../../lib/native.js';
import { root } from '../files.js';
import { TINY_ALONE } from '../load-options.js';

const addon = createRequire(import.meta.url)(join(root, 'build', 'Release', 'xgenmm.node')) as NativeModule;

/** An engine of the bare addon and everything that it says. */
class BareEngine {
  readonly events: NativeEvent[] = [];
  readonly #target = new EventTarget();
  readonly native: NativeEngine;

  constructor() {
    this.native = addon.createEngine(TINY_ALONE, (event) => {
      this.events.push(event);
      this.#target.dispatchEvent(new Event(`${event.type} ${event.request}`));
    });
  }

  async until(type: NativeEvent['type'], request: number): Promise<void> {
    if (!this.events.some((event) => event.type === type && event.request === request))
      await once(this.#target, `${type} ${request}`);
  }
}

test('a number that is in use is refused, and what it stands for goes on', async () => {
  const engine = new BareEngine();
  const side = 600;
  const encode = (request: number) =>
    engine.native.encodeImage(request, new Uint8Array(side * side * 3), side, side, 'anyres');
  const refused = expect.objectContaining({ code: 'ERR_XGENMM_INVALID_ARGUMENT' });
  // While it loads: 0 is the load.
  expect(() => encode(0)).toThrow(refused);
  await engine.until('loaded', 0);
  encode(1);
  expect(() => encode(1)).toThrow(refused);
  expect(() => engine.native.computeLogits(1, { tokens: Int32Array.of(5), images: [] }, 1, false)).toThrow(
    refused,
  );
  encode(2);
  await Promise.all([engine.until('encoded', 1), engine.until('encoded', 2)]);
  // It is free again.
  encode(1);
  await engine.native.dispose();
  const last = engine.events.filter(({ type }) => type === 'encoded' || type === 'error');
  expect(last.map(({ request }) => request)).toEqual([1, 2, 1]);
});
