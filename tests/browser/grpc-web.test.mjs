// A page uploads by the same method as native clients: one POST for each part,
// whose body is many messages.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { key, launch, origin, server } from './harness.mjs';
import { client, sha256OfFile } from './page.mjs';

// A page of another origin that the server is told to allow.
const app = process.env.SLUICE_APP_ORIGIN;

/** Uploads a file of 40 MiB; runs in the page. */
const uploads = `
  const run = async (base, key, name) => {
    const size = 40 * MIB;
    const file = new File([content(size)], 'file');
    const upload = await create(base, key, name, size);
    const parts = [];
    for (let start = 0; start < size; start += 8 * MIB) parts.push(start);
    // A damaged frame is a status that the page can read, time and again.
    const refused = [];
    for (let round = 0; round < 5; round++) {
      const bad = await body(upload, file, 0, 8 * MIB, 2);
      const reply = await call(base, key, 'UploadService/WriteUpload', bad);
      refused.push([reply.http, reply.status, reply.message]);
    }
    const stranger = await call(base, 'nobody', 'UploadService/WriteUpload',
      await body(upload, file, 0, 8 * MIB));
    // Four at a time.
    const done = [];
    const lane = async () => {
      for (let start = parts.shift(); start !== undefined; start = parts.shift()) {
        const part = await body(upload, file, start, start + 8 * MIB);
        done.push((await call(base, key, 'UploadService/WriteUpload', part)).status);
      }
    };
    await Promise.all([lane(), lane(), lane(), lane()]);
    const completed = await call(base, key, 'UploadService/CompleteUpload',
      framed(field(1, utf8(upload))));
    const digest = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
    const protocols = performance.getEntriesByType('resource').map((it) => it.nextHopProtocol);
    return { protocol: protocols.at(-1), refused, stranger: [stranger.http, stranger.status], done,
      completed: completed.status,
      sha256: [...new Uint8Array(digest)].map((it) => it.toString(16).padStart(2, '0')).join('') };
  };
`;

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

for (const [where, page] of [['its own origin', `${origin}/livez`], ['another origin', app]]) {
  test(`a page of ${where} uploads a file`, { skip: !page && 'no other origin is set' }, async () => {
    const tab = await browser.newPage({ ignoreHTTPSErrors: true });
    await tab.goto(page);
    const name = `browser/${where}`;
    const result = await tab.evaluate(
      `(async () => { ${client}; ${uploads}; return run(${JSON.stringify(server)}, ${JSON.stringify(key)},
        ${JSON.stringify(name)}); })()`);
    // Of another origin's requests a page is not told that much.
    if (page.startsWith(origin)) {
      assert.equal(result.protocol, server.startsWith('https:') ? 'h2' : 'http/1.1');
    }
    assert.equal(result.refused.length, 5);
    for (const [http, status, message] of result.refused) {
      assert.equal(http, 200);
      assert.equal(status, '10');
      assert.match(message, /arrived damaged/);
    }
    assert.deepEqual(result.stranger, [200, '16']);
    assert.deepEqual(result.done, ['0', '0', '0', '0', '0']);
    assert.equal(result.completed, '0');
    const sha256 = await sha256OfFile(name);
    assert.equal(sha256, result.sha256);
    await tab.close();
  });
}

test('a page of an origin that is not allowed reads nothing', async () => {
  const tab = await browser.newPage({ ignoreHTTPSErrors: true });
  await tab.route('http://stranger.test/', (route) =>
    route.fulfill({ contentType: 'text/html', body: 'a page' }));
  await tab.goto('http://stranger.test/');
  const failed = await tab.evaluate(`(async () => { ${client}; ${uploads};
    return call(${JSON.stringify(server)}, ${JSON.stringify(key)}, 'UploadService/ListUploads',
      framed([])).then(() => 'read', (error) => error.name); })()`);
  assert.equal(failed, 'TypeError');
  await tab.close();
});
