import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import type { Gpu } from './gpu.js';
import type { Host } from './host.js';

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
  if (existsSync(built)) return { path: built, origin: 'build' };
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
  const manifest = resolve(`${name}/package.json`, root);
  const install = `npm install ${name}@${version}`;
  if (manifest === undefined) {
    return {
      reason: `Expected the package ${name} or a build with ${LABEL[gpu]} for device '${gpu}', received neither: run \`${install}\`, or \`${build}\``,
      installed: false,
    };
  }
  const received = versionOf(manifest);
  if (received !== version) {
    return {
      reason: `Expected version ${version} of ${name} for device '${gpu}', the same as xgen-mm's, received ${received}: run \`${install}\``,
      installed: true,
    };
  }
  return { path: join(dirname(manifest), 'xgenmm.node'), origin: 'package' };
}

/** What people call it. */
const LABEL: Record<AddonGpu, string> = { cuda: 'CUDA', vulkan: 'Vulkan' };

/** `folder`: of a package. */
export function packageVersion(folder: string): string {
  return versionOf(join(folder, 'package.json'));
}

function versionOf(manifest: string): string {
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
}

function resolve(request: string, root: string): string | undefined {
  try {
    return createRequire(join(root, 'package.json')).resolve(request);
  } catch {
    return undefined;
  }
}
