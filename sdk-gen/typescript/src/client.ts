// The verbs of the SDK.

import { type CallOptions, pages } from "./calls.js";
import { required } from "./errors.js";
import { FileCalls } from "./files.js";
import type { Capabilities } from "./gen/sluice/v1/capabilities_pb.js";
import { type Upload, Upload_State as State } from "./gen/sluice/v1/upload_pb.js";
import { type ReadOptions, readFrames } from "./read.js";
import { getUpload } from "./upload/lanes.js";
import type { UploadOptions, Uploaded } from "./upload/options.js";
import { resume, upload } from "./upload/upload.js";
import { type WatchEvent, type WatchQuery, watchEvents } from "./watch.js";

/**
 * A client of one server. All methods throw `SluiceError`. Broken connections, restarts of the
 * server and refusals for the time being are ridden out; it gives up after two minutes without
 * progress (`ClientOptions.giveUpAfterMs`).
 */
export class Client<S> extends FileCalls<S> {
  /**
   * Uploads a source and makes it a file. What is persisted is never sent again. After an error
   * that is `transient`, or after cancellation, `resume` goes on with the error's `uploadId`.
   */
  upload(source: S, options: UploadOptions = {}): Promise<Uploaded> {
    return upload(this, source, options);
  }

  /**
   * Goes on with an upload that another call or process began, from the same bytes. What is
   * persisted is compared with the source (`source_changed` if it differs) and not sent again.
   * Takes the upload over: whoever still writes to it is stopped. An upload that is complete by
   * now answers with its file.
   */
  resume(uploadId: string, source: S, options: UploadOptions = {}): Promise<Uploaded> {
    return resume(this, uploadId, source, options);
  }

  /**
   * Reads a file, or a range of it, piece by piece. Each piece was verified by its CRC-32C; after
   * a break it goes on where it was.
   */
  async *read(
    fileId: string,
    options: ReadOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const frame of readFrames(this, fileId, options)) yield frame.content;
  }

  /**
   * Watches uploads and files: first a snapshot of what is under way, or of what was named, then
   * every change, made by whomever. Survives broken connections; ends when the loop is left.
   */
  watch(query: WatchQuery = {}): AsyncGenerator<WatchEvent, void, undefined> {
    return watchEvents(this, query);
  }

  /** An upload with what is persisted of it, in whatever state. */
  getUpload(uploadId: string, options?: CallOptions): Promise<Upload> {
    return getUpload(this, uploadId, options?.signal);
  }

  /** Uploads, newest first, without their `persistedRanges`. */
  uploads(
    query: CallOptions & { states?: (keyof typeof State)[] } = {},
  ): AsyncGenerator<Upload, void, undefined> {
    const states = (query.states ?? []).map((state) => State[state]);
    return pages(async (pageToken) => {
      const request = { pageSize: 1000, pageToken, states };
      const page = await this.unary((call) => this.raw.uploads.listUploads(request, call), query);
      return { entries: page.uploads, nextPageToken: page.nextPageToken };
    });
  }

  /** Ends an upload without a file and frees its storage and quota. */
  async cancelUpload(uploadId: string, options?: CallOptions): Promise<Upload> {
    const answer = await this.unary(
      (call) => this.raw.uploads.cancelUpload({ uploadId }, call),
      options,
    );
    return required(answer.upload, "upload");
  }

  /** What the server offers, and its limits. Needs no credential. */
  async capabilities(options?: CallOptions): Promise<Capabilities> {
    const answer = await this.unary(
      (call) => this.raw.capabilities.getCapabilities({}, call),
      options,
    );
    return required(answer.capabilities, "capabilities");
  }
}
