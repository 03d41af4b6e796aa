"""The content of a file, verified, over connections that may break."""

from __future__ import annotations

from . import contract
from ._gen.sluice.v1.file_pb2 import File, ReadFileRequest, ReadFileResponse
from .checksum import crc32c
from .connection import Connection
from .errors import ErrorKind, SluiceError
from .runtime import READ_STALL, Replies
from .series import Series


class Reader(Series[bytes]):
    """Reads a range of a file, in order."""

    def __init__(
        self, connection: Connection, file_id: str, offset: int, length: int | None
    ) -> None:
        if offset < 0 or (length is not None and length < 0):
            raise SluiceError(ErrorKind.USAGE, "offset and length cannot be negative")
        self.file: File | None = None
        """The file, once something was read."""
        self._connection = connection
        self._file_id = file_id
        self._offset = offset
        self._end = None if length is None else offset + length
        self._replies: Replies[ReadFileResponse] | None = None
        self._attempts = connection.attempts()
        self.checksum = 0
        """Of the last chunk."""

    async def next(self) -> bytes | None:
        """The next bytes, at most 1 MiB; none at the end of the range."""
        while self._end is None or self._offset < self._end or self.file is None:
            try:
                content = await self._try_next()
            except SluiceError as error:
                self.close()
                await self._attempts.wait_after(error)
                continue
            self._attempts.progressed()
            if content is not None:
                return content
        self.close()
        return None

    def close(self) -> None:
        """Ends the call that is under way. Another one follows if reading goes on."""
        if self._replies is not None:
            self._replies.close()
            self._replies = None

    async def _try_next(self) -> bytes | None:
        """The bytes of one message, or none: of the first, which has the file."""
        if self._replies is None:
            # A limit of 0 would be none; of an empty range only the file is wanted.
            limit = 0 if self._end is None else max(1, self._end - self._offset)
            request = ReadFileRequest(file_id=self._file_id, offset=self._offset, limit=limit)
            self._replies, reply = await self._connection.read(
                contract.READ_FILE, request, READ_STALL
            )
        else:
            reply = await self._replies.next()
        if reply is None:
            raise _damaged("the stream ended early")
        if reply.HasField("file"):
            self.file = reply.file
            end = reply.file.size if self._end is None else self._end
            self._end = min(end, reply.file.size)
        content = reply.checksummed_data.content
        if not content:
            return None
        self.checksum = crc32c(content)
        if reply.read_offset != self._offset:
            raise _damaged("a frame came out of order")
        if self.checksum != reply.checksummed_data.crc32c:
            raise _damaged("a frame arrived damaged")
        self._offset += len(content)
        return content


def _damaged(what: str) -> SluiceError:
    """Damage on the way: another attempt may go well."""
    return SluiceError(ErrorKind.TRANSPORT, what)
