// The part of an Electron application's main process that answers its windows. In a preload script, a window would use
//   const { text, finishReason } = await ipcRenderer.invoke('ask', id, 'What is this?', bytesOfAPicture);
//   ipcRenderer.on('piece', (_, id, piece) => …); ipcRenderer.send('cancel', id);
//
//   npx electron examples/electron-main.mjs model.gguf
import { app, dialog, ipcMain } from 'electron';
import { loadModel } from 'xgen-mm';

/** Questions that are being answered, by the ids that the windows gave them. */
const running = new Map();
let model;
let quitting = false;

app.whenReady().then(() => {
  model = loadModel(process.argv[2]);
  model.catch(({ message }) => dialog.showErrorBox('The model could not be loaded', message));
});

ipcMain.handle('ask', async ({ sender }, id, question, picture) => {
  const controller = new AbortController();
  const { signal } = controller;
  const cancel = () => controller.abort();
  running.set(id, cancel);
  sender.once('destroyed', cancel);
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
    sender.off('destroyed', cancel);
  }
});
ipcMain.on('cancel', (_, id) => running.get(id)?.());

// Quitting waits until the model's thread has stopped and its memory is free.
app.on('before-quit', (event) => {
  if (quitting) return;
  quitting = true;
  event.preventDefault();
  const disposed = Promise.resolve(model).then((loaded) => loaded?.dispose());
  disposed.catch(() => {}).finally(() => app.quit());
});
