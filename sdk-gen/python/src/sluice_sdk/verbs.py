"""What a client can do, written once for both kinds of client."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from typing_extensions import Self, Unpack

from . import contract, errors, session
from . import upload as uploading
from ._gen.sluice.v1 import account_pb2, auth_pb2, capabilities_pb2, file_pb2, upload_pb2
from ._gen.sluice.v1.account_pb2 import Account, ApiKey, Scope, Session, Usage
from ._gen.sluice.v1.capabilities_pb2 import Capabilities
from ._gen.sluice.v1.file_pb2 import File, ListFilesRequest
from ._gen.sluice.v1.upload_pb2 import Upload
from .connection import Connection
from .download import Downloaded, Target, download
from .errors import ErrorKind, SluiceError
from .options import UploadOptions
from .progress import OnProgress
from .read import Reader
from .runtime import Runtime
from .series import Pages, Series
from .session import Tokens
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


@dataclass(frozen=True)
class SignedIn:
    """Somebody who has signed in."""

    account: Account
    """Their account."""
    tokens: Tokens
    """The tokens of the new session."""
    device_token: str = field(repr=False)
    """Shows at the next sign-in that this device is known, so that strangers who try passwords
    cannot lock it out. It opens nothing by itself."""


@dataclass(frozen=True)
class NewApiKey:
    """An API key that was just made."""

    api_key: ApiKey
    """The key."""
    secret: str = field(repr=False)
    """Its secret, which cannot be had again."""


class Verbs:
    """What a client can do."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

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
            file_id=file_id, ttl=_duration(ttl), disposition=disposition
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

    async def capabilities(self) -> Capabilities:
        """What the server offers and where its limits are. Needs no credential, so it also
        tells whether the server can be reached."""
        request = capabilities_pb2.GetCapabilitiesRequest()
        return (await self._connection.call(contract.GET_CAPABILITIES, request)).capabilities

    async def register(
        self, email: str, password: str, *, display_name: str = "", setup_token: str = ""
    ) -> SignedIn:
        """Makes an account and signs this client in. Some servers ask for a token."""
        request = auth_pb2.RegisterRequest(
            email=email, password=password, display_name=display_name, setup_token=setup_token
        )
        answer = await self._connection.call_unrepeated(contract.REGISTER, request)
        return await self._signed_in(answer)

    async def login(self, email: str, password: str, *, device_token: str = "") -> SignedIn:
        """Signs this client in: from now on its calls are those of the new session."""
        request = auth_pb2.LoginRequest(email=email, password=password, device_token=device_token)
        answer = await self._connection.call(contract.LOGIN, request)
        return await self._signed_in(answer)

    async def _signed_in(
        self, answer: auth_pb2.LoginResponse | auth_pb2.RegisterResponse
    ) -> SignedIn:
        tokens = session.received(answer.tokens)
        await self._connection.credential.keep(tokens)
        return SignedIn(answer.account, tokens, answer.device_token)

    async def refresh_session(self) -> Tokens:
        """Gets the next tokens of the session now. The client does so by itself whenever the
        server finds that an access token has expired."""
        await self._connection.refresh()
        tokens = self._connection.credential.tokens
        if tokens is None:
            raise errors.lacks("tokens")
        return tokens

    async def logout(self) -> None:
        """Ends the session of this client."""
        tokens = self._connection.credential.tokens
        if tokens is None:
            raise SluiceError(ErrorKind.USAGE, "nobody has signed in")
        request = auth_pb2.LogoutRequest(refresh_token=tokens.refresh_token)
        await self._connection.call(contract.LOGOUT, request)
        await self._connection.credential.keep(None)

    async def account(self) -> Account:
        """The account that calls are made for."""
        request = account_pb2.GetAccountRequest()
        return (await self._connection.call(contract.GET_ACCOUNT, request)).account

    async def update_account(self, display_name: str, *, etag: str = "") -> Account:
        """Changes what people call the account."""
        request = account_pb2.UpdateAccountRequest(
            account=Account(display_name=display_name),
            update_mask=FieldMask(paths=["display_name"]),
            etag=etag,
        )
        return (await self._connection.call(contract.UPDATE_ACCOUNT, request)).account

    async def change_password(self, current_password: str, new_password: str) -> None:
        """Changes the password and ends all other sessions of the account."""
        request = account_pb2.ChangePasswordRequest(
            current_password=current_password, new_password=new_password
        )
        await self._connection.call_unrepeated(contract.CHANGE_PASSWORD, request)

    async def delete_account(self, password: str) -> None:
        """Deletes the account and everything that it owns. It cannot be undone."""
        request = account_pb2.DeleteAccountRequest(password=password)
        await self._connection.call_unrepeated(contract.DELETE_ACCOUNT, request)

    async def usage(self) -> Usage:
        """What the account holds and how much it may."""
        request = account_pb2.GetUsageRequest()
        return (await self._connection.call(contract.GET_USAGE, request)).usage

    def list_sessions(self) -> Series[Session]:
        """The account's open sessions, newest first."""

        async def fetch(token: str) -> tuple[Sequence[Session], str]:
            request = account_pb2.ListSessionsRequest(page_size=_PAGE_SIZE, page_token=token)
            page = await self._connection.call(contract.LIST_SESSIONS, request)
            return page.sessions, page.next_page_token

        return Pages(fetch)

    async def revoke_session(self, session_id: str) -> None:
        """Ends one session. What it has open ends within seconds."""
        request = account_pb2.RevokeSessionRequest(session_id=session_id)
        await self._connection.call(contract.REVOKE_SESSION, request)

    async def revoke_other_sessions(self) -> int:
        """Ends all sessions but that of this client; answers how many."""
        request = account_pb2.RevokeSessionRequest(all_others=True)
        return (await self._connection.call(contract.REVOKE_SESSION, request)).revoked

    async def create_api_key(
        self, name: str, scopes: Sequence[str], *, ttl: timedelta | None = None
    ) -> NewApiKey:
        """Makes an API key with scopes such as `files:read`; it never ends unless `ttl` is
        given."""
        request = account_pb2.CreateApiKeyRequest(
            name=name, scopes=[_scope(scope) for scope in scopes], ttl=_duration(ttl)
        )
        answer = await self._connection.call_unrepeated(contract.CREATE_API_KEY, request)
        return NewApiKey(answer.api_key, answer.secret)

    def list_api_keys(self) -> Series[ApiKey]:
        """The account's API keys, newest first, without their secrets."""

        async def fetch(token: str) -> tuple[Sequence[ApiKey], str]:
            request = account_pb2.ListApiKeysRequest(page_size=_PAGE_SIZE, page_token=token)
            page = await self._connection.call(contract.LIST_API_KEYS, request)
            return page.api_keys, page.next_page_token

        return Pages(fetch)

    async def revoke_api_key(self, api_key_id: str) -> None:
        """Ends an API key. What it has open ends within seconds."""
        request = account_pb2.RevokeApiKeyRequest(api_key_id=api_key_id)
        await self._connection.call(contract.REVOKE_API_KEY, request)


def _scope(scope: str) -> Scope.ValueType:
    try:
        return Scope.Value("SCOPE_" + scope.replace(":", "_").upper())
    except ValueError:
        raise SluiceError(ErrorKind.USAGE, f"there is no scope {scope!r}") from None


def _timestamp(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    if time.tzinfo is None:
        raise SluiceError(ErrorKind.USAGE, "times need a time zone")
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp


def _duration(span: timedelta | None) -> Duration | None:
    if span is None:
        return None
    duration = Duration()
    duration.FromTimedelta(span)
    return duration
