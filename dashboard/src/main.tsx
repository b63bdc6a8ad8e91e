import { effect } from '@preact/signals';
import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Problem, call, locked } from './api';
import { watch } from './live';
import { Empty } from './parts/basic';
import { Shell, applyTheme } from './parts/shell';
import { HealthPage } from './pages/health';
import { Overview } from './pages/overview';
import { SessionPage } from './pages/session';
import { SignIn } from './pages/sign-in';
import { TaskPage } from './pages/task';
import { UsagePage } from './pages/usage';
import { WebhooksPage } from './pages/webhooks';
import { href, route } from './route';
import './style.css';
import './work.css';
import './session.css';

function App() {
  const [asked, setAsked] = useState(false);
  useEffect(() => {
    // Check whether the server requires a key before showing any page.
    call('/tasks?limit=1').then(
      () => { watch(); setAsked(true); },
      (error: unknown) => {
        if (error instanceof Problem && error.status === 401) locked.value = true;
        else watch();
        setAsked(true);
      },
    );
  }, []);
  if (!asked) return null;
  if (locked.value) return <SignIn onDone={() => watch()} />;
  return <Shell><Page /></Shell>;
}

function Page() {
  const { parts: [page = '', id = ''] } = route.value;
  useEffect(() => {
    // A page that loads its subject names the tab itself.
    if (page !== 'sessions' && page !== 'tasks') {
      const heading = document.querySelector('h1');
      document.title = heading?.textContent && page ? `${heading.textContent} · Claude Runner` : 'Claude Runner';
    }
    scrollTo(0, 0);
  }, [page, id]);
  switch (page) {
    case '':
      return <Overview />;
    case 'tasks':
      return <TaskPage key={id} taskId={id} />;
    case 'sessions':
      return <SessionPage key={id} sessionId={id} />;
    case 'usage':
      return <UsagePage />;
    case 'health':
      return <HealthPage />;
    case 'webhooks':
      return <WebhooksPage />;
    default:
      return <><h1>Not found</h1><Empty title="There is no such page"><a class="button" href={href()}>To the overview</a></Empty></>;
  }
}

effect(applyTheme);
render(<App />, document.getElementById('app')!);
