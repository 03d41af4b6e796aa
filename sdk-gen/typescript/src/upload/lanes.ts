// Parallel lanes that send parts of one upload until all are persisted.

import { Code } from "@connectrpc/connect";
import type { Calls } from "../calls.js";
import { type Reason, SluiceError, nameOf, reasonName, refusal, required } from "../errors.js";
import { type Upload, Upload_State as State } from "../gen/sluice/v1/upload_pb.js";
import type { Frame, Sender } from "../platform.js";
import { type Credential, fixedCredential } from "../session.js";
import { checksumOf } from "./frames.js";
import type { UploadOptions } from "./options.js";
import { write } from "./stream.js";
import type { Tally } from "./tally.js";

/**
 * What was sent in vain counts as progress when it is more than lies in buffers: a slow link may be
 * cut again and again before a part is whole.
 */
const MORE_THAN_BUFFERS = 4 * 1024 * 1024;
/** Parts that are sent in parallel unless the caller says otherwise. */
export const CONCURRENCY = 4;

/** A part that is to be sent. */
export interface Part {
  readonly number: number;
  readonly start: number;
  readonly end: number;
  /** Its frames, read anew each time, or kept; see `KnownSource.frames`. */
  frames(fleeting?: boolean): AsyncIterable<Frame> | Iterable<Frame>;
  /** The size of the whole file, where the server has to be told. */
  readonly finalSize?: number | undefined;
}

/** How parts get to the server: answers with the upload after this one. */
export type SendPart = (lane: number, part: Part, signal: AbortSignal) => Promise<Upload>;

/** One writer's work on an upload. */
export class Lanes<S> {
  /** The checksums of parts that are persisted, by their number. */
  readonly checksums = new Map<number, { crc32c: number; size: number }>();
  readonly upload: Upload;
  readonly tally: Tally;
  readonly #calls: Calls<S>;
  readonly #options: UploadOptions;
  readonly #credential: Credential;
  readonly #elsewhere: Sender[] = [];

  constructor(
    calls: Calls<S>,
    upload: Upload,
    token: string,
    options: UploadOptions,
    tally: Tally,
  ) {
    if (upload.dataEndpoint && !token) {
      const message = "the server sends data elsewhere but gave no token for it";
      throw new SluiceError("corrupt", message);
    }
    this.upload = upload;
    this.tally = tally;
    this.#calls = calls;
    this.#options = options;
    this.#credential = token ? fixedCredential(token) : calls.credential;
  }

