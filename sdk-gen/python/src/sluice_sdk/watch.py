"""Events of uploads and files, over connections that may break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from . import contract
from ._gen.sluice.v1.event_pb2 import WatchEventsRequest, WatchEventsResponse
from ._gen.sluice.v1.file_pb2 import File
from ._gen.sluice.v1.upload_pb2 import Upload
from .connection import Connection
from .errors import ErrorKind, SluiceError
from .runtime import Replies
from .series import Series, Steps

# A server says something every 15 s.
_STALL = 45.0


@dataclass(frozen=True)
class SnapshotBegin:
    """A snapshot begins, at the start or because the server does not remember where this watch
    was: forget what was seen before, the snapshot has all that counts."""


@dataclass(frozen=True)
class SnapshotEnd:
    """The snapshot is whole; what follows are changes."""


@dataclass(frozen=True)
class FileDeleted:
    """A file was deleted or replaced."""

    file_id: str
    """Its id."""


Event: TypeAlias = Upload | File | FileDeleted | SnapshotBegin | SnapshotEnd
"""What has happened: an upload or a file is like this now, a file is gone, or a snapshot begins
or ends."""


class AsyncWatch(Series[Event]):
    """Sees uploads and files change."""

    def __init__(
        self,
        connection: Connection,
        upload_ids: Sequence[str],
        file_ids: Sequence[str],
        resume_token: str,
    ) -> None:
        self._connection = connection
        self._request = WatchEventsRequest(
            upload_ids=upload_ids, file_ids=file_ids, resume_token=resume_token
        )
        self._replies: Replies[WatchEventsResponse] | None = None
        self._first: WatchEventsResponse | None = None
        self._attempts = connection.attempts()

    @property
    def resume_token(self) -> str:
        """Where another watch goes on; empty before the first snapshot is whole."""
        return self._request.resume_token

    async def next(self) -> Event | None:
        """The next event. There is always another one."""
        while True:
            try:
                event = await self._try_next()
            except SluiceError as error:
                self.close()
                if error.reason == "RESUME_TOKEN_INVALID" and self._request.resume_token:
                    self._request.resume_token = ""
                else:
                    await self._attempts.wait_after(error)
                continue
            if event is not None:
                return event

    def close(self) -> None:
        """Ends the call that is under way."""
        if self._replies is not None:
            self._replies.close()
            self._replies = None
        self._first = None

    async def _try_next(self) -> Event | None:
        if self._replies is None:
            self._replies, self._first = await self._connection.read(
                contract.WATCH_EVENTS, self._request, _STALL
            )
            if not self._request.resume_token:
                return SnapshotBegin()
        reply, self._first = self._first or await self._replies.next(), None
        if reply is None:
            raise SluiceError(ErrorKind.TRANSPORT, "the server has ended the stream")
        # Only now: a stream that opens and breaks at once is no progress.
        self._attempts.progressed()
        if reply.resume_token:
            self._request.resume_token = reply.resume_token
        match reply.WhichOneof("event"):
            case "upload":
                return reply.upload
            case "file":
                return reply.file
            case "file_deleted":
                return FileDeleted(reply.file_deleted.file_id)
            case "snapshot_end":
                return SnapshotEnd()
            case _:
                return None


class Watch(Steps[Event]):
    """The same for `Client`."""

    @property
    def resume_token(self) -> str:
        """Where another watch goes on; empty before the first snapshot is whole."""
        return cast(AsyncWatch, self._series).resume_token
