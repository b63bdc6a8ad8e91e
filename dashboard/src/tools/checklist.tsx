// The agent's plan as a checklist, from the calls that made and changed it.
import { fields } from '../notices';
import type { Tool } from '../transcript';
import { text } from './describe';

export interface Item {
  id: string;
  title: string;
  state: 'open' | 'doing' | 'done';
}

/** The items after these calls. `TodoWrite` replaces the list; `TaskCreate` and `TaskUpdate` change one item of it. */
export function itemsOf(calls: readonly Tool[]): Item[] {
  let items: Item[] = [];
  for (const { tool, input, result, isError } of calls) {
    const given = fields(input);
    if (tool === 'TodoWrite' && !isError && Array.isArray(given['todos'])) {
      items = given['todos'].map(fields).map((todo, index) => ({ id: String(todo['id'] ?? index + 1), title: text(todo['content']), state: stateOf(todo['status']) }));
    } else if (tool === 'TaskCreate' && !isError) {
      const id = /#(\d+)/.exec(result ?? '')?.[1] ?? `new-${items.length + 1}`;
      items = [...items, { id, title: text(given['subject']), state: 'open' }];
    } else if (tool === 'TaskUpdate' && !isError) {
      const id = String(given['taskId'] ?? '');
      items = given['status'] === 'deleted'
        ? items.filter((item) => item.id !== id)
        : items.map((item) => (item.id === id ? { ...item, title: text(given['subject']) || item.title, state: given['status'] ? stateOf(given['status']) : item.state } : item));
    }
  }
  return items;
}

function stateOf(status: unknown): Item['state'] {
  return status === 'completed' ? 'done' : status === 'in_progress' ? 'doing' : 'open';
}

const STATES = { open: 'open', doing: 'in progress', done: 'done' } as const;

export function Checklist({ items }: { items: Item[] }) {
  return (
    <ul class="checklist">
      {items.map(({ id, title, state }) => (
        <li key={id} class={state}><i aria-hidden="true" /><span class="hidden">{STATES[state]}: </span><span>{title}</span></li>
      ))}
    </ul>
  );
}
