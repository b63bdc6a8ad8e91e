import { createServer } from 'node:http';
import { needsRefresh } from './token.js';

export function serve(port, token) {
  return createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ path: request.url, refresh: needsRefresh(token, Date.now() / 1000) }));
  }).listen(port);
}
