"""Uploads of every kind of source, and their resumption."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from conftest import MIB, Connect
from server import Server
from sluice_sdk import (
    CancelToken,
    Client,
    ErrorKind,
    File,
    Progress,
    SluiceError,
    Upload,
)


class Pipe:
    """A stream that gives what it likes."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def read(self, size: int, /) -> bytes:
        return self._content.read(min(size, 300_001))


def stored(client: Any, file: File) -> bytes:
    return b"".join(client.read(file.id))


@pytest.mark.parametrize("kind", ["path", "bytes", "file", "stream"])
@pytest.mark.parametrize("size", [0, 5, 8 * MIB, 8 * MIB + 1, 20 * MIB + 12345])
def test_every_source(
    connect: Connect,
    server: Server,
    name: str,
    content: bytes,
    tmp_path: Path,
    kind: str,
    size: int,
) -> None:
    path = tmp_path / "source"
    path.write_bytes(content[:size])
    with path.open("rb") as file:
        sources = {
            "path": path,
            "bytes": memoryview(content)[:size],
            "file": file,
            "stream": Pipe(content[:size]),
        }
        seen: list[Progress] = []
        client = connect(server.url, api_key=server.api_key)
        uploaded = client.upload(
            sources[kind],
            name=name,
            part_size=8 * MIB,
            content_type="text/plain",
            metadata={"a": "b"},
            on_progress=seen.append,
        )
    assert (uploaded.sent, uploaded.resumed) == (size, 0)
    file = client.get(uploaded.file.id)
    assert (file.name, file.size, file.content_type) == (name, size, "text/plain")
    assert dict(file.metadata) == {"a": "b"}
    assert stored(client, file) == content[:size]
    assert seen[-1].persisted == seen[-1].total == size
    persisted = [progress.persisted for progress in seen]
    assert persisted == sorted(persisted)
    assert all(p.total is None or p.position <= p.total for p in seen)
    client.delete(file.id)


def test_a_stream_that_ends_with_a_part(client: Client, name: str, content: bytes) -> None:
    uploaded = client.upload(Pipe(content[: 12 * MIB]), name=name, part_size=4 * MIB)
    assert stored(client, uploaded.file) == content[: 12 * MIB]


def test_a_name_that_is_taken(client: Client, name: str, content: bytes) -> None:
    first = client.upload(b"1", name=name)
    for source in (b"2", content):
        with pytest.raises(SluiceError) as caught:
            client.upload(source, name=name)
        assert (caught.value.reason, caught.value.transient) == ("FILE_EXISTS", False)
        assert caught.value.metadata["file_id"] == first.file.id
        replaced = client.upload(source, name=name, on_conflict="replace")
        first = replaced
    found = client.find(name)
    assert found is not None
    assert found.id == first.file.id


def test_a_checksum_that_is_wrong(client: Client, name: str, content: bytes) -> None:
    for source in (b"abc", content):
        right = hashlib.sha256(source).digest()
        with pytest.raises(SluiceError) as caught:
            client.upload(source, name=name, expected_crc32c=1, expected_sha256=right)
        assert caught.value.reason == "FILE_CHECKSUM_MISMATCH"
        assert client.find(name) is None


def test_a_hostile_name(client: Client) -> None:
    for hostile in ("../x", "a\0b", "a\r\nb", "/x", ""):
        with pytest.raises(SluiceError) as caught:
            client.upload(b"x", name=hostile)
        assert caught.value.reason == "INVALID_FIELD"
        assert [violation.field for violation in caught.value.violations] == ["name"]


def test_content_without_a_name(client: Client) -> None:
    with pytest.raises(SluiceError) as caught:
        client.upload(b"x")
    assert caught.value.kind is ErrorKind.USAGE


def test_what_a_callback_or_a_source_raises_ends_the_upload(
    connect: Connect, server: Server, name: str, content: bytes
) -> None:
    client = connect(server.url, api_key=server.api_key)

    def complain(progress: Progress) -> None:
        if progress.sent:
            raise KeyError("a bug of the caller")

    with pytest.raises(KeyError):
        client.upload(content, name=name, on_progress=complain)

    class Broken:
        def read(self, size: int, /) -> bytes:
            raise OSError("the disk is gone")

    with pytest.raises(SluiceError) as caught:
        client.upload(Broken(), name=name)
    assert caught.value.kind is ErrorKind.LOCAL


