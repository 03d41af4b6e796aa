// Content as messages of WriteUpload, without copying it.

import { type MessageInitShape, create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { combineCrc32c, loadCrc32c } from "../crc32c.js";
import { SluiceError } from "../errors.js";
import { WriteUploadRequestSchema } from "../gen/sluice/v1/upload_pb.js";
import { type EncodedMessage, FRAME_SIZE, type Frame } from "../platform.js";

/** Everything of a message but its content. */
export type MessageFields = Omit<
  MessageInitShape<typeof WriteUploadRequestSchema>,
  "checksummedData" | "writeOffset" | "$typeName"
>;

/**
 * A message as it stands on the wire: gRPC's prefix (a flag and the length) and the fields,
 * of which the content comes last, as the very bytes that were read.
 */
export function encode(fields: MessageFields, frame?: Frame): EncodedMessage {
  const message = create(WriteUploadRequestSchema, {
    ...fields,
    writeOffset: BigInt(frame?.offset ?? 0),
  });
  const writer = new BinaryWriter().raw(toBinary(WriteUploadRequestSchema, message));
  const size = frame?.size ?? 0;
  if (frame && size > 0) {
    const data = new BinaryWriter()
      .tag(2, WireType.Bit32) // ChecksummedData.crc32c
      .fixed32(frame.crc32c)
      .tag(1, WireType.LengthDelimited) // ChecksummedData.content
      .uint32(size)
      .finish();
    writer
      .tag(5, WireType.LengthDelimited) // WriteUploadRequest.checksummed_data
      .uint32(data.length + size)
      .raw(data);
  }
  const body = writer.finish();
  const head = new Uint8Array(5 + body.length);
  new DataView(head.buffer).setUint32(1, body.length + size);
  head.set(body, 5);
  return { head, content: size > 0 ? frame?.content : undefined };
}

/** The CRC-32C of frames that follow each other. */
export function checksumOf(frames: Iterable<Frame>): number {
  let crc32c = 0;
  for (const frame of frames) crc32c = combineCrc32c(crc32c, frame.crc32c, frame.size);
  return crc32c;
}

/** The frames of a range of something that can be read at any place. */
export async function* readFrames(
  start: number,
  end: number,
  read: (
    offset: number,
    size: number,
  ) => Promise<Uint8Array<ArrayBuffer>> | Uint8Array<ArrayBuffer>,
): AsyncGenerator<Frame> {
  const crc32c = await loadCrc32c();
  for (let offset = start; offset < end;) {
    const size = Math.min(FRAME_SIZE - (offset % FRAME_SIZE), end - offset);
    const content = await read(offset, size);
    yield { offset, size, content, crc32c: crc32c(content) };
    offset += size;
  }
}

/** Content of unknown size, cut into frames and parts. */
export class Input {
  readonly #frames: AsyncIterator<Frame>;
  readonly #waiting: Frame[] = [];
  #ended = false;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#frames = cut(chunks)[Symbol.asyncIterator]();
  }

  /** Whether everything was read and handed out. */
  ended(): boolean {
    return this.#ended && this.#waiting.length === 0;
  }

  /** Reads until it is certain whether there are more bytes than these. */
  async hasMoreThan(bytes: number): Promise<boolean> {
    const waiting = () => this.#waiting.reduce((sum, frame) => sum + frame.size, 0);
    while (!this.#ended && waiting() <= bytes) {
      const next = await this.#frames.next();
      if (next.done) this.#ended = true;
      else this.#waiting.push(next.value);
    }
    return waiting() > bytes;
  }

  /** The next part: whole, or whatever is left at the end. */
  async part(partSize: number): Promise<Frame[]> {
    // One byte more tells whether this part is the last.
    await this.hasMoreThan(partSize);
    return this.#waiting.splice(0, Math.ceil(partSize / FRAME_SIZE));
  }

  /** Reads no further. */
  async close(): Promise<void> {
    await this.#frames.return?.();
  }
}

/** Chunks of any size as frames of the full size, but for the last. */
async function* cut(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
  const crc32c = await loadCrc32c();
  let content = new Uint8Array(FRAME_SIZE);
  let offset = 0;
  let filled = 0;
  for await (let chunk of readable(chunks)) {
    while (chunk.length > 0) {
      const piece = chunk.subarray(0, FRAME_SIZE - filled);
      content.set(piece, filled);
      filled += piece.length;
      chunk = chunk.subarray(piece.length);
      if (filled < FRAME_SIZE) continue;
      yield { offset, size: filled, content, crc32c: crc32c(content) };
      offset += filled;
      filled = 0;
      content = new Uint8Array(FRAME_SIZE);
    }
  }
  content = content.subarray(0, filled);
  if (filled > 0) yield { offset, size: filled, content, crc32c: crc32c(content) };
}

async function* readable(chunks: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of chunks) {
      if (!(chunk instanceof Uint8Array)) {
        throw new SluiceError("usage", "a stream to be uploaded must give bytes (Uint8Array)");
      }
      yield chunk;
    }
  } catch (cause) {
    if (cause instanceof SluiceError) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new SluiceError("local", `cannot read the stream: ${message}`, { cause });
  }
}
