"""Checksums of pieces are those of the whole."""

import random

import pytest

from sluice_sdk.checksum import combine, crc32c


def test_the_known_value() -> None:
    assert crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize("length", [0, 1, 7, 1000, 1 << 20, (1 << 20) + 1])
def test_pieces_combine_to_the_whole(length: int) -> None:
    bits = random.Random(length)
    first, second = bits.randbytes(777), bits.randbytes(length)
    assert combine(crc32c(first), crc32c(second), length) == crc32c(first + second)
    assert combine(0, crc32c(second), length) == crc32c(second)


def test_huge_pieces_combine() -> None:
    # Zeros double: the checksum of 2^n of them, from that of half as many.
    checksum, length = crc32c(bytes(1024)), 1024
    while length < 1 << 24:
        checksum, length = combine(checksum, checksum, length), 2 * length
    assert checksum == crc32c(bytes(length))
