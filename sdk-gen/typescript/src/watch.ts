// What changes, as events that survive broken connections.

import { type Calls } from "./calls.js";
import { SluiceError } from "./errors.js";
import type { File } from "./gen/sluice/v1/file_pb.js";
import type { Upload } from "./gen/sluice/v1/upload_pb.js";

/** A server says something every 15 s. A stream that brings nothing for this long is opened again. */
const STALL_MS = 45_000;

/** What to watch; everything of the account unless something is named. */
export interface WatchQuery {
  /** These uploads, and the files they become. */
  uploadIds?: string[] | undefined;
  /** These files. */
  fileIds?: string[] | undefined;
  /** Goes on after the event that had this token, with the same ids. */
  resumeToken?: string | undefined;
  /** Ends the watching. */
  signal?: AbortSignal | undefined;
}

/** What has happened. */
export type WatchEvent = (
  | {
      /** Forget what was seen before: a snapshot begins, which has all that counts. */
      readonly type: "snapshotBegin";
    }
  | {
      /** The snapshot is whole; what follows are changes. */
      readonly type: "snapshotEnd";
    }
  | {
      /** The upload is like this now, without `persistedRanges`. */
      readonly type: "upload";
      readonly upload: Upload;
    }
  | {
      /** The file is like this now. */
      readonly type: "file";
      readonly file: File;
    }
  | {
      /** The file was deleted or replaced. */
      readonly type: "fileDeleted";
      readonly fileId: string;
    }
) & {
  /** Goes on after this event, for at least an hour; empty until the snapshot is whole. */
  readonly resumeToken: string;
};

/** Watches uploads and files: first a snapshot, then every change, made by whomever. */
export async function* watchEvents<S>(
  calls: Calls<S>,
  { uploadIds = [], fileIds = [], resumeToken = "", signal }: WatchQuery,
): AsyncGenerator<WatchEvent, void, undefined> {
  const attempts = calls.attempts(signal);
  for (;;) {
    const stall = new AbortController();
    const both = signal ? AbortSignal.any([signal, stall.signal]) : stall.signal;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const moved = () => {
      clearTimeout(timer);
      timer = setTimeout(() => stall.abort(silent()), STALL_MS);
    };
    try {
      moved();
      let begins = resumeToken === "";
      const request = { uploadIds, fileIds, resumeToken };
      for await (const message of calls.raw.events.watchEvents(request, { signal: both })) {
        moved();
        // Only now: a stream that opens and breaks at once is no progress.
        attempts.progressed();
        if (begins) yield { type: "snapshotBegin", resumeToken };
        begins = false;
        resumeToken = message.resumeToken || resumeToken;
        const { event } = message;
        switch (event.case) {
          case "upload":
            yield { type: "upload", upload: event.value, resumeToken };
            break;
          case "file":
            yield { type: "file", file: event.value, resumeToken };
            break;
          case "fileDeleted":
            yield { type: "fileDeleted", fileId: event.value.fileId, resumeToken };
            break;
          case "snapshotEnd":
            yield { type: "snapshotEnd", resumeToken };
        }
      }
      throw new SluiceError("transport", "the server has ended the stream");
    } catch (thrown) {
      const error = SluiceError.from(thrown, both);
      // The server does not remember where this was: begin anew.
      if (error.reason === "RESUME_TOKEN_INVALID" && resumeToken !== "") resumeToken = "";
      else await attempts.waitAfter(error);
    } finally {
      clearTimeout(timer);
      stall.abort(silent());
    }
  }
}

function silent(): SluiceError {
  return new SluiceError("transport", `nothing came for ${STALL_MS / 1000} s`);
}
