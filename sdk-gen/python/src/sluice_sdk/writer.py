"""One writer's work on one upload: parts that are sent until they are persisted, and the
completion."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

import grpc

from . import contract, frames
from . import options as choices
from ._gen.sluice.v1.file_pb2 import File
from ._gen.sluice.v1.upload_pb2 import (
    CompleteUploadRequest,
    GetUploadRequest,
    ListUploadPartsRequest,
    Upload,
    UploadPart,
    WriteUploadRequest,
)
from .connection import Connection
from .errors import ErrorKind, SluiceError
from .options import UploadOptions
from .parts import covers
from .progress import Reporter
from .runtime import Frame

Piece = tuple[int, bytes, int]
"""Offset, content and checksum of a frame."""

# A stream that has carried so much has reached the server, even if a slow link was cut before
# a part was whole.
_MORE_THAN_BUFFERS = 4 * 1024 * 1024
# The most that a page can have.
_PAGE_SIZE = 1000


class Writer:
    """Writes to an upload that is open, at the epoch that it has."""

    def __init__(
        self,
        connection: Connection,
        upload: Upload,
        token: str,
        options: UploadOptions,
        reporter: Reporter,
    ) -> None:
        if upload.data_endpoint and not token:
            message = "the server sends data elsewhere but gave no token for it"
            raise SluiceError(ErrorKind.CORRUPT, message)
        if upload.part_size < frames.SIZE or upload.part_size & (upload.part_size - 1):
            raise SluiceError(ErrorKind.CORRUPT, "the server's part size is no power of two")
        self.connection = connection
        self.upload = upload
        self.options = options
        self.reporter = reporter
        self._token = token
        self._persisted: set[int] = set()

    async def persist(
        self,
        connection: Connection,
        lane: int,
        start: int,
        end: int,
        pieces: Callable[[], Iterable[Piece]],
        final_size: int | None,
    ) -> None:
        """Sends one part until the server has it. Each stream carries one part, so that its
        answer is about this part and a cut costs no more than it."""
        attempts = connection.attempts()
        channel = connection.channel(lane, self.upload.data_endpoint)

        def messages() -> Iterator[Frame]:
            return self._messages(pieces(), final_size)

        while True:
            before = self.reporter.progress.persisted
            sending = Sending(self.reporter)
            try:
                answer = await connection.write(
                    contract.WRITE_UPLOAD, messages, channel, self._token, sending
                )
                if covers(answer.upload.persisted_ranges, start, end):
                    return self._confirmed(sending, start, end)
                error = SluiceError(ErrorKind.TRANSPORT, "the server kept nothing")
            except SluiceError as failure:
                error = failure
            finally:
                sending.landed()
            # Other lanes may have had the server's attention meanwhile.
            cut = error.kind is ErrorKind.TRANSPORT and error.code is not None
            reached = sending.bytes > _MORE_THAN_BUFFERS
            if (cut and reached) or self.reporter.progress.persisted > before:
                attempts.progressed()
            await attempts.wait_after(error)
            # On the lane's own connection, which is there again when it answers: content that is
            # handed to a connection that cannot be made would count as sent.
            own = 0 if self.upload.data_endpoint else lane
            upload = await self.current(connection, own)
            if covers(upload.persisted_ranges, start, end):
                return self._confirmed(sending, start, end)

    def _confirmed(self, sending: Sending, start: int, end: int) -> None:
        # Storage may ask for a part again that it had.
        again = start in self._persisted
        self._persisted.add(start)
        sending.landed(persisted=0 if again else end - start)

    async def current(self, connection: Connection, lane: int = 0) -> Upload:
        """The upload as the server has it now. The same epoch goes on."""
        request = GetUploadRequest(upload_id=self.upload.id)
        upload = (await connection.call(contract.GET_UPLOAD, request, lane)).upload
        if upload.writer_epoch != self.upload.writer_epoch:
            raise SluiceError(
                ErrorKind.SERVER,
                "another process has taken over this upload",
                code=grpc.StatusCode.ABORTED,
                reason="STALE_WRITER",
                metadata={"writer_epoch": str(upload.writer_epoch)},
            )
        if upload.state != Upload.STATE_ACTIVE:
            state = Upload.State.Name(upload.state).removeprefix("STATE_")
            raise SluiceError(
                ErrorKind.SERVER,
                f"the upload takes no more parts: it is {state}",
                code=grpc.StatusCode.FAILED_PRECONDITION,
                reason="UPLOAD_NOT_ACTIVE",
                metadata={"state": state},
            )
        return upload

    async def complete(self, size: int, crc32c: int) -> File:
        """Makes a file of the upload."""
        request = CompleteUploadRequest(
            writer_epoch=self.upload.writer_epoch,
            size=size,
            expected_checksums=choices.expected(self.options, crc32c),
        )
        return await complete(self.connection, self.upload.id, request, self.options)

    def _messages(self, pieces: Iterable[Piece], final_size: int | None) -> Iterator[Frame]:
        opening = WriteUploadRequest(
            upload_id=self.upload.id,
            writer_epoch=self.upload.writer_epoch,
            final_size=final_size,
        )
        for offset, content, checksum in pieces:
            opening.write_offset = offset
            yield frames.encode(opening, content, checksum)
            opening.Clear()


class Sending:
    """What one attempt has on the way."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._lock = threading.RLock()
        self._over = False
        self.bytes = 0

    def __call__(self, length: int) -> None:
        """So much more goes now."""
        with self._lock:
            # The thread of a call that was given up may come here once more.
            if not self._over:
                self.bytes += length
                self._reporter.sending(length)

    def landed(self, persisted: int = 0) -> None:
        """The attempt is over, and so much is persisted that was not before."""
        with self._lock:
            in_flight = 0 if self._over else self.bytes
            self._over = True
            if in_flight or persisted:
                self._reporter.landed(in_flight, persisted)


async def complete(
    connection: Connection, upload_id: str, request: CompleteUploadRequest, options: UploadOptions
) -> File:
    """Makes a file of an upload, or finds the one that it is."""
    request.upload_id = upload_id
    if "name" in options:
        request.name = options["name"]
    on_conflict = choices.conflict(options)
    if on_conflict is not None:
        request.on_conflict = on_conflict
    return (await connection.call(contract.COMPLETE_UPLOAD, request)).file


async def list_parts(connection: Connection, upload_id: str) -> list[UploadPart]:
    """The persisted parts of an upload, by number."""
    parts: list[UploadPart] = []
    request = ListUploadPartsRequest(upload_id=upload_id, page_size=_PAGE_SIZE)
    while True:
        page = await connection.call(contract.LIST_UPLOAD_PARTS, request)
        parts.extend(page.parts)
        request.page_token = page.next_page_token
        if not request.page_token:
            return parts
