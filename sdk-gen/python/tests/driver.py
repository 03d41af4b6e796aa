"""Does what one command of the conformance tests says, with the SDK and nothing else. With
SLUICE_DRIVER_ASYNC=1, by `AsyncClient`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias, TypeGuard, cast

from sluice_sdk import (
    AsyncClient,
    CancelToken,
    Client,
    File,
    Progress,
    SluiceError,
    Tokens,
    Uploaded,
    UploadOptions,
)

Command: TypeAlias = dict[str, Any]

_COMMON = {"verb", "server", "api_key", "tokens", "give_up_after_ms"}
_SENDING = {"path", "part_size", "concurrency", "cancel_after"}
_KEYS = {
    "upload": _SENDING
    | {
        "stream",
        "name",
        "content_type",
        "metadata",
        "on_conflict",
        "request_id",
        "expected_sha256",
    },
    "resume": _SENDING | {"upload_id"},
    "download": {"path", "file_id"},
    "list": {"name_prefix"},
    "get": {"file_id"},
    "delete": {"file_id"},
    "sign": {"file_id", "ttl_seconds"},
    "watch": {"until"},
    "account": set(),
    "create_key": {"name", "scopes"},
}
_OPTIONS = (
    "name",
    "content_type",
    "metadata",
    "on_conflict",
    "request_id",
    "part_size",
    "concurrency",
)


class Output:
    """What is told; progress may come from several threads."""

    def __init__(self, cancel_after: int | None, cancel: Callable[[], object]) -> None:
        self._lock = threading.Lock()
        self._cancel_after = cancel_after
        self._cancel = cancel
        self.upload_id: str | None = None

    def tell(self, **event: Any) -> None:
        with self._lock:
            sys.stdout.write(json.dumps(event) + "\n")
            sys.stdout.flush()

    def progress(self, progress: Progress) -> None:
        self.upload_id = progress.upload_id
        self.tell(
            event="progress",
            upload_id=progress.upload_id,
            persisted=progress.persisted,
            total=progress.total,
        )
        if self._cancel_after is not None and progress.persisted >= self._cancel_after:
            self._cancel_after = None
            self._cancel()

    def uploaded(self, uploaded: Uploaded) -> None:
        self.tell(
            event="done",
            file=file_of(uploaded.file),
            upload_id=uploaded.upload_id or None,
            sent=uploaded.sent,
            resumed=uploaded.resumed,
            seconds=uploaded.seconds,
        )

    def failed(self, error: SluiceError) -> None:
        retry_after = error.retry_after
        self.tell(
            event="error",
            kind=error.kind.value,
            code=error.code.name if error.code else None,
            reason=error.reason,
            fields=[violation.field for violation in error.violations],
            retry_after_ms=None if retry_after is None else round(retry_after * 1000),
            upload_id=error.upload_id,
            transient=error.transient,
        )

    def cancelled(self) -> None:
        """A task ends with the exception that asyncio has for it."""
        self.tell(
            event="error",
            kind="cancelled",
            code=None,
            reason=None,
            fields=[],
            retry_after_ms=None,
            upload_id=self.upload_id,
            transient=False,
        )


def file_of(file: File) -> dict[str, Any]:
    return {"id": file.id, "name": file.name, "size": file.size}


def understand(argument: str) -> Command:
    command = json.loads(argument)
    verb = command["verb"]
    unknown = set(command) - _COMMON - _KEYS[verb]
    if unknown:
        raise ValueError(f"{verb} has no {', '.join(sorted(unknown))}")
    return dict(command)


def client_options(command: Command) -> dict[str, Any]:
    options: dict[str, Any] = {"server": command["server"], "api_key": command.get("api_key")}
    if "tokens" in command:
        tokens = command["tokens"]
        options["tokens"] = Tokens(tokens["access_token"], tokens["refresh_token"])
    if "give_up_after_ms" in command:
        options["give_up_after"] = command["give_up_after_ms"] / 1000
    return options


def upload_options(command: Command, output: Output) -> UploadOptions:
    options = {key: command[key] for key in _OPTIONS if key in command}
    if "expected_sha256" in command:
        options["expected_sha256"] = bytes.fromhex(command["expected_sha256"])
    return cast(UploadOptions, {"on_progress": output.progress, **options})


class ReadOnce:
    """A file as a stream that can be read once."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb")

    def read(self, size: int, /) -> bytes:
        return self._file.read(size)


