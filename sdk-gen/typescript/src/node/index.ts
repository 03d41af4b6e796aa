// The SDK on Node.js: gRPC over HTTP/2.

import type { Writable } from "node:stream";
import type { SecureContextOptions } from "node:tls";
import { createGrpcTransport } from "@connectrpc/connect-node";
import type { ClientOptions } from "../calls.js";
import { Client as BaseClient } from "../client.js";
import { SluiceError } from "../errors.js";
import type { Platform } from "../platform.js";
import { NOTHING, isFile, notTheFile, pour } from "../read.js";
import { type DownloadOptions, type Downloaded, downloadTo } from "./download.js";
import { Http2Sender, connect } from "./sender.js";
import { type NodeSource, openSource } from "./source.js";

export * from "../index.js";
export type { DownloadOptions, Downloaded } from "./download.js";
export type { NodeSource } from "./source.js";

/** Which server, who calls, and how patiently; and how TLS is done. */
export interface NodeClientOptions extends ClientOptions {
  /**
   * Certificates of authorities to trust instead of those that Node.js has, and the certificate to
   * show to servers that ask for one. All in PEM. Parts sent to signed URLs (`direct`) go by `fetch`,
   * for which only `NODE_EXTRA_CA_CERTS` counts.
   */
  tls?: Pick<SecureContextOptions, "ca" | "cert" | "key" | "passphrase"> | undefined;
}

function node(tls: NodeClientOptions["tls"] = {}): Platform<NodeSource> {
  return {
    userAgentHeader: "user-agent",
    connection: (server) => {
      const settings = { initialWindowSize: 2 * 1024 * 1024, maxFrameSize: 256 * 1024 };
      const sessionManager = connect(server, { ...tls, settings });
      return {
        transport: (interceptors) =>
          createGrpcTransport({
            baseUrl: server,
            interceptors,
            sessionManager,
            // Content is not compressed, and the rest is small.
            acceptCompression: [],
          }),
        close: () => sessionManager.abort(),
      };
    },
    sender: (endpoint) => new Http2Sender(connect(endpoint, tls)),
    open: openSource,
  };
}

/** A client of one server, for Node.js. */
export class Client extends BaseClient<NodeSource> {
  constructor(options: NodeClientOptions) {
    super(node(options.tls), options);
  }

  /**
   * Downloads a file to a path or a stream, verified as a whole. At a path it appears at once when
   * it is whole and on disk; until then its bytes are in `path.part`, from where the next attempt
   * goes on. A stream is given what is verified piece by piece, and is not ended.
   */
  async download(
    fileId: string,
    target: string | Writable,
    options: DownloadOptions = {},
  ): Promise<Downloaded> {
    const { signal } = options;
    const file = await this.get(fileId, { signal });
    if (typeof target === "string") {
      return downloadTo(this, file, target, options).catch((thrown: unknown) => {
        throw SluiceError.from(thrown, signal);
      });
    }
    const write = (content: Uint8Array) => written(target, content);
    const whole = await pour(this, file, NOTHING, write, options);
    if (!isFile(file, whole)) throw notTheFile(file);
    return { file, received: whole.size, resumed: 0 };
  }
}

function written(target: Writable, content: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    target.write(content, (cause) => {
      if (!cause) return resolve();
      reject(new SluiceError("local", `cannot write: ${cause.message}`, { cause }));
    });
  });
}
