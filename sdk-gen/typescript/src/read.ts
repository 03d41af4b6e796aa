// The content of files, verified, whatever happens on the way.

import { type Calls } from "./calls.js";
import { loadCrc32c } from "./crc32c.js";
import { SluiceError } from "./errors.js";

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
      for await (const { readOffset, checksummedData } of calls.raw.files.readFile(request, { signal: both })) {
        moved();
        if (!checksummedData) continue;
        const { content, crc32c: expected } = checksummedData;
        if (Number(readOffset) !== offset || crc32c(content) !== expected) {
          throw new SluiceError("corrupt", `bytes from ${offset} arrived damaged`, { transient: true });
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

function stalled(): SluiceError {
  return new SluiceError("transport", `nothing came for ${STALL_MS / 1000} s`);
}
