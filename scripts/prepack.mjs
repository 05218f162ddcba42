// Before npm packs: ggml's source, which a tarball carries, is there, and dist/ is empty. What of it is compiled next (`prepare`) is all
// there is, without what a source file left that is gone.
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { vendoredGgml } from './fetch-ggml.mjs';

vendoredGgml();
rmSync(join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist'), { recursive: true, force: true });
