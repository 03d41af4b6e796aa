// The SDK in browsers: gRPC-web over fetch and XMLHttpRequest.

import { createGrpcWebTransport } from "@connectrpc/connect-web";
import type { ClientOptions } from "../calls.js";
import { Client as BaseClient } from "../client.js";
import type { Platform } from "../platform.js";
import { NOTHING, type OnDownload, isFile, notTheFile, pour } from "../read.js";
import type { File as StoredFile } from "../gen/sluice/v1/file_pb.js";
import type { UploadStore } from "../upload/options.js";
import { XhrSender } from "./sender.js";
import { type WebSource, openSource } from "./source.js";

export * from "../index.js";
export type { WebSource } from "./source.js";

const WEB: Platform<WebSource> = {
  userAgentHeader: "x-user-agent",
  connection: (baseUrl) => ({
    transport: (interceptors) => createGrpcWebTransport({ baseUrl, interceptors }),
    // Connections are the browser's.
    close: () => undefined,
  }),
  sender: (endpoint) => new XhrSender(endpoint),
  open: openSource,
};

/** A client of one server, for browsers. */
export class Client extends BaseClient<WebSource> {
  constructor(options: ClientOptions) {
    super(WEB, options);
  }

  /**
   * Downloads a file into a stream, that of a file picker for example, verified piece by piece and
   * as a whole. The stream is neither closed nor aborted. Where the browser shall save the file by
   * itself, `sign` gives a link for it.
   */
  async download(
    fileId: string,
    target: WritableStream<Uint8Array>,
    options: { onProgress?: OnDownload | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<StoredFile> {
    const file = await this.get(fileId, options);
    const writer = target.getWriter();
    try {
      const write = async (content: Uint8Array) => {
        await writer.ready;
        await writer.write(content);
      };
      const whole = await pour(this, file, NOTHING, write, options);
      if (!isFile(file, whole)) throw notTheFile(file);
    } finally {
      writer.releaseLock();
    }
    return file;
  }
}

/**
 * Remembers uploads in `localStorage`: with it, choosing the same file again after a reload goes on
 * where the upload was.
 */
export const localUploads: UploadStore = {
  get: (key) => localStorage.getItem(key) ?? undefined,
  set: (key, value) => localStorage.setItem(key, value),
  delete: (key) => localStorage.removeItem(key),
};
