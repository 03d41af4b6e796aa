"""When to try again, and when to give up."""

from __future__ import annotations

import random
import time

from .errors import SluiceError
from .runtime import Runtime

# Doubled after each failure, up to the longest unless the server asks for a longer one;
# jitter adds up to as much again. In seconds.
_SHORTEST = 0.1
_LONGEST = 2.5
# What a server may ask for at most. Clients that were refused together do not come back
# together: each waits up to so much longer than it was asked to.
_LONGEST_ASKED = 60.0
_ASKED_JITTER = 0.25


class Attempts:
    """One run of attempts at the same thing. Not their number decides when it gives up, but
    the time that it fails without progress."""

    def __init__(self, runtime: Runtime, give_up_after: float) -> None:
        self._runtime = runtime
        self._give_up_after = give_up_after
        self.progressed()

    def progressed(self) -> None:
        """Something got better: delays are short again and the time starts anew."""
        self._next = _SHORTEST
        self._failing_since: float | None = None

    async def wait_after(self, error: SluiceError) -> None:
        """Waits before the next attempt, or raises the error if there is no point in one."""
        if not error.transient:
            raise error
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        waited = now - self._failing_since
        delay = self._delay(error.retry_after)
        if waited + delay > self._give_up_after:
            if waited >= 1:
                error.message += f" (gave up after {waited:.0f} s without progress)"
            raise error
        await self._runtime.sleep(delay)

    def _delay(self, asked: float | None) -> float:
        delay = self._next * random.uniform(1, 2)
        self._next = min(2 * self._next, _LONGEST)
        if asked is not None:
            asked = min(asked, _LONGEST_ASKED) * random.uniform(1, 1 + _ASKED_JITTER)
            delay = max(delay, asked)
        return delay
