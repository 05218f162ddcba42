// Prints how many times faster the quantiser's searches are than ggml's, on this machine.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './build-addon.mjs';

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), 'build');
build({ target: 'lane-speed' });
const binary = [join(folder, 'lane-speed'), join(folder, 'Release', 'lane-speed.exe')].find(existsSync);
if (binary === undefined) throw new Error(`no lane-speed in ${folder}`);
process.exit(spawnSync(binary, { stdio: 'inherit' }).status ?? 1);
