// The content of uploads as gRPC-web: one plain POST for each call, of which the browser reads the
// content from the file while it sends it.

import { fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeFromHttpStatus, findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerParse } from "@connectrpc/connect/protocol-grpc-web";
import { SluiceError } from "../errors.js";
import { type WriteUploadResponse, WriteUploadResponseSchema } from "../gen/sluice/v1/upload_pb.js";
import { type Content, type Sender, WRITE_UPLOAD_PATH, type WriteCall } from "../platform.js";
import { USER_AGENT } from "../version.js";

/** Headers that say how a call ended, where there is no body to say it. */
const STATUS_HEADERS = ["grpc-status", "grpc-message", "grpc-status-details-bin"];

/** Sends by XMLHttpRequest, which unlike fetch tells how much was sent. */
export class XhrSender implements Sender {
  readonly #url: string;

  constructor(endpoint: string) {
    this.#url = new URL(WRITE_UPLOAD_PATH, endpoint).href;
  }

  async send(call: WriteCall): Promise<WriteUploadResponse> {
    const pieces: Content[] = [];
    let size = 0;
    for await (const { head, content } of call.messages) {
      pieces.push(head);
      if (content) pieces.push(content);
      size += content instanceof Blob ? content.size : (content?.length ?? 0);
    }
    return parse(await post(this.#url, new Blob(pieces), size, call));
  }

  close(): void {
    // Connections are the browser's.
  }
}

function post(url: string, body: Blob, size: number, call: WriteCall): Promise<XMLHttpRequest> {
  const { signal, headers, onSent } = call;
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(SluiceError.from(signal.reason, signal));
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    request.open("POST", url);
    request.responseType = "arraybuffer";
    const own = {
      "content-type": "application/grpc-web+proto",
      "x-grpc-web": "1",
      "x-user-agent": USER_AGENT,
    };
    for (const [name, value] of Object.entries({ ...headers, ...own })) {
      request.setRequestHeader(name, value);
    }
    let told = 0;
    request.upload.onprogress = ({ loaded }) => {
      // What is sent beside the content is less than a thousandth of it.
      const sent = Math.floor(size * Math.min(1, loaded / body.size));
      onSent(sent - told);
      told = sent;
    };
    request.onload = () => resolve(request);
    request.onerror = () => reject(new ConnectError("the connection broke", Code.Unavailable));
    request.onabort = () => reject(SluiceError.from(signal.reason, signal));
    request.onloadend = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort, { once: true });
    request.send(body);
  });
}

function parse(request: XMLHttpRequest): WriteUploadResponse {
  const headers = new Headers();
  for (const name of STATUS_HEADERS) {
    const value = request.getResponseHeader(name);
    if (value !== null) headers.set(name, value);
  }
  const refused = findTrailerError(headers);
  if (refused) throw refused;
  if (request.status !== 200) {
    throw new ConnectError(`HTTP ${request.status}`, codeFromHttpStatus(request.status));
  }
  let answer: WriteUploadResponse | undefined;
  let ended = headers.has("grpc-status");
  for (const { flag, data } of envelopes(request.response as ArrayBuffer)) {
    if ((flag & trailerFlag) === 0) {
      answer = fromBinary(WriteUploadResponseSchema, data);
      continue;
    }
    const failed = findTrailerError(trailerParse(data));
    if (failed) throw failed;
    ended = true;
  }
  if (!answer || !ended) throw new ConnectError("the connection broke", Code.Unavailable);
  return answer;
}

/** The messages and trailers of a body; what was cut off is left out. */
function* envelopes(body: ArrayBuffer): Generator<{ flag: number; data: Uint8Array }> {
  const view = new DataView(body);
  for (let start = 0; start + 5 <= body.byteLength;) {
    const end = start + 5 + view.getUint32(start + 1);
    if (end > body.byteLength) return;
    yield { flag: view.getUint8(start), data: new Uint8Array(body, start + 5, end - start - 5) };
    start = end;
  }
}