def stop_after(parts: int, client: Client, source: Any, **options: Any) -> SluiceError:
    """Uploads until so many parts of 1 MiB are persisted, and cancels."""
    token = CancelToken()

    def watch(progress: Progress) -> None:
        if progress.persisted >= parts * MIB:
            token.cancel()

    with pytest.raises(SluiceError) as caught:
        client.upload(source, part_size=MIB, cancel=token, on_progress=watch, **options)
    assert caught.value.kind is ErrorKind.CANCELLED
    return caught.value


def test_an_upload_that_was_cancelled_goes_on(
    connect: Connect, server: Server, client: Client, name: str, content: bytes
) -> None:
    upload_id = stop_after(3, client, content, name=name).upload_id
    assert upload_id is not None
    persisted = client.get_upload(upload_id).persisted_bytes
    assert 3 * MIB <= persisted < len(content)
    other = connect(server.url, api_key=server.api_key)
    resumed = other.resume(upload_id, content)
    # Parts that were on their way may have been persisted meanwhile.
    assert resumed.resumed >= persisted
    assert resumed.sent == len(content) - resumed.resumed
    assert stored(client, resumed.file) == content
    # It is complete by now.
    again = other.resume(upload_id, content)
    assert (again.file.id, again.sent) == (resumed.file.id, 0)
    with pytest.raises(SluiceError) as caught:
        other.resume(upload_id, content[:-1] + b"x")
    assert caught.value.kind is ErrorKind.SOURCE_CHANGED


def test_other_content_is_not_gone_on_with(client: Client, name: str, content: bytes) -> None:
    upload_id = stop_after(3, client, content, name=name).upload_id
    assert upload_id is not None
    other = bytes(len(content))
    for source in (other, other[1:], Pipe(other)):
        with pytest.raises(SluiceError) as caught:
            client.resume(upload_id, source)
        assert (caught.value.kind, caught.value.upload_id) == (ErrorKind.SOURCE_CHANGED, upload_id)
    assert client.find(name) is None
    assert client.get_upload(upload_id).state == Upload.STATE_ACTIVE
    assert client.cancel_upload(upload_id).state == Upload.STATE_CANCELLED


@pytest.mark.parametrize("kind", ["bytes", "stream"])
def test_a_request_id_names_the_upload(
    client: Client, name: str, content: bytes, kind: str
) -> None:
    def source() -> Any:
        return content if kind == "bytes" else Pipe(content)

    options: Any = {"name": name, "request_id": f"id-{name}"}
    upload_id = stop_after(3, client, source(), **options).upload_id
    uploaded = client.upload(source(), part_size=MIB, **options)
    assert uploaded.upload_id == upload_id
    assert uploaded.resumed >= 3 * MIB
    assert uploaded.sent == len(content) - uploaded.resumed
    assert stored(client, uploaded.file) == content
    assert client.upload(source(), part_size=MIB, **options).file.id == uploaded.file.id
    with pytest.raises(SluiceError) as caught:
        client.upload(bytes(len(content)), part_size=MIB, **options)
    assert caught.value.kind is ErrorKind.SOURCE_CHANGED or kind == "stream"


def test_a_source_that_changes_is_not_published(
    client: Client, name: str, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "source"
    path.write_bytes(content)

    def touch(progress: Progress) -> None:
        if progress.persisted:
            os.utime(path, ns=(1, 1))

    with pytest.raises(SluiceError) as caught:
        client.upload(path, name=name, part_size=MIB, on_progress=touch)
    assert caught.value.kind is ErrorKind.SOURCE_CHANGED
    assert client.find(name) is None


def test_a_writer_that_was_taken_over_stops(client: Client, name: str, content: bytes) -> None:
    resumed: list[Any] = []

    def take_over(progress: Progress) -> None:
        if progress.persisted >= 2 * MIB and progress.upload_id and not resumed:
            resumed.append(None)
            resumed[0] = client.resume(progress.upload_id, content)

    with pytest.raises(SluiceError) as caught:
        client.upload(content, name=name, part_size=MIB, concurrency=1, on_progress=take_over)
    assert caught.value.reason in ("STALE_WRITER", "UPLOAD_NOT_ACTIVE")
    assert stored(client, resumed[0].file) == content


def test_many_threads_share_a_client(client: Client, name: str, content: bytes) -> None:
    failures: list[BaseException] = []

    def upload(number: int) -> None:
        try:
            client.upload(content[: number * 100_000], name=f"{name}/{number:02}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    sizes = [file.size for file in client.list_by_name(f"{name}/")]
    assert sizes == [number * 100_000 for number in range(16)]
