import type { Comparison } from './compare.js';
import type { CurvePoint } from './divergence.js';
import { linearTicks, logarithmicRange, logarithmicTicks, type Tick } from './ticks.js';

/** A comparison as a picture: two panels, one above the other. The background is part of it, so that it looks the same on a dark page. */
export function plotComparison({ files, curves, layers }: Comparison): string {
  const title = `${xmlText(baseName(files.b.path))} against ${xmlText(baseName(files.a.path))}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" fill="${INK}">`,
    `<title>${title}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="${PAPER}"/>`,
    `<text x="${LEFT}" y="26" font-size="15" font-weight="600">${title}</text>`,
    ...divergencePanel(curves),
    ...layerPanel(layers),
    '</svg>',
    '',
  ].join('\n');
}

const WIDTH = 760;
const HEIGHT = 640;
const LEFT = 84;
const RIGHT = 24;
const PANEL_HEIGHT = 200;
const PANEL_WIDTH = WIDTH - LEFT - RIGHT;
const DIVERGENCE_TOP = 86;
const LAYERS_TOP = 382;

const PAPER = '#ffffff';
const INK = '#1f2937';
const GRID = '#e5e7eb';
const TEXTS = '#1d4ed8';
const PICTURES = '#c2410c';

function divergencePanel(curves: Comparison['curves']): string[] {
  const series = [
    { name: 'texts', colour: TEXTS, points: curves.texts },
    { name: 'pictures and what follows them', colour: PICTURES, points: curves.pictures },
  ].filter(({ points }) => points.length > 0);
  const all = series.flatMap(({ points }) => points);
  const values = all.flatMap(({ low, median, high }) => [low, median, high]);
  const { low, high } = logarithmicRange(values);
  const isCut = values.some((value) => value < low);
  const end = Math.max(1, ...all.map(({ position }) => position));
  const x = (position: number) => LEFT + (PANEL_WIDTH * position) / end;
  // What lies below the axis, exact agreement too, is drawn on it.
  const y = (value: number) => {
    const fraction = Math.log10(Math.max(value, low) / low) / Math.log10(high / low);
    return DIVERGENCE_TOP + PANEL_HEIGHT * (1 - fraction);
  };
  return [
    ...panel({
      top: DIVERGENCE_TOP,
      title: 'Divergence of next-token distributions over positions (line: median, band: 10 % to 90 %)',
      xLabel: 'position in the passage (tokens and rows of pictures)',
      yLabel: 'KL divergence (nats)',
      xTicks: linearTicks(0, end).flatMap((tick) =>
        tick.value > end ? [] : [{ ...tick, at: x(tick.value) }],
      ),
      yTicks: logarithmicTicks(low, high).map(({ value, label }, i) => ({
        value,
        label: i === 0 && isCut ? `≤ ${label}` : label,
        at: y(value),
      })),
    }),
    ...series.flatMap(({ name, colour, points }, i) => [
      band(points, colour, x, y),
      line(points, colour, x, y),
      ...legend(LEFT + 8 + i * 90, DIVERGENCE_TOP - 12, name, colour),
    ]),
  ];
}

function band(points: CurvePoint[], colour: string, x: Scale, y: Scale): string {
  const upper = points.map(({ position, high }) => `${coordinate(x(position))},${coordinate(y(high))}`);
  const lower = points.map(({ position, low }) => `${coordinate(x(position))},${coordinate(y(low))}`);
  return `<polygon points="${[...upper, ...lower.reverse()].join(' ')}" fill="${colour}" fill-opacity="0.18"/>`;
}

function line(points: CurvePoint[], colour: string, x: Scale, y: Scale): string {
  const [only, second] = points;
  if (only !== undefined && second === undefined) {
    return `<circle cx="${coordinate(x(only.position))}" cy="${coordinate(y(only.median))}" r="3" fill="${colour}"/>`;
  }
  const path = points.map(({ position, median }) => `${coordinate(x(position))},${coordinate(y(median))}`);
  return `<polyline points="${path.join(' ')}" fill="none" stroke="${colour}" stroke-width="1.5" stroke-linejoin="round"/>`;
}

function layerPanel(layers: number[]): string[] {
  const percent = layers.map((error) => 100 * error);
  const ticks = linearTicks(0, Math.max(...percent) || 1);
  const end = (ticks.at(-1) as Tick).value;
  const step = PANEL_WIDTH / layers.length;
  const width = Math.min(0.7 * step, 40);
  const x = (layer: number) => LEFT + (layer + 0.5) * step;
  const y = (value: number) => LAYERS_TOP + PANEL_HEIGHT * (1 - value / end);
  const stride = Math.ceil(layers.length / 34);
  return [
    ...panel({
      top: LAYERS_TOP,
      title: 'Error of the language model after each layer',
      xLabel: 'layer (0: what enters the first)',
      yLabel: 'relative L2 error (%)',
      xTicks: layers.flatMap((_, i) => (i % stride === 0 ? [{ value: i, label: `${i}`, at: x(i) }] : [])),
      yTicks: ticks.map((tick) => ({ ...tick, at: y(tick.value) })),
    }),
    ...percent.map((error, i) => {
      const height = LAYERS_TOP + PANEL_HEIGHT - y(error);
      return `<rect x="${coordinate(x(i) - width / 2)}" y="${coordinate(y(error))}" width="${coordinate(width)}" height="${coordinate(height)}" fill="${TEXTS}"/>`;
    }),
  ];
}

type Scale = (value: number) => number;
type PlacedTick = Tick & { at: number };

interface Panel {
  top: number;
  title: string;
  xLabel: string;
  yLabel: string;
  xTicks: PlacedTick[];
  yTicks: PlacedTick[];
}

function panel({ top, title, xLabel, yLabel, xTicks, yTicks }: Panel): string[] {
  const bottom = top + PANEL_HEIGHT;
  const middle = top + PANEL_HEIGHT / 2;
  return [
    `<text x="${LEFT}" y="${top - 30}" font-weight="600">${title}</text>`,
    ...yTicks.flatMap(({ label, at }) => [
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${coordinate(at)}" y2="${coordinate(at)}" stroke="${GRID}"/>`,
      `<text x="${LEFT - 8}" y="${coordinate(at + 4)}" text-anchor="end">${label}</text>`,
    ]),
    `<path d="M${LEFT} ${top}V${bottom}H${WIDTH - RIGHT}" fill="none" stroke="${INK}"/>`,
    ...xTicks.map(
      ({ label, at }) =>
        `<text x="${coordinate(at)}" y="${bottom + 18}" text-anchor="middle">${label}</text>`,
    ),
    `<text x="${LEFT + PANEL_WIDTH / 2}" y="${bottom + 38}" text-anchor="middle">${xLabel}</text>`,
    `<text x="18" y="${middle}" text-anchor="middle" transform="rotate(-90 18 ${middle})">${yLabel}</text>`,
  ];
}

function legend(x: number, y: number, name: string, colour: string): string[] {
  return [
    `<rect x="${x}" y="${y - 8}" width="14" height="8" fill="${colour}"/>`,
    `<text x="${x + 20}" y="${y}">${name}</text>`,
  ];
}

function coordinate(value: number): string {
  return `${Math.round(100 * value) / 100}`;
}

function baseName(path: string): string {
  return path.split(/[\\/]/).at(-1) ?? path;
}

/** Text for XML; what XML cannot hold becomes a replacement character. */
function xmlText(text: string): string {
  return text
    .replace(/[^\P{Control}\t\n]|\p{Surrogate}|[\ufffe\uffff]/gu, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}
