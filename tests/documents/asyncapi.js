// Checks that a file is a valid AsyncAPI document. Warnings count as errors.
import { readFile } from 'node:fs/promises';
import { DiagnosticSeverity, Parser } from '@asyncapi/parser';

/** Advice that does not fit: there is one version of a server, and it is the newest. */
const NOT_MEANT = ['asyncapi-latest-version', 'asyncapi-id', 'asyncapi-info-contact'];

const { document, diagnostics } = await new Parser().parse(await readFile(process.argv[2], 'utf8'));
const found = diagnostics.filter(({ code, severity }) => severity <= DiagnosticSeverity.Warning && !NOT_MEANT.includes(code));
for (const { code, path, message } of found) console.error(`${code} at ${path.join('.')}: ${message}`);
if (!document || found.length) process.exit(1);
console.log(`valid AsyncAPI ${document.version()}, ${document.allMessages().length} messages`);
