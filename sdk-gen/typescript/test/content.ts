// Content that differs everywhere, and comparing it.

import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import type { Client } from "../src/node/index.js";

export const MIB = 1024 * 1024;

/** Bytes that no other seed gives and in which no part equals another. */
export function content(size: number, seed = 1): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(size);
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, Math.floor(size / 4));
  let state = seed >>> 0 || 1;
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return bytes;
}

/** A file with such bytes. */
export async function file(path: string, size: number, seed = 1): Promise<Buffer<ArrayBuffer>> {
  const bytes = content(size, seed);
  await writeFile(path, bytes);
  return bytes;
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** What the server has of a file. */
export async function stored(client: Client, fileId: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of client.read(fileId)) hash.update(piece);
  return hash.digest("hex");
}

/** The error that a promise ends with. */
export async function failure<E>(promise: Promise<unknown>): Promise<E> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    return error as E;
  }
  throw new Error(
    `it did not fail but gave ${JSON.stringify(value, (_, v: unknown) => (typeof v === "bigint" ? String(v) : v))}`,
  );
}
