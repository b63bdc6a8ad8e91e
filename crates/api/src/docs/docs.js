// Shows /openapi.json and /asyncapi.json. All content is inserted as text, never as markup.

/** The name under which the dashboard stores the key. */
const KEY = 'claude-runner.key';
const METHODS = ['get', 'post', 'put', 'delete'];
/** Schemas that exist for generated clients. They have no card, because the cards of their messages describe them. */
const UNIONS = ['Event', 'Change'];
const content = document.getElementById('content');
const index = document.getElementById('index');
const filter = document.getElementById('filter');

/** `h('p.soft', {id: 'x'}, 'text', node, null)` */
function h(name, attributes, ...children) {
  const [tag, ...classes] = name.split('.');
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(' ');
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (typeof value === 'function') node.addEventListener(key, value);
    else if (value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** Converts the text between backticks to code. */
const prose = (text = '') => text.split('`').map((part, i) => (i % 2 ? h('code', null, part) : part));
const pretty = (value) => JSON.stringify(value, null, 2);
const last = (reference) => reference.slice(reference.lastIndexOf('/') + 1);

let api;
let stream;

/** Resolves a `$ref` of a document. */
function resolved(document, value) {
  let found = value;
  while (found?.$ref) found = found.$ref.slice(2).split('/').reduce((part, name) => part[name], document);
  return found;
}

// Schemas

/** A short form of a schema. A reference is a link to the schema's card. */
function typeOf(schema, prefix) {
  if (schema === true || !Object.keys(schema).length) return ['any'];
  if (schema.$ref) return [h('a', { href: `#${prefix}${last(schema.$ref)}` }, last(schema.$ref))];
  if ('const' in schema) return [JSON.stringify(schema.const)];
  if (schema.enum) return [schema.enum.map((value) => JSON.stringify(value)).join(' | ')];
  const several = schema.oneOf ?? schema.anyOf;
  if (several) return several.flatMap((one, i) => [i ? ' | ' : null, ...typeOf(one, prefix)]);
  const types = [schema.type ?? (schema.properties || schema.required ? 'object' : 'any')].flat();
  return types.flatMap((type, i) => {
    const before = i ? ' | ' : null;
    if (type !== 'array') return [before, schema.format && type === 'string' ? `${type} (${schema.format})` : type];
    const items = schema.items ?? {};
    return [before, 'array of ', ...(items.properties ? ['objects'] : typeOf(items, prefix))];
  });
}

function bounds(schema) {
  const words = [
    schema.default !== undefined && `default ${JSON.stringify(schema.default)}`,
    schema.minimum > 1 && `from ${schema.minimum}`,
    schema.exclusiveMinimum !== undefined && `above ${schema.exclusiveMinimum}`,
    schema.maximum !== undefined && schema.maximum < Number.MAX_SAFE_INTEGER && `up to ${schema.maximum}`,
    schema.maxLength !== undefined && `at most ${schema.maxLength} characters`,
  ];
  return words.filter(Boolean).join(', ');
}

/** The list of an object's members, and of the objects in them. */
function members(schema, prefix) {
  const inner = schema.type === 'array' ? schema.items ?? {} : schema;
  const alternatives = (inner.oneOf ?? inner.anyOf ?? []).filter((one) => one.properties);
  if (!inner.properties) return alternatives.length ? alternatives.map((one) => members(one, prefix)) : null;
  return h('ul.schema', null, Object.entries(inner.properties).map(([name, member]) => row(name, member, inner.required?.includes(name), prefix)));
}

function row(name, schema, required, prefix, place) {
  const more = [schema.description, bounds(schema)].filter(Boolean).join('; ');
  return h('li', null,
    h('code.name', null, name),
    h('span.type', null, place ? `${place}, ` : null, typeOf(schema, prefix)),
    required ? h('span.must', null, 'required') : null,
    more ? h('span.text', null, prose(more)) : null,
    schema.$ref ? null : members(schema, prefix));
}

// Blocks to copy

function block(text) {
  const pre = h('pre', { tabindex: '0' }, text);
  const button = h('button', { type: 'button', click: copy }, 'Copy');
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
    } catch {
      // The clipboard API needs a secure context. Select the text instead, so that the reader can copy it.
      getSelection().selectAllChildren(pre);
      button.textContent = 'Selected';
    }
    setTimeout(() => (button.textContent = 'Copy'), 1500);
  }
  return h('div.block', null, button, pre);
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** A curl command for this call, with example values. */
function curl(method, path, operation) {
  const example = (schema) => resolved(api, schema)?.examples?.[0];
  const parts = { '/task/': example({ $ref: '#/components/schemas/Task' })?.taskId, '/session/': 'user-123', '/stream/': 'user-123', '/webhooks/': 'msg_…', '/docs/': 'docs.js' };
  const [, id] = Object.entries(parts).find(([start]) => path.startsWith(start)) ?? [];
  const url = location.origin + path.replace(/\{(id|file)\}/, id ?? 'FILE').replace('{path}', 'AGENTS.md');
  const body = operation.requestBody && (example(operation.requestBody.content['application/json'].schema) ?? firstOf(operation.requestBody));
  return [
    'curl', method === 'get' ? null : `-X ${method.toUpperCase()}`, quoted(url),
    operation.security?.length === 0 || !storedKey() ? null : '-H "Authorization: Bearer $CLAUDE_RUNNER_KEY"',
    body ? "-H 'Content-Type: application/json'" : null,
    body ? `-d ${quoted(JSON.stringify(body))}` : null,
  ].filter(Boolean).join(' \\\n  ').replace(/^curl \\\n  /, 'curl ');
}

/** The first example among the alternatives of a body. */
function firstOf(body) {
  const schema = resolved(api, body.content['application/json'].schema);
  return (schema.oneOf ?? []).map((one) => resolved(api, one).examples?.[0]).find(Boolean);
}

// Calls

function response(status, answer) {
  const entries = Object.entries(answer.content ?? {});
  const [kind, { schema } = {}] = entries[0] ?? [];
  const list = schema?.type === 'array' ? schema.items : schema;
  const example = list && resolved(api, list).examples?.[0];
  return h('div.answer', null,
    h('p', null,
      h(status < 400 ? 'span.status.good' : 'span.status.bad', null, status),
      h('span', null, prose(answer.description)),
      kind ? h('span.type', null, entries.map(([name]) => name).join(', '), kind.includes('json') ? [': ', ...typeOf(schema, 'schema-')] : null) : null),
    schema && !schema.$ref ? members(schema, 'schema-') : null,
    example ? h('details', null, h('summary', null, 'A real answer'), block(pretty(schema.type === 'array' ? [example] : example))) : null);
}

function call(path, method, operation) {
  const word = path.startsWith('/stream/') ? 'WS' : method.toUpperCase();
  const parameters = (operation.parameters ?? []).map((one) => resolved(api, one));
  const body = operation.requestBody && resolved(api, operation.requestBody);
  const answers = Object.entries(operation.responses).map(([status, answer]) => [Number(status), resolved(api, answer)]);
  const errors = answers.filter(([status]) => status >= 400);
  return h('article', { id: operation.operationId, 'data-words': `${word} ${path} ${operation.operationId} ${operation.summary}`.toLowerCase() },
    h('h3', null, h(`span.method.${word}`, null, word), h('a', { href: `#${operation.operationId}` }, path)),
    h('p', null, prose(operation.summary)),
    operation.description ? h('p.text', null, prose(operation.description)) : null,
    parameters.length ? h('section', null, h('h4', null, 'Parameters'),
      h('ul.schema', null, parameters.map((one) => row(one.name, { ...one.schema, description: one.description }, one.required, 'schema-', one.in)))) : null,
    body ? h('section', null, h('h4', null, body.required ? 'Body' : 'Body, if any'),
      h('p.type', null, typeOf(body.content['application/json'].schema, 'schema-'))) : null,
    h('section', null, h('h4', null, 'Try it'), block(curl(method, path, operation))),
    h('section', null, h('h4', null, 'Answers'), answers.filter(([status]) => status < 400).map(([status, answer]) => response(status, answer))),
    errors.length ? h('details', null, h('summary', null, `Errors: ${errors.map(([status]) => status).join(', ')}`),
      h('ul', null, errors.map(([status, answer]) => h('li', null, h('span.status.bad', null, status), ' ', prose(answer.description))))) : null);
}

function schemaCard(name, schema, prefix) {
  return h('article', { id: prefix + name, 'data-words': `${name} ${schema.description ?? ''}`.toLowerCase() },
    h('h3', null, h('a', { href: `#${prefix}${name}` }, name)),
    schema.description ? h('p', null, prose(schema.description)) : null,
    h('section', null, members(schema, prefix) ?? h('p.type', null, typeOf(schema, prefix))),
    schema.examples ? block(pretty(schema.examples[0])) : null);
}

function eventCard(message, prefix) {
  const schema = resolved(stream, message.payload);
  return h('article', { id: prefix + message.name, 'data-words': `${message.name} ${schema.description}`.toLowerCase() },
    h('h3', null, h('a', { href: `#${prefix}${message.name}` }, message.name)),
    h('p', null, prose(schema.description)),
    h('section', null, members(schema, 'stream-')),
    message.examples ? block(JSON.stringify(message.examples[0].payload)) : null);
}

/** A group of cards with its section of the index. */
function group(title, id, links, ...nodes) {
  index.append(h('h2', null, title), h('ul', null, links.map(([href, label]) =>
    h('li', null, h('a', { href, 'data-for': href.slice(1) }, label)))));
  content.append(h('h2', { id }, title), ...nodes.flat());
}

/** Address and description of a channel. */
const about = (channel) => [h('code', null, channel.address), ' ', ...prose(channel.description)];

/** The messages of a channel, after introductory paragraphs. */
function streams(title, prefix, channel, ...paragraphs) {
  const messages = Object.values(channel.messages).map((message) => resolved(stream, message));
  group(title, `${prefix}s`, messages.map(({ name }) => [`#${prefix}-${name}`, name]),
    paragraphs.map((paragraph) => h('p.about', null, paragraph)), messages.map((message) => eventCard(message, `${prefix}-`)));
}

function show() {
  content.replaceChildren();
  index.replaceChildren();
  content.append(h('h1', null, `${api.info.title} API`), h('p.about', null, prose(api.info.description)),
    h('p.about', null, prose('All of this is in `/openapi.json` and `/asyncapi.json`, for programs.')));
  const calls = Object.entries(api.paths).flatMap(([path, item]) => METHODS.filter((method) => item[method]).map((method) => [path, method, item[method]]));
  group('Calls', 'calls', calls.map(([path, method, { operationId }]) => {
    const word = path.startsWith('/stream/') ? 'WS' : method.toUpperCase();
    return [`#${operationId}`, [h(`span.method.${word}`, null, word), h('span', null, path)]];
  }), calls.map(([path, method, operation]) => call(path, method, operation)));
  const { watch, ...followed } = stream.channels;
  streams('Events', 'event', followed.stream, prose(stream.info.description), ...Object.values(followed).map(about));
  streams('Changes', 'change', watch, about(watch));
  const events = new Set(Object.values(stream.components.messages).map(({ payload }) => last(payload.$ref)));
  const schemas = Object.entries(api.components.schemas);
  group('Schemas', 'schemas', schemas.map(([name]) => [`#schema-${name}`, name]), schemas.map(([name, schema]) => schemaCard(name, schema, 'schema-')));
  const own = Object.entries(stream.components.schemas).filter(([name]) => !events.has(name) && !UNIONS.includes(name));
  group('Schemas of events', 'stream-schemas', own.map(([name]) => [`#stream-${name}`, name]), own.map(([name, schema]) => schemaCard(name, schema, 'stream-')));
  narrow();
  document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

function narrow() {
  const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const card of content.querySelectorAll('article')) {
    const fits = wanted.every((word) => card.dataset.words.includes(word));
    card.hidden = !fits;
    const link = index.querySelector(`[data-for="${CSS.escape(card.id)}"]`);
    if (link) link.parentElement.hidden = !fits;
  }
}

// The documents

const storedKey = () => sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY);

