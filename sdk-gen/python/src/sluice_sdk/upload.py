"""Uploads and their resumption, of content of all kinds."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from . import contract, frames
from . import options as choices
from ._gen.sluice.v1.file_pb2 import File
from ._gen.sluice.v1.upload_pb2 import (
    CompleteUploadRequest,
    GetUploadRequest,
    ResumeUploadRequest,
    Upload,
    UploadPart,
)
from .checksum import combine
from .connection import Connection
from .errors import ErrorKind, SluiceError
from .options import UploadOptions
from .parts import Parts
from .progress import Reporter
from .runtime import Runtime
from .source import Content, Once, open_source
from .stream import Stream
from .whole import write_whole
from .writer import Piece, Writer, complete, list_parts

# Content of at most this size goes with one call, unless parts are to be smaller.
_ONE_CALL = 8 * 1024 * 1024
# Times that storage may ask for parts again at completion.
_MOST_COMPLETIONS = 5


@dataclass(frozen=True)
class Uploaded:
    """A file that was uploaded, and what it took."""

    file: File
    """The file. It may still be PROCESSING."""
    upload_id: str
    """The upload that it came with."""
    sent: int
    """Bytes handed to the network, repeats included."""
    resumed: int
    """Bytes found persisted and not sent."""
    seconds: float
    """From the call to its end."""


async def upload(connection: Connection, source: object, options: UploadOptions) -> Uploaded:
    """Uploads a source and makes it a file."""

    async def work(opened: Content | Once, reporter: Reporter) -> File:
        job = _Job(connection, options, reporter)
        if isinstance(opened, Once):
            return await job.upload_stream(opened)
        return await job.upload_content(opened)

    return await _run(connection, source, options, work)


async def resume(
    connection: Connection, upload_id: str, source: object, options: UploadOptions
) -> Uploaded:
    """Goes on with an upload that another call or process began."""

    async def work(opened: Content | Once, reporter: Reporter) -> File:
        request = GetUploadRequest(upload_id=upload_id)
        upload = (await connection.call(contract.GET_UPLOAD, request)).upload
        content = Stream(connection.runtime, opened) if isinstance(opened, Once) else opened
        return await _Job(connection, options, reporter).go_on(upload, content)

    return await _run(connection, source, options, work, upload_id)


async def _run(
    connection: Connection,
    source: object,
    options: UploadOptions,
    work: Callable[[Content | Once, Reporter], Awaitable[File]],
    upload_id: str | None = None,
) -> Uploaded:
    started = time.monotonic()
    reporter = Reporter(options.get("on_progress"))
    opened = await connection.runtime.blocking(open_source, source)
    try:
        file = await work(opened, reporter)
    except SluiceError as error:
        error.upload_id = error.upload_id or reporter.progress.upload_id or upload_id
        raise
    finally:
        opened.close()
    progress = reporter.progress
    seconds = time.monotonic() - started
    return Uploaded(file, file.upload_id, progress.sent, progress.resumed, seconds)


class _Job:
    """One call of `upload` or `resume`."""

    def __init__(self, connection: Connection, options: UploadOptions, reporter: Reporter) -> None:
        self._connection = connection
        self._runtime = connection.runtime
        self._options = options
        self._reporter = reporter
        self._one_call = min(_ONE_CALL, options.get("part_size", _ONE_CALL))

    async def upload_content(self, content: Content) -> File:
        """Small content goes with one call, other in parts."""
        create = choices.create_request(self._options, content.name, content.size)
        if content.size > self._one_call:
            return await self._open(create, content)

        def read() -> list[Piece]:
            pieces = list(frames.read(content, 0, content.size))
            content.check_unchanged()
            return pieces

        return await self._write_whole(create, await self._runtime.blocking(read))

    async def upload_stream(self, source: Once) -> File:
        """The same for a stream, whose size shows when it ends."""
        stream = Stream(self._runtime, source)
        head = await stream.head(self._runtime, self._one_call)
        small = stream.ended and stream.size <= self._one_call
        size = stream.size if small else None
        create = choices.create_request(self._options, source.name, size)
        if small:
            return await self._write_whole(create, head)
        return await self._open(create, stream)

    async def go_on(self, upload: Upload, source: Content | Stream) -> File:
        """Goes on with an upload in whatever state it is."""
        known = upload.HasField("size") and not isinstance(source, Stream)
        if known and source.size != upload.size:
            raise _other(f"it has {source.size} bytes instead of {upload.size}")
        if upload.state in (Upload.STATE_COMPLETING, Upload.STATE_COMPLETED):
            return await self._completed(upload, source)
        request = ResumeUploadRequest(upload_id=upload.id)
        answer = await self._connection.call(contract.RESUME_UPLOAD, request)
        earlier = await list_parts(self._connection, upload.id)
        return await self._send(answer.upload, answer.upload_token, source, earlier)

    async def _write_whole(self, create: Any, pieces: list[Piece]) -> File:
        lane = self._connection.next_lane()
        return (
            await write_whole(self._connection, lane, create, pieces, self._options, self._reporter)
        ).file

    async def _open(self, create: Any, source: Content | Stream) -> File:
        answer = await self._connection.call(contract.CREATE_UPLOAD, create)
        upload = answer.upload
        fresh = upload.writer_epoch == 1 and not upload.persisted_bytes
        if not fresh or upload.state != Upload.STATE_ACTIVE:
            # The request id is that of an earlier call.
            return await self.go_on(upload, source)
        return await self._send(upload, answer.upload_token, source, [])

    async def _send(
        self, upload: Upload, token: str, source: Content | Stream, earlier: list[UploadPart]
    ) -> File:
        writer = Writer(self._connection, upload, token, self._options, self._reporter)
        total = None if isinstance(source, Stream) else source.size
        self._reporter.opened(upload.id, total, upload.persisted_bytes)
        if isinstance(source, Stream):
            return await self._send_stream(writer, source, earlier)
        return await self._send_content(writer, source, earlier)

    async def _send_content(
        self, writer: Writer, content: Content, earlier: list[UploadPart]
    ) -> File:
        upload = writer.upload
        parts = Parts(upload.part_size, content.size, upload.persisted_ranges)
        final_size = None if upload.HasField("size") else content.size
        await self._runtime.blocking(_compare, content, parts, earlier)

        async def lane(number: int, runtime: Runtime) -> None:
            connection = self._connection.within(runtime)
            while (part := parts.take()) is not None:
                start, end = parts.range(part)
                pieces = partial(_pieces, content, parts, part)
                await writer.persist(connection, number, start, end, pieces, final_size)

        for _ in range(_MOST_COMPLETIONS):
            await self._in_lanes(lane)
            await self._runtime.blocking(content.check_unchanged)
            checksum = parts.file_checksum()
            if checksum is None:
                message = "the server has parts that it did not list"
                raise SluiceError(ErrorKind.CORRUPT, message)
            try:
                return await writer.complete(content.size, checksum)
            except SluiceError as error:
                if error.reason != "PARTS_MISSING":
                    raise
                missing = error
            upload = await writer.current(self._connection)
            parts.start_over(upload.persisted_ranges)
        raise missing

    async def _send_stream(self, writer: Writer, stream: Stream, earlier: list[UploadPart]) -> File:
        there = {part.offset: part for part in earlier}
        part_size = writer.upload.part_size

        async def send_one(connection: Connection, number: int) -> bool:
            # Nothing of a part may stay in memory while the next one is read.
            part = await stream.part(connection.runtime, part_size)
            if part is None:
                return False
            if part.final_size is not None:
                self._reporter.ended(part.final_size)
            end = part.start + part.size
            known = there.get(part.start)
            if known is None:
                pieces = part.pieces.__iter__
                await writer.persist(connection, number, part.start, end, pieces, part.final_size)
            elif (known.size, known.crc32c) != (part.size, part.checksum):
                raise _other(f"bytes {part.start}-{end} differ")
            return True

        async def lane(number: int, runtime: Runtime) -> None:
            connection = self._connection.within(runtime)
            while await send_one(connection, number):
                pass

        await self._in_lanes(lane)
        self._reporter.ended(stream.size)
        return await writer.complete(stream.size, stream.checksum)

    async def _in_lanes(self, lane: Callable[[int, Runtime], Coroutine[Any, Any, None]]) -> None:
        lanes = range(1, choices.concurrency(self._options) + 1)
        await self._runtime.together([partial(lane, number) for number in lanes])

    async def _completed(self, upload: Upload, source: Content | Stream) -> File:
        """The file of an upload that somebody else completes or has completed."""
        self._reporter.opened(upload.id, upload.persisted_bytes, upload.persisted_bytes)
        file = await complete(self._connection, upload.id, CompleteUploadRequest(), self._options)
        if isinstance(source, Stream):
            while await source.part(self._runtime, frames.SIZE) is not None:
                pass
            size, checksum = source.size, source.checksum
        else:
            size = source.size
            checksum = await self._runtime.blocking(frames.checksum_of, source, 0, size)
        known = file.checksums.HasField("crc32c")
        if size != file.size or (known and checksum != file.checksums.crc32c):
            raise _other("the bytes differ")
        return file


def _pieces(content: Content, parts: Parts, part: int) -> Iterator[Piece]:
    """The frames of a part; its checksum is noted once all of them were read."""
    total = 0
    for offset, piece, checksum in frames.read(content, *parts.range(part)):
        total = combine(total, checksum, len(piece))
        yield offset, piece, checksum
    parts.checksum(part, total)


def _compare(content: Content, parts: Parts, earlier: list[UploadPart]) -> None:
    """Refuses content that is not what others have sent, and notes the checksums."""
    for known in earlier:
        start, end = parts.range(known.part_number - 1)
        if end - start != known.size or start != known.offset:
            raise _other("its parts have other sizes")
        checksum = frames.checksum_of(content, start, end)
        if checksum != known.crc32c:
            raise _other(f"bytes {start}-{end} differ")
        parts.checksum(known.part_number - 1, checksum)


def _other(detail: str) -> SluiceError:
    return SluiceError(
        ErrorKind.SOURCE_CHANGED,
        f"the content is not what was being uploaded: {detail}; start a new upload for it",
    )
