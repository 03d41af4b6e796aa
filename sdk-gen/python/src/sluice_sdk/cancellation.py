"""Stopping what another thread has under way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class CancelToken:
    """Give it to a call and cancel it from any thread: the call ends with an error of kind
    `CANCELLED`. One token may be given to many calls."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._calls: dict[object, Callable[[], object]] = {}

    def cancel(self) -> None:
        """Stops the calls that have this token, now and later."""
        with self._lock:
            self._cancelled.set()
            calls = list(self._calls.values())
            self._calls.clear()
        for stop in calls:
            stop()

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._cancelled.is_set()

    def _wait(self, seconds: float) -> bool:
        return self._cancelled.wait(seconds)

    @contextmanager
    def _stops(self, stop: Callable[[], object]) -> Iterator[None]:
        """Calls `stop` if the token is cancelled meanwhile, or has been."""
        key = object()
        with self._lock:
            cancelled = self.cancelled
            if not cancelled:
                self._calls[key] = stop
        if cancelled:
            stop()
        try:
            yield
        finally:
            with self._lock:
                self._calls.pop(key, None)
