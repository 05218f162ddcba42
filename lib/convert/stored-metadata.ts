import { XgenmmError } from '../errors.js';
import type { NativeListing } from '../native-file.js';
import type { Value } from './gguf-header.js';
import { type InputFile, readFully } from './input-file.js';

/** Many times what the largest vocabulary takes. */
const MAX_BYTES = 2 ** 27;
/** GGUF's number of the type of a string. */
const STRING_TYPE = 8;

/** The keys of a GGUF file, to be written again: each as it stands in the file unless it is set anew. */
export class StoredMetadata {
  private constructor(readonly values: Map<string, Value>) {}

  static async read(input: InputFile, { metadata }: NativeListing): Promise<StoredMetadata> {
    const size = metadata.reduce((sum, { begin, end }) => sum + end - begin, 0);
    if (size > MAX_BYTES) {
      throw new XgenmmError(
        'ERR_XGENMM_MODEL_INVALID',
        `Expected at most ${MAX_BYTES} bytes of metadata in ${input.name}, received ${size}`,
      );
    }
    const values = new Map<string, Value>();
    for (const { key, begin, end } of metadata) {
      const bytes = new Uint8Array(end - begin);
      await readFully(input, bytes, begin);
      values.set(key, { type: 'pair', bytes });
    }
    return new StoredMetadata(values);
  }

  /** A string; `undefined` where the key is absent or holds something else. */
  text(key: string): string | undefined {
    const value = this.values.get(key);
    if (value?.type !== 'pair') return undefined;
    const pair = Buffer.from(value.bytes.buffer, value.bytes.byteOffset, value.bytes.length);
    const type = 8 + Number(pair.readBigUInt64LE());
    return pair.readUInt32LE(type) === STRING_TYPE ? pair.toString('utf8', type + 4 + 8) : undefined;
  }

  set(key: string, value: Value): void {
    this.values.set(key, value);
  }

  /** Says how the new file is laid out, unless the old one leaves that to the default. */
  replaceAlignment(alignment: number): void {
    if (this.values.has('general.alignment'))
      this.set('general.alignment', { type: 'u32', value: alignment });
  }
}
