"""Downloads: gone on with, verified, and under their name only when they are whole."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol, TypeAlias

from . import contract, errors
from ._gen.sluice.v1.file_pb2 import File, GetFileRequest
from .checksum import combine, crc32c
from .connection import Connection
from .errors import ErrorKind, SluiceError
from .progress import OnProgress, Reporter
from .read import Reader
from .runtime import Runtime

try:
    import fcntl
except ImportError:  # Not on this system: nobody is kept from the partial file.
    fcntl = None  # type: ignore[assignment]

_CHUNK = 1024 * 1024


class Writable(Protocol):
    """Anything with `write(content)`."""

    def write(self, content: bytes, /) -> object:
        """Takes all of the content. A coroutine will do for `AsyncClient`."""


Target: TypeAlias = "str | os.PathLike[str] | Writable"
"""Where a download goes: a path, or an open binary file or stream."""


@dataclass(frozen=True)
class Downloaded:
    """What was downloaded, and what it took."""

    file: File
    """The file."""
    size: int
    """Bytes that the target got."""
    received: int
    """Bytes that came over the network."""
    seconds: float
    """From the call to its end."""


async def download(
    connection: Connection,
    file_id: str,
    target: Target,
    offset: int,
    length: int | None,
    on_progress: OnProgress | None,
) -> Downloaded:
    """Downloads a file, or a range of it."""
    started = time.monotonic()
    job = _Job(connection, file_id, offset, length, Reporter(on_progress))
    if isinstance(target, (str, os.PathLike)):
        file = await job.to_path(os.fspath(target))
    else:
        file = await job.to_stream(target)
    return Downloaded(file, job.written, job.received, time.monotonic() - started)


class _Job:
    def __init__(
        self,
        connection: Connection,
        file_id: str,
        offset: int,
        length: int | None,
        reporter: Reporter,
    ) -> None:
        self._connection = connection
        self._runtime: Runtime = connection.runtime
        self._file_id = file_id
        self._offset = offset
        self._length = length
        self._reporter = reporter
        self._checksum = 0
        self.written = 0
        self.received = 0

    @property
    def _is_whole(self) -> bool:
        return self._offset == 0 and self._length is None

    async def to_stream(self, target: Writable) -> File:
        """Writes as it comes. That the whole is right shows at the end."""
        file = await self._fetch(target, "the stream")
        if not self._is_right(file):
            raise _corrupt(file)
        return file

    async def to_path(self, path: str) -> File:
        """Writes to `PATH.part` and gives it its name when it is whole. If the whole is wrong
        because what was there came from something else, everything is fetched once more."""
        blocking = self._runtime.blocking
        partial = path + ".part"
        part = await blocking(_open_alone, partial)
        try:
            if self._is_whole:
                request = GetFileRequest(file_id=self._file_id)
                file = (await self._connection.call(contract.GET_FILE, request)).file
                self.written, self._checksum = await blocking(_take_over, part, partial, file.size)
            else:
                await blocking(_empty, part)
            resumed = self.written > 0
            file = await self._fetch(part, partial)
            if not self._is_right(file) and resumed:
                await blocking(_empty, part)
                # Progress never falls: it stays where it is.
                self._reporter = Reporter(None)
                self.written = self._checksum = 0
                file = await self._fetch(part, partial)
            if not self._is_right(file):
                await blocking(os.unlink, partial)
                raise _corrupt(file)
            await blocking(_publish, part, partial, path)
            return file
        finally:
            part.close()

    async def _fetch(self, target: Any, what: str) -> File:
        """Writes what is missing."""
        length = None if self._length is None else self._length - self.written
        reader = Reader(self._connection, self._file_id, self._offset + self.written, length)
        already = self.written
        try:
            while (content := await reader.next()) is not None:
                if not self.received:
                    self._opened(reader.file, already)
                await self._write(target, what, content)
                self._checksum = combine(self._checksum, reader.checksum, len(content))
                self.written += len(content)
                self.received += len(content)
                self._reporter.landed(0, persisted=len(content))
        finally:
            reader.close()
        if reader.file is None:
            raise errors.lacks("file")
        if not self.received:
            self._opened(reader.file, already)
        return reader.file

    async def _write(self, target: Any, what: str, content: bytes) -> None:
        """Writes all of it, also where a file takes less at a time."""
        try:
            while content:
                taken = await self._runtime.blocking(target.write, content)
                content = content[taken:] if isinstance(taken, int) else b""
        except (OSError, ValueError) as error:
            raise errors.local("write", what, error) from error

    def _opened(self, file: File | None, already: int) -> None:
        if file is not None:
            left = max(0, file.size - self._offset)
            total = left if self._length is None else min(left, self._length)
            self._reporter.opened(None, total, already)

    def _is_right(self, file: File) -> bool:
        if not self._is_whole or not file.checksums.HasField("crc32c"):
            return True
        return self.written == file.size and self._checksum == file.checksums.crc32c


class _Part:
    """The partial file. A task that is cancelled may leave a thread that still writes, and what
    it writes to must not become another file meanwhile."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self._turn = threading.Lock()

    def write(self, content: bytes, /) -> int:
        with self._turn:
            return self.file.write(content)

    def close(self) -> None:
        with self._turn:
            self.file.close()


def _open_alone(partial: str) -> _Part:
    """Opens the partial file for this process alone."""
    try:
        part = os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
    except OSError as error:
        raise errors.local("write", partial, error) from error
    if fcntl is not None:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            part.close()
            raise errors.local("write", partial, error) from error
        except OSError:
            pass  # A file system without locks: as good as nobody else.
    return _Part(part)


def _take_over(part: _Part, partial: str, size: int) -> tuple[int, int]:
    """How much there is from an earlier attempt, and its checksum."""
    try:
        there = os.fstat(part.file.fileno()).st_size
        if there > size:
            _empty(part)
        total = checksum = 0
        while content := part.file.read(_CHUNK):
            checksum = combine(checksum, crc32c(content), len(content))
            total += len(content)
        return total, checksum
    except OSError as error:
        raise errors.local("read", partial, error) from error


def _empty(part: _Part) -> None:
    part.file.seek(0)
    part.file.truncate()


def _publish(part: _Part, partial: str, path: str) -> None:
    """Makes the partial file durable under its name."""
    try:
        os.fsync(part.file.fileno())
        os.replace(partial, path)
        if os.name == "posix":
            # A rename is durable once the folder is.
            folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise errors.local("write", path, error) from error


def _corrupt(file: File) -> SluiceError:
    return SluiceError(
        ErrorKind.CORRUPT,
        f"what arrived is not {file.name}: its checksum differs; nothing was kept, try again",
    )
