// Files that are opened from a signed link run no script in the server's origin,
// whatever they are and however they are opened.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { eventually, launch, origin, sluice, upload } from './harness.mjs';
import { script, watch } from './traces.mjs';

const svg = 'http://www.w3.org/2000/svg';
const xhtml = 'http://www.w3.org/1999/xhtml';

/** A PDF whose script runs when it is opened. */
const pdf = `%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.alert\\('trace'\\);this.submitForm\\('${origin}/livez?trace'\\);)>>>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj
trailer<</Root 1 0 R>>
`;

/** Files with script: their type, and what they hold. */
const active = {
  'page.html': ['text/html', `<!doctype html><script>${script}</script>`],
  'handler.html': ['text/html', `<img src=x onerror="${script.replaceAll('"', "'").replaceAll('\n', ' ')}">`],
  'image.svg': ['image/svg+xml', `<svg xmlns="${svg}"><script><![CDATA[${script}]]></script></svg>`],
  'page.xhtml': ['application/xhtml+xml', `<html xmlns="${xhtml}"><script><![CDATA[${script}]]></script></html>`],
  'page.xml': ['application/xml', `<x xmlns="${xhtml}"><script><![CDATA[${script}]]></script></x>`],
  'document.pdf': ['application/pdf', pdf],
  // What a browser might take for HTML if it looked inside.
  'sniffed.txt': ['text/plain', `<!doctype html><script>${script}</script>`],
  'sniffed.bin': ['application/octet-stream', `<!doctype html><script>${script}</script>`],
  'sniffed.png': ['image/png', `<!doctype html><script>${script}</script>`],
};

/** Script in a page runs when the page is loaded; more time than it needs. */
const MOMENT = 300;

/** Ways to open a link. Each answers once the browser is done with it. */
const ways = {
  'typed in': async (context, link) => {
    const page = await context.newPage();
    await page.goto(link).catch(() => {});
    await page.waitForTimeout(MOMENT);
  },
  'clicked': async (context, link) => {
    const page = await app(context, `<a id="link" href="${escaped(link)}">open</a>`);
    await page.click('#link');
    await page.waitForTimeout(MOMENT);
  },
  'opened in a window': async (context, link) => {
    const page = await app(context, '');
    await page.evaluate((link) => { window.open(link); }, link);
    await page.waitForTimeout(MOMENT);
  },
  'framed and embedded': async (context, link) => {
    const src = escaped(link);
    const page = await app(
      context,
      `<iframe src="${src}"></iframe><embed src="${src}"><object data="${src}"></object>` +
        `<img src="${src}"><script src="${src}"></script><link rel="stylesheet" href="${src}">`,
    );
    await page.waitForTimeout(MOMENT);
  },
};

const escaped = (link) => link.replaceAll('&', '&amp;');

/** A page of the application, in the server's origin. */
async function app(context, body) {
  const path = `${origin}/app`;
  await context.route(path, (route) =>
    route.fulfill({ contentType: 'text/html', body: `<!doctype html><title>app</title>${body}` }));
  const page = await context.newPage();
  await page.goto(path);
  return page;
}

let browser;
const links = {};
before(async () => {
  browser = await launch();
  for (const [name, [type, content]] of Object.entries(active)) {
    await upload(`links/${name}`, content, type);
    const save = (await sluice('sign', `links/${name}`)).trim();
    const show = (await sluice('sign', `links/${name}`, '--inline')).trim();
    links[name] = { save, show };
  }
});
after(() => browser.close());

for (const [name, [type]] of Object.entries(active)) {
  test(`${name} (${type}) runs no script`, async () => {
    const context = await browser.newContext();
    const traces = await watch(context);
    for (const [way, open] of Object.entries(ways)) {
      for (const link of Object.values(links[name])) await open(context, link);
      assert.deepEqual(await traces.look(), [], way);
    }
    await context.close();
  });
}

// What the tests above would see if the server did not guard its answers: the
// same files, from the same links, without the headers that make them harmless.
for (const name of ['page.html', 'handler.html', 'image.svg', 'page.xhtml', 'page.xml']) {
  test(`without guards, ${name} does run its script`, async () => {
    const [type, content] = active[name];
    const context = await browser.newContext();
    const traces = await watch(context);
    await context.route('**/signed/**', (route) => route.fulfill({ contentType: type, body: content }));
    await ways['typed in'](context, links[name].show);
    await eventually('its script runs', async () => {
      const found = await traces.look();
      return ['console', 'cookie', 'dialog', 'request', 'storage'].every((kind) => found.includes(kind));
    });
    await context.close();
  });
}

// Each guard is enough by itself: one may be lost in a proxy.
for (const guard of ['content-disposition', 'content-security-policy']) {
  test(`${guard} alone stops script`, async () => {
    for (const name of ['page.html', 'image.svg', 'page.xhtml']) {
      const context = await browser.newContext();
      const traces = await watch(context);
      await context.route('**/signed/**', async (route) => {
        const response = await route.fetch();
        const all = response.headers();
        const headers = { 'content-type': all['content-type'], [guard]: all[guard] };
        assert.ok(all[guard], `${name} has no ${guard}`);
        await route.fulfill({ status: 200, headers, body: await response.body() });
      });
      await ways['typed in'](context, links[name].show);
      assert.deepEqual(await traces.look(), [], name);
      await context.close();
    }
  });
}

test('PDF files are saved, not shown', async () => {
  for (const link of Object.values(links['document.pdf'])) {
    const page = await browser.newPage();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.goto(link).catch(() => {}),
    ]);
    assert.equal(download.suggestedFilename(), 'document.pdf');
    await page.close();
  }
});

test('a name in any script is the name of the download', async () => {
  const name = 'na\u00efve \u65e5\u672c 😀 100% (1);.html';
  await upload(`links/${name}`, 'x', 'text/html');
  const link = (await sluice('sign', `links/${name}`)).trim();
  const page = await browser.newPage();
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.goto(link).catch(() => {}),
  ]);
  assert.equal(download.suggestedFilename(), name);
  await page.close();
});

test('harmless files are shown', async () => {
  // One red pixel.
  const png = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==',
    'base64',
  );
  await upload('links/pixel.png', png, 'image/png');
  await upload('links/tone.wav', wav(), 'audio/wav');
  const page = await browser.newPage();
  const open = async (name) => {
    const link = (await sluice('sign', `links/${name}`, '--inline')).trim();
    const response = await page.goto(link);
    assert.equal(response.status(), 200);
  };
  await open('pixel.png');
  assert.equal(await page.evaluate(() => document.images[0].naturalWidth), 1);
  await open('tone.wav');
  await eventually('the sound can be played', () =>
    page.evaluate(() => document.querySelector('video, audio').duration > 0.9));
  await open('sniffed.txt');
  assert.match(await page.evaluate(() => document.body.innerText), /^<!doctype html>/);
  await page.close();
});

/** A second of silence. */
function wav() {
  const samples = 8000;
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + samples, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(samples, 24);
  header.writeUInt32LE(samples, 28);
  header.writeUInt16LE(1, 32);
  header.writeUInt16LE(8, 34);
  header.write('data', 36);
  header.writeUInt32LE(samples, 40);
  return Buffer.concat([header, Buffer.alloc(samples, 128)]);
}
