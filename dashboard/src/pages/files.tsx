import { useEffect, useState } from 'preact/hooks';
import { Problem, call, download, id } from '../api';
import { bytes } from '../format';
import { Ago, Empty, Loading, Trouble } from '../parts/basic';
import { useGet } from '../parts/use';
import { route, setQuery } from '../route';
import type { Directory, FileEntry } from '../types';

/** A longer file is for an editor. */
const MAX_SHOWN = 512 * 1024;

const address = (sessionId: string, path: string[]) => `/session/${id(sessionId)}/files${path.map((part) => `/${id(part)}`).join('')}`;

export function Files({ sessionId, busy }: { sessionId: string; busy: boolean }) {
  const where = route.value.query.get('path') ?? '';
  const path = where.split('/').filter(Boolean);
  const file = route.value.query.get('file');
  const directory = useGet<Directory>(address(sessionId, path), busy);
  const [failure, setFailure] = useState<unknown>(null);
  const open = (parts: string[]) => setQuery({ path: parts.join('/'), file: '' });
  const absent = directory.error instanceof Problem && directory.error.isAbsent;

  if (absent) return <Empty title="This server does not show files"><p>A newer one lists them here.</p></Empty>;
  return (
    <section aria-label="Files" class="files">
      <div class="toolbar">
        <nav class="path" aria-label="Path">
          <button type="button" class="link" onClick={() => open([])}>workspace</button>
          {path.map((part, index) => <> / <button type="button" class="link" onClick={() => open(path.slice(0, index + 1))}>{part}</button></>)}
        </nav>
        <button type="button" class="quiet" onClick={directory.reload}>Refresh</button>
        <button type="button" class="quiet" onClick={() => download(`${address(sessionId, [])}?format=tar`, `${sessionId.replace(/[^\w.-]+/g, '_')}.tar`).catch(setFailure)}>Download all</button>
      </div>
      <Trouble error={failure} />
      {directory.error ? <Trouble error={directory.error} retry={directory.reload} /> : null}
      {file ? <FileView key={file} sessionId={sessionId} path={[...path, file]} /> : directory.value ? <Listing directory={directory.value} open={open} path={path} /> : !directory.error && <Loading />}
    </section>
  );
}

function Listing({ directory, open, path }: { directory: Directory; open: (parts: string[]) => void; path: string[] }) {
  const entries = [...directory.entries].sort((a, b) => Number(b.type === 'directory') - Number(a.type === 'directory') || a.name.localeCompare(b.name));
  if (!entries.length) return <Empty title="Nothing is here"><p>What the agent writes into its workspace is listed here.</p></Empty>;
  return (
    <>
      {directory.truncated && <p class="hint">Only the first {entries.length} are listed.</p>}
      <table class="list">
        <caption class="hidden">Files in /{directory.path}</caption>
        <thead><tr><th scope="col">Name</th><th scope="col" class="number">Size</th><th scope="col" class="number">Changed</th></tr></thead>
        <tbody>
          {entries.map((entry) => (
            <tr key={entry.name}>
              <td class="title"><Name entry={entry} open={open} path={path} /></td>
              <td class="number" data-label="Size">{entry.type === 'file' ? bytes(entry.size) : <span class="none">–</span>}</td>
              <td class="number" data-label="Changed"><Ago time={entry.modified} /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

function Name({ entry, open, path }: { entry: FileEntry; open: (parts: string[]) => void; path: string[] }) {
  switch (entry.type) {
    case 'directory':
      return <button type="button" class="link" data-row onClick={() => open([...path, entry.name])}>{entry.name}/</button>;
    case 'file':
      return <button type="button" class="link" data-row onClick={() => setQuery({ file: entry.name })}>{entry.name}</button>;
    case 'symlink':
      return <span>{entry.name} <span class="hint">→ {entry.target ?? 'somewhere'} (a link; it is not followed)</span></span>;
    case 'other':
      return <span>{entry.name} <span class="hint">(no ordinary file)</span></span>;
  }
}

type Content = { text: string; cut: boolean } | { binary: number };

function FileView({ sessionId, path }: { sessionId: string; path: string[] }) {
  const [content, setContent] = useState<Content | null>(null);
  const [error, setError] = useState<unknown>(null);
  const name = path.at(-1) ?? '';
  useEffect(() => {
    const stop = new AbortController();
    read(address(sessionId, path), stop.signal).then(setContent, (error: unknown) => {
      if (!stop.signal.aborted) setError(error);
    });
    return () => stop.abort();
  }, [sessionId, path.join('/')]);
  return (
    <article class="file" aria-label={name}>
      <div class="toolbar">
        <h2>{name}</h2>
        <button type="button" onClick={() => download(address(sessionId, path), name).catch(setError)}>Download</button>
        <button type="button" class="quiet" onClick={() => setQuery({ file: '' })}>Close</button>
      </div>
      <Trouble error={error} />
      {!content ? !error && <Loading /> : 'binary' in content
        ? <Empty title="No text"><p>{bytes(content.binary)} that are not text. Download it to look at it.</p></Empty>
        : <>{content.cut && <p class="hint">The first {bytes(MAX_SHOWN)}.</p>}<pre class="code file-text" tabIndex={0}>{content.text}</pre></>}
    </article>
  );
}

/** The beginning of a file, as text where it is one. Never as what the agent says that it is. */
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
    // `stream`: the cut may go through a character.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(all, { stream: !ended });
    if (!text.includes('\0')) return { text, cut: !ended };
  } catch {
    // no text
  }
  return { binary: Number(answer.headers.get('content-length')) || size };
}
