"""Uploads and downloads on a network that cuts, stalls, damages and loses."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path

import pytest

from conftest import MIB, Connect
from proxy import Faults, network
from server import Server
from sluice_sdk import Client, ErrorKind, Progress, SluiceError, connection

# Headers, and frames that were in the buffers of the system when a connection broke.
_AROUND = MIB


class Pipe(io.RawIOBase):
    """A stream that cannot be sought."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def seekable(self) -> bool:
        return False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        return self._content.readinto(buffer)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["bytes", "stream"])
def test_cuts_cost_at_most_the_parts_that_are_under_way(
    connect: Connect, server: Server, client: Client, name: str, content: bytes, kind: str
) -> None:
    cuts = [100, 3 * MIB, 3 * MIB + 500_000, 9 * MIB, 15 * MIB]
    with network(server.port, Faults(cuts=list(cuts))) as proxy:
        unsteady = connect(proxy.url, api_key=server.api_key)
        source = content if kind == "bytes" else Pipe(content)
        uploaded = unsteady.upload(source, name=name, part_size=MIB)
        assert not proxy.faults.cuts
        # A cut ends one connection, which carries one part.
        assert proxy.sent <= len(content) + len(cuts) * MIB + _AROUND
    assert uploaded.sent <= len(content) + len(cuts) * MIB
    assert b"".join(client.read(uploaded.file.id)) == content


def test_all_connections_break_at_once(
    connect: Connect, server: Server, client: Client, name: str, content: bytes
) -> None:
    with network(server.port) as proxy:
        broken: list[int] = []

        def cut(progress: Progress) -> None:
            if progress.persisted >= (len(broken) + 1) * 5 * MIB and len(broken) < 3:
                broken.append(progress.persisted)
                proxy.cut()

        unsteady = connect(proxy.url, api_key=server.api_key)
        uploaded = unsteady.upload(content, name=name, part_size=MIB, on_progress=cut)
        assert len(broken) == 3
        # Each of the 4 lanes may lose the part that it is in.
        assert uploaded.sent <= len(content) + 3 * 4 * MIB
    assert b"".join(client.read(uploaded.file.id)) == content


def test_a_silent_connection_is_given_up(
    connect: Connect,
    server: Server,
    client: Client,
    name: str,
    content: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The mechanism that is used, in less time.
    options = [
        (key, 1000 if value == connection._KEEP_ALIVE_MS else value)
        for key, value in connection._CHANNEL_OPTIONS
    ]
    monkeypatch.setattr(connection, "_CHANNEL_OPTIONS", options)
    with network(server.port, Faults(stall_at=5 * MIB)) as proxy:
        unsteady = connect(proxy.url, api_key=server.api_key)
        started = time.monotonic()
        uploaded = unsteady.upload(content, name=name, part_size=MIB)
        assert proxy.faults.stall_at is None
        assert time.monotonic() - started < 8
        assert uploaded.sent <= len(content) + MIB
    assert b"".join(client.read(uploaded.file.id)) == content


@pytest.mark.parametrize("size", [4 * MIB, 12 * MIB])
def test_a_damaged_byte_is_sent_again(
    connect: Connect, server: Server, client: Client, name: str, content: bytes, size: int
) -> None:
    with network(server.port, Faults(damage_at=3 * MIB + 300_000)) as proxy:
        unsteady = connect(proxy.url, api_key=server.api_key)
        uploaded = unsteady.upload(content[:size], name=name)
        assert proxy.faults.damage_at is None
    assert uploaded.sent > size
    assert b"".join(client.read(uploaded.file.id)) == content[:size]


def test_a_reply_that_is_lost(
    connect: Connect, server: Server, client: Client, name: str, content: bytes
) -> None:
    with network(server.port, Faults(lose_reply_at=2 * MIB)) as proxy:
        unsteady = connect(proxy.url, api_key=server.api_key)
        uploaded = unsteady.upload(content[: 2 * MIB], name=name)
        assert proxy.faults.lose_reply_at is None
    assert uploaded.sent == 4 * MIB
    assert [file.id for file in client.list_by_name(name)] == [uploaded.file.id]


def test_a_completion_whose_reply_is_lost(
    connect: Connect, server: Server, client: Client, name: str, content: bytes
) -> None:
    with network(server.port) as proxy:

        def lose(progress: Progress) -> None:
            if progress.persisted == len(content):
                # All that is left to be sent is the completion.
                proxy.faults.lose_reply_at = proxy.sent + 1

        unsteady = connect(proxy.url, api_key=server.api_key)
        uploaded = unsteady.upload(content, name=name, on_progress=lose)
        assert proxy.faults.lose_reply_at is None
    assert uploaded.sent == len(content)
    assert [file.id for file in client.list_by_name(name)] == [uploaded.file.id]


def test_the_server_is_killed_and_comes_back(
    connect: Connect, name: str, content: bytes, tmp_path: Path
) -> None:
    server = Server(tmp_path / "server")
    try:
        client = connect(server.url, api_key=server.api_key)
        restarts: list[threading.Thread] = []

        def restart() -> None:
            server.kill()
            time.sleep(1)
            server.restart()

        def kill(progress: Progress) -> None:
            if progress.persisted >= 4 * MIB and not restarts:
                restarts.append(threading.Thread(target=restart))
                restarts[0].start()

        uploaded = client.upload(content, name=name, part_size=MIB, on_progress=kill)
        restarts[0].join()
        assert b"".join(client.read(uploaded.file.id)) == content
    finally:
        server.kill()


def test_it_gives_up_when_nothing_helps(connect: Connect, server: Server, content: bytes) -> None:
    with network(1) as proxy:
        client = connect(proxy.url, api_key=server.api_key, give_up_after=1.5)
        started = time.monotonic()
        with pytest.raises(SluiceError) as caught:
            client.upload(content, name="never")
        assert 0.3 < time.monotonic() - started < 4
        assert (caught.value.kind, caught.value.transient) == (ErrorKind.TRANSPORT, True)


def test_a_download_goes_on_after_cuts(
    connect: Connect, server: Server, client: Client, name: str, content: bytes, tmp_path: Path
) -> None:
    file = client.upload(content, name=name).file
    with network(server.port) as proxy:
        broken: list[int] = []

        def cut(progress: Progress) -> None:
            if progress.persisted >= (len(broken) + 1) * 5 * MIB:
                broken.append(progress.persisted)
                proxy.cut()

        unsteady = connect(proxy.url, api_key=server.api_key)
        path = tmp_path / "file"
        downloaded = unsteady.download(file.id, path, on_progress=cut)
        assert len(broken) == 4
    assert downloaded.received == len(content)
    assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
