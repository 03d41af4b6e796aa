"""What differs between threads and asyncio. All else is written once, over this.

The logic of the SDK is made of coroutines that wait for nothing but a `Runtime`. With asyncio
they are awaited as usual. With threads, no method of the runtime ever suspends: each blocks
until it is done, so that a coroutine runs from its beginning to its end in one step.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from google.protobuf.message import Message

R = TypeVar("R", bound=Message)
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Channel: TypeAlias = Any
"""A `grpc.Channel` or a `grpc.aio.Channel`, as the runtime has it."""
Metadata: TypeAlias = tuple[tuple[str, str], ...]

# A call on which nothing moves for so long is given up. Keep-alive notices dead connections
# much earlier; this is for servers that hang, and proxies that answer for them. A slow link
# may take long for one frame.
WRITE_STALL = 120.0
READ_STALL = 60.0


@dataclass(frozen=True)
class Method(Generic[R]):
    """An RPC: where it is and what it answers."""

    path: str
    answer: type[R]


@dataclass(frozen=True)
class Frame:
    """A message of WriteUpload, encoded."""

    message: bytes
    length: int
    """Bytes of content in it."""


class Replies(Protocol[T_co]):
    """The answers of a server-streaming call."""

    async def next(self) -> T_co | None:
        """The next one; none at the end."""

    def close(self) -> None:
        """Ends the call if it has not ended."""


class Runtime(Protocol):
    """Calls, and what is done while they are under way."""

    def open(
        self, target: str, roots: bytes | None, secure: bool, options: Sequence[tuple[str, Any]]
    ) -> Channel:
        """A channel, which connects when it is used."""

    async def close(self, channel: Channel) -> None:
        """Ends a channel and the calls on it."""

    async def unary(
        self,
        channel: Channel,
        method: Method[R],
        request: Message,
        metadata: Metadata,
        timeout: float,
    ) -> R:
        """One request, one answer."""

    async def write(
        self,
        channel: Channel,
        method: Method[R],
        frames: Iterator[Frame],
        metadata: Metadata,
        sending: Callable[[int], None],
    ) -> R:
        """Many requests, one answer. `sending` hears how much content each one has."""

    def read(
        self,
        channel: Channel,
        method: Method[R],
        request: Message,
        metadata: Metadata,
        stall: float,
    ) -> Replies[R]:
        """One request, many answers."""

    async def sleep(self, seconds: float) -> None:
        """Waits."""

    async def blocking(self, function: Callable[..., T], *arguments: Any) -> T:
        """Calls what may block, and awaits its result where that is awaitable."""

    async def together(
        self, works: Sequence[Callable[[Runtime], Coroutine[Any, Any, None]]]
    ) -> None:
        """Does these at the same time. The first failure stops the others."""

    async def to_the_end(self, work: Coroutine[Any, Any, None]) -> None:
        """Does something that goes on when the caller is cancelled."""

    def lock(self) -> AbstractAsyncContextManager[object]:
        """A lock among those that share it."""
