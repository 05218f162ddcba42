import { IMAGE_RULES, type ImageInput, type ImageOptions, takeImage } from './image.js';
import { remoteUrl } from './image-source.js';
import type { NativeSegment } from './native.js';
import { checkOptions, invalid } from './options.js';

/** A picture in a prompt, with how to read and tile it. */
export interface ImagePart extends ImageOptions {
  /** Where the picture is, or the picture itself. */
  image: ImageInput;
}

/** One added token by its text, for example `<|endofchunk|>`. */
export interface SpecialPart {
  /** Its text; ERR_XGENMM_INVALID_ARGUMENT if the vocabulary lacks it. */
  special: string;
}

/** The OpenAI shape of a text. */
export interface OpenAiTextPart {
  /** Says that this is a text. */
  type: 'text';
  /** The text, never parsed for special tokens. */
  text: string;
}

/** The OpenAI shape of a picture: a `data:` URL, with `fetchImages: true` also an http(s) URL. */
export interface OpenAiImagePart {
  /** Says that this is a picture. */
  type: 'image_url';
  /** Its URL, alone or as `url`. */
  image_url:
    | string
    | {
        /** The URL. */
        url: string;
      };
}

/**
 * What is asked: a string, or strings and parts in order. Texts are never parsed for special tokens: `<image>` in a string is
 * those seven characters (see `parseSpecial` for raw prompts).
 */
export type Content =
  | string
  | readonly (string | ImagePart | SpecialPart | OpenAiTextPart | OpenAiImagePart)[];

/** One stretch of a prompt, checked. */
export type Part =
  | { kind: 'text'; text: string }
  | { kind: 'special'; text: string }
  | { kind: 'image'; image: ImageInput; options: ImageOptions };

export function textPart(text: string): Part {
  return { kind: 'text', text };
}

export function specialPart(text: string): Part {
  return { kind: 'special', text };
}

export function toSegment(part: Part): NativeSegment {
  return part.kind === 'image' ? { kind: 'image' } : part;
}

/**
 * Checks content and brings it into one shape, empty texts left out. Throws ERR_XGENMM_INVALID_ARGUMENT, also for http(s) URLs unless
 * `fetchImages`.
 */
export function parseContent(content: Content, fetchImages = false): Part[] {
  if (typeof content === 'string') return content === '' ? [] : [textPart(content)];
  if (!Array.isArray(content)) throw invalid('content', 'a string or an array of strings and parts', content);
  // From, so that a hole counts as undefined.
  return Array.from(content)
    .map((item: unknown, index) => parseItem(item, `content[${index}]`, fetchImages))
    .filter((part) => part.kind !== 'text' || part.text !== '');
}

function parseItem(item: unknown, name: string, fetchImages: boolean): Part {
  if (typeof item === 'string') return textPart(item);
  if (typeof item === 'object' && item !== null) {
    if (Object.hasOwn(item, 'image')) return parseImagePart(item as ImagePart, name, fetchImages);
    if (Object.hasOwn(item, 'special')) {
      const { special, ...rest } = item as SpecialPart;
      checkOptions(rest, {}, name);
      if (typeof special !== 'string' || special === '')
        throw invalid(`special in ${name}`, 'the text of an added token', special);
      return specialPart(special);
    }
    if (Object.hasOwn(item, 'type'))
      return parseOpenAiPart(item as OpenAiTextPart | OpenAiImagePart, name, fetchImages);
  }
  throw invalid(name, "a string, { image }, { special } or { type: 'text' | 'image_url' }", item);
}

function parseImagePart({ image, ...options }: ImagePart, name: string, fetchImages: boolean): Part {
  const taken = takeImage(image, `image in ${name}`, fetchImages);
  return { kind: 'image', image: taken, options: checkOptions<ImageOptions>(options, IMAGE_RULES, name) };
}

function parseOpenAiPart(part: OpenAiTextPart | OpenAiImagePart, name: string, fetchImages: boolean): Part {
  if (part.type === 'text') {
    const { type: _, text, ...rest } = part;
    checkOptions(rest, {}, name);
    if (typeof text !== 'string') throw invalid(`text in ${name}`, 'a string', text);
    return textPart(text);
  }
  if (part.type === 'image_url') {
    const { type: _, image_url, ...rest } = part;
    checkOptions(rest, {}, name);
    const url = typeof image_url === 'string' ? image_url : image_url?.url;
    const what = `image_url in ${name}`;
    if (typeof url !== 'string') throw invalid(what, 'a data: URL or { url }', image_url);
    if (remoteUrl(url, what) === undefined && !/^data:/i.test(url)) throw invalid(what, 'a data: URL', url);
    return { kind: 'image', image: takeImage(url, what, fetchImages), options: {} };
  }
  throw invalid(`type in ${name}`, "'text' or 'image_url'", (part as { type: unknown }).type);
}
