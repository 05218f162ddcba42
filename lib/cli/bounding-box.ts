/** A rectangle in a picture, in fractions of its width and height. */
export interface BoundingBox {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

const NUMBER = String.raw`\s*(\d*\.?\d+)\s*`;
const BOX = new RegExp(`^<bbox>${[NUMBER, NUMBER, NUMBER, NUMBER].join(',')}</bbox>$`);

/** The box that an answer consists of, `<bbox>left, top, right, bottom</bbox>`; undefined for anything else, and for one without an inside. */
export function parseBox(answer: string): BoundingBox | undefined {
  const found = BOX.exec(answer.trim());
  if (found === null) return undefined;
  const [left, top, right, bottom] = found.slice(1).map(Number) as [number, number, number, number];
  return left < right && top < bottom ? { left, top, right, bottom } : undefined;
}

/** What two boxes have in common as a part of what they cover together: 0 (apart) to 1 (the same). */
export function overlap(a: BoundingBox, b: BoundingBox): number {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  if (width <= 0 || height <= 0) return 0;
  const common = width * height;
  return common / (area(a) + area(b) - common);
}

function area({ left, top, right, bottom }: BoundingBox): number {
  return (right - left) * (bottom - top);
}
