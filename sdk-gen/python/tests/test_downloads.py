"""Downloads to paths and streams, and reading of ranges."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from conftest import MIB, Connect
from server import Server
from sluice_sdk import CancelToken, Client, ErrorKind, File, Progress, SluiceError


@pytest.fixture(scope="session")
def file(server: Server, content: bytes) -> File:
    with Client(server.url, api_key=server.api_key) as client:
        return client.upload(content, name="for-downloads").file


def test_to_a_path(
    connect: Connect, server: Server, file: File, content: bytes, tmp_path: Path
) -> None:
    client = connect(server.url, api_key=server.api_key)
    path = tmp_path / "file"
    path.write_bytes(b"what was there")
    seen: list[Progress] = []
    downloaded = client.download(file.id, path, on_progress=seen.append)
    assert path.read_bytes() == content
    assert (downloaded.size, downloaded.received) == (len(content), len(content))
    assert (seen[-1].persisted, seen[-1].total) == (len(content), len(content))
    assert not (tmp_path / "file.part").exists()


def test_to_a_stream(connect: Connect, server: Server, file: File, content: bytes) -> None:
    client = connect(server.url, api_key=server.api_key)
    stream = io.BytesIO()
    client.download(file.id, stream)
    assert stream.getvalue() == content


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 0), (0, 1), (5, 3 * MIB), (MIB - 1, 2), (20 * MIB, None), (20 * MIB, 99 * MIB)],
)
def test_ranges(
    connect: Connect,
    server: Server,
    file: File,
    content: bytes,
    tmp_path: Path,
    offset: int,
    length: int | None,
) -> None:
    client = connect(server.url, api_key=server.api_key)
    expected = content[offset:] if length is None else content[offset : offset + length]
    assert b"".join(client.read(file.id, offset=offset, length=length)) == expected
    path = tmp_path / "file"
    client.download(file.id, path, offset=offset, length=length)
    assert path.read_bytes() == expected


@pytest.mark.parametrize("right", [True, False])
def test_what_is_there_is_not_fetched_again(
    connect: Connect, server: Server, file: File, content: bytes, tmp_path: Path, right: bool
) -> None:
    client = connect(server.url, api_key=server.api_key)
    path = tmp_path / "file"
    there = content[: 7 * MIB] if right else bytes(7 * MIB)
    (tmp_path / "file.part").write_bytes(there)
    downloaded = client.download(file.id, path)
    assert path.read_bytes() == content
    rest = len(content) - 7 * MIB
    assert downloaded.received == (rest if right else rest + len(content))


def test_a_download_that_is_cancelled_goes_on(
    client: Client, file: File, content: bytes, tmp_path: Path
) -> None:
    token = CancelToken()
    path = tmp_path / "file"

    def stop(progress: Progress) -> None:
        if progress.persisted >= 5 * MIB:
            token.cancel()

    with pytest.raises(SluiceError) as caught:
        client.download(file.id, path, on_progress=stop, cancel=token)
    assert caught.value.kind is ErrorKind.CANCELLED
    there = (tmp_path / "file.part").stat().st_size
    assert 5 * MIB <= there < len(content)
    assert client.download(file.id, path).received == len(content) - there
    assert path.read_bytes() == content


def test_what_fails(client: Client, file: File, tmp_path: Path) -> None:
    with pytest.raises(SluiceError) as caught:
        client.download("file_nothing", tmp_path / "file")
    assert caught.value.reason in ("FILE_NOT_FOUND", "INVALID_FIELD")
    with pytest.raises(SluiceError) as caught:
        client.download(file.id, tmp_path / "no folder" / "file")
    assert caught.value.kind is ErrorKind.LOCAL
    with pytest.raises(SluiceError) as caught:
        client.download(file.id, tmp_path / "file", offset=file.size + 1)
    assert caught.value.reason == "INVALID_FIELD"
    with pytest.raises(SluiceError) as caught:
        client.read(file.id, offset=-1)
    assert caught.value.kind is ErrorKind.USAGE
