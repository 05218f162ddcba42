import { loadAddon } from '../../lib/addon.js';
import type { NativeAddon, NativeEngine, NativePrompt } from '../../lib/native.js';

/** The real addon; notes the prompts that the API gives it. */
export class RecordingAddon implements NativeAddon {
  readonly prompts: NativePrompt[] = [];

  createEngine(...args: Parameters<NativeAddon['createEngine']>): NativeEngine {
    const engine = loadAddon().createEngine(...args);
    const generate = (...request: Parameters<NativeEngine['generate']>) => {
      this.prompts.push(request[1]);
      engine.generate(...request);
    };
    return new Proxy(engine, {
      get(_, name: keyof NativeEngine) {
        return name === 'generate' ? generate : engine[name].bind(engine);
      },
    });
  }
}
