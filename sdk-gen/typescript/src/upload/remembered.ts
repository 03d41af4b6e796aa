// Uploads that are found again after the process has ended or the page was loaded again.

import type { Calls } from "../calls.js";
import { SluiceError } from "../errors.js";
import { type UploadOptions, type UploadStore, type Uploaded, newRequestId } from "./options.js";

/**
 * Remembers the request id under which a source is being uploaded. The server is the truth: the
 * same request answers with the same upload and what is persisted of it, whoever asks with another
 * account gets an upload of their own, and the parts are compared with the source in any case.
 */
export class Remembered<S> {
  readonly #store: UploadStore;
  readonly #key: string;

  constructor(store: UploadStore, calls: Calls<S>, fingerprint: string, options: UploadOptions) {
    this.#store = store;
    // Other options would be another request, which the server refuses under the same id.
    const { name, contentType, metadata, partSize, onConflict } = options;
    const choices = JSON.stringify([name, contentType, metadata, partSize, onConflict]);
    this.#key = `sluice:${calls.server}:${calls.options.account ?? ""}:${fingerprint}:${choices}`;
  }

  /** Runs an upload under the request id of the last attempt, or under a new one. */
  async run(upload: (requestId: string) => Promise<Uploaded>): Promise<Uploaded> {
    const earlier = await this.#store.get(this.#key);
    if (earlier !== undefined) {
      try {
        return await this.#once(earlier, upload);
      } catch (thrown) {
        if (!isOver(SluiceError.from(thrown))) throw thrown;
      }
    }
    const requestId = newRequestId();
    await this.#store.set(this.#key, requestId);
    return this.#once(requestId, upload);
  }

  async #once(
    requestId: string,
    upload: (requestId: string) => Promise<Uploaded>,
  ): Promise<Uploaded> {
    try {
      const uploaded = await upload(requestId);
      await this.#store.delete(this.#key);
      return uploaded;
    } catch (thrown) {
      if (isOver(SluiceError.from(thrown))) await this.#store.delete(this.#key);
      throw thrown;
    }
  }
}

/** Whether nothing can be gone on with: the next attempt is an upload of its own. */
function isOver({ kind, reason }: SluiceError): boolean {
  return (
    kind === "source_changed" ||
    reason === "REQUEST_ID_REUSED" ||
    reason === "UPLOAD_NOT_ACTIVE" ||
    reason === "UPLOAD_EXPIRED" ||
    reason === "UPLOAD_NOT_FOUND" ||
    reason === "FILE_CHECKSUM_MISMATCH"
  );
}
