import { useState } from 'preact/hooks';
import { Problem, call, key, signIn } from '../api';
import { upper } from '../format';
import { Command } from '../parts/basic';

export function SignIn({ onDone }: { onDone: () => void }) {
  const [value, setValue] = useState('');
  const [remember, setRemember] = useState(false);
  const [busy, setBusy] = useState(false);
  // A stored key means that the server rejected it.
  const [error, setError] = useState<string | null>(key.value ? 'Your key is no longer valid.' : null);
  const submit = async (event: Event) => {
    event.preventDefault();
    const given = value.trim();
    if (!given) return setError('Enter an API key.');
    if (!/^[!-~]+$/.test(given)) return setError('An API key contains only ASCII characters and no spaces.');
    setBusy(true);
    try {
      await call('/tasks?limit=1', {}, given);
      signIn(given, remember);
      onDone();
    } catch (error) {
      setError(error instanceof Problem && error.status === 401 ? 'This key is not valid: it may be mistyped, expired or revoked.' : error instanceof Error ? upper(error.message) : String(error));
      setBusy(false);
    }
  };
  return (
    <main class="sign-in" id="content">
      <form onSubmit={(event) => void submit(event)} noValidate>
        <h1>Claude Runner</h1>
        <div class="field"><label>
          <span>API key</span>
          <input
            type="password" name="key" autoComplete="current-password" autoFocus value={value} spellcheck={false}
            onInput={(event) => setValue(event.currentTarget.value)} aria-invalid={error ? 'true' : undefined} aria-describedby={error ? 'key-error' : undefined}
          />
          </label>
          {error && <p class="field-error" id="key-error" role="alert">{error}</p>}
        </div>
        <label class="check"><input type="checkbox" checked={remember} onChange={(event) => setRemember(event.currentTarget.checked)} />Remember it in this browser</label>
        <button type="submit" class="primary" disabled={busy}>{busy ? 'Signing in…' : 'Sign in'}</button>
        <div class="sign-in-help"><p class="hint">No key yet? On the server:</p><Command text="claude-runner key create --scope admin" /></div>
      </form>
    </main>
  );
}
