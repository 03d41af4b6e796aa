"""CRC-32C of bytes that are not at hand together: combined from those of their pieces."""

from __future__ import annotations

from functools import lru_cache

import google_crc32c

# Castagnoli, bits reversed: the highest bit is the coefficient of x^0.
_POLYNOMIAL = 0x82F63B78
_ONE = 1 << 31


def crc32c(content: bytes) -> int:
    """The checksum of these bytes."""
    value: int = google_crc32c.value(content)
    return value


def combine(first: int, second: int, second_length: int) -> int:
    """The checksum of two pieces in a row, of which the second has so many bytes."""
    return _multiply(_shift(second_length), first) ^ second


def _multiply(a: int, b: int) -> int:
    """The product of two polynomials modulo that of the checksum."""
    product = 0
    bit = _ONE
    while bit:
        if a & bit:
            product ^= b
        b = (b >> 1) ^ (_POLYNOMIAL if b & 1 else 0)
        bit >>= 1
    return product


# The pieces of a file have few different lengths.
@lru_cache(maxsize=64)
def _shift(length: int) -> int:
    """What so many bytes of zeros multiply a checksum by: x^(8 length)."""
    product = _ONE
    power = _ONE >> 8
    while length:
        if length & 1:
            product = _multiply(power, product)
        power = _multiply(power, power)
        length >>= 1
    return product
