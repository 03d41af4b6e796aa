// Parts sent to signed URLs, directly to storage where the server offers that.

import { Code } from "@connectrpc/connect";
import type { Calls } from "../calls.js";
import { SluiceError, required } from "../errors.js";
import type { SignedPart, Upload } from "../gen/sluice/v1/upload_pb.js";
import type { Frame } from "../platform.js";
import { checksumOf } from "./frames.js";
import type { Lanes, SendPart } from "./lanes.js";

/** A PUT that takes longer than this is given up: for the slowest link that is worth it. */
const TIMEOUT_MS = 15 * 60_000;

/** Sends a part to a URL that the server signs for it, and lets the server confirm it. */
export function direct<S>(calls: Calls<S>, lanes: Lanes<S>): SendPart {
  const { id: uploadId, writerEpoch } = lanes.upload;
  return async (_lane, part, signal): Promise<Upload> => {
    const frames: Frame[] = [];
    for await (const frame of part.frames()) frames.push(frame);
    const size = part.end - part.start;
    const crc32c = checksumOf(frames);
    lanes.checksums.set(part.number, { crc32c, size });

    const parts = [{ partNumber: part.number, size: BigInt(size), crc32c }];
    const request = { uploadId, writerEpoch, parts };
    const { uploads } = calls.raw;
    const signed = await calls.unary((options) => uploads.signUploadParts(request, options), {
      signal,
    });
    // None is signed for a part that is persisted already.
    const [url] = signed.parts;
    if (url) {
      // Of a browser's file this is a reference, not the bytes.
      await put(url, new Blob(frames.map((frame) => frame.content)), signal);
      lanes.tally.sending(size);
      lanes.tally.settled(size);
    }
    const confirm = calls.unary((options) => uploads.confirmUploadParts(request, options), {
      signal,
    });
    return required((await confirm).upload, "upload");
  };
}

async function put(
  { url, method, headers }: SignedPart,
  body: Blob,
  signal: AbortSignal,
): Promise<void> {
  // The body has its length already, and browsers allow nobody else to tell it.
  const { "content-length": _, ...rest } = headers;
  let response: Response;
  try {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    response = await fetch(url, { method, headers: rest, body, signal: limited });
  } catch (cause) {
    if (signal.aborted) throw SluiceError.from(cause, signal);
    throw new SluiceError("transport", "a part could not be sent to storage", { cause });
  }
  // Read to its end, so that the connection can be used again.
  const text = await response.text().catch(() => "");
  if (response.ok) return;
  // Storage refuses what it may take later, after signing again for example. Whether the upload
  // can go on at all is what the server is asked next.
  const message = `storage answered ${response.status}: ${text.slice(0, 200)}`;
  const retryAfterMs = 1000 * Number(response.headers.get("retry-after")) || undefined;
  throw new SluiceError("transport", message, { code: Code.Unavailable, retryAfterMs });
}
