"""Small content: opened, written and completed by one call."""

from __future__ import annotations

from collections.abc import Iterator

from . import contract, errors, frames
from . import options as choices
from ._gen.sluice.v1.upload_pb2 import (
    CancelUploadRequest,
    CreateUploadRequest,
    WriteUploadRequest,
    WriteUploadResponse,
)
from .checksum import combine
from .connection import Connection
from .errors import SluiceError
from .options import UploadOptions
from .progress import Reporter
from .runtime import Frame
from .writer import Piece, Sending


async def write_whole(
    connection: Connection,
    lane: int,
    create: CreateUploadRequest,
    pieces: list[Piece],
    options: UploadOptions,
    reporter: Reporter,
) -> WriteUploadResponse:
    """Opens, writes and completes an upload with one call. A repeat is the very same stream,
    which the request id makes harmless."""
    total = 0
    for _, content, checksum in pieces:
        total = combine(total, checksum, len(content))

    def messages() -> Iterator[Frame]:
        message = WriteUploadRequest(create_upload=create)
        for number, (offset, content, checksum) in enumerate(pieces or [(0, b"", 0)], 1):
            message.write_offset = offset
            if number >= len(pieces):
                message.complete = True
                message.expected_checksums.CopyFrom(choices.expected(options, total))
            yield frames.encode(message, content, checksum)
            message.Clear()

    reporter.opened(None, create.size)
    attempts = connection.attempts()
    channel = connection.channel(lane)
    while True:
        sending = Sending(reporter)
        try:
            answer = await connection.write(contract.WRITE_UPLOAD, messages, channel, "", sending)
            sending.landed(persisted=create.size)
            break
        except SluiceError as error:
            await _abandon(connection, error)
            await attempts.wait_after(error)
        finally:
            sending.landed()
    if not answer.HasField("file"):
        raise errors.lacks("file")
    return answer


async def _abandon(connection: Connection, error: SluiceError) -> None:
    """Nobody resumes what is sent in one call, so an upload that was refused at its end is not
    left behind. It would expire in any case."""
    if error.reason in ("FILE_EXISTS", "FILE_CHECKSUM_MISMATCH") and error.upload_id:
        try:
            request = CancelUploadRequest(upload_id=error.upload_id)
            await connection.once(contract.CANCEL_UPLOAD, request)
        except SluiceError:
            pass
