import type { ModelConfig } from '../convert/config.js';
import { storedBytes, type TensorInfo } from '../convert/gguf-header.js';
import { chooseTypes, storeTensors, type TextType, type VisionType } from '../convert/mixture.js';
import { planTensors } from '../convert/tensors.js';

/** More than metadata and padding take. */
const HEADER_BYTES = 4 * 2 ** 20;

/** The tensors that the converter's file of a checkpoint will have, from its configuration alone. */
export function outputTensors(
  config: ModelConfig,
  text: TextType,
  vision: VisionType | undefined,
  resampler: VisionType | undefined,
  guided: boolean,
): TensorInfo[] {
  const types = chooseTypes(text, vision, resampler);
  return storeTensors(planTensors(config), types, config.text.layers, guided);
}

/** Bytes that a file with these tensors takes at most. */
export function outputSize(tensors: readonly TensorInfo[]): number {
  return tensors.reduce((sum, { type, shape }) => sum + storedBytes(type, shape), HEADER_BYTES);
}
