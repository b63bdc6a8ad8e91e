// The route is the fragment of the address, so that a reload, a bookmark and the back button work.
import { computed, signal } from '@preact/signals';

const hash = signal(location.hash);
for (const change of ['hashchange', 'popstate']) {
  addEventListener(change, () => {
    hash.value = location.hash;
  });
}

/** The decoded parts of the path, as in `['tasks', ID]`, and the query. */
export const route = computed(() => {
  const [path = '', query = ''] = hash.value.replace(/^#\/?/, '').split('?');
  const parts = path.split('/').filter(Boolean).map(decoded);
  return { parts, query: new URLSearchParams(query) };
});

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function href(...parts: string[]): string {
  return `#/${parts.map(encodeURIComponent).join('/')}`;
}

export function go(...parts: string[]): void {
  location.hash = href(...parts);
}

/** The address of a task in its session, and of a step of it. */
export function taskAddress(sessionId: string, taskId: string, step = 0): string {
  return `${href('sessions', sessionId)}?${new URLSearchParams({ task: taskId, ...(step && { step: String(step) }) })}`;
}

/** Replaces the address without a step in the history. */
export function replace(address: string): void {
  history.replaceState(null, '', address);
  hash.value = location.hash;
}

/** Changes the query. `isStep` adds a step to the history, for navigation; a filter adds none. */
export function setQuery(changes: Record<string, string>, isStep = false): void {
  const { parts, query } = route.peek();
  const next = new URLSearchParams(query);
  for (const [name, value] of Object.entries(changes)) {
    if (value) next.set(name, value);
    else next.delete(name);
  }
  const text = next.toString();
  const address = `${href(...parts)}${text ? `?${text}` : ''}`;
  if (isStep) history.pushState(null, '', address);
  else history.replaceState(null, '', address);
  hash.value = location.hash;
}
