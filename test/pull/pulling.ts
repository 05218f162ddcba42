import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Patience } from '../../lib/pull/connection.js';
import type { Environment } from '../../lib/pull/hf-home.js';
import { type PullOptions, pull } from '../../lib/pull/pull.js';
import { HubServer, REPOSITORY } from './hub-server.js';

const PATIENCE: Patience = { attempts: 6, pauseMs: 1, longestPauseMs: 5000, stallMs: 400 };

/** A hub and an empty Hugging Face folder, for one test. */
export class Pulling {
  readonly notes: string[] = [];

  private constructor(
    readonly hub: HubServer,
    readonly home: string,
  ) {}

  static async start(): Promise<Pulling> {
    const hub = await HubServer.start();
    const home = await mkdtemp(join(tmpdir(), 'xgen-mm-pull-'));
    onTestFinished(async () => {
      await hub.stop();
      await rm(home, { recursive: true });
    });
    return new Pulling(hub, home);
  }

  get env(): Environment {
    return { HF_HOME: this.home, HF_ENDPOINT: this.hub.endpoint };
  }

  /** Folder of the repository in the cache. */
  cache(...path: string[]): string {
    return join(this.home, 'hub', `models--${REPOSITORY.replace('/', '--')}`, ...path);
  }

  /** Folder of what was made of the repository. */
  made(...path: string[]): string {
    return join(this.home, 'xgen-mm', REPOSITORY.replace('/', '--'), ...path);
  }

  pull(
    options: PullOptions = {},
    source = REPOSITORY,
    env: Environment = {},
    patience: Partial<Patience> = {},
  ): Promise<string> {
    const onNote = (note: string) => this.notes.push(note);
    const surroundings = { env: { ...this.env, ...env }, patience: { ...PATIENCE, ...patience } };
    return pull(source, { type: 'f16', onNote, ...options }, surroundings);
  }

  async blobs(): Promise<string[]> {
    return readdir(this.cache('blobs'));
  }
}
