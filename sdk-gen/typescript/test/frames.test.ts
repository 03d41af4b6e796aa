import assert from "node:assert/strict";
import { test } from "node:test";
import { create, equals, fromBinary } from "@bufbuild/protobuf";
import { WriteUploadRequestSchema } from "../src/gen/sluice/v1/upload_pb.js";
import { FRAME_SIZE, type Frame } from "../src/platform.js";
import { Input, type MessageFields, encode, readFrames } from "../src/upload/frames.js";
import { content } from "./content.js";

function frame(offset: number, bytes: Uint8Array, crc32c = 0xfedcba98): Frame {
  return { offset, size: bytes.length, content: new Uint8Array(bytes), crc32c };
}

test("the pieces of a message decode to the message", () => {
  const cases: [MessageFields, Frame?][] = [
    [{}],
    [{ complete: true }],
    [{}, frame(2 ** 40, Buffer.from("abc"))],
    [
      { firstMessage: { case: "uploadId", value: "upl_1" }, writerEpoch: 7n, finalSize: 9n },
      frame(0, content(300_000)),
    ],
    [
      { firstMessage: { case: "createUpload", value: { name: "ä", size: 3n } }, complete: true },
      frame(0, Buffer.from("abc"), 0),
    ],
  ];
  for (const [fields, data] of cases) {
    const { head, content } = encode(fields, data);
    const bytes = Buffer.concat([head, (content as Uint8Array | undefined) ?? new Uint8Array(0)]);
    assert.equal(bytes[0], 0);
    assert.equal(bytes.readUInt32BE(1), bytes.length - 5);
    const expected = create(WriteUploadRequestSchema, {
      ...fields,
      writeOffset: BigInt(data?.offset ?? 0),
      ...(data && {
        checksummedData: { content: data.content as Uint8Array<ArrayBuffer>, crc32c: data.crc32c },
      }),
    });
    const decoded = fromBinary(WriteUploadRequestSchema, bytes.subarray(5));
    assert.ok(equals(WriteUploadRequestSchema, decoded, expected));
  }
});

test("content is not copied", () => {
  const bytes = new Uint8Array(1000);
  const { content } = encode({}, { offset: 0, size: bytes.length, content: bytes, crc32c: 1 });
  assert.equal(content, bytes);
});

test("no frame crosses a multiple of the frame size", async () => {
  const bytes = content(3 * FRAME_SIZE + 5);
  const frames: [number, number][] = [];
  const read = (offset: number, size: number) =>
    new Uint8Array(bytes.subarray(offset, offset + size));
  for await (const { offset, size } of readFrames(7, bytes.length, read))
    frames.push([offset, size]);
  assert.deepEqual(frames, [
    [7, FRAME_SIZE - 7],
    [FRAME_SIZE, FRAME_SIZE],
    [2 * FRAME_SIZE, FRAME_SIZE],
    [3 * FRAME_SIZE, 5],
  ]);
});

async function* chunks(bytes: Buffer, size: number) {
  for (let start = 0; start < bytes.length; start += size)
    yield bytes.subarray(start, start + size);
}

test("a stream is cut into parts that are whole but for the last", async () => {
  const bytes = content(5 * FRAME_SIZE + 1);
  for (const size of [1000, 65_536, FRAME_SIZE, 2 * FRAME_SIZE + 3]) {
    const input = new Input(chunks(bytes, size));
    // Looking ahead loses nothing.
    assert.equal(await input.hasMoreThan(3 * FRAME_SIZE), true);
    const parts: Frame[][] = [];
    while (!input.ended()) parts.push(await input.part(2 * FRAME_SIZE));
    assert.deepEqual(
      parts.map((part) => part.length),
      [2, 2, 2],
    );
    const whole = Buffer.concat(parts.flat().map((frame) => frame.content as Uint8Array));
    assert.ok(whole.equals(bytes), `chunks of ${size}`);
    assert.deepEqual(
      parts.flat().map((frame) => frame.offset / FRAME_SIZE),
      [0, 1, 2, 3, 4, 5],
    );
  }
});

test("the end of a stream is known with its last part", async () => {
  const input = new Input(chunks(content(4 * FRAME_SIZE), 70_000));
  await input.part(2 * FRAME_SIZE);
  assert.equal(input.ended(), false);
  await input.part(2 * FRAME_SIZE);
  assert.equal(input.ended(), true);

  const empty = new Input(chunks(Buffer.alloc(0), 1));
  assert.equal(await empty.hasMoreThan(0), false);
  assert.equal(empty.ended(), true);
});
