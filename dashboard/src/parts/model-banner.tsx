// What answers the tasks: Claude, a scripted model, or nothing.
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { get } from '../api';
import { returns } from '../live';
import type { Health } from '../types';

/** The credential for the model; undefined until it is known. */
export const credential = signal<Health['credential']>(undefined);

/** Warns if a scripted model answers, or no model. */
export function ModelBanner() {
  useEffect(() => {
    const stop = new AbortController();
    // A restart may have changed the credential. An error here hides only the banner.
    get<Health>('/health', stop.signal).then((health) => { credential.value = health.credential; }, () => {});
    return () => stop.abort();
  }, [returns.value]);
  switch (credential.value) {
    case 'scripted':
      return <p class="banner warn" role="note"><span><b>The scripted model answers, not Claude.</b> It knows the questions of the sample agent, and runs a command if a message begins with <code>bash:</code>.</span></p>;
    case 'none':
      return <p class="banner warn" role="note"><span><b>There is no credential for the model</b>, so tasks fail. On the server, set <code>ANTHROPIC_API_KEY</code> or <code>CLAUDE_CODE_OAUTH_TOKEN</code>, or try it without one: <code>claude-runner serve --scripted</code></span></p>;
    case 'login_expired':
      return <p class="banner warn" role="note"><span><b>The login of Claude Code has expired</b>, so tasks fail. On the server, run <code>claude</code> to log in again.</span></p>;
    default:
      return null;
  }
}
