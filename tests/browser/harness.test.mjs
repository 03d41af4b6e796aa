// The harness itself: a real browser reaches the server, and script that runs in
// the server's origin is seen.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { eventually, launch, origin, sluice, upload } from './harness.mjs';
import { script, watch } from './traces.mjs';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

test('a browser reaches the server', async () => {
  const page = await browser.newPage();
  const response = await page.goto(`${origin}/livez`);
  assert.equal(response.status(), 200);
  assert.equal(await page.evaluate(() => document.body.innerText.trim()), 'ok');
  assert.equal(await page.evaluate(() => location.origin), origin);
  await page.close();
});

test('tests can put files on the server', async () => {
  await upload('harness/ä.txt', 'content', 'text/plain');
  assert.equal(await sluice('cat', 'harness/ä.txt'), 'content');
});

test('script in the origin is seen by every trace', async () => {
  const context = await browser.newContext();
  const traces = await watch(context);
  assert.deepEqual(await traces.look(), []);
  // As if the server had sent it.
  await context.route('**/control', (route) =>
    route.fulfill({ contentType: 'text/html', body: `<script>${script}</script>` }));
  await context.route('**/around', (route) =>
    route.fulfill({ contentType: 'text/html', body: '<iframe src="/control"></iframe>' }));
  const page = await context.newPage();
  await page.goto(`${origin}/around`);
  const all = ['console', 'cookie', 'dialog', 'name', 'request', 'storage', 'title'];
  await eventually('every trace', async () => {
    const found = await traces.look();
    return all.every((kind) => found.includes(kind));
  });
  await context.close();
});
