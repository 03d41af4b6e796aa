"""Connections to a server, the credential that goes with calls, and calls that are repeated."""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

from google.protobuf.message import Message

from . import contract
from ._gen.sluice.v1 import auth_pb2
from ._version import VERSION
from .errors import ErrorKind, SluiceError
from .retry import Attempts
from .runtime import Channel, Frame, Metadata, Method, R, Replies, Runtime
from .session import Credential, bearer

T = TypeVar("T")

_MIB = 1024 * 1024
# Connections that small uploads share.
_LANES = 4
_CALL_TIMEOUT = 60.0
# Servers take the same refresh token again for 15 seconds: a lost answer leaves time for
# another try.
_REFRESH_TIMEOUT = 6.0
# A peer that is gone without a word is noticed after twice this time.
_KEEP_ALIVE_MS = 10_000
_CHANNEL_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.primary_user_agent", f"sluice-sdk-python/{VERSION}"),
    # Each channel has a connection of its own: one TCP stream, and one thread that
    # serves it on the other side, limits what several can do.
    ("grpc.use_local_subchannel_pool", 1),
    # The SDK knows better what may be repeated, and keeps no second copy of it.
    ("grpc.enable_retries", 0),
    ("grpc.keepalive_time_ms", _KEEP_ALIVE_MS),
    ("grpc.keepalive_timeout_ms", _KEEP_ALIVE_MS),
    ("grpc.http2.ping_timeout_ms", _KEEP_ALIVE_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.max_receive_message_length", 4 * _MIB),
    ("grpc.max_send_message_length", 4 * _MIB),
    # Downloads arrive in fewer, larger pieces.
    ("grpc.http2.max_frame_size", _MIB),
    ("grpc.http2.lookahead_bytes", 4 * _MIB),
]


class Connection:
    """The channels of a client to its server. Copies share all but the runtime."""

    def __init__(
        self,
        runtime: Runtime,
        server: str,
        credential: Credential,
        ca_certificates: bytes | None,
        give_up_after: float,
    ) -> None:
        _target(server)
        self.runtime = runtime
        self._root = runtime
        self.credential = credential
        self.give_up_after = give_up_after
        self._server = server
        self._roots = ca_certificates
        self._channels: dict[tuple[str, int], Channel] = {}
        self._lock = threading.Lock()
        self._turns = itertools.count()

    def within(self, runtime: Runtime) -> Connection:
        """The same connection for what is done by this runtime."""
        other = copy.copy(self)
        other.runtime = runtime
        return other

    def attempts(self) -> Attempts:
        """For one thing that may have to be tried several times."""
        return Attempts(self.runtime, self.give_up_after)

    def channel(self, number: int = 0, endpoint: str = "") -> Channel:
        """One of the channels to the server or to where data goes. Number 0 is for calls,
        the others are for lanes."""
        with self._lock:
            key = (endpoint or self._server, number)
            channel = self._channels.get(key)
            if channel is None:
                target, secure = _target(key[0])
                channel = self.runtime.open(target, self._roots, secure, _CHANNEL_OPTIONS)
                self._channels[key] = channel
            return channel

    def next_lane(self) -> int:
        """The lanes in turn, so that many small calls use several."""
        return next(self._turns) % _LANES + 1

    async def close(self) -> None:
        """Closes all channels. What is under way ends."""
        with self._lock:
            channels = list(self._channels.values())
            self._channels.clear()
        for channel in channels:
            await self.runtime.close(channel)

    async def call(self, method: Method[R], request: Message, lane: int = 0) -> R:
        """Calls until it works, or until an error lasts."""
        attempts = self.attempts()
        while True:
            try:
                return await self.once(method, request, lane)
            except SluiceError as error:
                await attempts.wait_after(error)

    async def call_unrepeated(self, method: Method[R], request: Message) -> R:
        """The same for what must not be done twice: repeated only if the server has refused
        it, never if it is unknown what became of it."""
        attempts = self.attempts()
        while True:
            try:
                return await self.once(method, request)
            except SluiceError as error:
                if error.kind is not ErrorKind.SERVER:
                    raise
                await attempts.wait_after(error)

    async def once(self, method: Method[R], request: Message, lane: int = 0) -> R:
        """One attempt."""

        async def call(metadata: Metadata) -> R:
            channel = self.channel(lane)
            return await self.runtime.unary(channel, method, request, metadata, _CALL_TIMEOUT)

        if method.path.startswith("/sluice.v1.AuthService/"):
            return await call(())
        return await self._signed_in(call)

    async def write(
        self,
        method: Method[R],
        frames: Callable[[], Iterator[Frame]],
        channel: Channel,
        token: str,
        sending: Callable[[int], None],
    ) -> R:
        """One attempt at a stream, with the token if there is one."""

        async def call(metadata: Metadata) -> R:
            return await self.runtime.write(channel, method, frames(), metadata, sending)

        if token:
            return await call(bearer(token))
        return await self._signed_in(call)

    async def read(
        self, method: Method[R], request: Message, stall: float
    ) -> tuple[Replies[R], R | None]:
        """One attempt: opens a stream and waits for its first answer."""

        async def call(metadata: Metadata) -> tuple[Replies[R], R | None]:
            replies = self.runtime.read(self.channel(), method, request, metadata, stall)
            try:
                return replies, await replies.next()
            except BaseException:
                replies.close()
                raise

        return await self._signed_in(call)

    async def refresh(self, expired: str | None = None) -> None:
        """Gets other tokens for the session."""

        async def refresh(token: str) -> auth_pb2.Tokens:
            request = auth_pb2.RefreshSessionRequest(refresh_token=token)
            # Whoever needs them first may be cancelled, and others still need them: all of
            # this is done by the runtime that nobody cancels.
            attempts = Attempts(self._root, 2 * _REFRESH_TIMEOUT)
            while True:
                try:
                    answer = await self._root.unary(
                        self.channel(), contract.REFRESH_SESSION, request, (), _REFRESH_TIMEOUT
                    )
                    return answer.tokens
                except SluiceError as error:
                    await attempts.wait_after(error)

        await self.credential.renew(expired, refresh)

    async def _signed_in(self, call: Callable[[Metadata], Awaitable[T]]) -> T:
        """Calls with the credential of the moment, and once more if that has run out."""
        secret = self.credential.secret
        try:
            return await call(bearer(secret))
        except SluiceError as error:
            if error.reason != "TOKEN_EXPIRED" or self.credential.tokens is None:
                raise
        await self.refresh(expired=secret)
        return await call(bearer(self.credential.secret))


def _target(server: str) -> tuple[str, bool]:
    """The address for gRPC, and whether TLS is spoken there."""
    try:
        parts = urlsplit(server)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise SluiceError(
            ErrorKind.USAGE,
            f"{server!r} is no server address; it must be like http://host:7070",
        )
    secure = parts.scheme == "https"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port or (443 if secure else 80)}", secure
