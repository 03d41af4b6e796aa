// Finding, renaming, linking and deleting files.

import { durationFromMs, timestampDate } from "@bufbuild/protobuf/wkt";
import { AccountCalls } from "./accounts.js";
import { type CallOptions, pages } from "./calls.js";
import { SluiceError, required } from "./errors.js";
import {
  type File,
  File_State as State,
  ListFilesRequest_OrderBy as OrderBy,
  SignDownloadUrlRequest_Disposition as Disposition,
} from "./gen/sluice/v1/file_pb.js";

const PAGE_SIZE = 1000;

/** Which files to list. */
export interface ListQuery extends CallOptions {
  /** `"newest"` first unless set; `"name"` is by the bytes of the name. */
  orderBy?: "newest" | "name" | undefined;
  /** Only files whose name starts with this; orders by name. */
  prefix?: string | undefined;
  /** Only files in one of these states. */
  states?: (keyof typeof State)[] | undefined;
}

/** An entry of a folder: a file, or a deeper folder by the beginning of its names. */
export type FolderEntry = { file: File; folder?: undefined } | { folder: string; file?: undefined };

/** What to change about a file; what is not set stays. */
export interface FileChange extends CallOptions {
  name?: string | undefined;
  /** All labels, instead of those before. */
  metadata?: Record<string, string> | undefined;
  /** Change only while the file has this etag; otherwise `ETAG_MISMATCH`. */
  etag?: string | undefined;
}

/** A link with which anybody can download a file until it expires: a secret. */
export interface SignedUrl {
  readonly url: string;
  readonly expiresAt: Date;
}

/** The verbs about files. */
export class FileCalls<S> extends AccountCalls<S> {
  /** One file, in whatever state. */
  async get(fileId: string, options?: CallOptions): Promise<File> {
    const answer = await this.unary((call) => this.raw.files.getFile({ fileId }, call), options);
    return required(answer.file, "file");
  }

  /** The file that has this name; `undefined` if none has. */
  async find(name: string, options?: CallOptions): Promise<File | undefined> {
    // Of all names that begin with it, the name itself is the first.
    const request = { orderBy: OrderBy.NAME, namePrefix: name, pageSize: 1 };
    const answer = await this.unary((call) => this.raw.files.listFiles(request, call), options);
    return answer.files.find((file) => file.name === name);
  }

  /** Files, page by page as they are asked for. */
  list(query: ListQuery = {}): AsyncGenerator<File, void, undefined> {
    return this.#pages(query, "", (files) => files);
  }

  /** What is in a folder: `""` or a beginning of names that ends with `/`. */
  listFolder(folder: string, options?: CallOptions): AsyncGenerator<FolderEntry, void, undefined> {
    return this.#pages({ ...options, orderBy: "name", prefix: folder }, "/", (files, prefixes) => [
      ...prefixes.map((folder) => ({ folder })),
      ...files.map((file) => ({ file })),
    ]);
  }

  /** Changes the name or the labels of a file. */
  async update(fileId: string, change: FileChange): Promise<File> {
    const { name, metadata, etag = "", ...options } = change;
    const paths = [...(name === undefined ? [] : ["name"]), ...(metadata ? ["metadata"] : [])];
    if (paths.length === 0) throw new SluiceError("usage", "nothing is to be changed");
    const request = {
      file: { id: fileId, name: name ?? "", metadata: metadata ?? {} },
      updateMask: { paths },
      etag,
    };
    const answer = await this.unary((call) => this.raw.files.updateFile(request, call), options);
    return required(answer.file, "file");
  }

  /** Deletes a file: its name and quota are free at once, its bytes are gone soon. */
  async delete(fileId: string, options?: CallOptions & { etag?: string }): Promise<void> {
    let first = true;
    await this.unary(async (call) => {
      try {
        await this.raw.files.deleteFile({ fileId, etag: options?.etag ?? "" }, call);
      } catch (thrown) {
        const error = SluiceError.from(thrown, options?.signal);
        // Gone by the attempt before, whose answer was lost.
        if (first || error.reason !== "FILE_NOT_FOUND") {
          first = false;
          throw error;
        }
      }
    }, options);
  }

  /** A link with which anybody can download a file, for 1 hour unless set, 7 days at most. */
  async sign(
    fileId: string,
    options: CallOptions & { ttlMs?: number; inline?: boolean } = {},
  ): Promise<SignedUrl> {
    const { ttlMs, inline } = options;
    const request = {
      fileId,
      disposition: inline ? Disposition.INLINE : Disposition.ATTACHMENT,
      ...(ttlMs !== undefined && { ttl: durationFromMs(ttlMs) }),
    };
    const answer = await this.unary(
      (call) => this.raw.files.signDownloadUrl(request, call),
      options,
    );
    return { url: answer.url, expiresAt: timestampDate(required(answer.expireTime, "expiry")) };
  }

  #pages<T>(
    { orderBy, prefix = "", states = [], ...options }: ListQuery,
    delimiter: string,
    entries: (files: File[], prefixes: string[]) => T[],
  ): AsyncGenerator<T, void, undefined> {
    const byName = orderBy === "name" || prefix !== "" || delimiter !== "";
    return pages(async (pageToken) => {
      const request = {
        pageSize: PAGE_SIZE,
        pageToken,
        namePrefix: prefix,
        delimiter,
        states: states.map((state) => State[state]),
        orderBy: byName ? OrderBy.NAME : OrderBy.CREATE_TIME,
      };
      const page = await this.unary((call) => this.raw.files.listFiles(request, call), options);
      return { entries: entries(page.files, page.prefixes), nextPageToken: page.nextPageToken };
    });
  }
}
