// Whether an upload that goes on, goes on with the same bytes.

import { type Calls, pages } from "../calls.js";
import { combineCrc32c } from "../crc32c.js";
import { SluiceError } from "../errors.js";
import type { File } from "../gen/sluice/v1/file_pb.js";
import type { Upload } from "../gen/sluice/v1/upload_pb.js";
import type { KnownSource } from "../platform.js";

/** Refuses content of another size than the upload was opened for. */
export function sameSize({ size }: Upload, source: KnownSource): void {
  if (size !== undefined && Number(size) !== source.size) {
    throw otherContent(`it has ${source.size} bytes instead of ${size}`);
  }
}

/** Compares the parts that others have sent with the content, and notes their checksums. */
export async function sameParts<S>(
  calls: Calls<S>,
  { id: uploadId, partSize }: Upload,
  source: KnownSource,
  checksums: Map<number, { crc32c: number; size: number }>,
  signal?: AbortSignal,
): Promise<void> {
  const parts = pages(async (pageToken) => {
    const request = { uploadId, pageSize: 1000, pageToken };
    const call = calls.unary((options) => calls.raw.uploads.listUploadParts(request, options), {
      signal,
    });
    const { parts: entries, nextPageToken } = await call;
    return { entries, nextPageToken };
  });
  for await (const part of parts) {
    const start = Number(part.offset);
    const end = start + Number(part.size);
    const whole = Math.min(start + Number(partSize), source.size);
    const crc32c = end === whole ? await checksum(source, start, end, signal) : undefined;
    if (crc32c !== part.crc32c) throw otherContent(`bytes ${start} to ${end} differ`);
    checksums.set(part.partNumber, { crc32c, size: end - start });
  }
}

/** Refuses content that is not that of the file. */
export async function sameContent(source: KnownSource, { size, checksums }: File): Promise<void> {
  if (Number(size) !== source.size) {
    throw otherContent(`it has ${source.size} bytes instead of ${size}`);
  }
  const expected = checksums?.crc32c;
  if (expected !== undefined && (await checksum(source, 0, source.size)) !== expected) {
    throw otherContent("the bytes differ");
  }
}

async function checksum(
  source: KnownSource,
  start: number,
  end: number,
  signal?: AbortSignal,
): Promise<number> {
  let crc32c = 0;
  for await (const frame of source.frames(start, end, true)) {
    if (signal?.aborted) throw SluiceError.from(signal.reason, signal);
    crc32c = combineCrc32c(crc32c, frame.crc32c, frame.size);
  }
  return crc32c;
}

/** The content is not what was being uploaded. */
export function otherContent(detail: string): SluiceError {
  const message = `the source is not what was being uploaded: ${detail}; start a new upload for it`;
  return new SluiceError("source_changed", message);
}
