// A session's files. The agent chose their names and contents, so every character of a name is made visible, and a file is shown
// as text or not at all.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { Problem, call, download, id } from '../api';
import { bytes, count, plainName } from '../format';
import { Ago, Empty, Loading, Trouble } from '../parts/basic';
import { useGet } from '../parts/use';
import { route, setQuery } from '../route';
import { useHighlight } from '../tools/highlight';
import type { Directory, FileEntry } from '../types';

/** The maximum number of bytes shown of a file. */
const MAX_SHOWN = 512 * 1024;
/** The number of rows shown at first. */
const ROWS = 300;
/** A directory with more entries has a filter. */
const MANY = 30;

const address = (sessionId: string, path: string[]) => `/session/${id(sessionId)}/files${path.map((part) => `/${id(part)}`).join('')}`;

export function Files({ sessionId, busy }: { sessionId: string; busy: boolean }) {
  const where = route.value.query.get('path') ?? '';
  // No entry has these names, and in an address they would change the path.
  const isName = (part: string) => part !== '' && part !== '.' && part !== '..';
  const path = where.split('/').filter(isName);
  const file = [route.value.query.get('file') ?? ''].find(isName);
  // A file is shown without the list of its directory.
  const directory = useGet<Directory>(file ? null : address(sessionId, path), busy);
  const [failure, setFailure] = useState<unknown>(null);
  const open = (parts: string[]) => setQuery({ path: parts.join('/'), file: '' }, true);
  const save = () => download(`${address(sessionId, path)}?format=tar`, `${safeName(path.at(-1) ?? sessionId)}.tar`).catch(setFailure);
  useEffect(() => setFailure(null), [where, file]);

  return (
    <section aria-label="Files" class="files">
      <div class="toolbar">
        <nav class="path" aria-label="Path">
          {['workspace', ...path, ...(file ? [file] : [])].map((part, index, all) => (
            <span key={index}>
              {index > 0 && <span aria-hidden="true"> / </span>}
              {index === all.length - 1 ? <b aria-current="true"><bdi>{plainName(part)}</bdi></b>
                : <button type="button" class="link" onClick={() => open(path.slice(0, index))}><bdi>{plainName(part)}</bdi></button>}
            </span>
          ))}
        </nav>
        {!file && <button type="button" class="quiet" onClick={directory.reload}>Refresh</button>}
        {!file && <button type="button" class="quiet" onClick={() => void save()}>Download {path.length ? 'folder' : 'all'}</button>}
      </div>
      <Trouble error={failure} />
      {file ? <FileView key={file} sessionId={sessionId} path={[...path, file]} />
        : directory.error ? <Unavailable error={directory.error} retry={directory.reload} path={path} open={open} />
          : directory.value ? <Listing key={where} directory={directory.value} open={open} path={path} /> : <Loading />}
    </section>
  );
}

/** The error of a path, with a button that leads back to its folder. */
function Unavailable({ error, retry, path, open }: { error: unknown; retry: () => void; path: string[]; open: (parts: string[]) => void }) {
  const code = error instanceof Problem ? error.code : '';
  const back = <button type="button" onClick={() => open(path.slice(0, -1))}>Back to the folder</button>;
  if (code === 'file_not_found') return <Empty title="This file no longer exists"><p>It was deleted or renamed, or its name contains bytes that are not UTF-8.</p>{back}</Empty>;
  if (error instanceof Problem && error.status === 400) return <Empty title="This path cannot be opened"><p>{error.message.replace(/^path: /, '')}</p>{back}</Empty>;
  return <Trouble error={error} retry={retry} />;
}

