// An application whose window takes a picture and a question, and shows the answer as it comes. The model is loaded here, in the main
// process; preload.cjs says what the window may ask for, and renderer.js is the window.
//
//   npx electron examples/electron/main.mjs model.gguf
import { join } from 'node:path';
import { app, BrowserWindow, dialog, ipcMain } from 'electron';
import { loadModel } from 'xgen-mm';

/** Questions that are being answered, by the ids that the windows gave them, which no two of them share. */
const running = new Map();
/** What becomes of a page that asked; the second is a reload, too. */
const GONE = ['destroyed', 'did-navigate', 'render-process-gone'];
let model;
let quitting = false;

app.whenReady().then(() => {
  const window = new BrowserWindow({
    width: 720,
    height: 760,
    title: 'xgen-mm',
    webPreferences: { preload: join(import.meta.dirname, 'preload.cjs') },
  });
  window.loadFile(join(import.meta.dirname, 'index.html'));
  const showProgress = (fraction) => window.isDestroyed() || window.setProgressBar(fraction);
  model = loadModel(process.argv[2], { onProgress: showProgress });
  model.catch(({ message }) => dialog.showErrorBox('The model could not be loaded', message));
  // Below 0 there is no bar.
  model.then(() => showProgress(-1)).catch(() => {});
});

ipcMain.handle('ask', async ({ sender }, id, question, picture) => {
  const controller = new AbortController();
  const { signal } = controller;
  const cancel = () => controller.abort();
  running.set(id, cancel);
  for (const end of GONE) sender.on(end, cancel);
  try {
    // Bytes only: with a path a window could read any file.
    const images = picture === undefined ? [] : [{ image: new Uint8Array(picture) }];
    const stream = (await model).chat().stream([...images, String(question)], { maxTokens: 500, signal });
    for await (const piece of stream) sender.send('piece', id, piece);
    const { text, finishReason } = await stream.answer();
    return { text, finishReason };
  } catch (error) {
    if (!signal.aborted) throw error;
    return { finishReason: 'cancelled' };
  } finally {
    running.delete(id);
    for (const end of GONE) sender.off(end, cancel);
  }
});
ipcMain.on('cancel', (_, id) => running.get(id)?.());

app.on('window-all-closed', () => app.quit());

// Quitting waits until the model's thread has stopped and its memory is free.
app.on('before-quit', (event) => {
  if (quitting) return;
  quitting = true;
  event.preventDefault();
  const disposed = Promise.resolve(model).then((loaded) => loaded?.dispose());
  disposed.catch(() => {}).finally(() => app.quit());
});
