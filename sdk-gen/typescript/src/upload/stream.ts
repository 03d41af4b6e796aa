// One WriteUpload call that is watched: one on which nothing moves is given up.

import { Code } from "@connectrpc/connect";
import { SluiceError } from "../errors.js";
import type { WriteUploadResponse } from "../gen/sluice/v1/upload_pb.js";
import type { EncodedMessage, Frame, Sender } from "../platform.js";
import { type Credential, withCredential } from "../session.js";
import { type MessageFields, encode } from "./frames.js";
import type { Tally } from "./tally.js";

/** A call on which nothing moves for this long is given up. */
const STALL_MS = 30_000;
/** The server has this long to answer once it has everything. */
const ANSWER_MS = 60_000;

/** One message before it is encoded. */
export interface Message {
  readonly fields: MessageFields;
  readonly frame?: Frame;
}

/** Sends messages as one call. They are made anew where it has to be repeated with another token. */
export function write(
  sender: Sender,
  credential: Credential,
  messages: () => AsyncIterable<Message>,
  tally: Tally,
  signal: AbortSignal,
): Promise<WriteUploadResponse> {
  return withCredential(credential, async (authorization) => {
    const watch = new Watch(signal);
    let sent = 0;
    async function* encoded(): AsyncGenerator<EncodedMessage> {
      for await (const { fields, frame } of messages()) {
        watch.moved(STALL_MS);
        yield encode(fields, frame);
      }
      watch.moved(ANSWER_MS);
    }
    try {
      return await sender.send({
        headers: authorization ? { authorization } : {},
        messages: encoded(),
        onSent: (bytes) => {
          sent += bytes;
          tally.sending(bytes);
          watch.moved();
        },
        signal: watch.signal,
      });
    } catch (thrown) {
      throw watch.stalled ?? SluiceError.from(thrown, signal);
    } finally {
      watch.end();
      tally.settled(sent);
    }
  });
}

/** Aborts a call when nothing has moved for too long. */
class Watch {
  readonly signal: AbortSignal;
  stalled: SluiceError | undefined;
  #limitMs = STALL_MS;
  #moved = performance.now();
  readonly #stop = new AbortController();
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(signal: AbortSignal) {
    this.signal = AbortSignal.any([signal, this.#stop.signal]);
    this.#timer = setInterval(() => this.#look(), 1000);
  }

  moved(limitMs = this.#limitMs): void {
    this.#limitMs = limitMs;
    this.#moved = performance.now();
  }

  end(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    if (performance.now() - this.#moved < this.#limitMs) return;
    const message = `nothing moved for ${this.#limitMs / 1000} s`;
    this.stalled = new SluiceError("transport", message, { code: Code.DeadlineExceeded });
    this.#stop.abort(this.stalled);
  }
}
