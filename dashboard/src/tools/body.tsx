// The content of an opened tool call: what it was given and what it answered, in the form of its kind.
import { useMemo } from 'preact/hooks';
import { pretty } from '../format';
import { Markdown, Outside } from '../markdown';
import { fields } from '../notices';
import type { Tool } from '../transcript';
import { type Span, terminalLines } from './ansi';
import { Checklist, itemsOf } from './checklist';
import { exitStatus, hitsOf, linesOf, path, text } from './describe';
import { diff } from './diff';
import { useHighlight } from './highlight';
import { Sheet, type Row, plainRows } from './sheet';

/** `Read` writes the line's number, a tab or an arrow, and the line. */
const NUMBERED = /^ *(\d+)(?:\t|→)/;

export function ToolBody({ tool }: { tool: Tool }) {
  const input = fields(tool.input);
  switch (tool.tool) {
    case 'Bash':
      return <Terminal tool={tool} command={text(input['command'])} />;
    case 'Edit':
      return <><Diff name={text(input['file_path'])} old={text(input['old_string'])} fresh={text(input['new_string'])} note={input['replace_all'] === true ? 'every occurrence' : ''} /><Failure tool={tool} /></>;
    case 'MultiEdit':
      return <>{list(input['edits']).map((edit, index) => <Diff key={index} name={text(input['file_path'])} old={text(edit['old_string'])} fresh={text(edit['new_string'])} />)}<Failure tool={tool} /></>;
    case 'Write':
      return <><Code name={text(input['file_path'])} content={text(input['content']).replace(/\n$/, '')} /><Failure tool={tool} /></>;
    case 'Read':
      return tool.result === null || tool.isError ? <Failure tool={tool} /> : <FileText name={text(input['file_path'])} result={tool.result} />;
    case 'Grep':
    case 'Glob':
      return <Hits tool={tool} pattern={text(input['pattern'])} where={text(input['path'])} filter={text(input['glob']) || text(input['type'])} />;
    case 'WebFetch':
      return <><p class="fetched"><Outside href={text(input['url'])}>{text(input['url'])}</Outside></p>{text(input['prompt']) && <p class="hint">{text(input['prompt'])}</p>}<Answer tool={tool} asMarkdown /></>;
    case 'WebSearch':
      return <Answer tool={tool} asMarkdown />;
    case 'TodoWrite':
      return <Checklist items={itemsOf([tool])} />;
    case 'ExitPlanMode':
      return <><div class="plan"><Markdown text={text(input['plan'])} /></div><Failure tool={tool} /></>;
    case 'AskUserQuestion':
      return <><Questions questions={list(input['questions'])} /><Answer tool={tool} /></>;
    case 'Task':
    case 'Agent':
      return <><Sheet name="Prompt" copy={text(input['prompt'])} rows={plainRows(text(input['prompt']))} class="wrap" fold={8} /><Answer tool={tool} name="Report" asMarkdown /></>;
    case 'TaskCreate':
    case 'TaskUpdate':
    case 'TaskList':
    case 'TaskGet':
      return <>{text(input['description']) && <p>{text(input['description'])}</p>}<Answer tool={tool} /></>;
    default:
      return <><Data name="Input" value={tool.input} /><Answer tool={tool} /></>;
  }
}

function list(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map(fields) : [];
}

function Terminal({ tool, command }: { tool: Tool; command: string }) {
  const status = exitStatus(tool);
  const output = status === null || status === 0 ? tool.result ?? '' : (tool.result ?? '').replace(/^(?:Error: )?Exit code \d+\n?/, '');
  const typed = useHighlight(command, 'bash');
  const rows: Row[] = useMemo(() => [
    ...typed.map((spans, index) => ({ spans, mark: index ? '' : '$', kind: 'typed' })),
    ...(output ? terminalLines(output).map((spans) => ({ spans, mark: '' })) : []),
  ], [typed, output]);
  const note = tool.result === null ? null : status === null
    ? <span class={tool.isError ? 'exit bad' : 'exit'}>{tool.isError ? 'failed' : ''}</span>
    : <span class={status ? 'exit bad' : 'exit'}>exit {status}</span>;
  return <Sheet name="Terminal" class="terminal" copy={[command, output].filter(Boolean).join('\n')} rows={rows} note={note} fold={20 + typed.length} />;
}

function Code({ name, content, from = 1 }: { name: string; content: string; from?: number }) {
  const lines = useHighlight(content, name);
  return <Sheet name={path(name)} copy={content} rows={lines.map((spans, index) => ({ spans, mark: String(index + from) }))} />;
}

/** What `Read` returned. The numbers become the margin, so that a copy has only the file's text. */
function FileText({ name, result }: { name: string; result: string }) {
  const { from, content, rest } = useMemo(() => {
    const lines = linesOf(result);
    const first = NUMBERED.exec(lines[0] ?? '');
    if (!first) return { from: 0, content: result, rest: '' };
    const end = lines.findIndex((line) => !NUMBERED.test(line));
    const own = end < 0 ? lines : lines.slice(0, end);
    return { from: Number(first[1]), content: own.map((line) => line.replace(NUMBERED, '')).join('\n'), rest: end < 0 ? '' : withoutReminder(lines.slice(end).join('\n')) };
  }, [result]);
  if (!from) return <Sheet name={path(name)} copy={content} rows={plainRows(content)} />;
  return <><Code name={name} content={content} from={from} />{rest && <p class="hint">{rest}</p>}</>;
}

