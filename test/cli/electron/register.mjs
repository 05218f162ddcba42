// node --import: an import of `electron` finds the stand-in beside this file.
import * as module from 'node:module';
import { resolve } from './hooks.mjs';

// Node.js 22.15 and newer have the first, which runs in this thread; the second is on its way out there.
if (module.registerHooks !== undefined) module.registerHooks({ resolve });
else module.register('./hooks.mjs', import.meta.url);
