import { openAddon } from '../addon.js';
import { XgenmmError } from '../errors.js';
import type { NativeDevice, NativeModule } from '../native.js';
import { BACKENDS, GPUS, type Gpu } from './gpu.js';
import { findGpuAddon, type GpuAddon, gpuPackage, packageVersion } from './gpu-addon.js';
import { type Host, thisHost } from './host.js';
import { type Probe, probeAddon } from './probe.js';
import { SharedWork } from './shared-work.js';
import { explainLoadFailure, judgeProbe } from './unusable.js';

/** Whether a GPU can be computed on; if not, why. */
export type GpuState =
  | {
      usable: true;
      /** Undefined: the addon that everybody has computes on it. */
      addon: GpuAddon | undefined;
      devices: NativeDevice[];
    }
  | {
      usable: false;
      reason: string;
      /** Somebody wanted it and would miss it: an addon for it is there. */
      installed: boolean;
    };

/** The GPUs that an installation can compute on. What was found out is kept, so that there is one for each process. */
export class Gpus {
  readonly #states = new Map<Gpu, SharedWork<GpuState>>();
  #warned = false;

  /** `main`: loads the addon that everybody has; `root`: the package's folder. */
  constructor(
    readonly root: string,
    readonly main: () => NativeModule,
    readonly host: Host = thisHost(),
    readonly probe: (path: string, signal?: AbortSignal) => Promise<Probe> = probeAddon,
  ) {}

  /** Never rejects, but with `signal.reason` and for what loading the main addon throws. */
  async state(gpu: Gpu, signal?: AbortSignal): Promise<GpuState> {
    signal?.throwIfAborted();
    let state = this.#states.get(gpu);
    if (state === undefined || state.cancelled) {
      state = new SharedWork((cancelled) =>
        gpu === 'metal'
          ? this.#metal()
          : this.#inAddon(gpu, cancelled).catch((error: Error) => unknown(gpu, error)),
      );
      this.#states.set(gpu, state);
    }
    return state.wait(signal);
  }

  /** The one that `auto` takes; undefined for the CPU. */
  async best(): Promise<Gpu | undefined> {
    for (const gpu of GPUS) {
      if ((await this.state(gpu)).usable) return gpu;
    }
    return undefined;
  }

  /**
   * The addon that computes on a GPU. Rejects with `signal.reason`, or with ERR_XGENMM_DEVICE_UNAVAILABLE and a sentence that says why it
   * cannot be had.
   */
  async open(gpu: Gpu, signal?: AbortSignal): Promise<NativeModule> {
    return this.#load(gpu, await this.state(gpu, signal));
  }

  /**
   * The addon for the best GPU, else the main one; warns once where somebody would wonder why it is not a GPU's. Rejects with
   * `signal.reason`.
   */
  async openBest(signal?: AbortSignal): Promise<NativeModule> {
    const faults: string[] = [];
    for (const gpu of GPUS) {
      const state = await this.state(gpu, signal);
      if (!state.usable && !state.installed) continue;
      try {
        const addon = this.#load(gpu, state);
        this.#warnOf(faults, gpu);
        return addon;
      } catch (error) {
        faults.push((error as XgenmmError).message);
      }
    }
    this.#warnOf(faults, 'cpu');
    if (faults.length === 0) await this.#warnOfMissingPackage(signal);
    return this.main();
  }

  #load(gpu: Gpu, state: GpuState): NativeModule {
    if (!state.usable) throw unavailable(state.reason);
    if (state.addon === undefined) return this.main();
    const { path } = state.addon;
    try {
      return openAddon(path, this.root);
    } catch (error) {
      // What another process could load: two versions of a library in one process, for example.
      const { cause = error } = error as Error;
      throw unavailable(explainLoadFailure(gpu, path, (cause as Error).message, this.host), cause);
    }
  }

  #warnOf(faults: string[], used: Gpu | 'cpu'): void {
    if (faults.length > 0)
      this.#warn('XGENMM_GPU_UNUSABLE', `xgen-mm computes on device '${used}': ${faults.join('; ')}`);
  }

  async #warnOfMissingPackage(signal: AbortSignal | undefined): Promise<void> {
    if (!this.host.hasNvidiaDriver || gpuPackage('cuda', this.host) === undefined) return;
    const state = await this.state('cuda', signal);
    if (state.usable) return;
    this.#warn(
      'XGENMM_GPU_UNUSED',
      `xgen-mm computes on the CPU although NVIDIA's driver is there: ${state.reason}; with \`device: 'cpu'\` nothing is said`,
    );
  }

  #warn(code: string, message: string): void {
    if (this.#warned) return;
    this.#warned = true;
    process.emitWarning(message, { type: 'XgenmmWarning', code });
  }

  async #inAddon(gpu: Exclude<Gpu, 'metal'>, cancelled: AbortSignal): Promise<GpuState> {
    const addon = findGpuAddon(gpu, this.root, this.host);
    if ('reason' in addon) return { usable: false, ...addon };
    let probe: Probe;
    do probe = await this.probe(addon.path, cancelled);
    while (probe.kind === 'crashes' && probe.interrupted && !cancelled.aborted);
    const found = judgeProbe(gpu, addon.path, probe, packageVersion(this.root), this.host);
    return typeof found === 'string'
      ? { usable: false, reason: found, installed: true }
      : { usable: true, addon, devices: ofBackend(found, gpu) };
  }

  async #metal(): Promise<GpuState> {
    const { platform, arch } = this.host;
    const absent = (reason: string): GpuState => ({ usable: false, reason, installed: false });
    if (platform !== 'darwin' || arch !== 'arm64') {
      return absent(`Expected macOS on an Apple processor for device 'metal', received ${platform}-${arch}`);
    }
    const { backends, devices } = this.main().systemInfo();
    if (!backends.some(({ name }) => name === BACKENDS.metal)) {
      return absent(
        "Expected an addon with Metal for device 'metal', received one that was built without: run `npm rebuild xgen-mm`",
      );
    }
    const own = ofBackend(devices, 'metal');
    if (own.length === 0) {
      return absent("Expected a GPU with Metal for device 'metal', received none: this machine offers none");
    }
    return { usable: true, addon: undefined, devices: own };
  }
}

function ofBackend(devices: NativeDevice[], gpu: Gpu): NativeDevice[] {
  return devices.filter(({ backend }) => backend === BACKENDS[gpu]);
}

/** What nobody thought of: looking for a GPU fails nothing that can do without. */
function unknown(gpu: Gpu, error: Error): GpuState {
  const reason = `Expected to find out whether there is device '${gpu}', received ${error.message}`;
  return { usable: false, reason, installed: false };
}

function unavailable(reason: string, cause?: unknown): XgenmmError {
  return new XgenmmError('ERR_XGENMM_DEVICE_UNAVAILABLE', reason, { cause });
}
