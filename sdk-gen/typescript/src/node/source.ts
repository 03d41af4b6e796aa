// Where Node.js programs have content: files, memory and streams.

import { type FileHandle, open } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { SluiceError } from "../errors.js";
import type { Frame, KnownSource, Source } from "../platform.js";
import { readFrames } from "../upload/frames.js";
import { otherContent } from "../upload/verify.js";

/**
 * What can be uploaded: the path or `file:` URL of a file, an open file, bytes in memory, a Blob,
 * or a stream that is read once.
 */
export type NodeSource =
  | string
  | URL
  | FileHandle
  | Uint8Array
  | Blob
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>;

/** Opens what the caller gave. */
export async function openSource(source: NodeSource): Promise<Source> {
  if (source instanceof Uint8Array) {
    // The same memory, as the type that Blob and the wire want.
    const bytes = source as Uint8Array<ArrayBuffer>;
    return memory(bytes.length, (offset, size) => bytes.subarray(offset, offset + size));
  }
  if (source instanceof Blob) {
    const read = async (offset: number, size: number) =>
      new Uint8Array(await source.slice(offset, offset + size).arrayBuffer());
    const name = source instanceof File ? source.name : undefined;
    return { ...memory(source.size, read), name, contentType: source.type };
  }
  if (typeof source === "string" || source instanceof URL) {
    const path = typeof source === "string" ? source : fileURLToPath(source);
    const handle = await open(path, "r").catch(local("open", path));
    try {
      return await FileSource.of(handle, path);
    } catch (thrown) {
      await handle.close();
      throw thrown;
    }
  }
  if ("stat" in source) return FileSource.of(source);
  return { size: undefined, chunks: source as AsyncIterable<Uint8Array> };
}

function memory(size: number, read: Parameters<typeof readFrames>[2]): KnownSource {
  return {
    size,
    frames: (start, end) => readFrames(start, end, read),
    checkUnchanged: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

/** A file on disk. */
class FileSource implements KnownSource {
  readonly size: number;
  readonly name: string | undefined;
  readonly fingerprint: string | undefined;
  readonly #handle: FileHandle;
  readonly #path: string | undefined;
  readonly #modified: bigint;

  private constructor(
    handle: FileHandle,
    path: string | undefined,
    size: number,
    modified: bigint,
  ) {
    this.#handle = handle;
    this.#path = path;
    this.#modified = modified;
    this.size = size;
    this.name = path === undefined ? undefined : basename(path);
    this.fingerprint =
      path === undefined ? undefined : JSON.stringify([resolve(path), size, String(modified)]);
  }

  /** A file that is open; one without a path is the caller's to close. */
  static async of(handle: FileHandle, path?: string): Promise<FileSource> {
    const stat = await handle.stat({ bigint: true }).catch(local("look at", path ?? "the file"));
    if (!stat.isFile()) {
      throw new SluiceError("local", `cannot read ${path ?? "it"}: not a file`);
    }
    return new FileSource(handle, path, Number(stat.size), stat.mtimeNs);
  }

  frames(start: number, end: number, fleeting = false): AsyncIterable<Frame> {
    let again: Uint8Array<ArrayBuffer> | undefined;
    return readFrames(start, end, (offset, size) => {
      again = fleeting && again && again.length >= size ? again : buffer(size);
      return this.#read(again.subarray(0, size), offset);
    });
  }

  async checkUnchanged(): Promise<void> {
    const { size, mtimeNs } = await this.#handle.stat({ bigint: true });
    if (Number(size) !== this.size)
      throw otherContent(`its size is ${size} instead of ${this.size}`);
    if (mtimeNs !== this.#modified) throw otherContent("it was written to meanwhile");
  }

  async close(): Promise<void> {
    if (this.#path !== undefined) await this.#handle.close();
  }

  async #read(bytes: Uint8Array<ArrayBuffer>, offset: number): Promise<Uint8Array<ArrayBuffer>> {
    const size = bytes.length;
    for (let filled = 0; filled < size;) {
      const { bytesRead } = await this.#handle
        .read(bytes, filled, size - filled, offset + filled)
        .catch(local("read", this.#path ?? "the file"));
      if (bytesRead === 0) throw otherContent("it has become shorter");
      filled += bytesRead;
    }
    return bytes;
  }
}

/** Memory that is not cleared, for it is filled at once. */
function buffer(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
}

/** Says what could not be done with which file. */
export function local(action: string, path: string): (cause: Error) => never {
  return (cause) => {
    throw new SluiceError("local", `cannot ${action} ${path}: ${cause.message}`, { cause });
  };
}
