"""The runtime of `AsyncClient`: asyncio, and threads for what blocks."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message
from typing_extensions import override

from . import errors
from .errors import SluiceError
from .runtime import WRITE_STALL, Channel, Frame, Metadata, Method, R, Runtime
from .threads import timed_out

T = TypeVar("T")

# Threads that read and write files. Some may be held up by streams that come slowly.
_THREADS = 32


class Tasks(Runtime):
    """Calls that are awaited. They end when the task that awaits them is cancelled."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sluice")

    @override
    def open(
        self, target: str, roots: bytes | None, secure: bool, options: Sequence[tuple[str, Any]]
    ) -> Channel:
        if secure:
            return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(roots), options)
        return grpc.aio.insecure_channel(target, options)

    @override
    async def close(self, channel: Channel) -> None:
        await channel.close()

    @override
    async def unary(
        self,
        channel: Channel,
        method: Method[R],
        request: Message,
        metadata: Metadata,
        timeout: float,
    ) -> R:
        stub = channel.unary_unary(
            method.path, type(request).SerializeToString, method.answer.FromString
        )
        try:
            answer: R = await stub(request, timeout=timeout, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from None
        return answer

    @override
    async def write(
        self,
        channel: Channel,
        method: Method[R],
        frames: Iterator[Frame],
        metadata: Metadata,
        sending: Callable[[int], None],
    ) -> R:
        stub = channel.stream_unary(method.path, None, method.answer.FromString)
        call = stub(metadata=metadata)
        try:
            while (frame := await self.blocking(next, frames, None)) is not None:
                sending(frame.length)
                await asyncio.wait_for(call.write(frame.message), WRITE_STALL)
            await call.done_writing()
            answer: R = await asyncio.wait_for(call, WRITE_STALL)
        except asyncio.TimeoutError:
            raise timed_out(WRITE_STALL) from None
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from None
        except asyncio.InvalidStateError:
            # The call has ended meanwhile, and says why.
            raise await _status(call) from None
        finally:
            call.cancel()
        return answer

    @override
    def read(
        self,
        channel: Channel,
        method: Method[R],
        request: Message,
        metadata: Metadata,
        stall: float,
    ) -> _Replies[R]:
        stub = channel.unary_stream(
            method.path, type(request).SerializeToString, method.answer.FromString
        )
        return _Replies(stub(request, metadata=metadata), stall)

    @override
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @override
    async def blocking(self, function: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._threads, function, *arguments)
        if inspect.isawaitable(result):
            awaited: T = await result
            return awaited
        return result

    @override
    async def together(
        self, works: Sequence[Callable[[Runtime], Coroutine[Any, Any, None]]]
    ) -> None:
        tasks = [asyncio.ensure_future(work(self)) for work in works]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in ended:
            task.result()

    @override
    async def to_the_end(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        # Nobody may be left to hear of its failure.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(task)

    @override
    def lock(self) -> asyncio.Lock:
        return asyncio.Lock()

    def stop(self) -> None:
        """No more work for the threads."""
        self._threads.shutdown(wait=False)


class _Replies(Generic[R]):
    """Answers, of which each must come in time once it is waited for."""

    def __init__(self, call: Any, stall: float) -> None:
        self._call = call
        self._stall = stall

    async def next(self) -> R | None:
        try:
            message = await asyncio.wait_for(self._call.read(), self._stall)
        except asyncio.TimeoutError:
            raise timed_out(self._stall) from None
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from None
        if message is grpc.aio.EOF:
            code = await self._call.code()
            if code is not grpc.StatusCode.OK:
                raise await _status(self._call)
            return None
        reply: R = message
        return reply

    def close(self) -> None:
        self._call.cancel()


def _failure(error: grpc.aio.AioRpcError) -> SluiceError:
    return errors.from_status(error.code(), error.details() or "", tuple(error.trailing_metadata()))


async def _status(call: Any) -> SluiceError:
    code, details = await call.code(), await call.details()
    return errors.from_status(code, details or "", tuple(await call.trailing_metadata()))
