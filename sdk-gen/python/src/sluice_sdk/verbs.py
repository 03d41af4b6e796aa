"""What a client can do, written once for both kinds of client."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from typing_extensions import Self, Unpack

from . import contract
from . import upload as uploading
from ._gen.sluice.v1 import file_pb2, upload_pb2
from ._gen.sluice.v1.file_pb2 import File, ListFilesRequest
from ._gen.sluice.v1.upload_pb2 import Upload
from .account_verbs import AccountVerbs, duration
from .download import Downloaded, Target, download
from .errors import ErrorKind, SluiceError
from .options import UploadOptions
from .progress import OnProgress
from .read import Reader
from .runtime import Runtime
from .series import Pages, Series
from .source import AsyncReadable, Source
from .upload import Uploaded
from .watch import AsyncWatch

# The most that a page can have.
_PAGE_SIZE = 1000


@dataclass(frozen=True)
class Folder:
    """The beginning of deeper names, up to and including a `/`."""

    name: str
    """That beginning."""


@dataclass(frozen=True)
class Link:
    """A link with which anybody can download a file."""

    url: str
    """The link. Whoever has it can download: treat it as a secret."""
    expire_time: datetime
    """When it stops working."""


class Verbs(AccountVerbs):
    """What a client can do."""

    def _within(self, runtime: Runtime) -> Self:
        other = copy.copy(self)
        other._connection = self._connection.within(runtime)
        return other

    async def upload(
        self, source: Source | AsyncReadable, **options: Unpack[UploadOptions]
    ) -> Uploaded:
        """Uploads a source and makes it a file.

        Broken connections and restarts of the server are ridden out: what is persisted is
        never sent again. After an error that is `transient`, or after cancellation, `resume`
        goes on with the error's `upload_id`."""
        return await uploading.upload(self._connection, source, options)

    async def resume(
        self, upload_id: str, source: Source | AsyncReadable, **options: Unpack[UploadOptions]
    ) -> Uploaded:
        """Goes on with an upload that another call or process began, from the same bytes.

        What is persisted is compared with the source and not sent again. Takes the upload
        over: whoever still writes to it is stopped. Of the options, `name` and `on_conflict`
        replace those that it was opened with. An upload that is complete by now answers with
        its file."""
        return await uploading.resume(self._connection, upload_id, source, options)

    async def download(
        self,
        file_id: str,
        target: Target,
        *,
        offset: int = 0,
        length: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> Downloaded:
        """Downloads a file, or `length` bytes from `offset` on, to a path or an open stream.

        Every piece is verified, and so is the whole. At a path, the bytes go to `PATH.part`
        first: if there is one from an earlier attempt, only what it lacks is fetched. The
        whole is made durable before it takes its name, replacing what was there."""
        return await download(self._connection, file_id, target, offset, length, on_progress)

    def read(self, file_id: str, *, offset: int = 0, length: int | None = None) -> Series[bytes]:
        """The content of a file, or a range of it, in verified chunks of at most 1 MiB."""
        return Reader(self._connection, file_id, offset, length)

    def watch(
        self,
        *,
        upload_ids: Sequence[str] = (),
        file_ids: Sequence[str] = (),
        resume_token: str = "",
    ) -> AsyncWatch:
        """Watches uploads and files: first a snapshot of what is under way, or of what was
        named, then every change, made by whomever.

        Broken connections and restarts of the server are ridden out, and what changed
        meanwhile is told afterwards. Of quick changes only the newest may be told, and
        progress of an upload at most once a second."""
        return AsyncWatch(self._connection, upload_ids, file_ids, resume_token)

    async def get(self, file_id: str) -> File:
        """One file, in whatever state."""
        request = file_pb2.GetFileRequest(file_id=file_id)
        return (await self._connection.call(contract.GET_FILE, request)).file

    async def find(self, name: str) -> File | None:
        """The file with this name, if there is one."""
        # Of all names that begin with it, the name itself is the first.
        request = ListFilesRequest(
            page_size=1, name_prefix=name, order_by=ListFilesRequest.ORDER_BY_NAME
        )
        page = await self._connection.call(contract.LIST_FILES, request)
        return next((file for file in page.files if file.name == name), None)

    def list(
        self,
        *,
        states: Sequence[File.State.ValueType] = (),
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> Series[File]:
        """The files, newest first."""
        return self._list(
            ListFilesRequest(
                page_size=_PAGE_SIZE,
                order_by=ListFilesRequest.ORDER_BY_CREATE_TIME,
                states=states,
                created_after=_timestamp(created_after),
                created_before=_timestamp(created_before),
            )
        )

    def list_by_name(
        self, prefix: str = "", *, states: Sequence[File.State.ValueType] = ()
    ) -> Series[File]:
        """The files whose names begin so, by name."""
        return self._list(
            ListFilesRequest(
                page_size=_PAGE_SIZE,
                order_by=ListFilesRequest.ORDER_BY_NAME,
                name_prefix=prefix,
                states=states,
            )
        )

    def list_folder(self, prefix: str = "") -> Series[File | Folder]:
        """What is in a folder such as `photos/`, by name: files, and for deeper names the
        folder that they have in common."""

        async def fetch(token: str) -> tuple[Sequence[File | Folder], str]:
            request = ListFilesRequest(
                page_size=_PAGE_SIZE,
                page_token=token,
                order_by=ListFilesRequest.ORDER_BY_NAME,
                name_prefix=prefix,
                delimiter="/",
            )
            page = await self._connection.call(contract.LIST_FILES, request)
            entries: Sequence[File | Folder] = [*page.files, *map(Folder, page.prefixes)]
            # The page has two lists of one order.
            return sorted(entries, key=lambda entry: entry.name.encode()), page.next_page_token

        return Pages(fetch)

    def _list(self, request: ListFilesRequest) -> Series[File]:
        async def fetch(token: str) -> tuple[Sequence[File], str]:
            request.page_token = token
            page = await self._connection.call(contract.LIST_FILES, request)
            return page.files, page.next_page_token

        return Pages(fetch)

    async def update(
        self,
        file_id: str,
        *,
        name: str | None = None,
        metadata: Mapping[str, str] | None = None,
        etag: str = "",
    ) -> File:
        """Renames a file or replaces its metadata; with an etag, only the revision that was
        seen."""
        paths = [
            path for path, value in (("name", name), ("metadata", metadata)) if value is not None
        ]
        request = file_pb2.UpdateFileRequest(
            file=File(id=file_id, name=name or "", metadata=metadata or {}),
            update_mask=FieldMask(paths=paths),
            etag=etag,
        )
        return (await self._connection.call(contract.UPDATE_FILE, request)).file

    async def delete(self, file_id: str, *, etag: str = "") -> None:
        """Deletes a file; with an etag, only the revision that was seen."""
        request = file_pb2.DeleteFileRequest(file_id=file_id, etag=etag)
        attempts = self._connection.attempts()
        first = True
        while True:
            try:
                await self._connection.once(contract.DELETE_FILE, request)
                return
            except SluiceError as error:
                if not first and error.reason == "FILE_NOT_FOUND":
                    return  # Gone by the attempt before, whose answer was lost.
                await attempts.wait_after(error)
                first = False

    async def sign(
        self, file_id: str, *, ttl: timedelta | None = None, inline: bool = False
    ) -> Link:
        """A link with which anybody can download a file over plain HTTP, for an hour unless
        `ttl` says otherwise. With `inline`, a browser shows it where that is harmless."""
        disposition = file_pb2.SignDownloadUrlRequest.DISPOSITION_ATTACHMENT
        if inline:
            disposition = file_pb2.SignDownloadUrlRequest.DISPOSITION_INLINE
        request = file_pb2.SignDownloadUrlRequest(
            file_id=file_id, ttl=duration(ttl), disposition=disposition
        )
        answer = await self._connection.call(contract.SIGN_DOWNLOAD_URL, request)
        return Link(answer.url, answer.expire_time.ToDatetime(timezone.utc))

    async def get_upload(self, upload_id: str) -> Upload:
        """One upload with what is persisted of it, in whatever state."""
        request = upload_pb2.GetUploadRequest(upload_id=upload_id)
        return (await self._connection.call(contract.GET_UPLOAD, request)).upload

    def list_uploads(self, *, states: Sequence[Upload.State.ValueType] = ()) -> Series[Upload]:
        """The uploads in these states, or all, newest first."""

        async def fetch(token: str) -> tuple[Sequence[Upload], str]:
            request = upload_pb2.ListUploadsRequest(
                page_size=_PAGE_SIZE, page_token=token, states=states
            )
            page = await self._connection.call(contract.LIST_UPLOADS, request)
            return page.uploads, page.next_page_token

        return Pages(fetch)

    async def cancel_upload(self, upload_id: str) -> Upload:
        """Gives an upload up: its parts are deleted and it cannot be resumed."""
        request = upload_pb2.CancelUploadRequest(upload_id=upload_id)
        return (await self._connection.call(contract.CANCEL_UPLOAD, request)).upload


def _timestamp(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    if time.tzinfo is None:
        raise SluiceError(ErrorKind.USAGE, "times need a time zone")
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp
