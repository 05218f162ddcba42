import { overlap, parseBox } from './bounding-box.js';

/** Whether an answer is right. */
export interface Verdict {
  right: boolean;
  /** Where a box is asked for: how much the answer's has in common with the true one, 0 to 1; see {@link overlap}. */
  iou?: number;
}

/** What boxes must have in common to count as the same. */
const SAME_BOX = 0.5;

/** Compares an answer with the true one: word for word, except that a box need only be near. */
export function judge(answer: string, truth: string): Verdict {
  const wanted = parseBox(truth);
  if (wanted === undefined) return { right: answer.trim() === truth.trim() };
  const found = parseBox(answer);
  const iou = found === undefined ? 0 : overlap(found, wanted);
  return { right: iou >= SAME_BOX, iou };
}
