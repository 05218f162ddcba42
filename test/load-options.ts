import type { NativeLoadOptions } from '../lib/native.js';
import { modelFile } from './files.js';

/** tiny-f32 with one slot and one thread, for tests of what lies under `loadModel()`. */
export const TINY_ALONE: NativeLoadOptions = {
  textPath: modelFile('tiny-f32'),
  device: 'cpu',
  gpuLayers: -1,
  visionDevice: 'auto',
  threads: 1,
  contextSize: 0,
  maxSequences: 1,
  kvType: 'auto',
  tokenizerStyle: '',
  slidingWindow: -1,
  importance: false,
};
