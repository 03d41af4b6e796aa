// A connection is cut in the middle of a POST, and after it. A browser sends a
// request again by itself, without telling the page, when a connection that it
// has used before breaks without an answer.

import assert from 'node:assert/strict';
import { createServer, connect } from 'node:net';
import { after, before, test } from 'node:test';

import { key, launch, server } from './harness.mjs';
import { client, sha256OfFile } from './page.mjs';

const MIB = 1024 * 1024;

/** Uploads one part of 8 MiB as often as it takes; runs in the page. */
const uploads = `
  const run = async (base, key, name) => {
    const size = 8 * MIB;
    const file = new File([content(size)], 'file');
    const upload = await create(base, key, name, size);
    await fetch(base + '/cut/arm');
    const part = await body(upload, file, 0, size);
    const outcomes = [];
    while (outcomes.at(-1) !== '0' && outcomes.length < 20) {
      const sent = call(base, key, 'UploadService/WriteUpload', part);
      outcomes.push(await sent.then(({ status }) => status, () => 'broken'));
    }
    const completed = await call(base, key, 'UploadService/CompleteUpload',
      framed(field(1, utf8(upload))));
    const digest = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
    return { outcomes, completed: completed.status,
      sha256: [...new Uint8Array(digest)].map((it) => it.toString(16).padStart(2, '0')).join('') };
  };
`;

/**
 * A relay to the server. Once the page has asked for /cut/arm, `cuts` say
 * one after the other when the connection of an upload is cut: after so many bytes
 * have gone up, or as soon as the server has answered.
 */
async function relay(cuts) {
  const { hostname, port } = new URL(server);
  const seen = { posts: 0, cuts: 0 };
  let armed = false;
  const sockets = new Set();
  const listener = createServer((page) => {
    const upstream = connect(Number(port), hostname);
    let up = 0;
    let cut;
    const end = () => {
      page.resetAndDestroy();
      upstream.destroy();
      sockets.delete(page);
    };
    sockets.add(page);
    page.on('data', (bytes) => {
      const head = bytes.subarray(0, 256).toString('latin1');
      if (head.includes('/cut/arm')) armed = true;
      if (armed && head.startsWith('POST') && head.includes('/WriteUpload')) {
        seen.posts += 1;
        cut = cuts[seen.cuts];
        up = 0;
      }
      up += bytes.length;
      if (cut?.after !== undefined && up > cut.after) {
        seen.cuts += 1;
        return end();
      }
      if (!upstream.write(bytes)) {
        page.pause();
        upstream.once('drain', () => page.resume());
      }
    });
    upstream.on('data', (bytes) => {
      if (cut?.answered) {
        seen.cuts += 1;
        return end();
      }
      page.write(bytes);
    });
    for (const socket of [page, upstream]) {
      socket.on('error', end);
      socket.on('close', end);
    }
  });
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const close = () => {
    sockets.forEach((socket) => socket.destroy());
    listener.close();
  };
  return { url: `http://127.0.0.1:${listener.address().port}`, seen, close };
}

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

for (const [what, cuts] of [
  ['in mid-POST', [{ after: 3 * MIB }, { after: 5 * MIB }, { after: 100 }]],
  ['before the answer of a POST', [{ answered: true }, { answered: true }]],
  ['in and after a POST', [{ after: MIB }, { answered: true }, { after: 7 * MIB }]],
]) {
  test(`a connection cut ${what} leaves the right bytes`, async () => {
    const way = await relay(cuts);
    const tab = await browser.newPage();
    await tab.goto(`${way.url}/livez`);
    const name = `cut/${what}`;
    const result = await tab.evaluate(`(async () => { ${client}; ${uploads};
      return run(${JSON.stringify(way.url)}, ${JSON.stringify(key)}, ${JSON.stringify(name)}); })()`);
    await tab.close();
    way.close();
    assert.equal(way.seen.cuts, cuts.length);
    assert.equal(result.outcomes.at(-1), '0');
    assert.equal(result.completed, '0');
    assert.equal(await sha256OfFile(name), result.sha256);
    // Otherwise this would not test what the browser does by itself.
    assert.ok(way.seen.posts > result.outcomes.length,
      `${way.seen.posts} requests for ${result.outcomes.length} calls`);
  });
}
