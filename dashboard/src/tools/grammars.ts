// The highlighter and its grammars. This module is loaded when the first piece of code is shown.
import bash from 'highlight.js/lib/languages/bash';
import c from 'highlight.js/lib/languages/c';
import cpp from 'highlight.js/lib/languages/cpp';
import csharp from 'highlight.js/lib/languages/csharp';
import css from 'highlight.js/lib/languages/css';
import diff from 'highlight.js/lib/languages/diff';
import dockerfile from 'highlight.js/lib/languages/dockerfile';
import go from 'highlight.js/lib/languages/go';
import ini from 'highlight.js/lib/languages/ini';
import java from 'highlight.js/lib/languages/java';
import javascript from 'highlight.js/lib/languages/javascript';
import json from 'highlight.js/lib/languages/json';
import kotlin from 'highlight.js/lib/languages/kotlin';
import markdown from 'highlight.js/lib/languages/markdown';
import php from 'highlight.js/lib/languages/php';
import python from 'highlight.js/lib/languages/python';
import ruby from 'highlight.js/lib/languages/ruby';
import rust from 'highlight.js/lib/languages/rust';
import scss from 'highlight.js/lib/languages/scss';
import sql from 'highlight.js/lib/languages/sql';
import swift from 'highlight.js/lib/languages/swift';
import typescript from 'highlight.js/lib/languages/typescript';
import xml from 'highlight.js/lib/languages/xml';
import yaml from 'highlight.js/lib/languages/yaml';
import { createLowlight } from 'lowlight';
import type { Span } from './ansi';

const highlighter = createLowlight({
  bash, c, cpp, csharp, css, diff, dockerfile, go, ini, java, javascript, json, kotlin, markdown, php, python, ruby, rust, scss, sql,
  swift, typescript, xml, yaml,
});

type Node = ReturnType<typeof highlighter.highlight>['children'][number];

/** The lines of a code, each as spans; `null` for an unknown language. The library makes a tree, never markup. */
export function highlight(code: string, language: string): Span[][] | null {
  if (!highlighter.registered(language)) return null;
  const lines: Span[][] = [[]];
  const walk = (nodes: readonly Node[], style: string) => {
    for (const node of nodes) {
      if (node.type === 'element') {
        const own = node.properties['className'];
        walk(node.children, Array.isArray(own) ? own.join(' ') : style);
      } else if (node.type === 'text') {
        node.value.split('\n').forEach((text, index) => {
          if (index) lines.push([]);
          if (text) lines.at(-1)!.push({ text, style });
        });
      }
    }
  };
  walk(highlighter.highlight(language, code).children, '');
  return lines;
}
