// The content of uploads over HTTP/2.

import type {
  ClientHttp2Stream,
  ClientSessionOptions,
  IncomingHttpHeaders,
  SecureClientSessionOptions,
} from "node:http2";
import { constants } from "node:http2";
import { fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeFromHttpStatus, findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { Http2SessionManager } from "@connectrpc/connect-node";
import { type WriteUploadResponse, WriteUploadResponseSchema } from "../gen/sluice/v1/upload_pb.js";
import { SluiceError } from "../errors.js";
import { type Sender, WRITE_UPLOAD_PATH, type WriteCall } from "../platform.js";
import { USER_AGENT } from "../version.js";

/** A peer that is gone without a word is noticed after twice this time. */
const KEEP_ALIVE_MS = 10_000;
/** An idle connection is closed after this time. It keeps no process alive. */
const IDLE_MS = 60_000;
/** Content is handed over in pieces of this size: so often is known how far it is. */
const PIECE = 128 * 1024;

/** A connection, which is opened when it is needed and opened again after a break. */
export function connect(
  endpoint: string,
  options: ClientSessionOptions | SecureClientSessionOptions,
): Http2SessionManager {
  const keepAlive = {
    pingIntervalMs: KEEP_ALIVE_MS,
    pingTimeoutMs: KEEP_ALIVE_MS,
    idleConnectionTimeoutMs: IDLE_MS,
  };
  return new Http2SessionManager(endpoint, keepAlive, options);
}

/** Sends on one connection. */
export class Http2Sender implements Sender {
  readonly #connection: Http2SessionManager;

  constructor(connection: Http2SessionManager) {
    this.#connection = connection;
  }

  async send(call: WriteCall): Promise<WriteUploadResponse> {
    const stream = await this.#open(call);
    const cancel = () => stream.close(constants.NGHTTP2_CANCEL);
    call.signal.addEventListener("abort", cancel, { once: true });
    try {
      const answer = this.#answer(stream);
      // Awaited below; until then its failure only ends the writing.
      answer.catch(() => undefined);
      await write(stream, call);
      return await answer;
    } finally {
      call.signal.removeEventListener("abort", cancel);
      if (!stream.closed) cancel();
    }
  }

  close(): void {
    this.#connection.abort();
  }

  async #open({ signal, headers }: WriteCall): Promise<ClientHttp2Stream> {
    signal.throwIfAborted();
    const opening = this.#connection.request(
      "POST",
      WRITE_UPLOAD_PATH,
      {
        ...headers,
        "content-type": "application/grpc+proto",
        te: "trailers",
        "user-agent": USER_AGENT,
      },
      {},
    );
    let abort: (() => void) | undefined;
    const aborted = new Promise<never>((_, reject) => {
      abort = () => {
        // A connection that does not come about would hold up the next call as well.
        if (this.#connection.state() === "connecting") this.#connection.abort();
        opening.then((stream) => stream.close(constants.NGHTTP2_CANCEL)).catch(() => undefined);
        reject(SluiceError.from(signal.reason, signal));
      };
      signal.addEventListener("abort", abort, { once: true });
    });
    try {
      return await Promise.race([opening, aborted]);
    } finally {
      if (abort) signal.removeEventListener("abort", abort);
    }
  }

  /** What the server says, however early. */
  #answer(stream: ClientHttp2Stream): Promise<WriteUploadResponse> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let head: ResponseHead = {};
      let trailer: Headers | undefined;
      let broken: Error | undefined;
      stream.on("response", (headers) => (head = headers));
      stream.on("data", (chunk: Buffer) => {
        this.#connection.notifyResponseByteRead(stream);
        chunks.push(chunk);
      });
      stream.on("trailers", (headers: IncomingHttpHeaders) => (trailer = webHeaders(headers)));
      // The rest of the request is of no use to a server that has answered.
      stream.on("end", () => stream.close(constants.NGHTTP2_NO_ERROR));
      stream.on("error", (error: Error) => (broken = error));
      stream.on("close", () => {
        try {
          resolve(parse(head, trailer, Buffer.concat(chunks)));
        } catch (error) {
          reject(
            broken && !trailer ? ConnectError.from(broken, Code.Unavailable) : (error as Error),
          );
        }
      });
    });
  }
}

/** Writes the messages as fast as they are taken; stops where the stream ends early. */
async function write(stream: ClientHttp2Stream, call: WriteCall): Promise<void> {
  for await (const { head, content } of call.messages) {
    if (stream.destroyed || stream.closed) return;
    stream.write(head);
    const bytes = content as Uint8Array | undefined;
    for (let start = 0; bytes && start < bytes.length; start += PIECE) {
      const piece = bytes.subarray(start, start + PIECE);
      if (!(await taken(stream, piece))) return;
      call.onSent(piece.length);
    }
  }
  stream.end();
}

/** Whether the connection has taken a piece. */
function taken(stream: ClientHttp2Stream, piece: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.closed) resolve(false);
    else stream.write(piece, (error) => resolve(!error));
  });
}

type ResponseHead = IncomingHttpHeaders & { ":status"?: number | undefined };

function parse(
  headers: ResponseHead,
  trailer: Headers | undefined,
  body: Buffer,
): WriteUploadResponse {
  const { ":status": status } = headers;
  if (status === undefined) throw new ConnectError("the connection broke", Code.Unavailable);
  // A refusal comes with the headers or behind the body.
  const refused = findTrailerError(webHeaders(headers)) ?? (trailer && findTrailerError(trailer));
  if (refused) throw refused;
  if (status !== 200) throw new ConnectError(`HTTP ${status}`, codeFromHttpStatus(status));
  if (!trailer || body.length < 5 || body.length < 5 + body.readUInt32BE(1)) {
    throw new ConnectError("the connection broke", Code.Unavailable);
  }
  return fromBinary(WriteUploadResponseSchema, body.subarray(5, 5 + body.readUInt32BE(1)));
}

function webHeaders(headers: IncomingHttpHeaders): Headers {
  const known = Object.entries(headers).filter(([name]) => !name.startsWith(":"));
  return new Headers(known.map(([name, value]) => [name, String(value)] as [string, string]));
}
