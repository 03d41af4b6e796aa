"""Finding, changing, sharing and watching files."""

from __future__ import annotations

import gc
import threading
import time
import urllib.request
from datetime import datetime, timedelta, timezone

import pytest

from conftest import MIB, Connect
from proxy import network
from server import Server
from sluice_sdk import (
    Client,
    File,
    FileDeleted,
    SluiceError,
    SnapshotBegin,
    SnapshotEnd,
    Upload,
    verbs,
)
from sluice_sdk.v1 import GetFileRequest, ListFilesRequest


def test_lists_come_page_by_page(
    connect: Connect, server: Server, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verbs, "_PAGE_SIZE", 2)
    client = connect(server.url, api_key=server.api_key)
    names = [f"{name}/{number}" for number in range(5)] + [f"{name}/deep/{n}" for n in "ab"]
    began = datetime.now(timezone.utc) - timedelta(seconds=5)
    for each in names:
        client.upload(b"x", name=each)
    assert [file.name for file in client.list_by_name(f"{name}/")] == sorted(names)
    folder = [entry.name for entry in client.list_folder(f"{name}/")]
    assert folder == [*names[:5], f"{name}/deep/"]
    newest = [file.name for file in client.list(created_after=began)]
    assert [each for each in newest if each.startswith(name)] == names[::-1]
    assert list(client.list(created_before=began - timedelta(days=1))) == []
    assert list(client.list_by_name(f"{name}/", states=[File.STATE_FAILED])) == []


def test_find_get_update_delete(connect: Connect, server: Server, name: str) -> None:
    client = connect(server.url, api_key=server.api_key)
    file = client.upload(b"x", name=name + "/a").file
    assert client.find(name) is None
    assert client.find(name + "/a").id == file.id
    renamed = client.update(file.id, name=name + "/b", metadata={"k": "v"}, etag=file.etag)
    assert (renamed.name, dict(renamed.metadata)) == (name + "/b", {"k": "v"})
    with pytest.raises(SluiceError) as caught:
        client.update(file.id, metadata={}, etag=file.etag)
    assert caught.value.reason == "ETAG_MISMATCH"
    with pytest.raises(SluiceError) as caught:
        client.delete(file.id, etag=file.etag)
    assert caught.value.reason == "ETAG_MISMATCH"
    client.delete(file.id)
    with pytest.raises(SluiceError) as caught:
        client.get(file.id)
    assert caught.value.reason == "FILE_NOT_FOUND"


def test_a_signed_link_is_plain_http(connect: Connect, server: Server, name: str) -> None:
    client = connect(server.url, api_key=server.api_key)
    file = client.upload(b"for everybody", name=name).file
    link = client.sign(file.id, ttl=timedelta(minutes=1), inline=True)
    left = link.expire_time - datetime.now(timezone.utc)
    # Links end with a second.
    assert timedelta(seconds=50) < left <= timedelta(seconds=61)
    with urllib.request.urlopen(link.url) as response:
        assert response.read() == b"for everybody"


def test_uploads_can_be_listed_and_cancelled(
    connect: Connect, server: Server, client: Client, name: str
) -> None:
    from test_uploads import stop_after

    upload_id = stop_after(1, client, bytes(9 * MIB), name=name).upload_id
    other = connect(server.url, api_key=server.api_key)
    active = [upload.id for upload in other.list_uploads(states=[Upload.STATE_ACTIVE])]
    assert upload_id in active
    assert other.get_upload(upload_id).name == name
    assert other.cancel_upload(upload_id).state == Upload.STATE_CANCELLED
    assert other.cancel_upload(upload_id).state == Upload.STATE_CANCELLED


def test_what_happens_is_told_over_connections_that_break(
    connect: Connect, server: Server, client: Client, name: str
) -> None:
    with network(server.port) as proxy:
        watching = connect(proxy.url, api_key=server.api_key)

        def act() -> None:
            time.sleep(0.3)
            file = client.upload(b"1", name=name + "/1").file
            time.sleep(0.3)
            proxy.cut()
            client.upload(b"2", name=name + "/2")
            client.delete(file.id)
            deleted.append(file.id)

        deleted: list[str] = []
        thread = threading.Thread(target=act)
        told: list[object] = []
        events = iter(watching.watch())
        assert next(events) == SnapshotBegin()
        assert next(events) == SnapshotEnd()
        thread.start()
        for event in events:
            told.append(event)
            if isinstance(event, FileDeleted):
                break
        thread.join()
    assert SnapshotBegin() not in told, "it went on where it was"
    ready = [e.name for e in told if isinstance(e, File) and e.state == File.STATE_READY]
    assert ready[0] == name + "/1"
    assert told[-1] == FileDeleted(deleted[0])


def test_a_watch_that_is_forgotten_begins_anew(client: Client, name: str) -> None:
    file = client.upload(b"1", name=name).file
    with client.watch(file_ids=[file.id]) as events:
        seen = [next(events) for _ in range(3)]
        assert (seen[0], seen[2]) == (SnapshotBegin(), SnapshotEnd())
        assert isinstance(seen[1], File)
        token = events.resume_token
    assert token
    client.update(file.id, metadata={"a": "b"})
    with client.watch(file_ids=[file.id], resume_token=token) as events:
        event = next(events)
        assert isinstance(event, File)
        assert dict(event.metadata) == {"a": "b"}
    with client.watch(file_ids=[file.id], resume_token="nonsense") as events:
        assert next(events) == SnapshotBegin()
    with pytest.raises(SluiceError) as caught:
        next(client.watch(file_ids=["file_01a224dc-4b49-7162-a559-d416ee485fe5"]))
    assert caught.value.reason == "FILE_NOT_FOUND"


def test_what_is_forgotten_ends(client: Client) -> None:
    def watches() -> int:
        gc.collect()
        return sum(thread.name == "sluice-watch" for thread in threading.enumerate())

    before = watches()
    events = client.watch()
    assert next(events) == SnapshotBegin()
    assert watches() == before + 1
    del events
    until = time.monotonic() + 5
    while watches() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert watches() == before


def test_the_raw_stubs_are_signed_in(client: Client, name: str) -> None:
    file = client.upload(b"1", name=name).file
    answer = client.raw.files.GetFile(GetFileRequest(file_id=file.id), timeout=10)
    assert answer.file.name == name
    future = client.raw.files.ListFiles.future(ListFilesRequest())
    assert file.id in [each.id for each in future.result().files]
