"""What a caller may choose about an upload."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Literal, TypedDict

from ._gen.sluice.v1.common_pb2 import (
    ON_CONFLICT_FAIL,
    ON_CONFLICT_REPLACE,
    ON_CONFLICT_UNSPECIFIED,
    ObjectChecksums,
    OnConflict,
)
from ._gen.sluice.v1.upload_pb2 import CreateUploadRequest
from .errors import ErrorKind, SluiceError
from .progress import OnProgress

# Lanes that send parts at the same time, unless the caller says otherwise.
_CONCURRENCY = 4


class UploadOptions(TypedDict, total=False):
    """Choices about one upload. All have a default, but for the name of content that has none
    itself."""

    name: str
    """Name of the file: a relative path, separated by `/`. That of the local file unless
    given; bytes and streams need one."""
    content_type: str
    """Content type, such as `image/png`; arbitrary bytes unless given."""
    metadata: Mapping[str, str]
    """The caller's own labels for the file."""
    on_conflict: Literal["fail", "replace"]
    """What to do when a file has the name already: refuse, unless given."""
    part_size: int
    """Preferred size of parts, a power of two; the server chooses unless given. Small parts
    lose less on slow links, because a part that is cut off is sent again."""
    concurrency: int
    """Parts that are sent at the same time, each on a connection of its own: 4 unless given.
    Of a stream that is read once, so many parts are in memory at most."""
    request_id: str
    """Names this upload for good: a later call with the same id and the same options, even in
    another process, goes on with the same upload instead of opening another."""
    expected_crc32c: int
    """Checksum that the file must have. Nothing is published if it is wrong."""
    expected_sha256: bytes
    """SHA-256 that the file must have, 32 bytes."""
    expected_blake3: bytes
    """BLAKE3 that the file must have, 32 bytes."""
    on_progress: OnProgress
    """Hears how far the upload is, about ten times a second. Must not block."""


def concurrency(options: UploadOptions) -> int:
    """Lanes to open."""
    return max(1, options.get("concurrency", _CONCURRENCY))


def conflict(options: UploadOptions) -> OnConflict.ValueType | None:
    """What to do about a name that is taken."""
    match options.get("on_conflict"):
        case None:
            return None
        case "fail":
            return ON_CONFLICT_FAIL
        case "replace":
            return ON_CONFLICT_REPLACE
        case other:
            raise SluiceError(ErrorKind.USAGE, f"on_conflict is fail or replace, not {other!r}")


def create_request(
    options: UploadOptions, name: str | None, size: int | None
) -> CreateUploadRequest:
    """The request that opens the upload. Made once for each call, so that repeats are equal."""
    name = options.get("name", name)
    if name is None:
        raise SluiceError(ErrorKind.USAGE, "bytes and streams have no name of their own: give one")
    try:
        return CreateUploadRequest(
            request_id=options.get("request_id") or str(uuid.uuid4()),
            name=name,
            content_type=options.get("content_type", ""),
            size=size,
            preferred_part_size=options.get("part_size"),
            metadata=options.get("metadata"),
            on_conflict=conflict(options) or ON_CONFLICT_UNSPECIFIED,
        )
    except (TypeError, ValueError) as error:
        raise SluiceError(ErrorKind.USAGE, f"an option cannot be sent: {error}") from error


def expected(options: UploadOptions, read: int) -> ObjectChecksums:
    """What the completed file must have: what the caller declared, and the checksum of what
    was read."""
    return ObjectChecksums(
        crc32c=options.get("expected_crc32c", read),
        sha256=options.get("expected_sha256", b""),
        blake3=options.get("expected_blake3", b""),
    )
