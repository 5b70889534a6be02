"""How fast one endpoint is called: slots, limits per minute, waits between tries, slowing down when it is in trouble.

A call holds a slot while it is in flight, never while it waits to be tried again. When slots are short, the
conversation that started first goes first, so that conversations finish instead of all being half done. Trouble is a
*share* of recent calls that failed; an isolated failure slows nothing but its own conversation.
"""

import asyncio
import random
import time
from collections import deque

RECENT = 40
"""Calls whose outcome is looked at."""
TROUBLE_AFTER = 20
"""Outcomes needed before anything is concluded from them."""
TROUBLE_SHARE = 0.3
"""Share of recent calls that must have failed for the endpoint to count as in trouble."""
FIRST_WAIT_S = 0.15
WAIT_GROWTH = 2.2
LONGEST_WAIT_S = 30.0
LONGEST_RETRY_AFTER_S = 120.0
"""A server that asks for more is asked again after this long."""


class TryAgain(Exception):
    """One try of a call failed in a way that may pass: overload, a server's fault, a time-out, a broken connection."""

    def __init__(self, cause: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.retry_after_s = retry_after_s


def wait_before(tries: int, *, retry_after_s: float | None = None) -> float:
    """Seconds to wait after `tries` failed tries: exponential, half of it random; never less than Retry-After says."""
    wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * WAIT_GROWTH ** (tries - 1)) * random.uniform(0.5, 1.0)
    if retry_after_s is None:
        return wait
    return min(LONGEST_RETRY_AFTER_S, max(retry_after_s, 0.0)) + wait


class Bucket:
    """A limit per minute that holds in every window of 60 s, apart from the size of one large amount.

    A twentieth of the limit may go at once, but one call always may; the rest is refilled evenly. Of a limit between 1
    and 2 that leaves one call a minute.
    """

    def __init__(self, per_minute: float, *, now: float) -> None:
        self._most = max(1.0, per_minute / 20)
        self._refill = max(per_minute - self._most, min(per_minute, 1.0)) / 60
        self._level = self._most
        self._stamp = now

    def take(self, amount: float, *, now: float) -> float:
        """Take an amount and give the seconds to wait before it may be used."""
        self._level = min(self._most, self._level + (now - self._stamp) * self._refill)
        self._stamp = now
        short = max(0.0, min(amount, self._most) - self._level)
        self._level -= amount
        return short / self._refill

    def give_back(self, amount: float) -> None:
        """Return what was taken but not used (negative: what was used beyond it)."""
        self._level = min(self._most, self._level + amount)


class Minute:
    """The limits per minute of one model: requests, and tokens if asked for."""

    def __init__(self, requests: float | None, tokens: float | None) -> None:
        now = time.monotonic()
        self._requests = Bucket(requests, now=now) if requests else None
        self._tokens = Bucket(tokens, now=now) if tokens else None

    async def admit(self, tokens: int) -> None:
        """Wait until one more request of so many tokens is within the limits."""
        now = time.monotonic()
        wait = self._requests.take(1, now=now) if self._requests else 0.0
        if self._tokens:
            wait = max(wait, self._tokens.take(tokens, now=now))
        if wait > 0:
            await asyncio.sleep(wait)

    def settle(self, expected: int, used: int) -> None:
        """Correct an admitted call's tokens to what it used."""
        if self._tokens:
            self._tokens.give_back(expected - used)


class Pace:
    """The slots of one endpoint. `slots` None: no bound (models in this process bound themselves)."""

    def __init__(self, slots: int | None) -> None:
        self.most = slots or 1 << 30
        self.limit = self.most
        """Slots now: halved in trouble, grown back one by one."""
        self.busy = 0
        self.slowdowns = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._recent: deque[bool] = deque(maxlen=RECENT)
        self._credit = 0
        self._closed_until = 0.0

    async def enter(self) -> None:
        """Take a slot; who asked first is served first. A closed endpoint is not called until it opens."""
        if self.busy < self.limit and not self._waiting:
            self.busy += 1
        else:
            await self._wait_for_slot()
        if not self._closed_until:
            return
        try:
            await self._wait_until_open()
        except asyncio.CancelledError:
            self.leave()
            raise

    def leave(self) -> None:
        """Give a slot back and wake who is next."""
        self.busy -= 1
        self._wake()

    def succeeded(self) -> None:
        """Note a call that went well; after a slow-down, each full round of them earns a slot back."""
        self._recent.append(True)
        if self.limit < self.most:
            self._credit += 1
            if self._credit >= self.limit:
                self._credit = 0
                self.limit = min(self.most, self.limit + max(1, self.most // 20))
                self._wake()

    def failed(self, *, retry_after_s: float | None = None) -> None:
        """Note a call that failed; where too many recent ones did, halve the slots and heed Retry-After for all."""
        self._recent.append(False)
        failures = self._recent.count(False)
        if len(self._recent) < TROUBLE_AFTER or failures < TROUBLE_SHARE * len(self._recent):
            return
        self._recent.clear()
        self._credit = 0
        self.limit = max(1, min(self.limit, self.most) // 2)
        self.slowdowns += 1
        if retry_after_s:
            self._closed_until = time.monotonic() + min(retry_after_s, LONGEST_RETRY_AFTER_S)

    def _wake(self) -> None:
        while self._waiting and self.busy < self.limit:
            future = self._waiting.popleft()
            if not future.done():
                self.busy += 1
                future.set_result(None)

    async def _wait_for_slot(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.leave()
            raise

    async def _wait_until_open(self) -> None:
        while (wait := self._closed_until - time.monotonic()) > 0:
            await asyncio.sleep(wait * random.uniform(1.0, 1.2))
        self._closed_until = 0.0
