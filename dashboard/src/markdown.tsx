// Renders an agent's Markdown. The parser returns tokens, and each token's content becomes a text node, so the browser never
// parses an agent's output as markup. HTML is shown as source text.
import { type Token, type Tokens, lexer } from 'marked';
import type { ComponentChildren } from 'preact';
import { useMemo } from 'preact/hooks';
import { useHighlight } from './tools/highlight';
import { Sheet } from './tools/sheet';

/** Deeper nesting is shown as source text. */
const MAX_DEPTH = 24;
/** Longer text is shown as source text. */
const MAX_CHARS = 200_000;

export function Markdown({ text }: { text: string }) {
  const content = useMemo(() => {
    if (text.length > MAX_CHARS) return <pre class="plain">{text}</pre>;
    try {
      return blocks(lexer(text, { gfm: true }), 0);
    } catch {
      return <pre class="plain">{text}</pre>;
    }
  }, [text]);
  return <div class="markdown">{content}</div>;
}

function blocks(tokens: Token[], depth: number): ComponentChildren[] {
  return tokens.map((token) => block(token, depth));
}

function block(token: Token, depth: number): ComponentChildren {
  if (depth > MAX_DEPTH) return token.raw;
  switch (token.type) {
    case 'space':
    case 'def':
      return null;
    case 'heading': {
      const { depth: level, tokens } = token as Tokens.Heading;
      const Tag = `h${Math.min(6, level + 2)}` as 'h3';
      return <Tag>{inline(tokens, depth + 1)}</Tag>;
    }
    case 'paragraph':
      return <p>{inline((token as Tokens.Paragraph).tokens, depth + 1)}</p>;
    case 'text': {
      const { tokens, text } = token as Tokens.Text;
      return tokens ? inline(tokens, depth + 1) : entities(text);
    }
    case 'code':
      return <Code text={(token as Tokens.Code).text} language={(token as Tokens.Code).lang?.split(/\s/)[0] ?? ''} />;
    case 'blockquote':
      return <blockquote>{blocks((token as Tokens.Blockquote).tokens, depth + 1)}</blockquote>;
    case 'list': {
      const { ordered, start, items } = token as Tokens.List;
      const children = items.map((item) => (
        <li class={item.task ? 'task' : undefined}>
          {item.task && <span aria-label={item.checked ? 'done' : 'open'}>{item.checked ? '☑ ' : '☐ '}</span>}
          {blocks(item.tokens.filter((part) => part.type !== 'checkbox'), depth + 1)}
        </li>
      ));
      return ordered ? <ol start={Number(start) || 1}>{children}</ol> : <ul>{children}</ul>;
    }
    case 'table': {
      const { header, rows } = token as Tokens.Table;
      return (
        <div class="scroll" tabIndex={0} role="group" aria-label="table">
          <table>
            <thead><tr>{header.map((cell) => <th>{inline(cell.tokens, depth + 1)}</th>)}</tr></thead>
            <tbody>{rows.map((row) => <tr>{row.map((cell) => <td>{inline(cell.tokens, depth + 1)}</td>)}</tr>)}</tbody>
          </table>
        </div>
      );
    }
    case 'hr':
      return <hr />;
    case 'html':
      return <p class="as-written">{token.raw.trim()}</p>;
    default:
      return inline([token], depth + 1);
  }
}

function inline(tokens: Token[] | undefined, depth: number): ComponentChildren[] {
  return (tokens ?? []).map((token) => {
    if (depth > MAX_DEPTH) return token.raw;
    const within = () => inline((token as { tokens?: Token[] }).tokens, depth + 1);
    switch (token.type) {
      case 'strong':
        return <strong>{within()}</strong>;
      case 'em':
        return <em>{within()}</em>;
      case 'del':
        return <del>{within()}</del>;
      case 'codespan':
        return <code>{(token as Tokens.Codespan).text}</code>;
      case 'br':
        return <br />;
      case 'link': {
        const { href } = token as Tokens.Link;
        return <Outside href={href}>{within()}</Outside>;
      }
      case 'image': {
        // Loading an image would reveal the reader to its host.
        const { href, text } = token as Tokens.Image;
        return <Outside href={href}>{entities(text) || 'image'}</Outside>;
      }
      case 'text': {
        const { tokens: parts, text } = token as Tokens.Text;
        return parts ? inline(parts, depth + 1) : entities(text);
      }
      case 'escape':
        return (token as Tokens.Escape).text;
      default:
        return token.raw;
    }
  });
}

function Code({ text, language }: { text: string; language: string }) {
  const lines = useHighlight(text, language);
  return <Sheet name={language || 'Text'} copy={text} rows={lines.map((spans) => ({ spans }))} class="fence" fold={40} />;
}

/** A link to another site. An address with another scheme than http, https and mailto is shown as text. */
export function Outside({ href, children }: { href: string; children: ComponentChildren }) {
  const safe = safeAddress(href);
  if (!safe) return <span>{children}</span>;
  return <a href={safe} target="_blank" rel="noopener noreferrer nofollow">{children}</a>;
}

export function safeAddress(href: string): string | null {
  try {
    const url = new URL(href);
    return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

const NAMED: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' };

function entities(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]{2,4}));/gi, (all, decimal, hex, name) => {
    if (name) return NAMED[(name as string).toLowerCase()] ?? all;
    const point = decimal ? Number(decimal) : Number.parseInt(hex as string, 16);
    return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : all;
  });
}
