// The page of the browser tests: uploads what was chosen, as a web application would.

import { Client, type Progress, SluiceError, localUploads } from "../../src/web/index.js";

/** What a test tells the page to do. */
export interface Order {
  server: string;
  apiKey: string;
  partSize?: number;
  direct?: boolean;
  /** Uploads a stream of the file instead of the file. */
  stream?: boolean;
  name?: string;
}

/** What the page tells. */
export interface State {
  progress?: Progress;
  done?: { fileId: string; sent: number; resumed: number };
  error?: { kind: string; reason: string | undefined; message: string };
}

/** What tests call. */
export interface Page {
  state: State;
  upload(order: Order): void;
  download(order: Order, fileId: string): Promise<string>;
  watch(order: Order): Promise<string[]>;
}

declare global {
  interface Window {
    tested: Page;
  }
}

const chosen = () => {
  const file = document.querySelector("input")?.files?.[0];
  if (!file) throw new Error("no file was chosen");
  return file;
};

const clientOf = ({ server, apiKey }: Order) =>
  new Client({ server, apiKey, uploadStore: localUploads });

window.tested = {
  state: {},

  upload(order) {
    const { partSize, direct, stream, name } = order;
    const state: State = (this.state = {});
    const onProgress = (progress: Progress) => (state.progress = progress);
    const options = { partSize, direct, onProgress, ...(name !== undefined && { name }) };
    const source = stream ? chosen().stream() : chosen();
    clientOf(order)
      .upload(source, options)
      .then(
        ({ file, sent, resumed }) => (state.done = { fileId: file.id, sent, resumed }),
        (thrown: unknown) => {
          const { kind, reason, message } = SluiceError.from(thrown);
          state.error = { kind, reason, message };
        },
      );
  },

  async download(order, fileId) {
    const pieces: BlobPart[] = [];
    const target = new WritableStream<Uint8Array>({
      write: (piece) => void pieces.push(new Uint8Array(piece)),
    });
    await clientOf(order).download(fileId, target);
    const digest = await crypto.subtle.digest("SHA-256", await new Blob(pieces).arrayBuffer());
    return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  },

  async watch(order) {
    const types: string[] = [];
    for await (const event of clientOf(order).watch()) {
      types.push(event.type);
      if (event.type === "snapshotEnd") break;
    }
    return types;
  },
};
