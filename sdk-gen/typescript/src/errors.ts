// Why calls fail.

import { Code, ConnectError } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "./gen/google/rpc/error_details_pb.js";
import { ErrorReason } from "./gen/sluice/v1/common_pb.js";

/**
 * Where an error comes from:
 *
 * - `server`: the server refused; see `reason` and `code`.
 * - `transport`: no connection, or it broke.
 * - `local`: a local file or stream could not be read or written.
 * - `source_changed`: the content is not, or is no longer, what was being uploaded.
 * - `corrupt`: what arrived is not what the server recorded.
 * - `cancelled`: the call's `AbortSignal` was aborted.
 * - `usage`: the SDK was asked for something that cannot be.
 */
export type ErrorKind =
  "server" | "transport" | "local" | "source_changed" | "corrupt" | "cancelled" | "usage";

/** A name of the contract's `ErrorReason`, such as `"FILE_EXISTS"`. */
export type Reason = Exclude<keyof typeof ErrorReason, "UNSPECIFIED">;

/** A field that the server refused. */
export interface FieldViolation {
  /** Its path in the request. */
  readonly field: string;
  /** What is wrong with it, for people. */
  readonly description: string;
}

/** What an error knows beside its kind and message. */
export interface ErrorFacts {
  code?: Code | undefined;
  reason?: Reason | undefined;
  metadata?: Readonly<Record<string, string>>;
  violations?: readonly FieldViolation[];
  retryAfterMs?: number | undefined;
  uploadId?: string | undefined;
  /** Whether the same call may succeed later; follows from the rest unless set. */
  transient?: boolean;
  cause?: unknown;
}

/** Every error that the SDK throws: decide by `kind`, `reason` and `code`, show `message`. */
export class SluiceError extends Error {
  override readonly name = "SluiceError";
  /** Where the error comes from. */
  readonly kind: ErrorKind;
  /** The gRPC code, of errors that the server or the transport gave. */
  readonly code: Code | undefined;
  /** The stable reason, of errors that the server gave. Absent also for a reason newer than this SDK. */
  readonly reason: Reason | undefined;
  /** Facts by the names that the contract gives to each reason. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The fields at fault, for `INVALID_FIELD`. */
  readonly violations: readonly FieldViolation[];
  /** How long the server asked to wait before trying again. */
  readonly retryAfterMs: number | undefined;
  /** Whether the same call may succeed later. The SDK has then tried for a while already. */
  readonly transient: boolean;
  /** The upload that can be resumed or cancelled, once there is one. */
  uploadId: string | undefined;

  constructor(kind: ErrorKind, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.kind = kind;
    this.code = facts.code;
    this.reason = facts.reason;
    this.metadata = facts.metadata ?? {};
    this.violations = facts.violations ?? [];
    this.retryAfterMs = facts.retryAfterMs;
    this.uploadId = facts.uploadId ?? this.metadata["upload_id"];
    this.transient = facts.transient ?? mayPass(this);
  }

  /** The same error, with what was tried in vain. */
  withMessage(message: string): SluiceError {
    const { code, reason, metadata, violations, retryAfterMs, uploadId, transient, cause } = this;
    return new SluiceError(this.kind, message, {
      ...{ code, reason, metadata, violations, retryAfterMs, uploadId, transient, cause },
    });
  }

  /** Whatever was thrown, as an error of the SDK. */
  static from(thrown: unknown, signal?: AbortSignal): SluiceError {
    if (signal?.aborted) {
      // An abort for a reason of the SDK's own, such as another lane's failure.
      if (signal.reason instanceof SluiceError) return signal.reason;
      return new SluiceError("cancelled", "cancelled", { cause: thrown });
    }
    if (thrown instanceof SluiceError) return thrown;
    if (thrown instanceof ConnectError) {
      // What the SDK itself throws on the way comes back wrapped.
      return thrown.cause instanceof SluiceError ? thrown.cause : fromStatus(thrown);
    }
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new SluiceError("local", message, { cause: thrown });
  }
}

/** A refusal that this side makes because the server would. */
export function refusal(
  reason: Reason,
  code: Code,
  message: string,
  metadata: Record<string, string> = {},
): SluiceError {
  return new SluiceError("server", message, { code, reason, metadata });
}

/** What is absent although the contract promises it. */
export function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new SluiceError("corrupt", `the server's answer has no ${what}`);
  return value;
}

/** The name of a number of `ErrorReason`; absent for one newer than this SDK. */
export function reasonName(reason: ErrorReason): Reason | undefined {
  return knownReason(nameOf(ErrorReason, reason));
}

/** The name of an enum's value; servers may send values newer than this SDK. */
export function nameOf(names: Readonly<Record<number, string>>, value: number): string {
  return names[value] ?? "UNKNOWN";
}

function knownReason(name: string): Reason | undefined {
  return name in ErrorReason && name !== "UNSPECIFIED" ? (name as Reason) : undefined;
}

// Without details of the contract these are the word of the server or of something before
// it; every other code is what proxies and libraries make of a broken connection.
const ANSWERS: ReadonlySet<Code> = new Set([
  Code.NotFound,
  Code.PermissionDenied,
  Code.Unauthenticated,
  Code.Unimplemented,
]);

function fromStatus(error: ConnectError): SluiceError {
  const info = error.findDetails(ErrorInfoSchema).find((info) => info.domain === "sluice.v1");
  const { code, rawMessage } = error;
  if (!info && !ANSWERS.has(code)) {
    const cause = error.cause ?? error;
    const refused = refusedCertificate(cause);
    const message = `no connection to the server: ${rawMessage}`;
    return new SluiceError("transport", message, {
      code,
      cause,
      ...(refused && { transient: false }),
    });
  }
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return new SluiceError("server", rawMessage, {
    code,
    reason: knownReason(info?.reason ?? ""),
    metadata: info?.metadata ?? {},
    violations: error
      .findDetails(BadRequestSchema)
      .flatMap((request) => request.fieldViolations)
      // Whether an upload is opened by a call of its own is no matter of the caller's.
      .map(({ field, description }) => ({
        field: field.replace(/^create_upload\./, ""),
        description,
      })),
    retryAfterMs: delay && Number(delay.seconds) * 1000 + delay.nanos / 1e6,
  });
}

function mayPass(error: SluiceError): boolean {
  switch (error.reason) {
    case "CHECKSUM_MISMATCH":
    case "PART_BUSY":
    case "STREAM_IDLE":
    case "STREAM_TOO_SLOW":
      return true;
    case "UPLOAD_NOT_ACTIVE":
      // Somebody's completion is on its way; it ends in another state.
      return error.metadata["state"] === "COMPLETING";
  }
  if (error.kind === "transport" || error.code === Code.Unavailable) return true;
  return error.code === Code.ResourceExhausted && error.retryAfterMs !== undefined;
}

/** Whether TLS has refused a certificate, which no repetition changes. */
function refusedCertificate(cause: unknown): boolean {
  for (let error = cause; error instanceof Error; error = error.cause) {
    const code = (error as { code?: unknown }).code;
    if (typeof code === "string" && /CERT|SIGNATURE|ERR_TLS/.test(code)) return true;
  }
  return false;
}
