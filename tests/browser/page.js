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

/** A task in its session's conversation; without an id, the last one. */
export const exchange = (page, taskId) => (taskId ? page.locator(`#task-${taskId}`) : page.locator('.exchange').last());

export const status = (page, taskId) => exchange(page, taskId).getByRole('status', { name: 'Status' });

export const result = (page, taskId) => exchange(page, taskId).getByRole('region', { name: 'Result' });

/** A fact of a task, from its details. */
export const fact = (page, name) => page.locator('.task-details .fact', { hasText: name });