def source_of(command: Command) -> str | ReadOnce:
    return ReadOnce(command["path"]) if command.get("stream") else command["path"]


def ttl_of(command: Command) -> timedelta | None:
    return timedelta(seconds=command["ttl_seconds"]) if "ttl_seconds" in command else None


def do(command: Command) -> None:
    token = CancelToken()
    output = Output(command.get("cancel_after"), token.cancel)
    started = time.monotonic()
    try:
        with Client(**client_options(command)) as client:
            match command["verb"]:
                case "upload":
                    options = upload_options(command, output)
                    output.uploaded(client.upload(source_of(command), cancel=token, **options))
                case "resume":
                    upload_id, path = command["upload_id"], command["path"]
                    options = upload_options(command, output)
                    output.uploaded(client.resume(upload_id, path, cancel=token, **options))
                case "download":
                    downloaded = client.download(command["file_id"], command["path"])
                    seconds = time.monotonic() - started
                    output.tell(event="done", bytes=downloaded.size, seconds=seconds)
                case "list":
                    files = client.list_by_name(command.get("name_prefix", ""))
                    output.tell(event="done", names=[file.name for file in files])
                case "get":
                    output.tell(event="done", file=file_of(client.get(command["file_id"])))
                case "delete":
                    client.delete(command["file_id"])
                    output.tell(event="done")
                case "sign":
                    link = client.sign(command["file_id"], ttl=ttl_of(command))
                    output.tell(event="done", url=link.url)
                case "watch":
                    with client.watch() as events:
                        for event in events:
                            if is_ready(event, command["until"]):
                                output.tell(event="done", file=file_of(event))
                                break
                case "account":
                    output.tell(event="done", account={"id": client.account().id})
                case "create_key":
                    key = client.create_api_key(command["name"], command["scopes"])
                    output.tell(event="done", key_id=key.api_key.id, secret=key.secret)
    except SluiceError as error:
        output.failed(error)


async def do_async(command: Command) -> None:
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    output = Output(command.get("cancel_after"), lambda: loop.call_soon_threadsafe(task.cancel))
    started = time.monotonic()
    try:
        async with AsyncClient(**client_options(command)) as client:
            match command["verb"]:
                case "upload":
                    options = upload_options(command, output)
                    output.uploaded(await client.upload(source_of(command), **options))
                case "resume":
                    upload_id, path = command["upload_id"], command["path"]
                    options = upload_options(command, output)
                    output.uploaded(await client.resume(upload_id, path, **options))
                case "download":
                    downloaded = await client.download(command["file_id"], command["path"])
                    seconds = time.monotonic() - started
                    output.tell(event="done", bytes=downloaded.size, seconds=seconds)
                case "list":
                    files = client.list_by_name(command.get("name_prefix", ""))
                    output.tell(event="done", names=[file.name async for file in files])
                case "get":
                    file = await client.get(command["file_id"])
                    output.tell(event="done", file=file_of(file))
                case "delete":
                    await client.delete(command["file_id"])
                    output.tell(event="done")
                case "sign":
                    link = await client.sign(command["file_id"], ttl=ttl_of(command))
                    output.tell(event="done", url=link.url)
                case "watch":
                    async with client.watch() as events:
                        async for event in events:
                            if is_ready(event, command["until"]):
                                output.tell(event="done", file=file_of(event))
                                break
                case "account":
                    output.tell(event="done", account={"id": (await client.account()).id})
                case "create_key":
                    key = await client.create_api_key(command["name"], command["scopes"])
                    output.tell(event="done", key_id=key.api_key.id, secret=key.secret)
    except SluiceError as error:
        output.failed(error)
    except asyncio.CancelledError:
        output.cancelled()


def is_ready(event: object, name: str) -> TypeGuard[File]:
    return isinstance(event, File) and event.name == name and event.state == File.STATE_READY


if __name__ == "__main__":
    if os.environ.get("SLUICE_DRIVER_ASYNC") == "1":
        asyncio.run(do_async(understand(sys.argv[1])))
    else:
        do(understand(sys.argv[1]))
