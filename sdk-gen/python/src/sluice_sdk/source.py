"""What is uploaded: content that can be read at any place, or a stream that is read once."""

from __future__ import annotations

import io
import os
import stat
import threading
from collections.abc import Awaitable
from typing import Any, Protocol, TypeAlias

from . import errors
from .errors import ErrorKind, SluiceError


class Readable(Protocol):
    """Anything with `read(size)` that gives bytes, and none at its end."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes."""


class AsyncReadable(Protocol):
    """Anything with a coroutine `read(size)` that gives bytes, and none at its end."""

    def read(self, size: int, /) -> Awaitable[bytes]:
        """At most so many bytes."""


Source: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | Readable"
"""What can be uploaded: a path, bytes, or an open binary file or stream. A file that can be
sought is sent from its current position; any other stream is read once."""


class Content(Protocol):
    """Bytes that can be read at any place, by several threads."""

    @property
    def name(self) -> str | None:
        """Name of the file, where there is one."""

    @property
    def size(self) -> int:
        """How many bytes there are."""

    def read(self, offset: int, length: int) -> bytes:
        """These bytes."""

    def check_unchanged(self) -> None:
        """Raises an error if it has visibly changed since it was opened."""

    def close(self) -> None:
        """Closes what the SDK has opened."""


class Once:
    """A stream that can be read once."""

    def __init__(self, stream: Any, name: str | None, ours: bool) -> None:
        self.stream = stream
        self.name = name
        self._ours = ours

    def close(self) -> None:
        """Closes what the SDK has opened."""
        if self._ours:
            self.stream.close()


def open_source(source: object) -> Content | Once:
    """Opens what the caller gave."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _Bytes(source)
    if isinstance(source, (str, os.PathLike)):
        try:
            file = open(source, "rb", buffering=0)
        except OSError as error:
            raise errors.local("read", os.fspath(source), error) from error
        name = _text(os.path.basename(source))
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return _Path(file, name)
        return Once(file, name, ours=True)
    if isinstance(source, io.TextIOBase):
        raise SluiceError(ErrorKind.USAGE, "open the file in binary mode")
    if not hasattr(source, "read"):
        raise SluiceError(ErrorKind.USAGE, f"{type(source).__name__} is nothing to upload")
    if isinstance(source, io.IOBase) and source.seekable():
        return _File(source, _name_of(source))
    return Once(source, _name_of(source), ours=False)


class _Bytes:
    name: str | None = None

    def __init__(self, content: bytes | bytearray | memoryview) -> None:
        self._content = memoryview(content).cast("B")
        self.size = len(self._content)

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self._content[offset : offset + length])

    def check_unchanged(self) -> None:
        pass

    def close(self) -> None:
        self._content.release()


class _File:
    """A binary file of the caller: one reader at a time, since it has one position."""

    def __init__(self, file: Any, name: str | None) -> None:
        self.name = name
        self._file = file
        self._turn = threading.Lock()
        self._start: int = file.tell()
        self._opened = self._state()
        self.size = self._opened[0]

    def read(self, offset: int, length: int) -> bytes:
        try:
            with self._turn:
                self._file.seek(self._start + offset)
                content = exactly(self._file.read, length)
        except (OSError, ValueError) as error:
            raise errors.local("read", self.name or "the file", error) from error
        if len(content) != length:
            raise _changed(self.name)
        return content

    def check_unchanged(self) -> None:
        if self._state() != self._opened:
            raise _changed(self.name)

    def close(self) -> None:
        pass

    def _state(self) -> tuple[int, int]:
        try:
            with self._turn:
                end = self._file.seek(0, os.SEEK_END)
            return max(0, end - self._start), _modified(self._file)
        except (OSError, ValueError) as error:
            raise errors.local("read", self.name or "the file", error) from error


class _Path:
    """A regular file that the SDK has opened."""

    def __init__(self, file: io.FileIO, name: str) -> None:
        self.name: str | None = name
        self._file = file
        self._turn = threading.Lock()
        self._opened = self._state()
        self.size = self._opened[0]

    def read(self, offset: int, length: int) -> bytes:
        try:
            content = self._read(offset, length)
        except (OSError, ValueError) as error:
            raise errors.local("read", self.name or "the file", error) from error
        if len(content) != length:
            raise _changed(self.name)
        return content

    def _read(self, offset: int, length: int) -> bytes:
        if hasattr(os, "pread"):
            content = os.pread(self._file.fileno(), length, offset)
            if len(content) in (0, length):
                return content
        with self._turn:
            self._file.seek(offset)
            return exactly(self._file.read, length)

    def check_unchanged(self) -> None:
        if self._state() != self._opened:
            raise _changed(self.name)

    def close(self) -> None:
        self._file.close()

    def _state(self) -> tuple[int, int]:
        status = os.fstat(self._file.fileno())
        return status.st_size, status.st_mtime_ns


def exactly(read: Any, length: int) -> bytes:
    """So many bytes, or all that are left."""
    content: bytes = read(length)
    if len(content) in (0, length):
        return content
    pieces = [content]
    missing = length - len(content)
    while missing and (content := read(missing)):
        pieces.append(content)
        missing -= len(content)
    return b"".join(pieces)


def _name_of(file: object) -> str | None:
    """The name of an open file; standard input and the like have none."""
    path = getattr(file, "name", None)
    return _text(os.path.basename(path)) if isinstance(path, str) and path[:1] != "<" else None


def _text(name: str) -> str:
    """A name without what is no UTF-8, which names of local files may have."""
    return os.fsencode(name).decode("utf-8", "replace")


def _modified(file: Any) -> int:
    try:
        return os.fstat(file.fileno()).st_mtime_ns
    except (AttributeError, OSError, ValueError):
        return 0  # Not a file of the system.


def _changed(name: str | None) -> SluiceError:
    return SluiceError(
        ErrorKind.SOURCE_CHANGED, f"{name or 'the content'} has changed while it was being uploaded"
    )
