// One model behind HTTP: POST a question as OpenAI's clients write it, pictures as data: URLs; the answer streams back as
// server-sent events. A client that goes away stops its answer.
//
//   node examples/http-server.mjs model.gguf [port]
//   curl -N localhost:8080 -d '{ "content": [{ "type": "text", "text": "Why is the sky blue?" }] }'
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { loadModel } from 'xgen-mm';

const [file, port = '8080'] = process.argv.slice(2);
const BODY_LIMIT = 20 * 2 ** 20;
const STATUS = {
  ...{ ERR_XGENMM_INVALID_ARGUMENT: 400, ERR_XGENMM_IMAGE_DECODE: 400 },
  ...{ ERR_XGENMM_IMAGE_LIMIT: 413, ERR_XGENMM_CONTEXT_OVERFLOW: 413 },
  ...{ ERR_XGENMM_BUSY: 503, ERR_XGENMM_DISPOSED: 503 },
};

const model = await loadModel(file);
const server = createServer(async (request, response) => {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  try {
    if (request.method !== 'POST') return refuse(response, 405, 'Expected a POST request');
    // Node.js holds a client to the length that it has announced; one that announces none is refused.
    const length = Number(request.headers['content-length'] ?? Infinity);
    if (length > BODY_LIMIT) return refuse(response, 413, `Expected at most ${BODY_LIMIT} bytes`);
    const { content } = (await json(request)) ?? {};
    const stream = model.chat().stream([content].flat().map(clean), { maxTokens: 500, signal: gone.signal });
    for await (const text of stream) send(response, { text });
    const { finishReason, usage } = await stream.answer();
    send(response, { finishReason, usage });
    response.end();
  } catch (error) {
    const status = STATUS[error.code] ?? (error instanceof SyntaxError ? 400 : 500);
    if (!response.headersSent) return refuse(response, status, status < 500 ? error.message : error.code);
    send(response, { error: error.code });
    response.end();
  }
});
server.listen(Number(port), 'localhost', () => console.log(`http://localhost:${server.address().port}`));
process.once('SIGTERM', async () => {
  server.close();
  await model.dispose();
});

/** Nothing else of what a client sends gets through: `{ "image": "/some/path" }` would read a file of this machine. */
function clean(part) {
  if (typeof part === 'string') return part;
  if (part?.type === 'text') return { type: 'text', text: part.text };
  return { type: 'image_url', image_url: part?.image_url };
}

function send(response, event) {
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(`data: ${JSON.stringify(event)}\n\n`);
}

function refuse(response, status, error = 'Internal error') {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ error }));
}
