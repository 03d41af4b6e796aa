"""How far an upload or a download is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

# Bytes that are under way are reported so often at most, in seconds.
_INTERVAL = 0.1


@dataclass(frozen=True)
class Progress:
    """How far an upload or a download is. All in bytes."""

    upload_id: str | None
    """The upload, once there is one that could be resumed."""
    total: int | None
    """The whole; None while it is unknown."""
    persisted: int
    """Safe on the other side: stored durably by the server, or written to the target. Never
    falls, and never exceeds `total`."""
    in_flight: int
    """On the way, and to be sent again if the connection breaks."""
    sent: int
    """Handed to the network by this call, repeats included."""
    resumed: int
    """Found persisted and not sent."""

    @property
    def position(self) -> int:
        """For a progress bar: what is safe or on the way."""
        return self.persisted + self.in_flight


OnProgress = Callable[[Progress], object]
"""Hears of progress. Must not block; an exception that it raises ends the call."""


class Reporter:
    """Counts, and tells the caller. Shared by all that work on one transfer."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        # The caller may look at counts, or cancel, from within.
        self._lock = threading.RLock()
        self._told = 0.0
        self._counts = Progress(None, None, 0, 0, 0, 0)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return self._counts

    def opened(self, upload_id: str | None, total: int | None, persisted: int = 0) -> None:
        """The other side has so much already."""
        self._update(True, upload_id=upload_id, total=total, persisted=persisted, resumed=persisted)

    def ended(self, total: int) -> None:
        """A stream turned out to have so many bytes."""
        self._update(True, total=total)

    def sending(self, length: int) -> None:
        """So much more is on the way."""
        with self._lock:
            counts = self._counts
            self._update(False, sent=counts.sent + length, in_flight=counts.in_flight + length)

    def landed(self, in_flight: int, persisted: int = 0) -> None:
        """So much is not on the way any more, and so much is safe now."""
        with self._lock:
            counts = self._counts
            self._update(
                persisted > 0,
                in_flight=counts.in_flight - in_flight,
                persisted=counts.persisted + persisted,
            )

    def _update(self, at_once: bool, **changes: Any) -> None:
        with self._lock:
            self._counts = replace(self._counts, **changes)
            now = time.monotonic()
            if self._on_progress and (at_once or now - self._told >= _INTERVAL):
                self._told = now
                self._on_progress(self._counts)
