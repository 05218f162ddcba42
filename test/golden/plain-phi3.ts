import { modelFile } from '../files.js';
import { GgufFile } from '../gguf-file.js';

/** tiny-f32's language model as llama.cpp writes a phi3 file: its own keys and tensors only, so without the head's bias. */
export function plainPhi3(): GgufFile {
  const { values, tensors } = GgufFile.read(modelFile('tiny-f32'));
  const plain = new GgufFile(
    values.filter(({ key }) => !/^(xgenmm|clip|resampler|tokenizer\.xgenmm)\./.test(key)),
    tensors.filter(({ name }) => !/^(v|resampler)\./.test(name) && name !== 'output.bias'),
  );
  return plain.setString('general.architecture', 'phi3');
}
