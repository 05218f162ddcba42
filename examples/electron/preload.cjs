// What the window may ask of the main process, and no more.
const { contextBridge, ipcRenderer } = require('electron');

contextBridge.exposeInMainWorld('model', {
  ask: (id, question, picture) => ipcRenderer.invoke('ask', id, question, picture),
  cancel: (id) => ipcRenderer.send('cancel', id),
  onPiece: (listener) => ipcRenderer.on('piece', (_, id, piece) => listener(id, piece)),
});
