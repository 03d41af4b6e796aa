// Small content: opened, written and completed by one call.

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Calls } from "../calls.js";
import { SluiceError, required } from "../errors.js";
import type { CreateUploadRequestSchema } from "../gen/sluice/v1/upload_pb.js";
import type { Frame } from "../platform.js";
import { checksumOf } from "./frames.js";
import { type UploadOptions, type Uploaded, declared } from "./options.js";
import { type Message, write } from "./stream.js";
import type { Tally } from "./tally.js";

/** The body of CreateUpload, the same for each repeat. */
export type CreateRequest = MessageInitShape<typeof CreateUploadRequestSchema>;

/** Sends a whole file. A repeat is the very same stream, which the request id makes harmless. */
export async function sendWhole<S>(
  calls: Calls<S>,
  frames: Frame[],
  request: CreateRequest,
  options: UploadOptions,
  tally: Tally,
  checkUnchanged?: () => Promise<void>,
): Promise<Uploaded> {
  const size = frames.reduce((sum, frame) => sum + frame.size, 0);
  tally.total = size;
  const messages = wholeFile(frames, { ...request, size: BigInt(size) }, options);
  const signal = options.signal ?? new AbortController().signal;
  const attempts = calls.attempts(signal);
  for (;;) {
    try {
      const answer = await write(
        calls.sender(),
        calls.credential,
        () => each(messages),
        tally,
        signal,
      );
      const file = required(answer.file, "file");
      tally.uploadId = file.uploadId;
      tally.persisted(size);
      return { file, uploadId: file.uploadId, sent: tally.sent, resumed: 0 };
    } catch (thrown) {
      const error = SluiceError.from(thrown, signal);
      await abandon(calls, error);
      if (error.transient) {
        tally.failed(error.message);
        await checkUnchanged?.();
      }
      await attempts.waitAfter(error);
    }
  }
}

/** The whole stream: the first message opens the upload, the last completes it; they may be one. */
function wholeFile(frames: Frame[], request: CreateRequest, options: UploadOptions): Message[] {
  const messages: Message[] =
    frames.length > 0 ? frames.map((frame) => ({ fields: {}, frame })) : [{ fields: {} }];
  const opening = { firstMessage: { case: "createUpload" as const, value: request } };
  const ending = {
    complete: true,
    expectedChecksums: declared(options.expectedChecksums, checksumOf(frames)),
  };
  const last = messages.length - 1;
  return messages.map(({ frame }, index) => ({
    fields: { ...(index === 0 && opening), ...(index === last && ending) },
    ...(frame && { frame }),
  }));
}

/**
 * Nobody resumes what is sent in one call, so an upload that was refused at its end is not left
 * behind. It would expire in any case.
 */
async function abandon<S>(calls: Calls<S>, { reason, uploadId }: SluiceError): Promise<void> {
  if ((reason !== "FILE_EXISTS" && reason !== "FILE_CHECKSUM_MISMATCH") || !uploadId) return;
  await calls.raw.uploads.cancelUpload({ uploadId }).catch(() => undefined);
}

async function* each<T>(values: T[]): AsyncGenerator<T> {
  yield* values;
}