function Listing({ directory, open, path }: { directory: Directory; open: (parts: string[]) => void; path: string[] }) {
  const [rows, setRows] = useState(ROWS);
  const [wanted, setWanted] = useState('');
  const order = useMemo(() => {
    const { compare } = new Intl.Collator(undefined, { numeric: true });
    return [...directory.entries].sort((a, b) => Number(b.type === 'directory') - Number(a.type === 'directory') || compare(a.name, b.name));
  }, [directory]);
  const all = order.length;
  if (!all) {
    return path.length
      ? <Empty title="This folder is empty"><button type="button" onClick={() => open(path.slice(0, -1))}>Back</button></Empty>
      : <Empty title="No files yet"><p>Files that the agent writes into its workspace are listed here.</p></Empty>;
  }
  const shown = wanted ? order.filter(({ name }) => name.toLowerCase().includes(wanted.toLowerCase())) : order;
  return (
    <>
      {(all > MANY || directory.truncated) && (
        <div class="toolbar">
          <input type="search" data-search aria-label="Filter" placeholder="Filter" value={wanted} onInput={(event) => { setWanted(event.currentTarget.value); setRows(ROWS); }} />
          <span class="hint">{wanted ? `${count(shown.length)} of ${count(all)}` : count(all)} entries{directory.truncated && '; the list is incomplete, the download has all files'}</span>
        </div>
      )}
      {!shown.length ? <Empty title="No match"><button type="button" onClick={() => setWanted('')}>Show all</button></Empty> : (
        <table class="list">
          <caption class="hidden">Files in /<bdi>{plainName(directory.path)}</bdi></caption>
          <thead><tr><th scope="col">Name</th><th scope="col" class="number">Size</th><th scope="col" class="number">Changed</th></tr></thead>
          <tbody>
            {shown.slice(0, rows).map((entry) => (
              <tr key={entry.name}>
                <td class="title"><Name entry={entry} open={open} path={path} /></td>
                <td class="number" data-label="Size">{entry.type === 'file' ? bytes(entry.size) : <span class="none">–</span>}</td>
                <td class="number" data-label="Changed"><Ago time={entry.modified} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {shown.length > rows && <button type="button" class="more" onClick={() => setRows(rows + 5 * ROWS)}>Show more</button>}
    </>
  );
}

function Name({ entry: { name, type, target }, open, path }: { entry: FileEntry; open: (parts: string[]) => void; path: string[] }) {
  const shown = plainName(name);
  // The name is one element, so that CSS can shorten it; the title has the whole name.
  const text = <bdi>{shown}</bdi>;
  switch (type) {
    case 'directory':
      return <button type="button" class="link entry" title={shown} data-row onClick={() => open([...path, name])}>{text}/</button>;
    case 'file':
      return <button type="button" class="link entry" title={shown} data-row onClick={() => setQuery({ file: name }, true)}>{text}</button>;
    case 'symlink':
      return <span title={shown}>{text} <span class="hint">→ <bdi>{plainName(target ?? 'unknown')}</bdi>, a link, not followed</span></span>;
    case 'other':
      return <span title={shown}>{text} <span class="hint">a device, pipe or socket</span></span>;
  }
}

type Content = { text: string; cut: boolean } | { binary: number };

function FileView({ sessionId, path }: { sessionId: string; path: string[] }) {
  const [content, setContent] = useState<Content | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [failure, setFailure] = useState<unknown>(null);
  const [round, setRound] = useState(0);
  const name = path.at(-1) ?? '';
  const open = (parts: string[]) => setQuery({ path: parts.join('/'), file: '' }, true);
  useEffect(() => {
    const stop = new AbortController();
    setError(null);
    read(address(sessionId, path), stop.signal).then(setContent, (error: unknown) => {
      if (!stop.signal.aborted) setError(error);
    });
    return () => stop.abort();
  }, [sessionId, path.join('/'), round]);
  if (error) return <Unavailable error={error} retry={() => setRound(round + 1)} path={path} open={open} />;
  return (
    <article class="file" aria-label={plainName(name)}>
      <div class="actions">
        <button type="button" onClick={() => download(address(sessionId, path), safeName(name)).catch(setFailure)}>Download</button>
        <button type="button" class="quiet" onClick={() => open(path.slice(0, -1))}>Close</button>
      </div>
      <Trouble error={failure} />
      {!content ? <Loading /> : 'binary' in content
        ? <Empty title="This file is not text"><p>{bytes(content.binary)}. Download it to open it in another program.</p></Empty>
        : content.text === '' ? <Empty title="This file is empty" />
          : <>{content.cut && <p class="hint">The first {bytes(MAX_SHOWN)}; the download has the whole file.</p>}<FileText name={name} content={content.text} /></>}
    </article>
  );
}

function FileText({ name, content }: { name: string; content: string }) {
  const lines = useHighlight(content, name);
  return <pre class="code file-text" tabIndex={0}>{lines.map((spans, index) => <>{index > 0 && '\n'}{spans.map(({ text, style }) => (style ? <span class={style}>{text}</span> : text))}</>)}</pre>;
}

/** A file name for the reader's machine, without invisible characters and separators. */
function safeName(name: string): string {
  return plainName(name).replace(/[/\\:*?"<>|\u2039\u203a\u2400-\u241f]/g, '_').slice(0, 200);
}

/** Reads the beginning of a file and decodes it if it is text. The file's name does not affect this. */
async function read(path: string, signal: AbortSignal): Promise<Content> {
  const answer = await call(path, { accept: '*/*', signal });
  const reader = answer.body!.getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  let ended = false;
  while (size <= MAX_SHOWN) {
    const { value, done } = await reader.read();
    if (done) {
      ended = true;
      break;
    }
    parts.push(value);
    size += value.length;
  }
  if (!ended) await reader.cancel();
  const all = new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer()).subarray(0, MAX_SHOWN);
  try {
    // `stream` accepts a partial character at the cut.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(all, { stream: !ended });
    if (!text.includes('\0')) return { text, cut: !ended };
  } catch {
    // The file is not UTF-8.
  }
  return { binary: Number(answer.headers.get('content-length')) || size };
}
