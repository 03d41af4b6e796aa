// A page uploads by the same method as native clients: one POST for each part,
// whose body is many messages.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { key, launch, origin, server } from './harness.mjs';

// A page of another origin that the server is told to allow.
const app = process.env.SLUICE_APP_ORIGIN;

const MIB = 1024 * 1024;

/** What a page needs to speak to the server; runs in the page. */
const library = `
  const MIB = ${MIB};
  const table = new Uint32Array(256).map((_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    return crc;
  });
  const crc32c = (bytes) => {
    let crc = ~0;
    for (const byte of bytes) crc = (crc >>> 8) ^ table[(crc ^ byte) & 255];
    return ~crc >>> 0;
  };
  const varint = (value) => {
    const bytes = [];
    for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
    return [...bytes, value];
  };
  const field = (number, bytes) => [(number << 3) | 2, ...varint(bytes.length), ...bytes];
  const utf8 = (text) => [...new TextEncoder().encode(text)];

  // The body of one WriteUpload: frames of 1 MiB of a part, straight from the file.
  const body = async (uploadId, file, start, end, damaged) => {
    const pieces = [];
    for (let offset = start; offset < end; offset += MIB) {
      const slice = file.slice(offset, Math.min(offset + MIB, end));
      let crc = crc32c(new Uint8Array(await slice.arrayBuffer()));
      if (pieces.length / 3 === damaged) crc ^= 1;
      const tail = new Uint8Array(5);
      tail[0] = (2 << 3) | 5;
      new DataView(tail.buffer).setUint32(1, crc, true);
      const content = [(1 << 3) | 2, ...varint(slice.size)];
      const data = content.length + slice.size + tail.length;
      const head = new Uint8Array([
        ...(offset === start ? [...field(1, utf8(uploadId)), 3 << 3, 1] : []),
        ...(offset > 0 ? [4 << 3, ...varint(offset)] : []),
        (5 << 3) | 2, ...varint(data), ...content,
      ]);
      const prefix = new Uint8Array(5);
      new DataView(prefix.buffer).setUint32(1, head.length + slice.size + tail.length);
      pieces.push(new Blob([prefix, head]), slice, tail);
    }
    return new Blob(pieces);
  };

  // One call: the status is in the headers, or in the frame of trailers.
  const call = async (base, key, method, request) => {
    const response = await fetch(base + '/sluice.v1.' + method, {
      method: 'POST',
      headers: { 'content-type': 'application/grpc-web+proto', 'x-grpc-web': '1',
        authorization: 'Bearer ' + key },
      body: request,
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    let status = response.headers.get('grpc-status');
    let message = response.headers.get('grpc-message');
    const messages = [];
    for (let at = 0; at < bytes.length; ) {
      const length = new DataView(bytes.buffer).getUint32(at + 1);
      const frame = bytes.slice(at + 5, at + 5 + length);
      if (bytes[at] & 128) {
        for (const line of new TextDecoder().decode(frame).split('\\r\\n')) {
          if (line.startsWith('grpc-status:')) status = line.slice(12).trim();
        }
      } else messages.push(frame);
      at += 5 + length;
    }
    return { http: response.status, status, message: message && decodeURIComponent(message),
      messages };
  };
  const framed = (bytes) => {
    const prefix = new Uint8Array(5);
    new DataView(prefix.buffer).setUint32(1, bytes.length);
    return new Blob([prefix, new Uint8Array(bytes)]);
  };
  // The id of an upload: the first field of the first field.
  const idOf = (message) => {
    let at = 1;
    while (message[at++] & 128);
    return new TextDecoder().decode(message.slice(at + 2, at + 2 + message[at + 1]));
  };
  const create = async (base, key, name, size) => {
    const reply = await call(base, key, 'UploadService/CreateUpload',
      framed([...field(2, utf8(name)), 4 << 3, ...varint(size)]));
    if (reply.status !== '0') throw new Error(reply.status + ': ' + reply.message);
    return idOf(reply.messages[0]);
  };
  // Bytes that repeat nowhere near.
  const content = (size) => {
    const words = new Uint32Array(size / 4);
    let word = 1;
    for (let at = 0; at < words.length; at++) {
      word = (Math.imul(word, 1664525) + 1013904223) >>> 0;
      words[at] = word;
    }
    return words;
  };
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
      `(async () => { ${library}; return run(${JSON.stringify(server)}, ${JSON.stringify(key)},
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

async function sha256OfFile(name) {
  const { createHash } = await import('node:crypto');
  const { spawn } = await import('node:child_process');
  const hash = createHash('sha256');
  const cat = spawn(process.env.SLUICE_BIN ?? 'sluice', ['cat', name]);
  for await (const piece of cat.stdout) hash.update(piece);
  return hash.digest('hex');
}

test('a page of an origin that is not allowed reads nothing', async () => {
  const tab = await browser.newPage({ ignoreHTTPSErrors: true });
  await tab.route('http://stranger.test/', (route) =>
    route.fulfill({ contentType: 'text/html', body: 'a page' }));
  await tab.goto('http://stranger.test/');
  const failed = await tab.evaluate(`(async () => { ${library};
    return call(${JSON.stringify(server)}, ${JSON.stringify(key)}, 'UploadService/ListUploads',
      framed([])).then(() => 'read', (error) => error.name); })()`);
  assert.equal(failed, 'TypeError');
  await tab.close();
});
