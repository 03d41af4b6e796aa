// Getting the bytes of a source to the server, whatever happens on the way.

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CallOptions as ConnectOptions } from "@connectrpc/connect";
import type { Calls } from "../calls.js";
import { SluiceError, required } from "../errors.js";
import { combineCrc32c } from "../crc32c.js";
import type { File } from "../gen/sluice/v1/file_pb.js";
import {
  type CompleteUploadRequestSchema,
  type Upload,
  Upload_State as State,
} from "../gen/sluice/v1/upload_pb.js";
import type { Frame, KnownSource, OnceSource } from "../platform.js";
import { direct } from "./direct.js";
import { Input } from "./frames.js";
import { Lanes, type Part, getUpload, has } from "./lanes.js";
import {
  type UploadOptions,
  type Uploaded,
  conflictChoice,
  declared,
  newRequestId,
} from "./options.js";
import { Remembered } from "./remembered.js";
import { Tally } from "./tally.js";
import { sameContent, sameParts, sameSize } from "./verify.js";
import { type CreateRequest, sendWhole } from "./whole.js";

/** Unless the caller prefers smaller parts. */
const ONE_CALL = 8 * 1024 * 1024;
/** Times that storage may ask for parts again at completion. */
const MOST_COMPLETIONS = 5;

/** Uploads a source and makes it a file. */
export async function upload<S>(
  calls: Calls<S>,
  input: S,
  options: UploadOptions,
): Promise<Uploaded> {
  const source = await calls.platform.open(input);
  const work = new UploadWork(calls, options);
  if (source.size === undefined) return work.run(() => work.once(source));
  return work.run(() => work.known(source)).finally(() => source.close());
}

/** Goes on with an upload that another call or process began, from the same bytes. */
export async function resume<S>(
  calls: Calls<S>,
  uploadId: string,
  input: S,
  options: UploadOptions,
): Promise<Uploaded> {
  const source = await calls.platform.open(input);
  if (source.size === undefined) {
    throw new SluiceError("usage", "only what can be read again can be resumed, not a stream");
  }
  const work = new UploadWork(calls, options);
  const begun = async () => work.goOn(await getUpload(calls, uploadId, options.signal), source);
  return work.run(begun).finally(() => source.close());
}

/** One call of `upload` or `resume`. */
class UploadWork<S> {
  readonly #calls: Calls<S>;
  readonly #options: UploadOptions;
  readonly #tally: Tally;

  constructor(calls: Calls<S>, options: UploadOptions) {
    this.#calls = calls;
    this.#options = options;
    this.#tally = new Tally(options.onProgress);
  }

