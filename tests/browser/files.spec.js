// The files of a hostile workspace in the dashboard: each is shown as text or not at all, and none is run.
import AxeBuilder from '@axe-core/playwright';
import { expect, test } from '@playwright/test';
import { open } from './page.js';
import { Server } from './server.js';

const RUN = 'window.__ran=1';

let server;
test.beforeAll(async () => {
  server = await Server.start({ API_KEYS: 'files-test-key-0123456789abcdefghijklmno' });
  const made = await server.ended(await server.task('hostile', `tool:Bash ${JSON.stringify({ command: WORKSPACE })}`));
  expect([made.status, made.response]).toEqual(['completed', expect.not.stringContaining('rror')]);
});
test.afterAll(() => server?.stop());

const WORKSPACE = String.raw`set -e; cd /workspace; rm -rf ./*
printf '<script>${RUN}</script>' > '<img src=x onerror=${RUN}>.html'
printf '<svg xmlns="http://www.w3.org/2000/svg" onload="${RUN}"><script>${RUN}</script></svg>' > picture.svg
printf '\211PNG\r\n\032\n<script>${RUN}</script>\000' > picture.png
touch $'report\u202efdp.exe' $'two\nlines.txt' "$(printf 'n%.0s' {1..250})" 'a b#c?d%2fe&path=x' $'\377\376bytes' '..hidden' '$(touch x)' '"quoted"'
ln -s / root; ln -s loop loop; ln -s /etc/passwd passwd; ln -s 'javascript:${RUN}' link; mkfifo pipe
head -c 700000 /dev/zero | tr '\0' 'x' > large.txt; head -c 4096 /dev/urandom > binary; : > empty
mkdir deep 'javascript:${RUN}' many; echo in > deep/file.txt; (cd many; seq -f 'file-%05g' 1 10000 | xargs touch)`;

test('names, links and contents', async ({ page }) => {
  const outside = [];
  page.on('request', (request) => request.url().startsWith(server.url) || outside.push(request.url()));
  await open(page, server, '#/sessions/nobody?view=files');
  await expect(page.getByText('does not exist')).toBeVisible();
  await page.goto(`${server.url}/#/sessions/hostile?view=files`);
  const files = page.getByRole('region', { name: 'Files' });
  const file = (name) => files.getByRole('button', { name, exact: true });
  await expect(file('picture.svg')).toBeVisible();
  // Every character is visible, and none reverses the line.
  await expect(file('report‹U+202E›fdp.exe')).toBeVisible();
  await expect(file('two␊lines.txt')).toBeVisible();
  await expect(file('n'.repeat(250))).toBeVisible();
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
  for (const [name, target] of [['root', '/'], ['loop', 'loop'], ['passwd', '/etc/passwd'], ['link', `javascript:${RUN}`]]) {
    await expect(files.getByRole('row', { name: `${name} → ${target}` })).toContainText('not followed');
    await expect(file(name)).toHaveCount(0);
  }
  await expect(files.getByRole('row', { name: /^pipe/ })).toContainText('pipe or socket');

  const text = files.locator('.file-text');
  for (const [name, content] of [
    [`<img src=x onerror=${RUN}>.html`, `<script>${RUN}</script>`],
    ['picture.svg', `<svg xmlns="http://www.w3.org/2000/svg" onload="${RUN}"><script>${RUN}</script></svg>`],
  ]) {
    await file(name).click();
    await expect(text).toHaveText(content);
    await page.goBack();
  }
  for (const name of ['picture.png', 'binary']) {
    await file(name).click();
    await expect(files.getByText('This file is not text')).toBeVisible();
    await page.goBack();
  }
  for (const name of ['empty', 'a b#c?d%2fe&path=x', 'two␊lines.txt', '..hidden']) {
    await file(name).click();
    await expect(files.getByText('This file is empty')).toBeVisible();
    await page.goBack();
  }
  await file('large.txt').click();
  await expect(files.getByText('The first 512 KiB')).toBeVisible();
  await page.goBack();
  // A name that is not UTF-8 has no address.
  await files.getByRole('button', { name: /bytes$/ }).click();
  await expect(files.getByText('This file no longer exists')).toBeVisible();
  await files.getByRole('button', { name: 'Back to the folder' }).click();
  await file(`javascript:${RUN}/`).click();
  await expect(files.getByText('This folder is empty')).toBeVisible();
  await page.goBack();

  // The download has a harmless name, and the file's content.
  await file('report‹U+202E›fdp.exe').click();
  const [saved] = await Promise.all([page.waitForEvent('download'), files.getByRole('button', { name: 'Download' }).click()]);
  expect(saved.suggestedFilename()).toBe('report_U+202E_fdp.exe');
  await page.goBack();
  await file('picture.svg').click();
  const [picture] = await Promise.all([page.waitForEvent('download'), files.getByRole('button', { name: 'Download' }).click()]);
  expect((await (await picture.createReadStream()).toArray()).join('')).toContain('<svg');
  await page.goBack();
  const [archive] = await Promise.all([page.waitForEvent('download'), files.getByRole('button', { name: 'Download all' }).click()]);
  expect(archive.suggestedFilename()).toBe('hostile.tar');

  // A link in an address typed by hand is refused and not followed.
  await page.goto(`${server.url}/#/sessions/hostile?view=files&file=passwd`);
  await expect(files.getByText('This path cannot be opened')).toBeVisible();
  await page.goto(`${server.url}/#/sessions/hostile?view=files&path=root/etc`);
  await expect(files.getByText('This path cannot be opened')).toBeVisible();
  const before = new Set(await page.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname)));
  await page.goto(`${server.url}/#/sessions/hostile?view=files&path=../../..&file=..`);
  await expect(file('picture.svg')).toBeVisible();
  const after = await page.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname));
  expect(after.filter((path) => !before.has(path)).every((path) => path.startsWith('/session/hostile'))).toBe(true);

  expect(await page.evaluate(() => window.__ran)).toBe(undefined);
  expect(outside).toEqual([]);
  expect(page.errors).toEqual([]);
});

test('10,000 files, and files that go', async ({ page }) => {
  await open(page, server, '#/sessions/hostile?view=files&path=many');
  const files = page.getByRole('region', { name: 'Files' });
  await expect(files.getByText('10,000 entries')).toBeVisible();
  await expect(files.locator('tbody tr')).toHaveCount(300);
  await files.getByRole('button', { name: 'Show more' }).click();
  await expect(files.locator('tbody tr')).toHaveCount(1800);
  await files.getByLabel('Filter').fill('0999');
  await expect(files.locator('tbody tr')).toHaveCount(11);
  await expect(files.getByText('11 of 10,000 entries')).toBeVisible();
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.filter(({ impact }) => ['serious', 'critical'].includes(impact)).map(({ id }) => id)).toEqual([]);

  await page.goto(`${server.url}/#/sessions/hostile?view=files&path=deep`);
  await expect(files.getByRole('button', { name: 'file.txt' })).toBeVisible();
  await server.ended(await server.task('hostile', 'bash:rm -r /workspace/deep/file.txt'));
  await files.getByRole('button', { name: 'file.txt' }).or(files.getByText('This folder is empty')).first().click();
  await expect(files.getByText(/This file no longer exists|This folder is empty/)).toBeVisible();

  // The container is removed, the files stay.
  await server.call('/task/hostile/abort', { method: 'POST' });
  await page.goto(`${server.url}/#/sessions/hostile?view=files`);
  await expect(files.getByRole('button', { name: 'picture.svg' })).toBeVisible();
  expect(page.errors).toEqual([]);
});
