// Downloads to a local path: resumed, verified and published at once.

import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { Calls } from "../calls.js";
import { combineCrc32c, loadCrc32c } from "../crc32c.js";
import { SluiceError } from "../errors.js";
import type { File } from "../gen/sluice/v1/file_pb.js";
import { FRAME_SIZE } from "../platform.js";
import { NOTHING, type OnDownload, type Piece, isFile, notTheFile, pour } from "../read.js";
import { local } from "./source.js";

/** Choices about one download. */
export interface DownloadOptions {
  /** Called for every piece that arrives. */
  onProgress?: OnDownload | undefined;
  /** Stops the download. What a partial file has is kept for the next attempt. */
  signal?: AbortSignal | undefined;
}

/** A file that was downloaded. */
export interface Downloaded {
  readonly file: File;
  /** Bytes that came over the network. */
  readonly received: number;
  /** Bytes that were there from an earlier attempt. */
  readonly resumed: number;
}

/**
 * Downloads to `path`. The bytes go to `path.part` first, and on from what is there of an earlier
 * attempt. If the whole is not the file because the beginning was something else, everything is
 * fetched once more.
 */
export async function downloadTo<S>(
  calls: Calls<S>,
  file: File,
  path: string,
  options: DownloadOptions,
): Promise<Downloaded> {
  const partial = `${path}.part`;
  // Without "w", so that what is there stays.
  const handle = await open(partial, "r+")
    .catch(() => open(partial, "w+"))
    .catch(local("write", partial));
  const write = async (content: Uint8Array, offset: number) => {
    for (let start = 0; start < content.length;) {
      const { bytesWritten } = await handle.write(content, start, undefined, offset + start);
      start += bytesWritten;
    }
  };
  let received = 0;
  let resumed = 0;
  try {
    const size = Number(file.size);
    const there = await checksum(handle, Math.min((await handle.stat()).size, size));
    resumed = there.size;
    for (let from = there; ; from = NOTHING) {
      const whole = await pour(calls, file, from, write, options);
      received += whole.size - from.size;
      if (isFile(file, whole)) break;
      resumed = 0;
      if (from.size > 0) continue;
      await rm(partial, { force: true });
      throw notTheFile(file);
    }
    await handle.truncate(size);
    await handle.sync();
  } catch (thrown) {
    throw thrown instanceof Error && "syscall" in thrown
      ? new SluiceError("local", `cannot write ${partial}: ${thrown.message}`, { cause: thrown })
      : thrown;
  } finally {
    await handle.close();
  }
  await rename(partial, path).catch(local("rename to", path));
  await syncFolder(dirname(path));
  return { file, received, resumed };
}

async function checksum(handle: FileHandle, size: number): Promise<Piece> {
  const crc32cOf = await loadCrc32c();
  const buffer = new Uint8Array(FRAME_SIZE);
  let crc32c = 0;
  for (let offset = 0; offset < size;) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(FRAME_SIZE, size - offset), offset);
    if (bytesRead === 0) return { size: offset, crc32c };
    crc32c = combineCrc32c(crc32c, crc32cOf(buffer.subarray(0, bytesRead)), bytesRead);
    offset += bytesRead;
  }
  return { size, crc32c };
}

/** Makes a new name durable, on systems where folders can be synced. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r").catch(() => undefined);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}
