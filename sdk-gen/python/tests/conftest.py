"""What tests share: one server, and both clients behind one face."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest

from server import Server
from sluice_sdk import AsyncClient, Client, Series

MIB = 1024 * 1024


class Awaiting:
    """An `AsyncClient` whose calls are awaited one by one, so that a test can be written once
    for both clients."""

    def __init__(self, url: str, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = self._loop.run_until_complete(self._open(url, options))

    async def _open(self, url: str, options: dict[str, Any]) -> AsyncClient:
        return AsyncClient(url, **options)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **options: Any) -> Any:
            result = method(*arguments, **options)
            if isinstance(result, Series):
                return self._iterate(result)
            return self._loop.run_until_complete(result)

        return call

    def _iterate(self, series: Series[Any]) -> Iterator[Any]:
        async def step() -> Any:
            return await series.next()

        while (item := self._loop.run_until_complete(step())) is not None:
            yield item

    def shut(self) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.close()


Connect: TypeAlias = Callable[..., Any]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(
        tmp_path_factory.mktemp("server"),
        ACCOUNTS__REGISTRATION="open",
        ACCOUNTS__ACCESS_TOKEN_TTL="1s",
    )
    yield server
    server.kill()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url, api_key=server.api_key) as client:
        yield client


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes clients of either kind, with the calls of `Client`."""
    opened: list[Any] = []

    def connect(url: str, **options: Any) -> Any:
        opened.append((Client if request.param == "sync" else Awaiting)(url, **options))
        return opened[-1]

    yield connect
    for client in opened:
        client.close() if isinstance(client, Client) else client.shut()


@pytest.fixture
def name() -> str:
    """A name that no other test has."""
    return f"test-{random.getrandbits(64):x}"


@pytest.fixture(scope="session")
def content() -> bytes:
    """Bytes that are no whole number of frames or parts."""
    return random.Random(1).randbytes(20 * MIB + 12345)
