"""The client whose calls block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from typing_extensions import Self, Unpack

from ._gen.sluice.v1.account_pb2 import Account, ApiKey, Session, Usage
from ._gen.sluice.v1.capabilities_pb2 import Capabilities
from ._gen.sluice.v1.file_pb2 import File
from ._gen.sluice.v1.upload_pb2 import Upload
from .account_verbs import NewApiKey, SignedIn
from .async_client import GIVE_UP_AFTER
from .cancellation import CancelToken
from .connection import Connection
from .download import Downloaded, Target
from .options import UploadOptions
from .progress import OnProgress
from .raw import Raw
from .series import Steps
from .session import Credential, OnTokens, Tokens
from .source import Source
from .threads import Threads, run
from .upload import Uploaded
from .verbs import Folder, Link, Verbs
from .watch import Watch


class Client:
    """A client of a Sluice server. Its calls block, and may be made from many threads."""

    def __init__(
        self,
        server: str,
        *,
        api_key: str | None = None,
        tokens: Tokens | None = None,
        on_tokens: OnTokens | None = None,
        ca_certificates: bytes | None = None,
        give_up_after: float = GIVE_UP_AFTER,
    ) -> None:
        """`server` is like `https://files.example.com`; it is connected to when it is needed.
        `on_tokens` keeps the tokens of a session beyond the process. With `ca_certificates`
        (PEM), those authorities are trusted instead of the usual ones. `give_up_after` is how
        many seconds to keep trying without any progress."""
        runtime = Threads()
        credential = Credential(runtime, api_key, tokens, on_tokens)
        self._connection = Connection(runtime, server, credential, ca_certificates, give_up_after)
        self._verbs = Verbs(self._connection)

    def _until(self, cancel: CancelToken | None) -> Verbs:
        return self._verbs if cancel is None else self._verbs._within(Threads(cancel))

    @property
    def raw(self) -> Raw:
        """The generated stubs, on this client's connection and with its credential."""
        return Raw(self._connection)

    def close(self) -> None:
        """Closes the connections. What is under way ends."""
        run(self._connection.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def upload(
        self,
        source: Source,
        *,
        cancel: CancelToken | None = None,
        **options: Unpack[UploadOptions],
    ) -> Uploaded:
        """Uploads a source and makes it a file.

        Broken connections and restarts of the server are ridden out: what is persisted is
        never sent again. After an error that is `transient`, or after cancellation, `resume`
        goes on with the error's `upload_id`."""
        return run(self._until(cancel).upload(source, **options))

    def resume(
        self,
        upload_id: str,
        source: Source,
        *,
        cancel: CancelToken | None = None,
        **options: Unpack[UploadOptions],
    ) -> Uploaded:
        """Goes on with an upload that another call or process began, from the same bytes.

        What is persisted is compared with the source and not sent again. Takes the upload
        over: whoever still writes to it is stopped. Of the options, `name` and `on_conflict`
        replace those that it was opened with. An upload that is complete by now answers with
        its file."""
        return run(self._until(cancel).resume(upload_id, source, **options))

    def download(
        self,
        file_id: str,
        target: Target,
        *,
        offset: int = 0,
        length: int | None = None,
        on_progress: OnProgress | None = None,
        cancel: CancelToken | None = None,
    ) -> Downloaded:
        """Downloads a file, or `length` bytes from `offset` on, to a path or an open stream.

        Every piece is verified, and so is the whole. At a path, the bytes go to `PATH.part`
        first: if there is one from an earlier attempt, only what it lacks is fetched. The
        whole is made durable before it takes its name, replacing what was there."""
        verbs = self._until(cancel)
        return run(
            verbs.download(file_id, target, offset=offset, length=length, on_progress=on_progress)
        )

    def read(
        self,
        file_id: str,
        *,
        offset: int = 0,
        length: int | None = None,
        cancel: CancelToken | None = None,
    ) -> Steps[bytes]:
        """The content of a file, or a range of it, in verified chunks of at most 1 MiB."""
        return Steps(self._until(cancel).read(file_id, offset=offset, length=length))

    def watch(
        self,
        *,
        upload_ids: Sequence[str] = (),
        file_ids: Sequence[str] = (),
        resume_token: str = "",
        cancel: CancelToken | None = None,
    ) -> Watch:
        """Watches uploads and files: first a snapshot of what is under way, or of what was
        named, then every change, made by whomever.

        Broken connections and restarts of the server are ridden out, and what changed
        meanwhile is told afterwards. Of quick changes only the newest may be told, and
        progress of an upload at most once a second."""
        verbs = self._until(cancel)
        return Watch(
            verbs.watch(upload_ids=upload_ids, file_ids=file_ids, resume_token=resume_token)
        )

    def get(self, file_id: str) -> File:
        """One file, in whatever state."""
        return run(self._verbs.get(file_id))

    def find(self, name: str) -> File | None:
        """The file with this name, if there is one."""
        return run(self._verbs.find(name))

    def list(
        self,
        *,
        states: Sequence[File.State.ValueType] = (),
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> Iterator[File]:
        """The files, newest first."""
        return Steps(
            self._verbs.list(
                states=states, created_after=created_after, created_before=created_before
            )
        )

    def list_by_name(
        self, prefix: str = "", *, states: Sequence[File.State.ValueType] = ()
    ) -> Iterator[File]:
        """The files whose names begin so, by name."""
        return Steps(self._verbs.list_by_name(prefix, states=states))

    def list_folder(self, prefix: str = "") -> Iterator[File | Folder]:
        """What is in a folder such as `photos/`, by name: files, and for deeper names the
        folder that they have in common."""
        return Steps(self._verbs.list_folder(prefix))

    def update(
        self,
        file_id: str,
        *,
        name: str | None = None,
        metadata: Mapping[str, str] | None = None,
        etag: str = "",
    ) -> File:
        """Renames a file or replaces its metadata; with an etag, only the revision that was
        seen."""
        return run(self._verbs.update(file_id, name=name, metadata=metadata, etag=etag))

    def delete(self, file_id: str, *, etag: str = "") -> None:
        """Deletes a file; with an etag, only the revision that was seen."""
        run(self._verbs.delete(file_id, etag=etag))

    def sign(self, file_id: str, *, ttl: timedelta | None = None, inline: bool = False) -> Link:
        """A link with which anybody can download a file over plain HTTP, for an hour unless
        `ttl` says otherwise. With `inline`, a browser shows it where that is harmless."""
        return run(self._verbs.sign(file_id, ttl=ttl, inline=inline))

    def get_upload(self, upload_id: str) -> Upload:
        """One upload with what is persisted of it, in whatever state."""
        return run(self._verbs.get_upload(upload_id))

    def list_uploads(self, *, states: Sequence[Upload.State.ValueType] = ()) -> Iterator[Upload]:
        """The uploads in these states, or all, newest first."""
        return Steps(self._verbs.list_uploads(states=states))

    def cancel_upload(self, upload_id: str) -> Upload:
        """Gives an upload up: its parts are deleted and it cannot be resumed."""
        return run(self._verbs.cancel_upload(upload_id))

    def capabilities(self) -> Capabilities:
        """What the server offers and where its limits are. Needs no credential, so it also
        tells whether the server can be reached."""
        return run(self._verbs.capabilities())

    def register(
        self, email: str, password: str, *, display_name: str = "", setup_token: str = ""
    ) -> SignedIn:
        """Makes an account and signs this client in. Some servers ask for a token."""
        return run(
            self._verbs.register(
                email, password, display_name=display_name, setup_token=setup_token
            )
        )

    def login(self, email: str, password: str, *, device_token: str = "") -> SignedIn:
        """Signs this client in: from now on its calls are those of the new session."""
        return run(self._verbs.login(email, password, device_token=device_token))

    def refresh_session(self) -> Tokens:
        """Gets the next tokens of the session now. The client does so by itself whenever the
        server finds that an access token has expired."""
        return run(self._verbs.refresh_session())

    def logout(self) -> None:
        """Ends the session of this client."""
        run(self._verbs.logout())

    def account(self) -> Account:
        """The account that calls are made for."""
        return run(self._verbs.account())

    def update_account(self, display_name: str, *, etag: str = "") -> Account:
        """Changes what people call the account."""
        return run(self._verbs.update_account(display_name, etag=etag))

    def change_password(self, current_password: str, new_password: str) -> None:
        """Changes the password and ends all other sessions of the account."""
        run(self._verbs.change_password(current_password, new_password))

    def delete_account(self, password: str) -> None:
        """Deletes the account and everything that it owns. It cannot be undone."""
        run(self._verbs.delete_account(password))

    def usage(self) -> Usage:
        """What the account holds and how much it may."""
        return run(self._verbs.usage())

    def list_sessions(self) -> Iterator[Session]:
        """The account's open sessions, newest first."""
        return Steps(self._verbs.list_sessions())

    def revoke_session(self, session_id: str) -> None:
        """Ends one session. What it has open ends within seconds."""
        run(self._verbs.revoke_session(session_id))

    def revoke_other_sessions(self) -> int:
        """Ends all sessions but that of this client; answers how many."""
        return run(self._verbs.revoke_other_sessions())

    def create_api_key(
        self, name: str, scopes: Sequence[str], *, ttl: timedelta | None = None
    ) -> NewApiKey:
        """Makes an API key with scopes such as `files:read`; it never ends unless `ttl` is
        given."""
        return run(self._verbs.create_api_key(name, scopes, ttl=ttl))

    def list_api_keys(self) -> Iterator[ApiKey]:
        """The account's API keys, newest first, without their secrets."""
        return Steps(self._verbs.list_api_keys())

    def revoke_api_key(self, api_key_id: str) -> None:
        """Ends an API key. What it has open ends within seconds."""
        run(self._verbs.revoke_api_key(api_key_id))
