/** The ends of a terminal, as `process.stdin` and `process.stdout` are. */
export interface Terminal {
  input: NodeJS.ReadableStream & { isTTY?: boolean; setRawMode?(raw: boolean): unknown };
  output: NodeJS.WritableStream & { isTTY?: boolean };
}

/** What a terminal says of itself. */
export interface TerminalReply {
  /** The numbers of what it can do, as every terminal since the VT100 tells them; undefined if it said nothing. */
  attributes?: number[];
  /** Whether it shows pictures by Kitty's protocol; asked for only on request. */
  kitty: boolean;
  /** Keys that somebody pressed meanwhile. They are read, and nobody else will read them. */
  typed: number;
}

const ATTRIBUTES = '\x1b[c';
/** One transparent pixel, which is not to be shown: a terminal that knows the protocol says OK. Kitty's own way of asking. */
const KITTY = '\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\';

// biome-ignore lint/suspicious/noControlCharactersInRegex: that is how terminals speak
const ATTRIBUTES_REPLY = /\x1b\[\?([\d;]*)c/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is how terminals speak
const KITTY_REPLY = /\x1b_Gi=31;(.*?)\x1b\\/s;

/** What a terminal sends for one key: an arrow or the like, a key with Alt, or a character. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is how terminals speak
const KEY = /\x1b(?:\[[0-?]*[ -/]*[@-~]|O[ -~]|[^\x1b])|./gsu;

/** What a terminal makes of these keys unless told to pass them on. */
const SIGNALS = new Map<string, NodeJS.Signals>([
  ['\x03', 'SIGINT'],
  ['\x1a', 'SIGTSTP'],
  ['\x1c', 'SIGQUIT'],
]);

/**
 * Asks a terminal what it can do, and `kitty` whether it knows that protocol: other terminals may print the question.
 * Terminals answer at once; one that has not in `timeout` milliseconds is taken not to. Nothing is echoed meanwhile, and Ctrl-C
 * does what it does otherwise (`raise`).
 */
export function askTerminal(
  { input, output }: Terminal,
  kitty: boolean,
  timeout: number,
  raise = (signal: NodeJS.Signals): void => void process.kill(process.pid, signal),
): Promise<TerminalReply> {
  return new Promise((resolve) => {
    let received = '';
    const finish = () => {
      clearTimeout(timer);
      input.off('data', read).off('end', finish).off('error', finish);
      input.pause();
      setRaw(input, false);
      resolve(parseReply(received));
    };
    const read = (chunk: Buffer | string) => {
      received += chunk.toString();
      const key = [...SIGNALS.keys()].find((key) => received.includes(key));
      // The terminal answers in the order of the questions.
      if (key !== undefined || ATTRIBUTES_REPLY.test(received)) finish();
      if (key !== undefined) raise(SIGNALS.get(key) as NodeJS.Signals);
    };
    const timer = setTimeout(finish, timeout);
    if (!setRaw(input, true)) return finish();
    input.on('data', read).once('end', finish).once('error', finish);
    output.write(kitty ? KITTY + ATTRIBUTES : ATTRIBUTES);
  });
}

/** Whether it could be done: a terminal may have gone away. */
function setRaw(input: Terminal['input'], raw: boolean): boolean {
  try {
    input.setRawMode?.(raw);
    return true;
  } catch {
    return false;
  }
}

function parseReply(received: string): TerminalReply {
  const numbers = ATTRIBUTES_REPLY.exec(received)?.[1];
  const typed = received.replace(ATTRIBUTES_REPLY, '').replace(KITTY_REPLY, '');
  return {
    ...(numbers === undefined ? {} : { attributes: numbers.split(';').map(Number) }),
    kitty: KITTY_REPLY.exec(received)?.[1] === 'OK',
    typed: (typed.match(KEY) ?? []).filter((key) => !SIGNALS.has(key)).length,
  };
}
