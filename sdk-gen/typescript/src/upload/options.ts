// What a caller may choose about an upload, and what it is told.

import { type ObjectChecksums, OnConflict } from "../gen/sluice/v1/common_pb.js";
import type { File } from "../gen/sluice/v1/file_pb.js";

/** Choices about one upload; everything has a default but the name of a source that has none. */
export interface UploadOptions {
  /** Name of the file: a relative path, separated by `/`. That of the source unless set. */
  name?: string | undefined;
  /** Content type, such as `image/png`. */
  contentType?: string | undefined;
  /** Your own labels for the file. */
  metadata?: Record<string, string> | undefined;
  /** What to do when a file has the name already: `"fail"` unless set. */
  onConflict?: "fail" | "replace" | undefined;
  /**
   * Preferred size of parts in bytes, a power of two; the server chooses unless set. Small parts
   * lose less on slow links, because a part that is cut off has to be sent again.
   */
  partSize?: number | undefined;
  /** How many parts are sent in parallel: 4 unless set. */
  concurrency?: number | undefined;
  /**
   * Names this upload for good: a later call with the same id and the same options, even in
   * another process, goes on with the same upload. A random one unless set.
   */
  requestId?: string | undefined;
  /** Checksums that the file must have; nothing is published if they are wrong. */
  expectedChecksums?: ExpectedChecksums | undefined;
  /**
   * Sends parts to signed URLs, directly to storage where it offers that. Needs a source of known
   * size and a server whose capabilities say `directUpload`.
   */
  direct?: boolean | undefined;
  /** Called whenever more is persisted, and about ten times a second while bytes move. */
  onProgress?: ((progress: Progress) => void) | undefined;
  /** Stops the upload. What is persisted is kept and can be resumed. */
  signal?: AbortSignal | undefined;
}

/** Checksums of a whole file. */
export interface ExpectedChecksums {
  crc32c?: number | undefined;
  /** 32 bytes. */
  sha256?: Uint8Array | undefined;
  /** 32 bytes. */
  blake3?: Uint8Array | undefined;
}

/** How far an upload is. */
export interface Progress {
  /** The upload, once the server has opened it: remember it to resume in another process. */
  readonly uploadId: string | undefined;
  /** Size of the file, if it is known. */
  readonly total: number | undefined;
  /** Bytes that are stored durably: what is certain. Never falls. */
  readonly persisted: number;
  /** Bytes handed to the network that are not known to be stored; falls back when a connection breaks. */
  readonly inFlight: number;
  /** All bytes of content that this call has sent, what was sent again included. */
  readonly sent: number;
  /** Bytes that were stored before this call began. */
  readonly resumed: number;
  /** Why nothing moves at the moment: the failure after which it is being tried again. */
  readonly trouble: string | undefined;
}

/** A file that was uploaded. */
export interface Uploaded {
  /** The file. It may still be `PROCESSING`. */
  readonly file: File;
  /** The upload it came with. */
  readonly uploadId: string;
  /** Bytes of content that were sent, what was sent again included. */
  readonly sent: number;
  /** Bytes that were stored before the call began. */
  readonly resumed: number;
}

/** A small storage for what is being uploaded; `localStorage` or a map for example. */
export interface UploadStore {
  get(key: string): Promise<string | undefined> | string | undefined;
  set(key: string, value: string): Promise<void> | void;
  delete(key: string): Promise<void> | void;
}

/** An id that nobody else has. Pages without TLS have no `crypto.randomUUID`. */
export function newRequestId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The choice as the contract has it. */
export function conflictChoice(choice: UploadOptions["onConflict"]): OnConflict {
  return choice === "replace" ? OnConflict.REPLACE : OnConflict.FAIL;
}

/** What the file must have: what the caller says, and the checksum of what was read. */
export function declared(
  expected: ExpectedChecksums = {},
  crc32c?: number,
): Partial<Omit<ObjectChecksums, "$typeName">> {
  const { sha256, blake3 } = expected;
  const known = expected.crc32c ?? crc32c;
  return {
    ...(known !== undefined && { crc32c: known }),
    ...(sha256 && { sha256: new Uint8Array(sha256) }),
    ...(blake3 && { blake3: new Uint8Array(blake3) }),
  };
}