  /** Adds to errors which upload they are about. */
  async run(work: () => Promise<Uploaded>): Promise<Uploaded> {
    try {
      this.#options.signal?.throwIfAborted();
      return await work();
    } catch (thrown) {
      const error = SluiceError.from(thrown, this.#options.signal);
      error.uploadId ??= this.#tally.uploadId;
      throw error;
    }
  }

  /** A source of known size. */
  async known(source: KnownSource): Promise<Uploaded> {
    const options = this.#options;
    if (!options.direct && source.size <= oneCall(options)) {
      const frames: Frame[] = [];
      for await (const frame of source.frames(0, source.size)) frames.push(frame);
      await source.checkUnchanged();
      const request = this.#request(source);
      return sendWhole(this.#calls, frames, request, options, this.#tally, () =>
        source.checkUnchanged(),
      );
    }
    const { uploadStore } = this.#calls.options;
    const remembered =
      uploadStore && source.fingerprint !== undefined && options.requestId === undefined
        ? new Remembered(uploadStore, this.#calls, source.fingerprint, options)
        : undefined;
    return remembered
      ? remembered.run((requestId) => this.#inParts(source, requestId))
      : this.#inParts(source);
  }

  /** A source that can be read once: parts stay in memory until they are persisted. */
  async once(source: OnceSource): Promise<Uploaded> {
    const options = this.#options;
    if (options.direct) {
      throw new SluiceError(
        "usage",
        "a stream cannot be sent to signed URLs: its size is not known",
      );
    }
    const input = new Input(source.chunks);
    try {
      const most = oneCall(options);
      if (!(await input.hasMoreThan(most))) {
        const frames = await input.part(most);
        return await sendWhole(this.#calls, frames, this.#request(), options, this.#tally);
      }
      const { lanes, fresh } = await this.#open(this.#request());
      if (!fresh) {
        throw new SluiceError(
          "usage",
          "a stream cannot go on with an upload that was begun before",
        );
      }
      return await this.#oneAfterTheOther(input, lanes);
    } finally {
      await input.close().catch(() => undefined);
    }
  }

  /** Goes on with an upload in whatever state it is. */
  async goOn(upload: Upload, source: KnownSource): Promise<Uploaded> {
    this.#tally.uploadId = upload.id;
    sameSize(upload, source);
    if (upload.state === State.COMPLETING || upload.state === State.COMPLETED) {
      const file = await this.#complete({ uploadId: upload.id });
      await sameContent(source, file);
      this.#tally.total = source.size;
      this.#tally.opened(upload.id, source.size);
      return { file, uploadId: upload.id, sent: 0, resumed: source.size };
    }
    const { raw } = this.#calls;
    const request = { uploadId: upload.id };
    const answer = await this.#unary((call) => raw.uploads.resumeUpload(request, call));
    const resumed = required(answer.upload, "upload");
    const lanes = this.#lanes(resumed, answer.uploadToken, source.size);
    await sameParts(this.#calls, resumed, source, lanes.checksums, this.#options.signal);
    return this.#fill(lanes, source);
  }

  async #inParts(source: KnownSource, requestId?: string): Promise<Uploaded> {
    const request = { ...this.#request(source, requestId), size: BigInt(source.size) };
    const { lanes, upload, fresh } = await this.#open(request, source.size);
    // Otherwise the request id is that of an earlier call.
    return fresh ? this.#fill(lanes, source) : this.goOn(upload, source);
  }

  async #open(request: CreateRequest, size?: number) {
    const { raw } = this.#calls;
    const answer = await this.#unary((call) => raw.uploads.createUpload(request, call));
    const upload = required(answer.upload, "upload");
    const { state, writerEpoch, persistedBytes } = upload;
    const fresh = state === State.ACTIVE && writerEpoch === 1n && persistedBytes === 0n;
    const lanes = this.#lanes(upload, answer.uploadToken, size);
    return { upload, lanes, fresh };
  }

  #lanes(upload: Upload, token: string, size: number | undefined): Lanes<S> {
    this.#tally.total = size;
    this.#tally.opened(upload.id, Number(upload.persistedBytes));
    return new Lanes(this.#calls, upload, token, this.#options, this.#tally);
  }

  /** Sends the parts that are missing, and completes. */
  async #fill(lanes: Lanes<S>, source: KnownSource): Promise<Uploaded> {
    const send = this.#options.direct ? direct(this.#calls, lanes) : undefined;
    const unchanged = () => source.checkUnchanged();
    let upload = lanes.upload;
    for (let completions = 1; ; completions++) {
      const missing = partsOf(upload, source).filter((part) => !has(upload, part));
      const next = () => {
        const part = missing.shift();
        if (part && missing[0]) source.expect?.(missing[0].start, missing[0].end);
        return part;
      };
      await lanes.run(next, send, unchanged);
      await source.checkUnchanged();
      try {
        return await this.#end(lanes, source.size);
      } catch (thrown) {
        const error = SluiceError.from(thrown, this.#options.signal);
        if (error.reason !== "PARTS_MISSING" || completions >= MOST_COMPLETIONS) throw error;
        upload = await lanes.current(this.#options.signal);
      }
    }
  }

  async #oneAfterTheOther(input: Input, lanes: Lanes<S>): Promise<Uploaded> {
    const partSize = Number(lanes.upload.partSize);
    let number = 0;
    let size = 0;
    let turn: Promise<unknown> = Promise.resolve();
    const read = async (): Promise<Part | undefined> => {
      if (input.ended()) return undefined;
      const frames = await input.part(partSize);
      const start = size;
      size += frames.reduce((sum, frame) => sum + frame.size, 0);
      number += 1;
      if (input.ended()) this.#tally.total = size;
      const finalSize = input.ended() ? { finalSize: size } : {};
      return { number, start, end: size, frames: () => frames, ...finalSize };
    };
    // One lane reads at a time.
    const next = () => {
      const part = turn.then(read);
      turn = part.catch(() => undefined);
      return part;
    };
    await lanes.run(next);
    return this.#end(lanes, size);
  }

  /** Completes an upload of which everything is there. */
  async #end(lanes: Lanes<S>, size: number): Promise<Uploaded> {
    const { id, writerEpoch } = lanes.upload;
    let crc32c = 0;
    for (const [, part] of [...lanes.checksums].sort(([a], [b]) => a - b)) {
      crc32c = combineCrc32c(crc32c, part.crc32c, part.size);
    }
    const file = await this.#complete({
      uploadId: id,
      writerEpoch,
      size: BigInt(size),
      expectedChecksums: declared(this.#options.expectedChecksums, crc32c),
    });
    this.#tally.persisted(size);
    const { sent, resumed } = this.#tally;
    return { file, uploadId: id, sent, resumed };
  }

  async #complete(request: MessageInitShape<typeof CompleteUploadRequestSchema>): Promise<File> {
    const { raw } = this.#calls;
    const { name, onConflict } = this.#options;
    const whole = {
      ...request,
      ...(name !== undefined && { name }),
      ...(onConflict !== undefined && { onConflict: conflictChoice(onConflict) }),
    };
    const answer = await this.#unary((call) => raw.uploads.completeUpload(whole, call));
    return required(answer.file, "file");
  }

  #unary<T>(call: (options: ConnectOptions) => Promise<T>): Promise<T> {
    return this.#calls.unary(call, { signal: this.#options.signal });
  }

  /** The request that opens the upload. Made once for each call, so that repeats are equal. */
  #request(source?: KnownSource, requestId?: string): CreateRequest {
    const options = this.#options;
    const name = options.name ?? source?.name;
    if (name === undefined) {
      throw new SluiceError("usage", "bytes and streams have no name of their own: set `name`");
    }
    return {
      requestId: requestId ?? options.requestId ?? newRequestId(),
      name,
      contentType: options.contentType ?? source?.contentType ?? "",
      metadata: options.metadata ?? {},
      onConflict: conflictChoice(options.onConflict),
      ...(options.partSize !== undefined && { preferredPartSize: BigInt(options.partSize) }),
    };
  }
}

/** What has at most this size is sent by one call. */
function oneCall({ partSize = ONE_CALL }: UploadOptions): number {
  return Math.min(partSize, ONE_CALL);
}

/** Every part of a source, by the part size of the upload. */
function partsOf(upload: Upload, source: KnownSource): Part[] {
  const partSize = Number(upload.partSize);
  const finalSize = upload.size === undefined ? { finalSize: source.size } : {};
  return Array.from({ length: Math.ceil(source.size / partSize) }, (_, index) => {
    const start = index * partSize;
    const end = Math.min(start + partSize, source.size);
    const frames = (fleeting?: boolean) => source.frames(start, end, fleeting);
    return { number: index + 1, start, end, frames, ...finalSize };
  });
}
