"""A stream that is read once, cut into parts that stay in memory until they are persisted."""

from __future__ import annotations

from dataclasses import dataclass

from . import errors, frames
from .checksum import combine, crc32c
from .errors import ErrorKind, SluiceError
from .runtime import Runtime
from .source import Once
from .writer import Piece


@dataclass
class Part:
    """Content in a row."""

    start: int
    pieces: list[Piece]
    final_size: int | None
    """Size of the whole, if this is its end."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return sum(len(content) for _, content, _ in self.pieces)

    @property
    def checksum(self) -> int:
        """The checksum of all of them."""
        total = 0
        for _, content, checksum in self.pieces:
            total = combine(total, checksum, len(content))
        return total


class Stream:
    """Reads parts, for whichever lane comes first."""

    def __init__(self, runtime: Runtime, source: Once) -> None:
        self._source = source
        self._turn = runtime.lock()
        self._unread: list[Piece] = []
        self.ended = False
        self.size = 0
        """Bytes read so far."""
        self.checksum = 0
        """Of what was read so far."""

    async def head(self, runtime: Runtime, size: int) -> list[Piece]:
        """The beginning: everything, or at least one frame more than so many bytes. It is not
        taken away."""
        while not self.ended and self.size <= size:
            await self._read_frame(runtime)
        return list(self._unread)

    async def part(self, runtime: Runtime, size: int) -> Part | None:
        """The next part; none at the end."""
        async with self._turn:
            while not self.ended and sum(len(c) for _, c, _ in self._unread) < size:
                await self._read_frame(runtime)
            count = size // frames.SIZE
            pieces, self._unread = self._unread[:count], self._unread[count:]
            if not pieces:
                return None
            last = self.ended and not self._unread
            return Part(pieces[0][0], pieces, self.size if last else None)

    async def _read_frame(self, runtime: Runtime) -> None:
        gathered: list[bytes] = []
        missing = frames.SIZE
        while missing:
            try:
                content = await runtime.blocking(self._source.stream.read, missing)
            except SluiceError:
                raise
            except Exception as error:
                raise errors.local("read", self._source.name or "the stream", error) from error
            if not isinstance(content, (bytes, bytearray, memoryview)):
                message = f"the stream gave {type(content).__name__} where bytes are needed"
                raise SluiceError(ErrorKind.USAGE, message)
            if not content:
                self.ended = True
                break
            gathered.append(bytes(content))
            missing -= len(content)
        frame = gathered[0] if len(gathered) == 1 else b"".join(gathered)
        if frame:
            checksum = crc32c(frame)
            self._unread.append((self.size, frame, checksum))
            self.checksum = combine(self.checksum, checksum, len(frame))
            self.size += len(frame)
