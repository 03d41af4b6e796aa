// Where pages have content: files, memory and streams.

import { SluiceError } from "../errors.js";
import { FRAME_SIZE, type Frame, type KnownSource, type Source } from "../platform.js";
import { otherContent } from "../upload/verify.js";
import { checksumsInWorker } from "./checksums.js";
import type { Checksums } from "./checksums-here.js";

/** What can be uploaded: a File or other Blob, bytes in memory, or a stream that is read once. */
export type WebSource =
  Blob | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>;

let shared: Checksums | undefined;

/** Opens what the caller gave. */
export function openSource(source: WebSource): Promise<Source> {
  if (source instanceof Uint8Array) return Promise.resolve(new BlobSource(new Blob([source])));
  if (source instanceof Blob) return Promise.resolve(new BlobSource(source));
  const chunks = source instanceof ReadableStream ? chunksOf(source) : source;
  return Promise.resolve({ size: undefined, chunks });
}

/** A file of the page, of which only references are handed on. */
class BlobSource implements KnownSource {
  readonly size: number;
  readonly name: string | undefined;
  readonly contentType: string;
  readonly fingerprint: string | undefined;
  readonly #blob: Blob;
  /** Checksums that are being computed ahead, by the beginning of their range. */
  readonly #ahead = new Map<number, Promise<number[]>>();
  #readable = false;

  constructor(blob: Blob) {
    this.#blob = blob;
    this.size = blob.size;
    this.contentType = blob.type;
    if (blob instanceof File) {
      // With its folder, where a whole folder was chosen.
      this.name = blob.webkitRelativePath || blob.name;
      this.fingerprint = JSON.stringify([this.name, blob.size, blob.lastModified]);
    }
  }

  async *frames(start: number, end: number): AsyncGenerator<Frame> {
    const computing = this.#ahead.get(start) ?? this.#checksums(start, end);
    this.#ahead.delete(start);
    let offset = start;
    for (const crc32c of await computing) {
      const size = Math.min(FRAME_SIZE, end - offset);
      yield { offset, size, content: this.#blob.slice(offset, offset + size), crc32c };
      offset += size;
    }
    if (offset < end) throw otherContent("it has become shorter");
  }

  expect(start: number, end: number): void {
    if (this.#ahead.has(start)) return;
    const computing = this.#checksums(start, end);
    // Whoever asks for the range gets the error.
    computing.catch(() => undefined);
    this.#ahead.set(start, computing);
  }

  async checkUnchanged(): Promise<void> {
    // Browsers refuse to read a file that is no longer what was chosen.
    await this.#blob
      .slice(0, 1)
      .arrayBuffer()
      .catch((error: unknown) => this.#unreadable(error));
  }

  close(): Promise<void> {
    this.#ahead.clear();
    return Promise.resolve();
  }

  async #checksums(start: number, end: number): Promise<number[]> {
    shared ??= checksumsInWorker();
    const crcs = await shared(this.#blob.slice(start, end)).catch((error: unknown) =>
      this.#unreadable(error),
    );
    this.#readable = true;
    return crcs;
  }

  #unreadable(cause: unknown): never {
    if (this.#readable) throw otherContent("it has changed or is gone");
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new SluiceError("local", `cannot read the file: ${message}`, { cause });
  }
}

/** Not every browser can iterate a stream. */
async function* chunksOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
