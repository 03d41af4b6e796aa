"""What only `AsyncClient` has: tasks that are cancelled, and streams that are awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from conftest import MIB
from server import Server
from sluice_sdk import AsyncClient, File, FileDeleted, Progress, SnapshotEnd
from sluice_sdk.v1 import GetFileRequest, ReadFileRequest


@pytest_asyncio.fixture
async def aclient(server: Server) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(server.url, api_key=server.api_key) as client:
        yield client


async def content_of(client: AsyncClient, file: File) -> bytes:
    return b"".join([chunk async for chunk in client.read(file.id)])


async def test_a_cancelled_task_can_be_resumed(
    aclient: AsyncClient, name: str, content: bytes
) -> None:
    seen: list[Progress] = []

    def watch(progress: Progress) -> None:
        seen.append(progress)
        if progress.persisted >= 3 * MIB:
            task.cancel()

    task = asyncio.ensure_future(
        aclient.upload(content, name=name, part_size=MIB, on_progress=watch)
    )
    with pytest.raises(asyncio.CancelledError):
        await task
    upload_id = seen[-1].upload_id
    assert upload_id is not None
    resumed = await aclient.resume(upload_id, content)
    assert resumed.resumed >= 3 * MIB
    assert await content_of(aclient, resumed.file) == content


async def test_streams_are_awaited(
    aclient: AsyncClient, name: str, content: bytes, tmp_path: Path
) -> None:
    reader = asyncio.StreamReader()

    async def feed() -> None:
        for start in range(0, len(content), 777_777):
            reader.feed_data(content[start : start + 777_777])
            await asyncio.sleep(0.01)
        reader.feed_eof()

    feeding = asyncio.ensure_future(feed())
    uploaded = await aclient.upload(reader, name=name, part_size=4 * MIB)
    await feeding

    class Writer:
        def __init__(self) -> None:
            self.content = bytearray()

        async def write(self, content: bytes, /) -> int:
            await asyncio.sleep(0)
            half = max(1, len(content) // 2)
            self.content += content[:half]
            return half

    writer = Writer()
    await aclient.download(uploaded.file.id, writer)
    assert bytes(writer.content) == content


async def test_many_at_once(aclient: AsyncClient, name: str, content: bytes) -> None:
    sizes = [number * 300_000 for number in range(20)]
    uploads = [
        aclient.upload(content[:size], name=f"{name}/{size:08}", part_size=MIB) for size in sizes
    ]
    uploaded = await asyncio.gather(*uploads)
    assert [each.file.size for each in uploaded] == sizes
    assert [file.size async for file in aclient.list_by_name(f"{name}/")] == sizes


async def test_watching_beside_other_things(aclient: AsyncClient, name: str) -> None:
    async with aclient.watch() as events:
        async for event in events:
            if isinstance(event, SnapshotEnd):
                file = (await aclient.upload(b"1", name=name)).file
                await aclient.delete(file.id)
            if event == FileDeleted(file.id if isinstance(event, FileDeleted) else ""):
                break
        assert events.resume_token


async def test_the_raw_stubs_are_signed_in(aclient: AsyncClient, name: str) -> None:
    file = (await aclient.upload(b"123", name=name)).file
    answer = await aclient.raw.files.GetFile(GetFileRequest(file_id=file.id))
    assert answer.file.name == name
    read = [reply async for reply in aclient.raw.files.ReadFile(ReadFileRequest(file_id=file.id))]
    assert b"".join(reply.checksummed_data.content for reply in read) == b"123"
