import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An HTTP server on this machine, with an answer per path. */
export class PictureServer {
  /** What was asked for, in order. */
  readonly requests: IncomingMessage[] = [];
  readonly #server: Server;

  private constructor(answers: Record<string, RequestListener>) {
    this.#server = createServer((request, response) => {
      this.requests.push(request);
      const answer = answers[request.url ?? ''];
      if (answer === undefined) response.writeHead(404).end('not here');
      else answer(request, response);
    });
  }

  static async start(answers: Record<string, RequestListener>): Promise<PictureServer> {
    const server = new PictureServer(answers);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  url(path: string, host = '127.0.0.1'): URL {
    return new URL(path, `http://${host}:${(this.#server.address() as AddressInfo).port}`);
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
