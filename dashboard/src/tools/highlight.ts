// Highlighted code. Until the highlighter is loaded, and for a language that it does not know, code is plain.
import { useEffect, useState } from 'preact/hooks';
import type { Span } from './ansi';

/** Longer code is plain, so that it does not block the page. */
const MAX_CHARS = 60_000;

/** The languages whose name differs from the file's ending. */
const BY_ENDING: Record<string, string> = {
  sh: 'bash', zsh: 'bash', h: 'c', cc: 'cpp', hpp: 'cpp', cs: 'csharp', patch: 'diff', toml: 'ini', conf: 'ini', env: 'ini', js: 'javascript',
  mjs: 'javascript', cjs: 'javascript', jsx: 'javascript', kt: 'kotlin', md: 'markdown', py: 'python', rb: 'ruby', rs: 'rust', ts: 'typescript',
  mts: 'typescript', tsx: 'typescript', html: 'xml', svg: 'xml', vue: 'xml', yml: 'yaml', jsonl: 'json', ndjson: 'json',
};

/** The language of a file's name, or of a fence in Markdown. */
export function languageOf(name: string): string {
  const last = name.toLowerCase().split('/').at(-1) ?? '';
  if (last.startsWith('dockerfile')) return 'dockerfile';
  const ending = last.split('.').at(-1) ?? '';
  return BY_ENDING[ending] ?? ending;
}

/** The lines of `code` as spans. */
export function useHighlight(code: string, name: string): Span[][] {
  const language = languageOf(name);
  const [found, setFound] = useState<{ code: string; lines: Span[][] } | null>(null);
  useEffect(() => {
    if (!language || code.length > MAX_CHARS) return;
    let isCurrent = true;
    // If the module cannot be loaded, the code stays plain.
    import('./grammars').then(({ highlight }) => {
      const lines = highlight(code, language);
      if (isCurrent && lines) setFound({ code, lines });
    }, () => {});
    return () => { isCurrent = false; };
  }, [code, language]);
  return found?.code === code ? found.lines : code.split('\n').map((text) => (text ? [{ text, style: '' }] : []));
}
