"""The generated stubs, on the connection of a client and with its credential."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._gen.sluice.v1 import (
    account_pb2_grpc,
    admin_pb2_grpc,
    auth_pb2_grpc,
    capabilities_pb2_grpc,
    event_pb2_grpc,
    file_pb2_grpc,
    upload_pb2_grpc,
)
from .connection import Connection
from .session import bearer


class _Callable:
    """An RPC that carries the credential of the moment."""

    def __init__(self, call: Any, connection: Connection) -> None:
        self._call = call
        self._connection = connection

    def __call__(
        self, *arguments: Any, metadata: Sequence[tuple[str, str]] | None = None, **options: Any
    ) -> Any:
        return self._call(*arguments, metadata=self._signed(metadata), **options)

    def with_call(
        self, *arguments: Any, metadata: Sequence[tuple[str, str]] | None = None, **options: Any
    ) -> Any:
        return self._call.with_call(*arguments, metadata=self._signed(metadata), **options)

    def future(
        self, *arguments: Any, metadata: Sequence[tuple[str, str]] | None = None, **options: Any
    ) -> Any:
        return self._call.future(*arguments, metadata=self._signed(metadata), **options)

    def _signed(self, metadata: Sequence[tuple[str, str]] | None) -> Sequence[tuple[str, str]]:
        return (*bearer(self._connection.credential.secret), *(metadata or ()))


class _Channel:
    """A channel as stubs use it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __getattr__(self, kind: str) -> Any:
        make = getattr(self._connection.channel(), kind)
        return lambda *a, **o: _Callable(make(*a, **o), self._connection)


class Raw:
    """The generated stubs, without retries and checks. They carry the client's credential, but
    do not renew it."""

    def __init__(self, connection: Connection) -> None:
        channel: Any = _Channel(connection)
        self.uploads: upload_pb2_grpc.UploadServiceStub
        """Stub of UploadService."""
        self.uploads = upload_pb2_grpc.UploadServiceStub(channel)
        self.files: file_pb2_grpc.FileServiceStub
        """Stub of FileService."""
        self.files = file_pb2_grpc.FileServiceStub(channel)
        self.events: event_pb2_grpc.EventServiceStub
        """Stub of EventService."""
        self.events = event_pb2_grpc.EventServiceStub(channel)
        self.auth: auth_pb2_grpc.AuthServiceStub
        """Stub of AuthService."""
        self.auth = auth_pb2_grpc.AuthServiceStub(channel)
        self.accounts: account_pb2_grpc.AccountServiceStub
        """Stub of AccountService."""
        self.accounts = account_pb2_grpc.AccountServiceStub(channel)
        self.admin: admin_pb2_grpc.AdminServiceStub
        """Stub of AdminService."""
        self.admin = admin_pb2_grpc.AdminServiceStub(channel)
        self.capabilities: capabilities_pb2_grpc.CapabilitiesServiceStub
        """Stub of CapabilitiesService."""
        self.capabilities = capabilities_pb2_grpc.CapabilitiesServiceStub(channel)


class AsyncRaw:
    """The same for `AsyncClient`: calls of these stubs are awaited."""

    def __init__(self, connection: Connection) -> None:
        raw: Any = Raw(connection)
        self.uploads: upload_pb2_grpc.UploadServiceAsyncStub = raw.uploads
        """Stub of UploadService."""
        self.files: file_pb2_grpc.FileServiceAsyncStub = raw.files
        """Stub of FileService."""
        self.events: event_pb2_grpc.EventServiceAsyncStub = raw.events
        """Stub of EventService."""
        self.auth: auth_pb2_grpc.AuthServiceAsyncStub = raw.auth
        """Stub of AuthService."""
        self.accounts: account_pb2_grpc.AccountServiceAsyncStub = raw.accounts
        """Stub of AccountService."""
        self.admin: admin_pb2_grpc.AdminServiceAsyncStub = raw.admin
        """Stub of AdminService."""
        self.capabilities: capabilities_pb2_grpc.CapabilitiesServiceAsyncStub = raw.capabilities
        """Stub of CapabilitiesService."""
