// Opens the dashboard as a signed-in user.

/** Opens a page at `place`, signed in with `key`. `page.errors` collects the browser's errors. */
export async function open(page, server, place = '', key = server.env.API_KEYS) {
  await page.addInitScript((key) => sessionStorage.setItem('claude-runner.key', key), key);
  page.errors = [];
  page.on('pageerror', (error) => page.errors.push(error.message));
  page.on('console', (message) => {
    if (/Content Security Policy|TrustedHTML|Refused/.test(message.text())) page.errors.push(message.text());
  });
  await page.goto(`${server.url}/${place}`);
}

export const status = (page) => page.getByRole('status', { name: 'Status' });
