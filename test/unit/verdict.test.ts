import { describe, expect, test } from 'vitest';
import { overlap, parseBox } from '../../lib/cli/bounding-box.js';
import { judge } from '../../lib/cli/verdict.js';

describe('boxes', () => {
  test('are read', () => {
    const box = { left: 0.1, top: 0.25, right: 0.5, bottom: 1 };
    expect(parseBox('<bbox>0.1, 0.25, 0.5, 1</bbox>')).toEqual(box);
    expect(parseBox(' <bbox>.1,.25 ,0.50,1.00</bbox>\n')).toEqual(box);
  });

  test.each([
    '',
    'red',
    '<bbox></bbox>',
    '<bbox>0.1, 0.2, 0.3</bbox>',
    '<bbox>0.1, 0.2, 0.3, 0.4, 0.5</bbox>',
    '<bbox>0.1, 0.2, 0.3, x</bbox>',
    '<bbox>0.1, 0.2, 0.3, 0.4',
    'It is <bbox>0.1, 0.2, 0.3, 0.4</bbox>',
    '<bbox>0.3, 0.2, 0.1, 0.4</bbox>',
    '<bbox>0.1, 0.2, 0.3, 0.2</bbox>',
    '<bbox>1.2.3, 0.2, 0.3, 0.4</bbox>',
  ])('%j is none', (answer) => {
    expect(parseBox(answer)).toBeUndefined();
  });

  test('overlap', () => {
    const box = (left: number, top: number, right: number, bottom: number) => ({ left, top, right, bottom });
    expect(overlap(box(0, 0, 1, 1), box(0, 0, 1, 1))).toBe(1);
    expect(overlap(box(0, 0, 0.5, 1), box(0.5, 0, 1, 1))).toBe(0);
    expect(overlap(box(0, 0, 0.5, 1), box(0, 0, 1, 1))).toBe(0.5);
    expect(overlap(box(0, 0, 0.5, 0.5), box(0.25, 0.25, 0.75, 0.75))).toBeCloseTo(1 / 7);
    expect(overlap(box(0, 0, 0.1, 0.1), box(0.2, 0.2, 0.3, 0.3))).toBe(0);
  });
});

describe('an answer', () => {
  test.each([
    ['red', 'red', true],
    [' red\n', 'red', true],
    ['Red', 'red', false],
    ['red.', 'red', false],
    ['', 'red', false],
  ])('%j for %j', (answer, truth, right) => {
    expect(judge(answer, truth)).toEqual({ right });
  });

  test.each([
    ['<bbox>0.0, 0.0, 0.5, 1.0</bbox>', { right: true, iou: 0.5 }],
    ['<bbox>0.0, 0.0, 0.25, 1.0</bbox>', { right: false, iou: 0.25 }],
    ['on the left', { right: false, iou: 0 }],
  ])('%j for a box', (answer, verdict) => {
    expect(judge(answer, '<bbox>0.0, 0.0, 1.0, 1.0</bbox>')).toEqual(verdict);
  });
});
