// How far one upload is, and telling it.

import type { Progress } from "./options.js";

/** How often progress is told while bytes move. */
const INTERVAL_MS = 100;

/** Counts what is sent and persisted, and tells the caller. */
export class Tally {
  uploadId: string | undefined;
  total: number | undefined;
  resumed = 0;
  sent = 0;
  #persisted = 0;
  #inFlight = 0;
  #trouble: string | undefined;
  #told = 0;
  readonly #tell: ((progress: Progress) => void) | undefined;

  constructor(tell: ((progress: Progress) => void) | undefined) {
    this.#tell = tell;
  }

  /** The upload exists: tells it at once, before any content is sent. */
  opened(uploadId: string, resumed: number): void {
    this.uploadId = uploadId;
    this.resumed = resumed;
    this.#persisted = resumed;
    this.#report();
  }

  /** Bytes were handed to the network. */
  sending(bytes: number): void {
    this.sent += bytes;
    this.#inFlight += bytes;
    this.#trouble = undefined;
    if (performance.now() - this.#told >= INTERVAL_MS) this.#report();
  }

  /** Bytes that were under way are so no more. */
  settled(bytes: number): void {
    this.#inFlight -= bytes;
  }

  /** How many bytes are known to be persisted. */
  get known(): number {
    return this.#persisted;
  }

  /** So many bytes are persisted by now. */
  persisted(bytes: number): void {
    if (bytes <= this.#persisted) return;
    this.#persisted = bytes;
    this.#report();
  }

  /** Something failed and will be tried again. */
  failed(message: string): void {
    this.#trouble = message;
    this.#report();
  }

  #report(): void {
    this.#told = performance.now();
    const { uploadId, total, resumed, sent } = this;
    const room = (total ?? Infinity) - this.#persisted;
    this.#tell?.({
      uploadId,
      total,
      persisted: this.#persisted,
      inFlight: Math.max(0, Math.min(this.#inFlight, room)),
      sent,
      resumed,
      trouble: this.#trouble,
    });
  }
}