async function load(key = storedKey()) {
  const read = async (path) => {
    const answer = await fetch(path, { headers: key ? { authorization: `Bearer ${key}` } : {} });
    if (!answer.ok) throw Object.assign(new Error((await answer.json().catch(() => ({}))).error ?? `the server answered ${answer.status}`), { status: answer.status });
    return answer.json();
  };
  try {
    [api, stream] = await Promise.all(['/openapi.json', '/asyncapi.json'].map(read));
    if (key && key !== storedKey()) sessionStorage.setItem(KEY, key);
    show();
  } catch (error) {
    if (error.status === 401) ask(key ? 'That key is not valid.' : '');
    else content.replaceChildren(h('p.trouble', { role: 'alert' }, error.message), h('button', { type: 'button', click: () => load() }, 'Try again'));
  }
}

/** Asks for an API key, because this server shows its documents to holders of keys only. */
function ask(trouble) {
  const input = h('input', { type: 'password', name: 'key', autocomplete: 'off', required: '', 'aria-describedby': 'trouble' });
  const submit = (event) => {
    event.preventDefault();
    load(input.value.trim());
  };
  content.replaceChildren(h('h1', null, 'API'), h('p.about', null, 'This server asks for an API key. It is kept for this tab only.'),
    h('form', { submit }, h('label', null, 'API key', input), h('button', null, 'Show the API'), h('p.trouble', { id: 'trouble', role: 'alert' }, trouble)));
  input.focus();
}

filter.addEventListener('input', narrow);
addEventListener('keydown', (event) => {
  if (event.key === '/' && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    filter.focus();
  } else if (event.key === 'Escape' && document.activeElement === filter) {
    filter.value = '';
    narrow();
  }
});
load();
