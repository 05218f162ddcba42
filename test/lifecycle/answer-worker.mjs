// A worker thread with a model of its own: answers `prompt` and posts the tokens; goes without disposing the model if told so.
import { parentPort, workerData } from 'node:worker_threads';
import { loadModel } from 'xgen-mm';

const { file, prompt, maxTokens, dispose } = workerData;
const model = await loadModel(file, { threads: 1 });
parentPort.postMessage('loaded');
const { tokens } = await model.complete(prompt, { maxTokens });
parentPort.postMessage([...tokens]);
if (dispose) await model.dispose();
