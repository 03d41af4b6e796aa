// What differs between Node.js and browsers: how calls and content travel, and where content
// comes from.

import type { Interceptor, Transport } from "@connectrpc/connect";
import type { WriteUploadResponse } from "./gen/sluice/v1/upload_pb.js";

/** The ports of one platform. `S` is what it takes as the source of an upload. */
export interface Platform<S> {
  /** The header by which the SDK names itself; browsers keep `user-agent` for themselves. */
  readonly userAgentHeader: string;
  /** The way for all calls but those that carry the content of uploads. */
  connection(server: string): Connection;
  /** A way for content, independent of others so that they do not hold each other up. */
  sender(endpoint: string): Sender;
  /** Opens what the caller gave. */
  open(source: S): Promise<Source>;
}

/** A connection for calls; opened when it is needed, and again after a break. */
export interface Connection {
  transport(interceptors: Interceptor[]): Transport;
  /** Closes the connection, if there is one. */
  close(): void;
}

/** Sends the content of uploads, on one connection. */
export interface Sender {
  /**
   * Makes one `WriteUpload` call and answers with the server's answer. A refusal is thrown as
   * `ConnectError`, also if it comes before everything was sent. An error of `messages` ends the
   * call and is thrown as it is.
   */
  send(call: WriteCall): Promise<WriteUploadResponse>;
  /** Closes the connection, if there is one. */
  close(): void;
}

/** One `WriteUpload` call. */
export interface WriteCall {
  readonly headers: Readonly<Record<string, string>>;
  /** The messages, in their order; pulled no faster than they can be sent. */
  readonly messages: AsyncIterable<EncodedMessage>;
  /** Told that so many more bytes of content were handed to the network. */
  readonly onSent: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/** One message as it stands on the wire; the content is what the source gave, not a copy. */
export interface EncodedMessage {
  readonly head: Uint8Array<ArrayBuffer>;
  readonly content: Content | undefined;
}

/** Bytes in memory, or bytes of a file that the browser reads when it sends them. */
export type Content = Uint8Array<ArrayBuffer> | Blob;

/** The path of `WriteUpload`. */
export const WRITE_UPLOAD_PATH = "/sluice.v1.UploadService/WriteUpload";

/** Most content of one frame. Frames that cross no multiple of it fit every part. */
export const FRAME_SIZE = 1024 * 1024;

/** Content with its place and checksum. */
export interface Frame {
  readonly offset: number;
  readonly size: number;
  readonly content: Content;
  readonly crc32c: number;
}

/** What is uploaded: content that can be read at any place, or once from its beginning. */
export type Source = KnownSource | OnceSource;

/** Content of known size, any range of which can be read, again if need be. */
export interface KnownSource {
  readonly size: number;
  /** The name of the file, if the source has one. */
  readonly name?: string | undefined;
  readonly contentType?: string | undefined;
  /** What this very content is recognised by later, after a reload of the page for example. */
  readonly fingerprint?: string | undefined;
  /**
   * The frames of a range, in order, none crossing a multiple of `FRAME_SIZE`. With `fleeting` the
   * content of one is needed only until the next is asked for, so that memory can be used again.
   */
  frames(start: number, end: number, fleeting?: boolean): AsyncIterable<Frame>;
  /** The range will be asked for next; a chance to prepare. */
  expect?(start: number, end: number): void;
  /** Throws `source_changed` if the content is known to be other than when it was opened. */
  checkUnchanged(): Promise<void>;
  /** Lets go of what was opened. */
  close(): Promise<void>;
}

/** Content that can be read once and has no known size. */
export interface OnceSource {
  readonly size: undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
}
