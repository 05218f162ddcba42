// Draws examples/pictures/: scenes written as SVG and rendered by sharp, so that no photograph's rights are in question.
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';

const directory = join(dirname(dirname(fileURLToPath(import.meta.url))), 'examples', 'pictures');

const rect = (x, y, width, height, fill, more = '') =>
  `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="${fill}" ${more}/>`;
const circle = (x, y, r, fill, more = '') => `<circle cx="${x}" cy="${y}" r="${r}" fill="${fill}" ${more}/>`;
const ellipse = (x, y, rx, ry, fill) => `<ellipse cx="${x}" cy="${y}" rx="${rx}" ry="${ry}" fill="${fill}"/>`;
const path = (d, fill, more = '') => `<path d="${d}" fill="${fill}" ${more}/>`;
const stroke = (d, colour, width) =>
  path(
    d,
    'none',
    `stroke="${colour}" stroke-width="${width}" stroke-linecap="round" stroke-linejoin="round"`,
  );
const gradient = (id, top, bottom) =>
  `<linearGradient id="${id}" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="${top}"/><stop offset="1" stop-color="${bottom}"/></linearGradient>`;
const scene = (width, height, ...shapes) =>
  Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${shapes.join('')}</svg>`,
  );

/** Letters as strokes in a box of 2 by 4: which fonts a machine has makes no difference. */
const LETTERS = {
  C: 'M2 0H0V4H2',
  A: 'M0 4L1 0L2 4M.5 2.6H1.5',
  F: 'M2 0H0V4M0 2H1.5',
  E: 'M2 0H0V4H2M0 2H1.5',
};
const write = (word, x, y, size, colour) =>
  [...word]
    .map(
      (letter, i) =>
        `<g transform="translate(${x + i * size * 3} ${y}) scale(${size})">${stroke(LETTERS[letter], colour, 0.5)}</g>`,
    )
    .join('');

function street() {
  const house = (x, width, height, floors, wall, roof) => {
    const top = 310 - height;
    const windows = [0, 58].slice(0, floors).flatMap((down) =>
      [x + 14, x + width - 44].map((wx) => {
        const wy = top + 22 + down;
        return (
          rect(wx, wy, 30, 38, '#fdf3c8', 'stroke="#5b4636" stroke-width="4"') +
          rect(wx + 13, wy, 4, 38, '#5b4636')
        );
      }),
    );
    return [
      path(`M${x - 10} ${top}L${x + width / 2} ${top - 62}L${x + width + 10} ${top}Z`, roof),
      rect(x, top, width, height, wall),
      ...windows,
      rect(x + width / 2 - 17, 250, 34, 60, '#6b4423'),
      circle(x + width / 2 + 10, 282, 3, '#f4d35e'),
    ].join('');
  };
  const cafe = [
    house(244, 150, 190, 1, '#e9c46a', '#8d5a34'),
    rect(250, 226, 138, 30, '#22577a'),
    write('CAFE', 291, 231, 5, '#ffffff'),
    rect(250, 256, 138, 8, '#ffffff'),
    ...[0, 1, 2].map((i) => rect(250 + i * 46, 256, 23, 8, '#d1495b')),
  ];
  const tree = (x) =>
    rect(x - 7, 240, 14, 72, '#7a4f2b') + circle(x, 214, 44, '#4f9d4d') + circle(x - 22, 232, 28, '#5fb35d');
  const wheel = (x) => circle(x, 352, 20, '#22223b') + circle(x, 352, 8, '#c9c9d1');
  return scene(
    640,
    400,
    `<defs>${gradient('sky', '#7cc6f2', '#e8f6fd')}</defs>`,
    rect(0, 0, 640, 400, 'url(#sky)'),
    circle(560, 66, 34, '#ffd166'),
    ellipse(120, 62, 52, 18, '#ffffff'),
    ellipse(158, 52, 40, 22, '#ffffff'),
    house(78, 132, 170, 2, '#d1797f', '#7d3c3c'),
    house(428, 140, 160, 2, '#7fb7a3', '#35605a'),
    ...cafe,
    rect(0, 308, 640, 20, '#b8b8b8'),
    rect(0, 328, 640, 72, '#5c5f66'),
    ...[20, 140, 260, 380, 500, 620].map((x) => rect(x, 378, 60, 6, '#f1f1f1')),
    tree(40),
    tree(604),
    path(
      'M150 340Q152 312 186 310L206 286Q210 280 220 280H288Q298 280 304 288L320 310Q356 312 358 336V348H150Z',
      '#c1121f',
    ),
    path('M216 310L228 290H252V310ZM260 290H288L302 310H260Z', '#cfe8f5'),
    circle(352, 328, 6, '#ffe08a'),
    wheel(198),
    wheel(312),
  );
}

/** On nothing: everything around the balloon is transparent. */
function balloon() {
  const panels = ['#e63946', '#f4a261', '#e9c46a', '#2a9d8f', '#457b9d'].map((colour, i) => {
    const [left, right] = [30 + i * 48, 78 + i * 48];
    return path(
      `M150 20C${left - 16} 40 ${left - 16} 190 ${120 + i * 12} 290H${132 + i * 12}C${right + 4} 190 ${right + 4} 40 150 20Z`,
      colour,
    );
  });
  return scene(
    300,
    420,
    '<clipPath id="envelope"><path d="M150 20C40 20 10 110 24 168C36 214 100 262 120 290H180C200 262 264 214 276 168C290 110 260 20 150 20Z"/></clipPath>',
    `<g clip-path="url(#envelope)">${rect(0, 0, 300, 300, '#e63946')}${panels.join('')}${rect(0, 148, 300, 26, '#1d3557')}</g>`,
    stroke('M122 290L132 350M178 290L168 350M142 290L145 350M158 290L155 350', '#6b4423', 3),
    rect(122, 348, 56, 48, '#a9713f', 'rx="6"'),
    rect(118, 344, 64, 12, '#7a4f2b', 'rx="5"'),
    stroke('M124 370H176M140 358V394M160 358V394', '#7a4f2b', 3),
  );
}

/** The same table twice: afterwards the apple is gone and a key lies there. */
function table(after) {
  const apple = [
    circle(330, 300, 46, '#d62839'),
    circle(312, 284, 12, '#f28482'),
    stroke('M330 258Q334 240 344 234', '#6b4423', 6),
    ellipse(358, 242, 18, 9, '#5fb35d'),
  ];
  const key = [
    circle(306, 322, 20, 'none', 'stroke="#c9a227" stroke-width="10"'),
    stroke('M326 322H396M376 322V340M392 322V336', '#c9a227', 10),
  ];
  return scene(
    480,
    480,
    `<defs>${gradient('wall', '#dfe7ec', '#c8d6df')}${gradient('wood', '#b9824f', '#93602f')}</defs>`,
    rect(0, 0, 480, 270, 'url(#wall)'),
    rect(300, 30, 130, 150, after ? '#23395b' : '#a8dadc', 'stroke="#ffffff" stroke-width="12"'),
    rect(360, 30, 10, 150, '#ffffff'),
    after ? circle(400, 70, 14, '#fdf3c8') : circle(400, 70, 14, '#ffd166'),
    rect(0, 270, 480, 210, 'url(#wood)'),
    stroke('M0 330H480M0 400H480', '#86562a', 2),
    rect(60, 340, 170, 30, '#22577a', 'rx="4"'),
    rect(66, 346, 164, 18, '#f8f4e3'),
    rect(70, 312, 160, 28, '#588157', 'rx="4"'),
    rect(76, 318, 154, 16, '#f8f4e3'),
    ellipse(150, 306, 56, 9, '#e8e8e8'),
    path('M108 232H192L184 296Q182 306 172 306H128Q118 306 116 296Z', '#ffffff'),
    stroke('M190 246Q226 250 218 274Q212 290 188 288', '#ffffff', 10),
    ellipse(150, 232, 42, 9, '#6f4518'),
    ...(after ? key : apple),
  );
}

mkdirSync(directory, { recursive: true });
await sharp(street()).flatten().jpeg({ quality: 85 }).toFile(join(directory, 'street.jpg'));
await sharp(balloon()).png({ compressionLevel: 9 }).toFile(join(directory, 'balloon.png'));
await sharp(table(false)).flatten().webp({ quality: 85 }).toFile(join(directory, 'table-before.webp'));
await sharp(table(true)).flatten().webp({ quality: 85 }).toFile(join(directory, 'table-after.webp'));
