// The frame around every page.
import { signal, useComputed } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { key, signOut } from '../api';
import { upper } from '../format';
import { connection, returns, stopWatching, trouble } from '../live';
import { href, route } from '../route';
import { ModelBanner } from './model-banner';

const PAGES = [
  ['', 'Overview'],
  ['usage', 'Usage'],
  ['health', 'Health'],
  ['webhooks', 'Webhooks'],
] as const;

type Theme = 'auto' | 'light' | 'dark';
const THEME = 'claude-runner.theme';
const theme = signal<Theme>((localStorage.getItem(THEME) as Theme | null) ?? 'auto');

export function applyTheme(): void {
  document.documentElement.dataset['theme'] = theme.value;
  if (theme.value === 'auto') localStorage.removeItem(THEME);
  else localStorage.setItem(THEME, theme.value);
}

export function Shell({ children }: { children: ComponentChildren }) {
  const here = useComputed(() => route.value.parts[0] ?? '');
  const [help, setHelp] = useState(false);
  useShortcuts(() => setHelp(true));
  const active = here.value === 'tasks' || here.value === 'sessions' ? '' : here.value;
  return (
    <>
      <a class="skip" href="#content" onClick={(event) => { event.preventDefault(); document.getElementById('content')?.focus(); }}>Skip to content</a>
      <header class="side">
        <a class="brand" href={href()}><Mark />Claude Runner</a>
        <nav aria-label="Pages">
          {PAGES.map(([path, name]) => <a href={href(path)} aria-current={active === path ? 'page' : undefined}>{name}</a>)}
          <a href="/docs">API</a>
        </nav>
        <div class="side-end">
          <select aria-label="Colours" value={theme.value} onChange={(event) => { theme.value = event.currentTarget.value as Theme; applyTheme(); }}>
            <option value="auto">Auto</option>
            <option value="light">Light</option>
            <option value="dark">Dark</option>
          </select>
          <button type="button" class="quiet shortcuts" onClick={() => setHelp(true)}>Shortcuts</button>
          {key.value && <button type="button" class="quiet" onClick={() => { stopWatching(); signOut(); location.reload(); }}>Sign out</button>}
        </div>
      </header>
      <main id="content" tabIndex={-1}>
        <ConnectionBanner />
        <ModelBanner />
        {children}
      </main>
      {help && <Help onClose={() => setHelp(false)} />}
    </>
  );
}

function Mark() {
  return (
    <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
      <rect width="32" height="32" rx="7" class="mark-ground" />
      <path d="M8 10l6 6-6 6" class="mark-line" />
      <path d="M17 22h7" class="mark-accent" />
    </svg>
  );
}

/** Shows that the connection is lost, and that it is restored. */
function ConnectionBanner() {
  const [back, setBack] = useState(false);
  const count = returns.value;
  useEffect(() => {
    if (!count) return;
    setBack(true);
    const timer = setTimeout(() => setBack(false), 6000);
    return () => clearTimeout(timer);
  }, [count]);
  const lost = connection.value === 'lost';
  return (
    <div class="banners" role="status">
      {lost && <p class="banner warn"><i class="spin" aria-hidden="true" />Connection lost. Reconnecting; agents continue to run.</p>}
      {!lost && back && <p class="banner good">Reconnected. No events were missed.</p>}
      {trouble.value && !lost && <p class="banner warn">{upper(trouble.value.message)}</p>}
    </div>
  );
}

/** Keyboard shortcuts outside of text fields. */
function useShortcuts(onHelp: () => void): void {
  const last = useRef('');
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey || target.closest('input, textarea, select, dialog')) return;
      const chord = last.current + event.key;
      last.current = event.key === 'g' ? 'g' : '';
      const targets: Record<string, string> = { go: '', gu: 'usage', gh: 'health', gw: 'webhooks' };
      if (chord in targets) {
        location.hash = href(targets[chord]!);
      } else if (event.key === '/' || event.key === 'n') {
        const field = document.querySelector<HTMLElement>(event.key === '/' ? '[data-search]' : '[data-composer]');
        if (!field) return;
        event.preventDefault();
        field.focus();
      } else if (event.key === 'j' || event.key === 'k') {
        const rows = [...document.querySelectorAll<HTMLElement>('[data-row]')];
        const at = rows.indexOf(document.activeElement as HTMLElement);
        rows[Math.max(0, Math.min(rows.length - 1, at + (event.key === 'j' ? 1 : -1)))]?.focus();
      } else if (event.key === '?') {
        onHelp();
      }
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, []);
}

const KEYS = [
  ['n', 'Write a message'], ['/', 'Search'], ['j  k', 'Next, previous row or step'], ['g o', 'Overview'], ['g u', 'Usage'],
  ['g h', 'Health'], ['g w', 'Webhooks'], ['Ctrl Enter', 'Send'], ['Esc', 'Stop the running task'], ['?', 'Keyboard shortcuts'],
] as const;

function Help({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby="help-title" onClose={onClose}>
      <h2 id="help-title">Keyboard shortcuts</h2>
      <dl class="keys">
        {KEYS.map(([keys, what]) => <div><dt>{keys.split(' ').filter(Boolean).map((key) => <kbd>{key}</kbd>)}</dt><dd>{what}</dd></div>)}
      </dl>
      <div class="actions end"><button type="button" onClick={() => dialog.current?.close()}>Close</button></div>
    </dialog>
  );
}
