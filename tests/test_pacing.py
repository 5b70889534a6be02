"""How fast an endpoint is called: slots, waits, limits per minute, and trouble."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from breakfix.pacing import Bucket, Minute, Pace, wait_before
from breakfix.types import Decoding, Message, Reply
from fake_model import FakeModel, calls_of, user


@pytest.mark.parametrize(("tries", "low", "high"), [(1, 0.07, 0.16), (3, 0.36, 0.73), (20, 15.0, 30.0)])
def test_waits_grow_with_jitter_up_to_a_limit(tries: int, low: float, high: float):
    waits = [wait_before(tries) for _ in range(200)]
    assert low <= min(waits) < max(waits) <= high


def test_retry_after_is_heeded_up_to_a_limit():
    assert 5.0 <= wait_before(1, retry_after_s=5.0) <= 5.2
    assert wait_before(1, retry_after_s=100_000.0) <= 121.0


@pytest.mark.parametrize("per_minute", [0.3, 1, 1.2, 1.5, 1.99, 2, 2.5, 3, 7.7, 60, 333.3])
def test_no_minute_holds_more_calls_than_its_limit(per_minute: float):
    bucket, at, begun = Bucket(per_minute, now=0.0), 0.0, list[float]()
    while at < 400:
        at += bucket.take(1, now=at)
        begun.append(at)
    in_minutes = [sum(start <= each < start + 60 - 1e-6 for each in begun) for start in begun]
    assert max(in_minutes) <= max(1, per_minute)
    assert len(begun) >= 400 / 60 * min(per_minute, max(1, 0.5 * per_minute)) - 1


def test_no_more_calls_are_in_flight_than_slots(tmp_path: Path):
    flight = [0, 0]

    async def answer(messages: Sequence[Message], decoding: Decoding) -> Reply:
        flight[0] += 1
        flight[1] = max(flight)
        await asyncio.sleep(0.005)
        flight[0] -= 1
        return Reply(text="x")

    async def ask_all() -> None:
        line = calls_of(tmp_path).line(FakeModel(answer, parallel=4), "target")
        await asyncio.gather(*(line.thread(str(n)).ask([user("a")]) for n in range(20)))

    asyncio.run(ask_all())
    assert flight[1] == 4


def test_who_asks_first_is_served_first():
    served: list[int] = []

    async def go(pace: Pace, name: int) -> None:
        await pace.enter()
        served.append(name)
        await asyncio.sleep(0)
        pace.leave()

    async def contend() -> None:
        pace = Pace(1)
        await asyncio.gather(*(go(pace, name) for name in (0, 9, 3, 7, 1)))

    asyncio.run(contend())
    assert served == [0, 9, 3, 7, 1]


def test_a_cancelled_waiter_takes_no_slot():
    async def contend() -> int:
        pace = Pace(1)
        await pace.enter()
        waiting = asyncio.create_task(pace.enter())
        await asyncio.sleep(0)
        pace.leave()  # hands the slot to the waiter, which is cancelled before it runs
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return pace.busy

    assert asyncio.run(contend()) == 0


def test_isolated_failures_slow_nothing_down():
    pace = Pace(50)
    for number in range(400):
        pace.failed() if number % 20 == 0 else pace.succeeded()
    assert (pace.limit, pace.slowdowns) == (50, 0)


def test_trouble_halves_the_slots_and_success_earns_them_back():
    pace = Pace(50)
    for _ in range(20):
        pace.failed()
    assert (pace.limit, pace.slowdowns) == (25, 1)
    for _ in range(60):
        pace.failed()
    assert pace.limit == 3
    for _ in range(2000):
        pace.succeeded()
    assert pace.limit == 50


def test_in_trouble_retry_after_closes_the_endpoint_to_all():
    async def contend() -> float:
        pace = Pace(50)
        for _ in range(20):
            pace.failed(retry_after_s=0.2)
        start = time.monotonic()
        await pace.enter()
        return time.monotonic() - start

    assert asyncio.run(contend()) >= 0.2


def test_in_trouble_retry_after_closes_the_endpoint_to_those_who_already_wait_for_a_slot():
    async def contend() -> float:
        pace = Pace(1)
        await pace.enter()
        waiting = asyncio.create_task(pace.enter())
        await asyncio.sleep(0)
        for _ in range(20):
            pace.failed(retry_after_s=0.2)
        start = time.monotonic()
        pace.leave()
        await waiting
        return time.monotonic() - start

    assert asyncio.run(contend()) >= 0.2


def test_who_is_cancelled_while_the_endpoint_is_closed_takes_no_slot():
    async def contend() -> int:
        pace = Pace(1)
        for _ in range(20):
            pace.failed(retry_after_s=60)
        waiting = asyncio.create_task(pace.enter())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return pace.busy

    assert asyncio.run(contend()) == 0


@pytest.mark.parametrize("per_minute", [1, 10, 60, 600])
def test_no_minute_admits_more_than_its_limit(per_minute: int):
    bucket, now, admitted = Bucket(per_minute, now=0.0), 0.0, list[float]()
    while now < 300:
        now += bucket.take(1, now=now)
        admitted.append(now)
    windows = (sum(start <= moment < start + 60 for moment in admitted) for start in range(0, 240, 7))
    assert max(windows) <= per_minute + 1e-9
    assert len(admitted) >= per_minute * 4 * 0.9


def test_tokens_that_were_not_used_are_given_back():
    async def admit() -> float:
        minute = Minute(None, 60_000)
        start = time.monotonic()
        for _ in range(20):
            await minute.admit(3000)
            minute.settle(3000, 10)
        return time.monotonic() - start

    assert asyncio.run(admit()) < 0.5