/** Claude Code adds reminders to results, which are meant for the model. */
function withoutReminder(result: string): string {
  return result.replace(/<system-reminder>[\s\S]*?<\/system-reminder>/g, '').trim();
}

function Diff({ name, old, fresh, note = '' }: { name: string; old: string; fresh: string; note?: string }) {
  const [oldLines, freshLines] = [useHighlight(old, name), useHighlight(fresh, name)];
  const parts = useMemo(() => diff(old === '' ? [] : old.split('\n'), fresh === '' ? [] : fresh.split('\n')), [old, fresh]);
  const SIGNS = { same: ' ', old: '−', new: '+' } as const;
  const rows = parts.map(({ kind, at }) => ({ spans: (kind === 'old' ? oldLines : freshLines)[at] ?? [], mark: SIGNS[kind], kind: `diff-${kind}` }));
  const counted = (kind: 'old' | 'new') => parts.filter((part) => part.kind === kind).length;
  return (
    <Sheet
      name={path(name)} class="diff" copy={fresh} rows={rows} fold={40}
      note={<span class="diff-count">{note && <span class="hint">{note}</span>}<span class="added">+{counted('new')}</span> <span class="removed">−{counted('old')}</span></span>}
    />
  );
}

function Hits({ tool, pattern, where, filter }: { tool: Tool; pattern: string; where: string; filter: string }) {
  if (tool.isError) return <Failure tool={tool} />;
  const hits = tool.result === null ? [] : hitsOf(withoutReminder(tool.result));
  const name = <><code>{pattern}</code>{where && ` in ${path(where)}`}{filter && ` · ${filter}`}</>;
  const rows = hits.map((hit) => ({ spans: hitSpans(path(hit)) }));
  if (tool.result !== null && !rows.length) return <p class="hint">No hits for {name}.</p>;
  return <Sheet name={name} copy={hits.join('\n')} rows={rows} />;
}

/** `PATH:LINE:TEXT` with the place set apart. */
function hitSpans(hit: string): Span[] {
  const found = /^([^:]+:\d+)([:-])(.*)$/.exec(hit);
  if (!found) return [{ text: hit, style: '' }];
  return [{ text: found[1]!, style: 'hit-place' }, { text: `${found[2]!} `, style: 'hit-place' }, { text: found[3]!, style: '' }];
}

function Questions({ questions }: { questions: Record<string, unknown>[] }) {
  return (
    <>
      {questions.map((question) => (
        <div class="question">
          <p><b>{text(question['question'])}</b></p>
          <ul>{list(question['options']).map((option) => <li>{text(option['label'])}{text(option['description']) && <span class="hint"> {text(option['description'])}</span>}</li>)}</ul>
        </div>
      ))}
    </>
  );
}

/** What a tool answered. */
function Answer({ tool, name = 'Result', asMarkdown = false }: { tool: Tool; name?: string; asMarkdown?: boolean }) {
  if (tool.result === null) return null;
  if (tool.isError) return <Failure tool={tool} />;
  const result = withoutReminder(tool.tool === 'Agent' || tool.tool === 'Task' ? report(tool.result) : tool.result);
  if (!result) return <p class="hint">It returned nothing.</p>;
  if (asMarkdown) return <div class="part"><span class="part-name">{name}</span><Markdown text={result} /></div>;
  const data = parsed(result);
  return data === undefined ? <Sheet name={name} copy={result} rows={plainRows(result)} class="wrap" /> : <Data name={name} value={data} />;
}

/** A subagent's report, without the frame that Claude Code puts around it for the model. */
function report(result: string): string {
  const framed = /The report follows:\n([\s\S]*?)(?:\nagentId: [\s\S]*)?$/.exec(result)?.[1];
  return framed === undefined ? result : framed.replace(/^ {2}/gm, '');
}

function Failure({ tool }: { tool: Tool }) {
  if (!tool.isError || tool.result === null) return null;
  const sentence = withoutReminder(tool.result.replace(/^<tool_use_error>([\s\S]*)<\/tool_use_error>$/, '$1'));
  return <Sheet name="Error" copy={sentence} rows={plainRows(sentence)} class="wrap failed" />;
}

export function Data({ name, value }: { name: string; value: unknown }) {
  const code = pretty(value);
  const lines = useHighlight(code, typeof value === 'string' ? 'txt' : 'json');
  return <Sheet name={name} copy={code} rows={lines.map((spans) => ({ spans }))} class="wrap" />;
}

function parsed(result: string): unknown {
  if (!/^\s*[[{]/.test(result)) return undefined;
  try {
    return JSON.parse(result);
  } catch {
    return undefined;
  }
}
