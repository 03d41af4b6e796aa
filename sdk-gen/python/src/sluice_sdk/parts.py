"""The ledger of one upload: which parts are missing or persisted, and their checksums."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from ._gen.sluice.v1.common_pb2 import ByteRange
from .checksum import combine


class Parts:
    """The parts of content of a known size, numbered from 0. Shared by the lanes."""

    def __init__(self, part_size: int, size: int, persisted: Sequence[ByteRange]) -> None:
        self.part_size = part_size
        self.size = size
        self._lock = threading.Lock()
        self._checksums: dict[int, int] = {}
        self.start_over(persisted)

    @property
    def count(self) -> int:
        """How many there are."""
        return -(-self.size // self.part_size)

    def range(self, part: int) -> tuple[int, int]:
        """Where a part starts and ends."""
        start = part * self.part_size
        return start, min(start + self.part_size, self.size)

    def start_over(self, persisted: Sequence[ByteRange]) -> None:
        """Everything that is not persisted is missing, whatever was known."""
        missing = [part for part in range(self.count) if not covers(persisted, *self.range(part))]
        with self._lock:
            self._missing = deque(missing)

    def take(self) -> int | None:
        """The next part to send, for whoever asks first."""
        with self._lock:
            return self._missing.popleft() if self._missing else None

    def checksum(self, part: int, crc32c: int) -> None:
        """The checksum of a part, as it was read from the source."""
        self._checksums[part] = crc32c

    def file_checksum(self) -> int | None:
        """The checksum of the whole, once every part's is known."""
        total = 0
        for part in range(self.count):
            checksum = self._checksums.get(part)
            if checksum is None:
                return None
            start, end = self.range(part)
            total = combine(total, checksum, end - start)
        return total


def covers(ranges: Sequence[ByteRange], start: int, end: int) -> bool:
    """Whether merged ranges hold all of these bytes."""
    return any(held.start <= start and end <= held.end for held in ranges)


def total(ranges: Sequence[ByteRange]) -> int:
    """How many bytes the ranges have."""
    return sum(held.end - held.start for held in ranges)
