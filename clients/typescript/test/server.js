// The server that all tests of a file share.
import { after, before } from 'node:test';
import { Server } from '../../../tests/browser/server.js';

export const KEY = '0123456789abcdef0123456789abcdef';

/** Starts a server before the tests and stops it after them. */
export function withServer(env = {}) {
  const holder = {};
  before(async () => {
    holder.server = await Server.start({ API_KEYS: KEY, ...env });
  });
  after(() => holder.server?.stop());
  return holder;
}

/** Returns all stored events of a session. */
export async function exported(server, session) {
  const answer = await fetch(`${server.url}/session/${session}/events`, {
    headers: { accept: 'application/x-ndjson', authorization: `Bearer ${KEY}` },
  });
  return (await answer.text()).trim().split('\n').map((line) => JSON.parse(line));
}
