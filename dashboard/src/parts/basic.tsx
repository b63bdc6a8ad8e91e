// Small components that every page uses.
import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { Problem } from '../api';
import { ago, full, upper, withoutErrno } from '../format';
import { connection } from '../live';
import type { Status } from '../types';

/** The current time, updated every second while the page is visible. */
export const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 1000);
document.addEventListener('visibilitychange', () => {
  now.value = Date.now();
});

export function Badge({ status }: { status: Status | string }) {
  return <span class={`badge ${status}`}><i aria-hidden="true" />{status}</span>;
}

export function Ago({ time }: { time: string | null | undefined }) {
  if (!time) return <>–</>;
  return <time dateTime={time} title={full(time)}>{ago(time, now.value)}</time>;
}

export function Copy({ text, label = 'Copy', primary = false }: { text: string | (() => string); label?: string; primary?: boolean }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    const value = typeof text === 'function' ? text() : text;
    try {
      await navigator.clipboard.writeText(value);
    } catch {
      // The clipboard API needs a secure context. Copying a selection does not.
      const area = document.createElement('textarea');
      area.value = value;
      document.body.append(area);
      area.select();
      document.execCommand('copy');
      area.remove();
    }
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return (
    <button type="button" class={primary ? 'primary' : 'quiet'} onClick={() => void copy()}>
      <span aria-live="polite">{done ? 'Copied' : label}</span>
    </button>
  );
}

/** A shell command with a copy button. */
export function Command({ text }: { text: string }) {
  return (
    <div class="command">
      <pre tabIndex={0}><code>{text}</code></pre>
      <Copy text={text} />
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

/** A sentence of the server, with the text between backticks as code. */
export function Sentence({ text }: { text: string }) {
  return <>{text.split('`').map((part, index) => (index % 2 ? <code>{part}</code> : part))}</>;
}

export function Trouble({ error, retry }: { error: unknown; retry?: () => void }) {
  if (!error) return null;
  // The frame says once that the server is away, and the page loads again when it is back.
  if (error instanceof Problem && error.status === 0 && connection.value === 'lost') return null;
  const sentence = withoutErrno(error instanceof Error ? error.message : String(error));
  return (
    <div class="trouble" role="alert">
      <p><Sentence text={upper(sentence)} />{error instanceof Problem && error.retryAfter ? `${/[.!?]$/.test(sentence) ? '' : '.'} Try again in ${error.retryAfter} s.` : ''}</p>
      {retry && <button type="button" class="quiet" onClick={retry}>Try again</button>}
    </div>
  );
}

export function Loading() {
  return <p class="loading" role="status">Loading…</p>;
}

export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return <div class="fact"><dt>{name}</dt><dd>{children}</dd></div>;
}

/** A confirmation dialog for an action that cannot be undone. */
export function Confirm(props: {
  title: string;
  action: string;
  children: ComponentChildren;
  onClose: () => void;
  onConfirm: () => Promise<void>;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const confirm = async () => {
    setBusy(true);
    try {
      await props.onConfirm();
      props.onClose();
    } catch (error) {
      setError(error);
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby="confirm-title" onClose={props.onClose}>
      <h2 id="confirm-title">{props.title}</h2>
      <div class="dialog-text">{props.children}</div>
      <Trouble error={error} />
      <div class="actions end">
        <button type="button" autoFocus onClick={() => dialog.current?.close()}>Cancel</button>
        <button type="button" class="danger solid" disabled={busy} onClick={() => void confirm()}>{props.action}</button>
      </div>
    </dialog>
  );
}

/** A choice between a few options, shown as buttons. */
export function Choice<T extends string>(props: { label: string; value: T; options: readonly (readonly [T, string])[]; onChange: (value: T) => void }) {
  return (
    <div class="choice" role="group" aria-label={props.label}>
      {props.options.map(([value, label]) => (
        <button type="button" aria-pressed={value === props.value} onClick={() => props.onChange(value)}>{label}</button>
      ))}
    </div>
  );
}
