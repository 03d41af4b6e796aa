"""Credentials: an API key, or the tokens of a session, which follow each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from . import errors
from ._gen.sluice.v1 import auth_pb2
from .errors import ErrorKind, SluiceError
from .runtime import Metadata, Runtime


@dataclass(frozen=True)
class Tokens:
    """The tokens of a session. Both are secrets, which `repr` does not show."""

    access_token: str = field(repr=False)
    """Goes with every call, for some minutes."""
    refresh_token: str = field(repr=False)
    """Gets the next tokens, once. Whoever uses it again later ends the session."""
    session_id: str = ""
    """Id of the session, where it is known."""
    access_expire_time: datetime | None = None
    """When the access token ends, where it is known."""
    refresh_expire_time: datetime | None = None
    """When the session ends unless it is refreshed before, where it is known."""


OnTokens = Callable[["Tokens | None"], object]
"""Keeps the tokens of a session: called before new ones are used, and with None once the
session has ended. If it raises an exception, the tokens are not used."""


def bearer(credential: str) -> Metadata:
    """What goes with a call."""
    return (("authorization", f"Bearer {credential}"),) if credential else ()


class Credential:
    """What the calls of a client and all its threads or tasks carry."""

    def __init__(
        self,
        runtime: Runtime,
        api_key: str | None,
        tokens: Tokens | None,
        on_tokens: OnTokens | None,
    ) -> None:
        if api_key is not None and tokens is not None:
            raise SluiceError(ErrorKind.USAGE, "give an API key or tokens, not both")
        self._runtime = runtime
        self._api_key = (api_key or "").strip()
        if not self._api_key.isascii() or not self._api_key.isprintable():
            raise SluiceError(ErrorKind.USAGE, "the API key has characters that no key has")
        self._on_tokens = on_tokens
        self._turn = runtime.lock()
        self._refused: SluiceError | None = None
        self.tokens = tokens

    @property
    def secret(self) -> str:
        """The credential of the moment; empty if there is none."""
        return self.tokens.access_token if self.tokens else self._api_key

    async def keep(self, tokens: Tokens | None) -> None:
        """Uses these tokens from now on, once they are kept."""
        if self._on_tokens is not None:
            try:
                await self._runtime.blocking(self._on_tokens, tokens)
            except Exception as error:
                raise errors.local("keep", "the session", error) from error
        self._refused = None
        self.tokens = tokens

    async def renew(
        self, expired: str | None, refresh: Callable[[str], Awaitable[auth_pb2.Tokens]]
    ) -> None:
        """Gets other tokens, unless somebody else did since `expired` was used. Many calls at
        once make one refresh, and none of them takes its answer along when it is cancelled:
        it is the only one."""

        async def in_turn() -> None:
            async with self._turn:
                tokens = self.tokens
                if tokens is None:
                    raise SluiceError(ErrorKind.USAGE, "nobody has signed in")
                if expired is not None and tokens.access_token != expired:
                    return
                if self._refused is not None:
                    raise self._refused
                try:
                    next_tokens = received(await refresh(tokens.refresh_token))
                except SluiceError as error:
                    if not error.transient:
                        self._refused = error
                    raise
                await self.keep(next_tokens)

        await self._runtime.to_the_end(in_turn())


def received(tokens: auth_pb2.Tokens) -> Tokens:
    """Tokens as the server sends them."""
    if not tokens.access_token or not tokens.refresh_token:
        raise errors.lacks("tokens")
    return Tokens(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        session_id=tokens.session_id,
        access_expire_time=tokens.access_expire_time.ToDatetime(timezone.utc),
        refresh_expire_time=tokens.refresh_expire_time.ToDatetime(timezone.utc),
    )
