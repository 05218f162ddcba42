import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import type { Gpu } from './gpu.js';
import { type Host, isThere } from './host.js';

/** GPUs whose backend is in an addon of its own: Metal is part of the one that everybody has. */
export type AddonGpu = Exclude<Gpu, 'metal'>;

/** An addon that computes on a GPU, which is a whole one: it is loaded in place of the one for the CPU. */
export interface GpuAddon {
  path: string;
  /** Built here, or from the package for this platform. */
  origin: 'build' | 'package';
}

/** Why there is no such addon; `installed`: there is one that does not fit. */
export interface NoGpuAddon {
  reason: string;
  installed: boolean;
}

/** The package with an addon for this platform; undefined where there is none. */
export function gpuPackage(gpu: AddonGpu, { platform, arch, isMusl }: Host): string | undefined {
  const platforms = ['linux-x64', 'win32-x64'];
  const name = `${platform}-${arch}`;
  return gpu === 'cuda' && platforms.includes(name) && !isMusl ? `@xgen-mm/${name}-cuda` : undefined;
}

/** Looks in `root`, this package's folder, and for a package beside it of exactly this one's version. */
export function findGpuAddon(gpu: AddonGpu, root: string, host: Host): GpuAddon | NoGpuAddon {
  const built = join(root, `build-${gpu}`, 'Release', 'xgenmm.node');
  if (isThere(built)) return { path: built, origin: 'build' };
  if (gpu === 'cuda' && host.platform === 'darwin') {
    const reason = `Expected Linux or Windows for device 'cuda', received ${host.platform}-${host.arch}`;
    return { reason, installed: false };
  }
  const name = gpuPackage(gpu, host);
  const build = root.includes(`${sep}node_modules${sep}`)
    ? `node "${join(root, 'scripts', 'build-addon.mjs')}" --${gpu}`
    : `npm run build -- --${gpu}`;
  if (name === undefined) {
    return {
      reason: `Expected a build with ${LABEL[gpu]} for device '${gpu}', received none: make one with \`${build}\``,
      installed: false,
    };
  }
  const version = packageVersion(root);
  const folder = findPackage(name, root);
  const install = `npm install ${name}@${version}`;
  if (folder === undefined) {
    return {
      reason: `Expected the package ${name} or a build with ${LABEL[gpu]} for device '${gpu}', received neither: run \`${install}\`, or \`${build}\``,
      installed: false,
    };
  }
  const damaged = (fault: string): NoGpuAddon => ({
    reason: `Expected a whole package ${name} for device '${gpu}', received ${fault}: remove ${folder} and run \`${install}\``,
    installed: true,
  });
  let received: unknown;
  try {
    received = packageVersion(folder);
  } catch {
    return damaged('one whose package.json cannot be read');
  }
  if (typeof received !== 'string') return damaged('one whose package.json names no version');
  if (received !== version) {
    return {
      reason: `Expected version ${version} of ${name} for device '${gpu}', the same as xgen-mm's, received ${received}: run \`${install}\``,
      installed: true,
    };
  }
  const path = join(folder, 'xgenmm.node');
  return isThere(path) ? { path, origin: 'package' } : damaged('one without xgenmm.node');
}

/** What people call it. */
const LABEL: Record<AddonGpu, string> = { cuda: 'CUDA', vulkan: 'Vulkan' };

/** `folder`: of a package. */
export function packageVersion(folder: string): string {
  return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }).version;
}

/** A package's folder; one that is damaged must not look as if it were not there. */
function findPackage(name: string, root: string): string | undefined {
  const { resolve } = createRequire(join(root, 'package.json'));
  try {
    return dirname(resolve(`${name}/package.json`));
  } catch {
    return resolve
      .paths(name)
      ?.map((place) => join(place, name))
      .find(isThere);
  }
}
