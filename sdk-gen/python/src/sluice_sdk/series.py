"""Things that come one after the other: iterators for either client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Generic, TypeVar

from typing_extensions import Self, override

from .threads import run

T = TypeVar("T")


class Series(ABC, AsyncIterator[T]):
    """An asynchronous iterator that can be closed, and closes itself at the end of a `with`."""

    @abstractmethod
    async def next(self) -> T | None:
        """The next one; None at the end."""

    def close(self) -> None:
        """Ends what is under way. No harm is done if it is forgotten."""
        return

    async def __anext__(self) -> T:
        item = await self.next()
        if item is None:
            raise StopAsyncIteration
        return item

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class Steps(Iterator[T]):
    """The same for `Client`: an iterator that can be closed."""

    def __init__(self, series: Series[T]) -> None:
        self._series = series

    def close(self) -> None:
        """Ends what is under way. No harm is done if it is forgotten."""
        self._series.close()

    def __next__(self) -> T:
        item = run(self._series.next())
        if item is None:
            raise StopIteration
        return item

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Pages(Series[T], Generic[T]):
    """A list of which pages are fetched as they are needed."""

    def __init__(self, fetch: Callable[[str], Awaitable[tuple[Sequence[T], str]]]) -> None:
        self._fetch = fetch
        self._items: Iterator[T] = iter(())
        self._token: str | None = ""

    @override
    async def next(self) -> T | None:
        while True:
            for item in self._items:
                return item
            if self._token is None:
                return None
            items, token = await self._fetch(self._token)
            self._items, self._token = iter(items), token or None
