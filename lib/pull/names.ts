import { invalid } from '../options.js';

/** Longest owner, and longest name, of the hub. */
const MAX_NAME = 96;
const MAX_REVISION = 255;
const MAX_PATH = 512;

/** A commit, in full. */
export function isCommit(text: string): boolean {
  return /^[0-9a-f]{40}$/.test(text);
}

/** Checks `owner/name` by the hub's rules, which leave nothing that could lead out of a folder. Throws ERR_XGENMM_INVALID_ARGUMENT. */
export function checkRepository(text: string): string {
  const parts = text.split('/');
  if (parts.length !== 2 || !parts.every(isName)) {
    throw invalid('the repository', 'owner/name as on huggingface.co', text);
  }
  return text;
}

function isName(text: string): boolean {
  return /^[\w](?:[\w.-]*[\w])?$/.test(text) && text.length <= MAX_NAME && !/--|\.\.|\.git$/.test(text);
}

/** The name of the folder of a repository. */
export function repositoryFolder(repository: string): string {
  return repository.replace('/', '--');
}

/** Checks a branch, tag or commit by git's rules, which leave nothing that could lead out of a folder. */
export function checkRevision(text: string): string {
  const sound = text.split('/').every((part) => /^[^.\s].*$/.test(part) && !/\.lock$|\.$/.test(part));
  if (!sound || text.length > MAX_REVISION || hasUnsafe(text) || /\.\.|@\{|[~^?*[]/.test(text)) {
    throw invalid('the revision', 'a branch, a tag or a commit', text);
  }
  return text;
}

/** Whether the path of a file in a repository stays in it, wherever it is put. */
export function isSafePath(path: string): boolean {
  return (
    path.length <= MAX_PATH &&
    !hasUnsafe(path) &&
    path.split('/').every((part) => part !== '' && !/^\.\.?$/.test(part) && !isOddOnWindows(part))
  );
}

/** What Windows takes for a device, or for another name: it drops dots and spaces at the end. */
function isOddOnWindows(part: string): boolean {
  return /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i.test(part) || /[. ]$/.test(part);
}

/** Control characters, and what Windows reads as a separator, a drive, a stream or a pattern. */
function hasUnsafe(text: string): boolean {
  return /[\p{Control}\\:<>"|]/u.test(text);
}
