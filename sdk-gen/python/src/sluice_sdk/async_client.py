"""The client for asyncio."""

from __future__ import annotations

from typing_extensions import Self

from .connection import Connection
from .raw import AsyncRaw
from .session import Credential, OnTokens, Tokens
from .tasks import Tasks
from .verbs import Verbs

GIVE_UP_AFTER = 120.0


class AsyncClient(Verbs):
    """A client of a Sluice server for asyncio. Belongs to one event loop. Calls end when the
    task that awaits them is cancelled; an upload that was cancelled can be resumed."""

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
        self._tasks = Tasks()
        credential = Credential(self._tasks, api_key, tokens, on_tokens)
        super().__init__(
            Connection(self._tasks, server, credential, ca_certificates, give_up_after)
        )

    @property
    def raw(self) -> AsyncRaw:
        """The generated stubs, on this client's connection and with its credential."""
        return AsyncRaw(self._connection)

    async def close(self) -> None:
        """Closes the connections. What is under way ends."""
        await self._connection.close()
        self._tasks.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
