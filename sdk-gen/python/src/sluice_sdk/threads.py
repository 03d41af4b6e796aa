"""The runtime of `Client`: blocking calls, and a thread for whatever goes on beside."""

from __future__ import annotations

import inspect
import queue
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from typing_extensions import override

from . import errors
from .cancellation import CancelToken
from .errors import ErrorKind, SluiceError
from .runtime import WRITE_STALL, Channel, Frame, Metadata, Method, R, Runtime

T = TypeVar("T")

# How long threads are waited for that were told to stop. One that waits for the caller's own
# stream may never hear it.
_FAREWELL = 5.0


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine that waits for nothing but `Threads`."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise RuntimeError("a blocking call was suspended")


class Threads(Runtime):
    """Blocking calls. All of them end when the token is cancelled."""

    def __init__(self, token: CancelToken | None = None) -> None:
        self._token = token or CancelToken()

    @override
    def open(
        self, target: str, roots: bytes | None, secure: bool, options: Sequence[tuple[str, Any]]
    ) -> Channel:
        if secure:
            return grpc.secure_channel(target, grpc.ssl_channel_credentials(roots), options)
        return grpc.insecure_channel(target, options)

    @override
    async def close(self, channel: Channel) -> None:
        channel.close()

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
        call = stub.future(request, timeout=timeout, metadata=metadata)
        with self._token._stops(call.cancel):
            answer: R = self._result(call)
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
        begun = threading.Event()
        failures: list[Exception] = []
        sent = 0

        def messages() -> Iterator[bytes]:
            nonlocal sent
            begun.wait()
            try:
                for frame in frames:
                    sending(frame.length)
                    sent += 1
                    yield frame.message
            except Exception as error:
                # gRPC would only say that there was one.
                failures.append(error)
                call.cancel()

        call = stub.future(messages(), metadata=metadata)
        begun.set()
        with self._token._stops(call.cancel):
            while True:
                before = sent
                try:
                    answer: R = self._result(call, WRITE_STALL)
                    return answer
                except grpc.FutureTimeoutError:
                    if sent == before:
                        call.cancel()
                        raise timed_out(WRITE_STALL) from None
                except SluiceError:
                    if failures:
                        raise failures[0] from None
                    raise

    @override
    def read(
        self,
        channel: Channel,
        method: Method[R],
        request: Message,
        metadata: Metadata,
        stall: float,
    ) -> _Replies:
        stub = channel.unary_stream(
            method.path, type(request).SerializeToString, method.answer.FromString
        )
        return _Replies(stub(request, metadata=metadata), self._token, stall)

    @override
    async def sleep(self, seconds: float) -> None:
        if self._token._wait(seconds):
            raise errors.cancelled()

    @override
    async def blocking(self, function: Callable[..., T], *arguments: Any) -> T:
        if self._token.cancelled:
            raise errors.cancelled()
        result = function(*arguments)
        if inspect.isawaitable(result):
            if inspect.iscoroutine(result):
                result.close()
            raise SluiceError(ErrorKind.USAGE, "asynchronous streams need AsyncClient")
        return result

    @override
    async def together(
        self, works: Sequence[Callable[[Runtime], Coroutine[Any, Any, None]]]
    ) -> None:
        token = CancelToken()
        ended = queue.SimpleQueue[BaseException | None]()

        def do(work: Callable[[Runtime], Coroutine[Any, Any, None]]) -> None:
            try:
                run(work(Threads(token)))
                ended.put(None)
            except BaseException as error:
                ended.put(error)

        def stop() -> None:
            token.cancel()
            ended.put(errors.cancelled())

        with self._token._stops(stop):
            try:
                for work in works:
                    threading.Thread(target=do, args=(work,), daemon=True).start()
                for waiting in range(len(works), 0, -1):
                    error = ended.get()
                    if error is not None:
                        token.cancel()
                        _await_ends(ended, waiting - 1)
                        raise error
            finally:
                token.cancel()

    @override
    async def to_the_end(self, work: Coroutine[Any, Any, None]) -> None:
        await work

    @override
    def lock(self) -> _Lock:
        return _Lock()

    def _result(self, call: Any, timeout: float | None = None) -> Any:
        try:
            return call.result(timeout)
        except grpc.FutureCancelledError:
            raise errors.cancelled() from None
        except grpc.RpcError:
            raise _failure(call, self._token) from None


class _Replies:
    """Answers, of which each must come in time once it is waited for."""

    def __init__(self, call: Any, token: CancelToken, stall: float) -> None:
        self._call = call
        self._token = token
        self._stall = stall
        self._waiting_since: float | None = None
        self._stalled = False
        self._ended = threading.Event()
        self._stack = ExitStack()
        self._stack.enter_context(token._stops(call.cancel))
        watching = (weakref.ref(self), self._ended, stall)
        threading.Thread(target=_watch, args=watching, name="sluice-watch", daemon=True).start()

    async def next(self) -> Any:
        self._waiting_since = time.monotonic()
        try:
            return next(self._call)
        except StopIteration:
            self.close()
            return None
        except grpc.RpcError:
            self.close()
            if self._stalled:
                raise timed_out(self._stall) from None
            raise _failure(self._call, self._token) from None
        finally:
            self._waiting_since = None

    def close(self) -> None:
        self._ended.set()
        self._stack.close()
        self._call.cancel()

    def __del__(self) -> None:
        self.close()

    def check(self) -> None:
        """Ends the call if its next answer does not come in time."""
        since = self._waiting_since
        if since is not None and time.monotonic() - since > self._stall:
            self._stalled = True
            self._call.cancel()


class _Lock:
    def __init__(self) -> None:
        self._lock = threading.Lock()

    async def __aenter__(self) -> None:
        self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()


def _watch(reference: weakref.ref[_Replies], ended: threading.Event, stall: float) -> None:
    """Watches a call until it has ended or nobody knows it any more."""
    while not ended.wait(stall / 4):
        replies = reference()
        if replies is None:
            return
        replies.check()
        del replies


def timed_out(seconds: float) -> SluiceError:
    """Nothing has moved for so long."""
    return SluiceError(
        ErrorKind.TRANSPORT,
        f"nothing moved between here and the server for {seconds:.0f} s",
        code=grpc.StatusCode.DEADLINE_EXCEEDED,
    )


def _failure(call: Any, token: CancelToken) -> SluiceError:
    if token.cancelled and call.code() is grpc.StatusCode.CANCELLED:
        return errors.cancelled()
    return errors.from_status(call.code(), call.details() or "", call.trailing_metadata() or ())


def _await_ends(ended: queue.SimpleQueue[BaseException | None], count: int) -> None:
    until = time.monotonic() + _FAREWELL
    try:
        for _ in range(count):
            ended.get(timeout=max(0.0, until - time.monotonic()))
    except queue.Empty:
        pass
