import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadModel } from '../../lib/index.js';
import { failure } from '../failure.js';

test.skipIf(process.platform === 'win32')(
  'a pipe in place of a model is refused (Windows has no such files)',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
    try {
      const pipe = join(folder, 'model.gguf');
      execFileSync('mkfifo', [pipe]);
      await expect(loadModel(pipe)).rejects.toEqual(
        failure('ERR_XGENMM_FILE_NOT_FOUND', /not a regular file/),
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);
