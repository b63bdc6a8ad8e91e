// What an empty server shows: three things to try.
import { curl } from '../api';
import { Command } from './basic';
import { prefill } from './composer';
import { credential } from './model-banner';

/** The scripted model knows directives; Claude needs a sentence. */
const STEPS = {
  scripted: [
    ['Watch it work', 'Runs two commands, one after the other', 'multi:uname -a && then df -h /'],
    ['See what it thinks', 'Thinks aloud before it answers', 'think:A sandbox has no network, so its one way out is the gateway.'],
    ['Delegate', 'Starts a subagent, which runs a command of its own', 'sub:bash:ls -la'],
  ],
  claude: [
    ['Ask it something', 'It answers from its instructions', 'What can you do, and which tools do you have?'],
    ['Watch it work', 'It plans, writes files and runs them', 'Write a small Python program that prints the first 20 primes, with a test. Plan first, then run the test.'],
    ['Look around', 'It describes its own sandbox', 'Describe the machine that you run on: its system, its memory, its files.'],
  ],
} as const;

export function FirstSteps() {
  const steps = credential.value === 'scripted' ? STEPS.scripted : STEPS.claude;
  return (
    <section class="empty" aria-label="First steps">
      <p class="empty-title">Nothing here yet. Three things to try:</p>
      <div class="first-steps">
        {steps.map(([title, what, message]) => (
          <button type="button" onClick={() => prefill(message)}><b>{title}</b><span>{what}</span><code>{message}</code></button>
        ))}
      </div>
      <p>Or from a terminal:</p>
      <Command text={curl('/task', 'POST', { sessionId: 'user-123', message: 'What can you do?' })} />
    </section>
  );
}
