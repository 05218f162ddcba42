import { describe, expect, test } from 'vitest';
import { type Content, parseContent } from '../../lib/content.js';

const pixels = { data: new Uint8Array(3), width: 1, height: 1, channels: 3 } as const;

describe('parseContent', () => {
  test('a string is one text, never parsed', () => {
    expect(parseContent('a <image> b')).toEqual([{ kind: 'text', text: 'a <image> b' }]);
  });

  test('strings and parts keep their order, empty texts vanish', () => {
    const options = { mode: 'pad', orient: false, background: '#fff' } as const;
    expect(
      parseContent([
        '',
        { image: 'a.jpg' },
        'one',
        { special: '<|endofchunk|>' },
        { image: pixels, ...options },
      ]),
    ).toEqual([
      { kind: 'image', image: 'a.jpg', options: {} },
      { kind: 'text', text: 'one' },
      { kind: 'special', text: '<|endofchunk|>' },
      { kind: 'image', image: pixels, options },
    ]);
    expect(parseContent('')).toEqual([]);
  });

  test('OpenAI shapes', () => {
    const url = 'data:image/png;base64,AAAA';
    const parts: Content = [
      { type: 'image_url', image_url: { url } },
      { type: 'image_url', image_url: url },
      { type: 'text', text: 'What is this?' },
    ];
    const image = { kind: 'image', image: url, options: {} };
    expect(parseContent(parts)).toEqual([image, image, { kind: 'text', text: 'What is this?' }]);
  });

  test('web addresses, where they may be fetched', () => {
    const url = 'https://example.org/a.jpg';
    const own = new URL(url);
    const parts = parseContent(
      [
        { image: url, mode: 'pad' },
        { image: own },
        { type: 'image_url', image_url: url },
        { type: 'image_url', image_url: { url: 'data:,x' } },
      ],
      true,
    );
    own.pathname = '/other.jpg';
    const image = new URL(url);
    expect(parts).toEqual([
      { kind: 'image', image, options: { mode: 'pad' } },
      { kind: 'image', image, options: {} },
      { kind: 'image', image, options: {} },
      { kind: 'image', image: 'data:,x', options: {} },
    ]);
  });

  test.each<[unknown, string]>([
    [7, 'Expected a string or an array of strings and parts for content, received 7'],
    [
      { image: 'a.jpg' },
      'Expected a string or an array of strings and parts for content, received an object of type Object',
    ],
    [['a', null], 'for content[1], received null'],
    [new Array(1), 'for content[0], received undefined'],
    [[Buffer.alloc(3)], 'Expected a string, { image }'],
    [
      [{ image: 7 }],
      'Expected a path, URL, Buffer, Blob, raw pixels, sharp instance or EncodedImage for image in content[0], received 7',
    ],
    [[{ image: undefined }], 'for image in content[0], received undefined'],
    [[{ image: 'a.jpg', mod: 'pad' }], "Unknown option 'mod' in content[0]: did you mean 'mode'?"],
    [[{ image: 'a.jpg', mode: 'none' }], "Expected 'anyres' or 'squash' or 'pad' for mode in content[0]"],
    [[{ image: 'a.jpg', background: { r: 1, g: 2, b: 300 } }], 'for background in content[0]'],
    [[{ special: '' }], 'Expected the text of an added token for special in content[0], received ""'],
    [[{ special: '<|end|>', image: 3 }], 'for image in content[0]'],
    [[{ type: 'text' }], 'Expected a string for text in content[0], received undefined'],
    [
      [{ type: 'audio', data: '' }],
      "Expected 'text' or 'image_url' for type in content[0], received \"audio\"",
    ],
    [[{ type: 'image_url', image_url: {} }], 'Expected a data: URL or { url } for image_url in content[0]'],
    [
      [{ type: 'image_url', image_url: '/etc/passwd' }],
      'Expected a data: URL for image_url in content[0], received "/etc/passwd"',
    ],
    [
      [{ type: 'image_url', image_url: 'https://example.org/a.jpg' }],
      'pictures are fetched from the network only with the option fetchImages: true',
    ],
    [
      [{ image: new URL('https://example.org/a.jpg') }],
      'Expected a local picture or a data: URL for image in content[0], received "https://example.org/a.jpg"',
    ],
    [
      ['a', { image: 'HTTP://example.org/a.jpg' }],
      'for image in content[1], received "HTTP://example.org/a.jpg"',
    ],
    [[{ image: 'https://' }], 'Expected a well-formed URL for image in content[0], received "https://"'],
  ])('refuses %o', (content, message) => {
    expect(() => parseContent(content as Content)).toThrow(
      expect.objectContaining({
        code: 'ERR_XGENMM_INVALID_ARGUMENT',
        message: expect.stringContaining(message),
      }),
    );
  });
});
