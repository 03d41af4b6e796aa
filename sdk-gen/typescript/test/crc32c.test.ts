import assert from "node:assert/strict";
import { test } from "node:test";
import { combineCrc32c, loadCrc32c } from "../src/crc32c.js";
import { content } from "./content.js";

test("the checksum is CRC-32C", async () => {
  const crc32c = await loadCrc32c();
  assert.equal(crc32c(Buffer.from("123456789")), 0xe3069283);
  assert.equal(crc32c(new Uint8Array(0)), 0);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
});

test("checksums of pieces combine to that of the whole", async () => {
  const crc32c = await loadCrc32c();
  const bytes = content(100_000);
  for (const at of [0, 1, 2, 3, 4, 255, 256, 4096, 65_537, 99_999, 100_000]) {
    const [first, second] = [bytes.subarray(0, at), bytes.subarray(at)];
    assert.equal(
      combineCrc32c(crc32c(first), crc32c(second), second.length),
      crc32c(bytes),
      `at ${at}`,
    );
  }
});

test("zeros can be added without having them", async () => {
  const crc32c = await loadCrc32c();
  const zeros = 3 * 1024 * 1024 + 1;
  const whole = Buffer.concat([Buffer.from("abc"), Buffer.alloc(zeros)]);
  const added = combineCrc32c(crc32c(Buffer.from("abc")), crc32c(Buffer.alloc(zeros)), zeros);
  assert.equal(added, crc32c(whole));
  // Nobody has pieces of this size here; but the order of combining must not count.
  const [a, b, c] = [0x12345678, 0x9abcdef0, 0x0fedcba9];
  const [lengthB, lengthC] = [2 ** 40 + 7, 2 ** 45 + 1];
  const left = combineCrc32c(combineCrc32c(a, b, lengthB), c, lengthC);
  const right = combineCrc32c(a, combineCrc32c(b, c, lengthC), lengthB + lengthC);
  assert.equal(left, right);
});
