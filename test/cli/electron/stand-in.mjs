// A stand-in for Electron's main process, as far as examples/electron/main.mjs uses it, and for somebody who uses the application:
// becomes ready, asks a question about a picture, asks another and cancels it, asks a third and closes its window, asks more and reloads
// the page or sees it crash, asks a last one and quits. Prints as JSON what the windows were told.
import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';

class App extends EventEmitter {
  #ready = new Promise((resolve) => {
    this.becomeReady = resolve;
  });
  quits = 0;

  whenReady() {
    return this.#ready;
  }

  /** As Electron's: asks with `before-quit`, and goes unless that is prevented. */
  quit() {
    this.quits++;
    let prevented = false;
    this.emit('before-quit', { preventDefault: () => (prevented = true) });
    if (!prevented) this.emit('will-quit');
  }
}

class IpcMain extends EventEmitter {
  #handlers = new Map();

  handle(channel, handler) {
    this.#handlers.set(channel, handler);
  }

  async invoke(channel, event, ...args) {
    // Everything goes through structured clone on its way between processes.
    return structuredClone(await this.#handlers.get(channel)(event, ...structuredClone(args)));
  }
}

/** A window's contents, which pieces are sent to. */
class Sender extends EventEmitter {
  send(channel, ...args) {
    this.emit(channel, ...structuredClone(args));
  }
}

/** A window, of which only what it was made with is known. */
export class BrowserWindow {
  static opened = [];

  constructor({ webPreferences }) {
    BrowserWindow.opened.push(this);
    this.preload = webPreferences.preload;
    this.progress = [];
  }

  loadFile(file) {
    this.file = file;
  }

  setProgressBar(fraction) {
    this.progress.push(fraction);
  }

  isDestroyed() {
    return false;
  }
}

export const app = new App();
export const ipcMain = new IpcMain();
export const dialog = {
  showErrorBox(title, content) {
    console.error(`${title}: ${content}`);
  },
};

function ask(id, onPiece, ...args) {
  const sender = new Sender();
  const pieces = [];
  sender.on('piece', (of, piece) => {
    pieces.push(piece);
    if (of !== id) throw new Error(`A piece of question ${of} was sent as one of ${id}`);
    onPiece(sender);
  });
  const result = ipcMain
    .invoke('ask', { sender }, id, ...args)
    .catch(({ code, message }) => ({ code, message }));
  // The one for pieces is this function's.
  return result.then((answer) => ({ pieces, answer, listeners: sender.eventNames().length - 1 }));
}

// The application's main module has run to its end when its first timer could.
setTimeout(async () => {
  app.becomeReady();
  await app.whenReady();
  const long = 'Tell me a long story.';
  const picture = readFileSync(process.env.PICTURE);
  const whole = await ask(1, () => {}, 'What is this?', picture);
  const cancelled = await ask(2, () => ipcMain.emit('cancel', {}, 2), long);
  const closed = await ask(3, (sender) => sender.emit('destroyed'), long);
  const reloaded = await ask(4, (sender) => sender.emit('did-navigate'), long);
  const crashed = await ask(5, (sender) => sender.emit('render-process-gone'), long);
  const gone = new Promise((resolve) => app.once('will-quit', resolve));
  const cut = await ask(6, () => app.quits === 0 && app.quit(), long);
  await gone;
  const windows = BrowserWindow.opened;
  console.log(
    JSON.stringify({ whole, cancelled, closed, reloaded, crashed, cut, quits: app.quits, windows }),
  );
});