  /** Sends the parts that `next` gives until there are none. */
  async run(
    next: () => Promise<Part | undefined> | Part | undefined,
    send: SendPart = (lane, part, signal) => this.#send(lane, part, signal),
    checkUnchanged?: () => Promise<void>,
  ): Promise<void> {
    // The failure of one lane ends the others.
    const failed = new AbortController();
    const { signal: cancelled } = this.#options;
    const signal = cancelled ? AbortSignal.any([cancelled, failed.signal]) : failed.signal;
    const lane = async (_: unknown, index: number) => {
      try {
        for (let part = await next(); part; part = await next()) {
          await this.#persist(index, part, signal, send, checkUnchanged);
        }
      } catch (thrown) {
        const error = SluiceError.from(thrown, signal);
        failed.abort(error);
        throw error;
      }
    };
    const count = Math.max(1, Math.floor(this.#options.concurrency ?? CONCURRENCY));
    try {
      const ended = await Promise.allSettled(Array.from({ length: count }, lane));
      const failure = ended.find((result) => result.status === "rejected");
      if (failure) throw SluiceError.from(failure.reason, signal);
    } finally {
      for (const sender of this.#elsewhere.splice(0)) sender.close();
    }
  }

  /** The upload as the server has it now. The same epoch goes on. */
  async current(signal?: AbortSignal): Promise<Upload> {
    const { id, writerEpoch } = this.upload;
    const upload = await getUpload(this.#calls, id, signal);
    if (upload.writerEpoch !== writerEpoch) {
      const metadata = { writer_epoch: String(upload.writerEpoch) };
      throw refusal(
        "STALE_WRITER",
        Code.Aborted,
        "another writer has taken over this upload",
        metadata,
      );
    }
    if (upload.state !== State.ACTIVE) throw notActive(upload);
    return upload;
  }

  /** Sends one part until the server has it. */
  async #persist(
    lane: number,
    part: Part,
    signal: AbortSignal,
    send: SendPart,
    checkUnchanged?: () => Promise<void>,
  ): Promise<void> {
    const attempts = this.#calls.attempts(signal);
    for (;;) {
      const before = this.tally.sent;
      let error: SluiceError;
      try {
        const upload = await send(lane, part, signal);
        this.tally.persisted(Number(upload.persistedBytes));
        if (has(upload, part)) return;
        error = new SluiceError("transport", "the server kept nothing of a part");
      } catch (thrown) {
        error = SluiceError.from(thrown, signal);
        if (!error.transient) throw error;
      }
      this.tally.failed(error.message);
      await checkUnchanged?.();
      if (this.tally.sent - before > MORE_THAN_BUFFERS) attempts.progressed();
      await attempts.waitAfter(error);
      const upload = await this.current(signal);
      if (Number(upload.persistedBytes) > this.tally.known) attempts.progressed();
      this.tally.persisted(Number(upload.persistedBytes));
      if (has(upload, part)) return;
    }
  }

  async #send(lane: number, part: Part, signal: AbortSignal): Promise<Upload> {
    const { id, writerEpoch } = this.upload;
    const first = {
      firstMessage: { case: "uploadId" as const, value: id },
      writerEpoch,
      ...(part.finalSize !== undefined && { finalSize: BigInt(part.finalSize) }),
    };
    const sent: Frame[] = [];
    const checksums = this.checksums;
    async function* messages() {
      let fields: typeof first | undefined = first;
      for await (const frame of part.frames(true)) {
        // Only what the checksum needs: content is not kept.
        sent.push({ ...frame, content: NOTHING });
        yield { fields: fields ?? {}, frame };
        fields = undefined;
      }
      // Known before the part can be persisted, even if the answer is lost.
      checksums.set(part.number, { crc32c: checksumOf(sent), size: part.end - part.start });
    }
    const sender = this.#sender(lane);
    const answer = await write(sender, this.#credential, messages, this.tally, signal);
    return required(answer.upload, "upload");
  }

  #sender(lane: number): Sender {
    const { dataEndpoint } = this.upload;
    if (!dataEndpoint) return this.#calls.sender(lane);
    return (this.#elsewhere[lane] ??= this.#calls.platform.sender(dataEndpoint));
  }
}

const NOTHING = new Uint8Array(0);

/** The upload as the server has it. */
export async function getUpload<S>(
  calls: Calls<S>,
  uploadId: string,
  signal?: AbortSignal,
): Promise<Upload> {
  const call = calls.unary((options) => calls.raw.uploads.getUpload({ uploadId }, options), {
    signal,
  });
  return required((await call).upload, "upload");
}

/** Whether all bytes of a range are persisted. */
export function has(upload: Upload, { start, end }: { start: number; end: number }): boolean {
  return upload.persistedRanges.some((range) => range.start <= start && range.end >= end);
}

/** Why an upload takes no more parts. */
export function notActive({ id, state, error }: Upload): SluiceError {
  const reason: Reason =
    (state === State.FAILED && error && reasonName(error.reason)) ||
    (state === State.EXPIRED ? "UPLOAD_EXPIRED" : "UPLOAD_NOT_ACTIVE");
  const metadata = { ...error?.metadata, state: nameOf(State, state), upload_id: id };
  const message = error?.message ?? `the upload is ${nameOf(State, state)}`;
  return refusal(reason, Code.FailedPrecondition, message, metadata);
}
