// The content of files, verified, whatever happens on the way.

import { type Calls } from "./calls.js";
import { combineCrc32c, loadCrc32c } from "./crc32c.js";
import { SluiceError } from "./errors.js";
import type { File } from "./gen/sluice/v1/file_pb.js";

/** A server has this long for the next piece; keep-alive notices dead connections earlier. */
const STALL_MS = 60_000;

/** Which bytes to read. */
export interface ReadOptions {
  /** Offset of the first byte: 0 unless set. */
  offset?: number | undefined;
  /** How many bytes: to the end unless set. */
  limit?: number | undefined;
  /** Ends the reading. */
  signal?: AbortSignal | undefined;
}

/** A piece of a file, as the server sent it. */
export interface ReadFrame {
  readonly content: Uint8Array;
  readonly crc32c: number;
}

/** The frames of a range. After a break it goes on where it was. */
export async function* readFrames<S>(
  calls: Calls<S>,
  fileId: string,
  { offset = 0, limit, signal }: ReadOptions,
): AsyncGenerator<ReadFrame, void, undefined> {
  const crc32c = await loadCrc32c();
  const attempts = calls.attempts(signal);
  const end = limit === undefined ? undefined : offset + limit;
  while (end === undefined || offset < end) {
    const stall = new AbortController();
    const both = signal ? AbortSignal.any([signal, stall.signal]) : stall.signal;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const moved = () => {
      clearTimeout(timer);
      timer = setTimeout(() => stall.abort(stalled()), STALL_MS);
    };
    try {
      moved();
      const request = {
        fileId,
        offset: BigInt(offset),
        limit: BigInt(end === undefined ? 0 : end - offset),
      };
      for await (const { readOffset, checksummedData } of calls.raw.files.readFile(request, {
        signal: both,
      })) {
        moved();
        if (!checksummedData) continue;
        const { content, crc32c: expected } = checksummedData;
        if (Number(readOffset) !== offset || crc32c(content) !== expected) {
          throw new SluiceError("corrupt", `bytes from ${offset} arrived damaged`, {
            transient: true,
          });
        }
        attempts.progressed();
        offset += content.length;
        // However long the caller takes with it.
        clearTimeout(timer);
        yield { content, crc32c: expected };
        moved();
      }
      return;
    } catch (thrown) {
      await attempts.waitAfter(SluiceError.from(thrown, both));
    } finally {
      clearTimeout(timer);
      // Ends the call also where the caller stops in the middle.
      stall.abort(stalled());
    }
  }
}

/** Told for every piece of a download that arrives. */
export type OnDownload = (progress: { received: number; total: number }) => void;

/** What was read of a file so far. */
export interface Piece {
  readonly size: number;
  readonly crc32c: number;
}

/** The beginning of every file. */
export const NOTHING: Piece = { size: 0, crc32c: 0 };

/** Reads what comes after a beginning and writes it; answers with the whole. */
export async function pour<S>(
  calls: Calls<S>,
  file: File,
  from: Piece,
  write: (content: Uint8Array, offset: number) => Promise<void>,
  options: { onProgress?: OnDownload | undefined; signal?: AbortSignal | undefined },
): Promise<Piece> {
  const total = Number(file.size);
  let { size, crc32c } = from;
  if (size === total) return from;
  for await (const frame of readFrames(calls, file.id, { offset: size, signal: options.signal })) {
    await write(frame.content, size);
    size += frame.content.length;
    crc32c = combineCrc32c(crc32c, frame.crc32c, frame.content.length);
    options.onProgress?.({ received: size, total });
  }
  return { size, crc32c };
}

/** Whether what was read is the file. */
export function isFile({ size, checksums }: File, whole: Piece): boolean {
  const expected = checksums?.crc32c;
  return Number(size) === whole.size && (expected === undefined || expected === whole.crc32c);
}

/** What arrived is not the file. */
export function notTheFile({ name }: File): SluiceError {
  return new SluiceError("corrupt", `what arrived is not ${name}: its checksum differs; try again`);
}

function stalled(): SluiceError {
  return new SluiceError("transport", `nothing came for ${STALL_MS / 1000} s`);
}
