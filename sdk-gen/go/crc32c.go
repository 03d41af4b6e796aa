package sluice

import "hash/crc32"

// Hardware computes this one at tens of gigabytes a second.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func crc32c(content []byte) uint32 { return crc32.Checksum(content, castagnoli) }

// combineCRC32C is the checksum of two pieces in a row, from that of each and
// the length of the second: so parts that were sent in any order make the
// checksum of the file without being read again.
func combineCRC32C(first, second uint32, secondLength int64) uint32 {
	// A piece that follows multiplies what came before by x^(8 × its length).
	shift := uint32(1) << 31 // x^0, in the bit order of the checksum.
	for power := 3; secondLength > 0; power++ {
		if secondLength&1 == 1 {
			shift = multiply(shift, powersOfX[power])
		}
		secondLength >>= 1
	}
	return multiply(shift, first) ^ second
}

// powersOfX[n] is x^(2^n) modulo the polynomial.
var powersOfX = func() (powers [67]uint32) {
	powers[0] = 1 << 30
	for n := 1; n < len(powers); n++ {
		powers[n] = multiply(powers[n-1], powers[n-1])
	}
	return powers
}()

// multiply multiplies two polynomials over GF(2) modulo Castagnoli's.
func multiply(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		if a>>31 == 1 {
			product ^= b
		}
		carry := b & 1
		b >>= 1
		if carry == 1 {
			b ^= crc32.Castagnoli
		}
	}
	return product
}
