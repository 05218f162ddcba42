import type { NativeInspection } from '../native-file.js';
import { formatBytes } from '../quantity.js';
import type { DeviceEstimate } from './memory-estimate.js';
import { formatTable } from './table.js';
import { quoted, visible } from './visible.js';

/** The parts of a model as people call them. */
export const PARTS = {
  text: 'language model',
  vision: 'vision tower',
  resampler: 'resampler',
  other: 'other',
};

/** What is in a file, as lines for people. */
export function describeInspection(inspection: NativeInspection): string[] {
  const { fileBytes, text, vision, resampler, generation } = inspection;
  const facts: [string, string][] = [
    ['model', describeModel(inspection)],
    ['file', formatBytes(fileBytes)],
  ];
  if (text !== undefined) {
    const shared = text.kvHeads === text.heads ? '' : `, ${text.kvHeads} for keys and values`;
    facts.push([
      PARTS.text,
      `${text.layers} layers, width ${text.width}, MLP ${text.mlpWidth}, ${text.heads} heads of ${text.headSize}${shared}`,
    ]);
    const window = text.window === 0 ? 'no sliding window' : `sliding window of ${text.window}`;
    facts.push(['context', `${text.contextLength} positions, ${window}`]);
    facts.push([
      'tokenizer',
      `style ${text.tokenizerStyle}, ${text.vocabSize} tokens, ${text.addedTokens} of them added`,
    ]);
  }
  if (generation !== undefined) {
    const { maxTokens, temperature, repetitionPenalty } = generation;
    const chosen = temperature === 0 ? 'greedy' : `temperature ${temperature.toFixed(2)}`;
    const penalty = repetitionPenalty === 1 ? '' : `, repetition penalty ${repetitionPenalty.toFixed(2)}`;
    facts.push(['answers', `up to ${maxTokens} tokens, ${chosen}${penalty}, as its authors let it answer`]);
  }
  if (vision !== undefined) {
    const grids = vision.grids.map(({ columns, rows }) => `${columns}x${rows}`).join(' ');
    facts.push(['pictures', `mode ${vision.imageMode}; grids of tiles, columns x rows: ${grids}`]);
    facts.push([
      PARTS.vision,
      `${vision.layers} layers, width ${vision.width}, MLP ${vision.mlpWidth}, ${vision.heads} heads; tiles of ${vision.tile} pixels in patches of ${vision.patch}`,
    ]);
  }
  if (resampler !== undefined) {
    facts.push([
      PARTS.resampler,
      `${resampler.layers} layers, ${resampler.heads} heads of ${resampler.headSize}, ${resampler.latents} latents per tile, to width ${resampler.outputWidth}`,
    ]);
  }
  const width = Math.max(...facts.map(([name]) => name.length));
  return [
    ...facts.map(([name, fact]) => `${name.padEnd(width)}  ${fact}`),
    '',
    ...describeTensors(inspection),
  ];
}

/** What the model would take, as lines for people. */
export function describeMemory(
  { text, workingBytes }: NativeInspection,
  devices: DeviceEstimate[],
  sequences: number,
): string[] {
  if (text === undefined) return [];
  return devices.flatMap(({ device, description, freeBytes, totalBytes, estimates }) => {
    const types = [...new Set(estimates.map(({ kvType }) => kvType))];
    const contexts = [...new Set(estimates.map(({ contextSize }) => contextSize))];
    const cell = (contextSize: number, kvType: string) => {
      const estimate = estimates.find(
        (known) => known.contextSize === contextSize && known.kvType === kvType,
      );
      return estimate === undefined ? '' : `${formatBytes(estimate.bytes)}${estimate.fits ? '' : ' (!)'}`;
    };
    const free = freeBytes === totalBytes ? '' : `${formatBytes(freeBytes)} free of `;
    const crowded = estimates.some(({ fits }) => !fits);
    return [
      '',
      `memory on ${visible(`${device} (${description})`)}, ${free}${formatBytes(totalBytes)}:`,
      `weights, ${formatBytes(workingBytes)} to work in, and keys and values of ${sequences} ${sequences === 1 ? 'sequence' : 'sequences'}`,
      ...formatTable([
        ['context', ...types.map((type) => (type === text.kvType ? `${type} (default)` : type))],
        ...contexts.map((size) => [`${size}`, ...types.map((type) => cell(size, type))]),
      ]),
      ...(crowded ? ['(!) more than the device has'] : []),
    ];
  });
}

function describeModel({ architecture, formatVersion, variant, name, text }: NativeInspection): string {
  const called = name === '' ? '' : ` ${quoted(name)}`;
  if (text === undefined) return `vision part alone,${called} architecture ${quoted(architecture)}`;
  if (variant === '') return `plain phi3${called}`;
  return `${variant}${called}, format version ${formatVersion}`;
}

function describeTensors({ tensors }: NativeInspection): string[] {
  const row = (label: string, type: string, count: number, bytes: number, elements: number) => [
    label,
    type,
    `${count}`,
    formatBytes(bytes),
    elements === 0 ? '' : ((8 * bytes) / elements).toFixed(2),
  ];
  const sum = (pick: 'count' | 'bytes' | 'elements') =>
    tensors.reduce((total, group) => total + group[pick], 0);
  return formatTable([
    ['tensors', 'type', 'count', 'size', 'bits/weight'],
    ...tensors.map(({ part, type, count, bytes, elements }) =>
      row(PARTS[part], type, count, bytes, elements),
    ),
    row('all', '', sum('count'), sum('bytes'), sum('elements')),
  ]);
}
