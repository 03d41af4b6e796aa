// CRC-32C (Castagnoli) of bytes and of what they make together.

import { createCRC32 } from "hash-wasm";

/** The polynomial, lowest power first. */
const POLYNOMIAL = 0x82f63b78;

/** A running CRC-32C. Of one hasher, only one run may be under way at a time. */
export interface Crc32cHasher {
  begin(): void;
  update(bytes: Uint8Array): void;
  end(): number;
}

/** Makes a hasher; compiling it takes a moment. */
export async function createCrc32c(): Promise<Crc32cHasher> {
  const hash = await createCRC32(POLYNOMIAL);
  return {
    begin: () => void hash.init(),
    update: (bytes) => void hash.update(bytes),
    end: () => hash.digest("binary").reduce((crc, byte) => ((crc << 8) | byte) >>> 0, 0),
  };
}

let shared: Promise<(bytes: Uint8Array) => number> | undefined;

/** The function that computes the CRC-32C of bytes; it takes a moment only at the first call. */
export function loadCrc32c(): Promise<(bytes: Uint8Array) => number> {
  shared ??= createCrc32c().then((hasher) => (bytes) => {
    hasher.begin();
    hasher.update(bytes);
    return hasher.end();
  });
  return shared;
}

/** The CRC-32C of two pieces together, from those of the pieces and the length of the second. */
export function combineCrc32c(first: number, second: number, secondLength: number): number {
  return (multiply(shift(secondLength * 8), first) ^ second) >>> 0;
}

/** The product of two polynomials modulo the CRC's. The highest bit is the lowest power. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = 0x80000000; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= b;
    b = (b & 1) !== 0 ? (b >>> 1) ^ POLYNOMIAL : b >>> 1;
  }
  return product >>> 0;
}

/** x to the powers 1, 2, 4, 8 and so on: enough for every length that a number can hold. */
const POWERS: readonly number[] = (() => {
  const powers = [0x40000000];
  for (let last = 0x40000000; powers.length < 57; powers.push(last)) last = multiply(last, last);
  return powers;
})();

/** x to the power of a number of bits. */
function shift(bits: number): number {
  let result = 0x80000000;
  for (const power of POWERS) {
    if (bits < 1) break;
    if (bits % 2 >= 1) result = multiply(power, result);
    bits = Math.floor(bits / 2);
  }
  return result;
}
