// A client of the server as a page has it: without a library, by fetch alone.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';

const MIB = 1024 * 1024;

/** What a page needs to speak to the server: script that runs in the page. */
export const client = `
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
`;

/** The SHA-256 of a file on the server, as the command line reads it. */
export async function sha256OfFile(name) {
  const hash = createHash('sha256');
  const cat = spawn(process.env.SLUICE_BIN ?? 'sluice', ['cat', name]);
  for await (const piece of cat.stdout) hash.update(piece);
  return hash.digest('hex');
}
