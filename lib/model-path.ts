import { findDemoModel, isDemoName } from './demo-model.js';
import { filePath } from './options.js';
import { findPulled, isPulledName } from './pull/pulled-models.js';

/**
 * The path of a model's file: a path or file URL as it is, `demo`, which stands for the model that comes with the package, or
 * `hf:owner/name`, which stands for what `xgen-mm pull` left.
 * `name` names the argument in messages. Throws ERR_XGENMM_INVALID_ARGUMENT or ERR_XGENMM_FILE_NOT_FOUND.
 */
export function modelPath(location: unknown, name: string): string {
  if (isDemoName(location)) return findDemoModel();
  return isPulledName(location) ? findPulled(location) : filePath(location, name);
}
