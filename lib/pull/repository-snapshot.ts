import { XgenmmError } from '../errors.js';
import { HubCache } from './hub-cache.js';
import { HubRepository } from './hub-repository.js';
import { isCommit } from './names.js';
import type { Pull } from './pull.js';
import { Unreachable } from './retry.js';
import { CachedSnapshot, HubSnapshot, type Snapshot } from './snapshot.js';

/** A repository at the commit that everything is taken from. */
export interface PinnedRepository {
  /** `owner/name`. */
  name: string;
  cache: HubCache;
  snapshot: Snapshot;
}

/**
 * Asks the hub once which commit a revision is; from then on everything is taken from that commit. Without a connection it is the
 * commit that the cache remembers.
 */
export async function pinRepository(
  { settings, connection, options, onNote }: Pull,
  name: string,
  revision: string | undefined,
): Promise<PinnedRepository> {
  const hub = await HubRepository.open(connection, settings, name, revision);
  const cache = new HubCache(settings.cache, hub.cacheFolder);
  const ref = revision ?? 'main';
  const remembered = isCommit(ref) ? ref : await cache.readRef(ref);
  const offline = (commit: string) => ({ name, cache, snapshot: new CachedSnapshot(commit, cache) });
  if (settings.offline) {
    if (remembered === undefined) {
      throw new XgenmmError(
        'ERR_XGENMM_DOWNLOAD',
        `Expected ${ref} of ${name} in ${cache.folder}, because HF_HUB_OFFLINE is set, received nothing; unset it, or pull once while there is a connection`,
      );
    }
    onNote(`HF_HUB_OFFLINE is set: commit ${remembered} of ${name} is taken, as far as it is in the cache.`);
    return offline(remembered);
  }
  const online = (commit: string): PinnedRepository => {
    const { onDownload = () => {} } = options;
    return { name, cache, snapshot: new HubSnapshot(commit, ref, hub, cache, connection, onDownload) };
  };
  if (isCommit(ref)) return online(ref);
  try {
    return online(await hub.resolve());
  } catch (error) {
    if (!(error instanceof Unreachable) || remembered === undefined) throw error;
    onNote(
      `${settings.endpoint} cannot be reached: commit ${remembered} of ${name} is taken, as far as it is in the cache.`,
    );
    return offline(remembered);
  }
}
