"""What needs no server: frames, parts, sources, waiting, and the version."""

from __future__ import annotations

import asyncio
import gzip
import io
import re
from pathlib import Path

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2, status_pb2

import sluice_sdk
from sluice_sdk import Client, ErrorKind, SluiceError
from sluice_sdk import frames as frames_module
from sluice_sdk._gen.sluice.v1.common_pb2 import ByteRange
from sluice_sdk._gen.sluice.v1.upload_pb2 import WriteUploadRequest
from sluice_sdk.checksum import crc32c
from sluice_sdk.errors import from_status
from sluice_sdk.parts import Parts
from sluice_sdk.retry import Attempts
from sluice_sdk.source import Once, open_source
from sluice_sdk.tasks import Tasks

PROJECT = Path(__file__).parents[3]


def test_the_version_is_that_of_the_workspace() -> None:
    manifest = (PROJECT / "Cargo.toml").read_text()
    workspace = re.search(r'\[workspace\.package\][^\[]*?\nversion = "([^"]+)"', manifest)
    assert workspace is not None
    assert workspace.group(1) == sluice_sdk.VERSION


@pytest.mark.parametrize("content", [b"", b"abc", bytes(range(256)) * 3000])
def test_an_encoded_frame_is_the_message(content: bytes) -> None:
    message = WriteUploadRequest(upload_id="upl_1", writer_epoch=7, write_offset=1 << 40)
    frame = frames_module.encode(message, content, crc32c(content))
    decoded = WriteUploadRequest.FromString(frame.message)
    assert frame.length == len(content)
    assert decoded.checksummed_data.content == content
    assert decoded.checksummed_data.HasField("crc32c") == bool(content)
    assert decoded.checksummed_data.crc32c == crc32c(content)
    assert (decoded.upload_id, decoded.writer_epoch, decoded.write_offset) == ("upl_1", 7, 1 << 40)


def test_parts_that_are_missing_are_taken_once() -> None:
    parts = Parts(4, 13, [ByteRange(start=4, end=8)])
    assert [parts.take() for _ in range(4)] == [0, 2, 3, None]
    assert parts.range(3) == (12, 13)
    parts.start_over([ByteRange(start=0, end=12)])
    assert [parts.take(), parts.take()] == [3, None]


def test_the_checksum_of_a_file_is_known_once_all_parts_are() -> None:
    content = b"0123456789abc"
    parts = Parts(4, len(content), [])
    for part in range(parts.count):
        assert parts.file_checksum() is None
        start, end = parts.range(part)
        parts.checksum(part, crc32c(content[start:end]))
    assert parts.file_checksum() == crc32c(content)
    assert Parts(4, 0, []).file_checksum() == 0


def test_a_file_is_read_from_its_position(tmp_path: Path) -> None:
    packed = tmp_path / "packed.gz"
    packed.write_bytes(gzip.compress(b"0123456789"))
    for file in (io.BytesIO(b"0123456789"), gzip.open(packed)):
        file.seek(3)
        content = open_source(file)
        assert not isinstance(content, Once)
        assert content.size == 7
        assert content.read(5, 2) == b"89"
        assert content.read(0, 3) == b"345"
        content.close()
        assert not file.closed


def test_a_file_that_changes_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"0123")
    content = open_source(path)
    assert not isinstance(content, Once)
    content.check_unchanged()
    path.write_bytes(b"012")
    with pytest.raises(SluiceError) as caught:
        content.check_unchanged()
    assert caught.value.kind is ErrorKind.SOURCE_CHANGED
    with pytest.raises(SluiceError) as caught:
        content.read(0, 4)
    assert caught.value.kind is ErrorKind.SOURCE_CHANGED


def test_what_cannot_be_uploaded_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("text")
    with text.open() as opened:
        for source in (opened, io.StringIO("text"), 5):
            with pytest.raises(SluiceError) as caught:
                open_source(source)
            assert caught.value.kind is ErrorKind.USAGE
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(SluiceError) as caught:
            open_source(path)
        assert caught.value.kind is ErrorKind.LOCAL


@pytest.mark.parametrize("server", ["", "127.0.0.1:7070", "ftp://host", "http://", "http://h:x"])
def test_what_is_no_address_is_refused(server: str) -> None:
    with pytest.raises(SluiceError) as caught:
        Client(server)
    assert caught.value.kind is ErrorKind.USAGE


def test_errors_have_all_details() -> None:
    status = status_pb2.Status(code=8)
    info = error_details_pb2.ErrorInfo(reason="RATE_LIMITED", domain="sluice.v1")
    info.metadata["upload_id"] = "upl_1"
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(1500)
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="name", description="is too long")
    for message in (info, retry, bad, error_details_pb2.QuotaFailure()):
        detail = Any()
        detail.Pack(message)
        status.details.append(detail)
    trailers = [("grpc-status-details-bin", status.SerializeToString())]
    error = from_status(grpc.StatusCode.RESOURCE_EXHAUSTED, "slow down", trailers)
    assert (error.kind, error.reason, error.retry_after) == (ErrorKind.SERVER, "RATE_LIMITED", 1.5)
    assert (error.upload_id, str(error), error.transient) == ("upl_1", "slow down", True)
    assert [(v.field, v.description) for v in error.violations] == [("name", "is too long")]


def test_a_broken_connection_is_no_refusal() -> None:
    for code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        error = from_status(code, "Timeout expired", [("grpc-status-details-bin", b"\xff")])
        assert (error.kind, error.transient, error.reason) == (ErrorKind.TRANSPORT, True, None)
    error = from_status(grpc.StatusCode.NOT_FOUND, "no", [])
    assert (error.kind, error.transient) == (ErrorKind.SERVER, False)


def test_it_gives_up_after_the_time_without_progress() -> None:
    async def fails() -> float:
        loop = asyncio.get_running_loop()
        attempts = Attempts(Tasks(), 1.5)
        started = loop.time()
        try:
            while True:
                await attempts.wait_after(SluiceError(ErrorKind.TRANSPORT, "gone"))
        except SluiceError:
            return loop.time() - started

    assert 0.3 < asyncio.run(fails()) < 1.5


def test_what_lasts_is_given_back_at_once() -> None:
    async def fails() -> None:
        with pytest.raises(SluiceError):
            await Attempts(Tasks(), 60).wait_after(SluiceError(ErrorKind.CORRUPT, "wrong"))

    asyncio.run(fails())


def test_a_server_that_is_not_there_is_told_as_such() -> None:
    client = Client("http://127.0.0.1:1", give_up_after=0)
    with client, pytest.raises(SluiceError) as caught:
        client.capabilities()
    assert (caught.value.kind, caught.value.transient) == (ErrorKind.TRANSPORT, True)
