// The checksums of a blob's frames, on the thread that asks.

import { createCrc32c } from "../crc32c.js";
import { FRAME_SIZE } from "../platform.js";

/** Computes the CRC-32C of each frame of a blob. */
export type Checksums = (blob: Blob) => Promise<number[]>;

/** What the worker is asked, and what it answers. */
export interface Request {
  readonly id: number;
  readonly blob: Blob;
}
export interface Reply {
  readonly id: number;
  readonly crcs?: number[];
  /** The name of the exception that reading ended with. */
  readonly failure?: string;
}

/** Computes one blob after the other, where it is called. */
export function checksumsHere(): Checksums {
  const loading = createCrc32c();
  let last: Promise<unknown> = Promise.resolve();
  const compute = async (blob: Blob) => {
    const hasher = await loading;
    const crcs: number[] = [];
    let filled = 0;
    hasher.begin();
    // The browser reads ahead of this by a little, never the whole.
    const reader = blob.stream().getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      for (let chunk = value; chunk.length > 0;) {
        const piece = chunk.subarray(0, FRAME_SIZE - filled);
        hasher.update(piece);
        filled += piece.length;
        chunk = chunk.subarray(piece.length);
        if (filled < FRAME_SIZE) continue;
        crcs.push(hasher.end());
        hasher.begin();
        filled = 0;
      }
    }
    if (filled > 0) crcs.push(hasher.end());
    return crcs;
  };
  return (blob) => {
    const computed = last.then(() => compute(blob));
    last = computed.catch(() => undefined);
    return computed;
  };
}
