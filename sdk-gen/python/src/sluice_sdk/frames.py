"""Messages of WriteUpload, encoded without copying their content more than once.

The protobuf runtime copies content several times, which takes longer than everything else.
Here it is the last field of its message, so that it is appended as it is."""

from __future__ import annotations

from collections.abc import Iterator

from ._gen.sluice.v1.upload_pb2 import WriteUploadRequest
from .checksum import combine, crc32c
from .runtime import Frame
from .source import Content

SIZE = 1024 * 1024

_CHECKSUMMED_DATA = b"\x2a"  # Field 5 of WriteUploadRequest, length-delimited.
_CRC32C = b"\x15"  # Field 2 of ChecksummedData, four bytes.
_CONTENT = b"\x0a"  # Field 1 of ChecksummedData, length-delimited.


def encode(message: WriteUploadRequest, content: bytes, checksum: int) -> Frame:
    """A message, of which `checksummed_data` is not set, with this content."""
    head = message.SerializeToString()
    if not content:
        return Frame(head, 0)
    inner = _CRC32C + checksum.to_bytes(4, "little") + _CONTENT + _varint(len(content))
    length = _varint(len(inner) + len(content))
    return Frame(b"".join((head, _CHECKSUMMED_DATA, length, inner, content)), len(content))


def read(content: Content, start: int, end: int) -> Iterator[tuple[int, bytes, int]]:
    """Offset, content and checksum of each frame in a range."""
    for offset in range(start, end, SIZE):
        piece = content.read(offset, min(SIZE, end - offset))
        yield offset, piece, crc32c(piece)


def checksum_of(content: Content, start: int, end: int) -> int:
    """The checksum of a range."""
    total = 0
    for _, piece, checksum in read(content, start, end):
        total = combine(total, checksum, len(piece))
    return total


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
