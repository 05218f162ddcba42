/** The values of a type's blocks, by ggml's formats: what the weights of a quantised file stand for. */
export function dequantize(type: 'iq4_nl' | 'q4_K', data: Buffer): Float32Array {
  const [blockBytes, decode] = type === 'iq4_nl' ? [18, decodeIq4Nl] : [144, decodeQ4K];
  const blocks: Float32Array[] = [];
  for (let begin = 0; begin < data.length; begin += blockBytes) {
    blocks.push(decode(data.subarray(begin, begin + blockBytes)));
  }
  const values = new Float32Array(blocks.length * (blocks[0]?.length ?? 0));
  blocks.forEach((block, i) => {
    values.set(block, i * block.length);
  });
  return values;
}

const IQ4_NL_LEVELS = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/** 32 values: a scale, then levels in nibbles, the second half in the high ones. */
function decodeIq4Nl(block: Buffer): Float32Array {
  const scale = halfAt(block, 0);
  return Float32Array.from({ length: 32 }, (_, i) => {
    const byte = block[2 + (i % 16)] as number;
    return scale * (IQ4_NL_LEVELS[i < 16 ? byte & 15 : byte >> 4] as number);
  });
}

/** 256 values: two scales, eight groups' 6-bit scales and minima in 12 bytes, nibbles of two groups side by side. */
function decodeQ4K(block: Buffer): Float32Array {
  const [scale, minimum] = [halfAt(block, 0), halfAt(block, 2)];
  const packed = block.subarray(4, 16);
  const at = (i: number) => packed[i] as number;
  return Float32Array.from({ length: 256 }, (_, i) => {
    const group = i >> 5;
    const factor = group < 4 ? at(group) & 63 : (at(group + 4) & 15) | ((at(group - 4) >> 6) << 4);
    const offset = group < 4 ? at(group + 4) & 63 : (at(group + 4) >> 4) | ((at(group) >> 6) << 4);
    const byte = block[16 + 32 * (group >> 1) + (i & 31)] as number;
    const nibble = (group & 1) === 0 ? byte & 15 : byte >> 4;
    return scale * factor * nibble - minimum * offset;
  });
}

function halfAt(bytes: Buffer, offset: number): number {
  const bits = bytes.readUInt16LE(offset);
  const [exponent, mantissa] = [(bits >> 10) & 31, bits & 1023];
  const magnitude = exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}
