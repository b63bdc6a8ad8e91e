// An HTTP server that receives webhooks and answers them as a test configures.
import { createServer } from 'node:http';

export class Receiver {
  static async start() {
    const receiver = new Receiver();
    receiver.replies = [];
    receiver.received = [];
    receiver.server = createServer(async (request, response) => {
      let body = '';
      for await (const piece of request) body += piece;
      receiver.received.push(JSON.parse(body));
      response.writeHead(receiver.replies.shift() ?? 200).end();
    });
    await new Promise((done) => receiver.server.listen(0, '127.0.0.1', done));
    receiver.origin = `http://127.0.0.1:${receiver.server.address().port}`;
    return receiver;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }
}
