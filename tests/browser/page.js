// The dashboard opened as a person who has signed in.

/** A page at `place`, signed in with `key`, that collects what the browser complains about. */
export async function open(page, server, place = '', key = server.env.API_KEYS) {
  await page.addInitScript((key) => sessionStorage.setItem('claude-runner.key', key), key);
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(error.message));
  page.on('console', (message) => {
    if (/Content Security Policy|TrustedHTML|Refused/.test(message.text())) page.complaints.push(message.text());
  });
  await page.goto(`${server.url}/${place}`);
}

export const status = (page) => page.getByRole('status', { name: 'Status' });
