"""The one door of calls: keys, retries, limits, budgets, counts, and what a kill costs."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from breakfix.budget import Budget, Claim
from breakfix.calls import Calls, Line, default_decoding, each
from breakfix.errors import BudgetSpent, CallFailed, SettingsError
from breakfix.journal import Journal, journal_path
from breakfix.pacing import Bucket, Minute, Pace, TryAgain, wait_before
from breakfix.prices import PriceTable, forecast_dialogues
from breakfix.settings import CallSettings, ModelSettings
from breakfix.types import Decoding, Message, Reply, Role
from loopback import loopback

LOOP = Path(__file__).parents[1] / "bench" / "dialogue_loop.py"
Answerer = Callable[[Sequence[Message], Decoding], Awaitable[Reply]]


class FakeModel:
    """Answers with a numbered reply, or as the function it is given does, and remembers what it was asked."""

    def __init__(self, answerer: Answerer | None = None, name: str = "fake", parallel: int | None = 50) -> None:
        self.name = name
        self.identity = f"identity of {name}"
        self.parallel = parallel
        self.asked: list[tuple[Sequence[Message], Decoding]] = []
        self._answerer = answerer

    async def generate(self, messages: Sequence[Message], decoding: Decoding) -> Reply:
        self.asked.append((list(messages), decoding))
        if self._answerer is not None:
            return await self._answerer(messages, decoding)
        return Reply(text=f"reply {len(self.asked)}", prompt_tokens=10, completion_tokens=5)

    async def close(self) -> None:
        """Nothing to free."""


def user(text: str) -> Message:
    return Message(role="user", content=text)


def assistant(text: str) -> Message:
    return Message(role="assistant", content=text)


def failing(times: int, **trouble: float) -> Answerer:
    """Fail so many times, then answer."""
    left = [times]

    async def answer(messages: Sequence[Message], decoding: Decoding) -> Reply:
        left[0] -= 1
        if left[0] >= 0:
            raise TryAgain("HTTP 500", **trouble)
        return Reply(text="at last")

    return answer


def calls_of(tmp_path: Path, **settings: object) -> Calls:
    return Calls(Journal(journal_path(tmp_path, "run"), "run"), CallSettings.model_validate(settings))


def texts(*replies: Reply) -> list[str]:
    return [reply.text for reply in replies]


# ── keys ──


def test_a_rerun_answers_from_the_journal_and_asks_nothing(tmp_path: Path):
    async def converse(line: Line) -> list[str]:
        thread = line.thread("scenario")
        chat = [user("a")]
        first = await thread.ask(chat)
        second = await thread.ask([*chat, assistant(first.text), user("b")])
        return texts(first, second)

    model, again = FakeModel(), FakeModel()
    first = asyncio.run(converse(calls_of(tmp_path).line(model, "target")))
    calls = calls_of(tmp_path)
    assert asyncio.run(converse(calls.line(again, "target"))) == first == ["reply 1", "reply 2"]
    assert not again.asked
    assert (calls.counts.total.journalled, calls.counts.total.calls) == (2, 0)


@pytest.mark.parametrize(
    "other",
    [
        {"role": "simulator"},
        {"scenario": "another"},
        {"sample": 1},
        {"model": FakeModel(name="another")},
        {"text": "b"},
        {"decoding": Decoding(temperature=0.5)},
        {"settings": ModelSettings(system_prompt="Be brief.")},
        {"settings": ModelSettings(max_tokens=7)},
    ],
)
def test_whatever_differs_is_asked_anew(tmp_path: Path, other: dict[str, object]):
    async def ask(
        *,
        role: Role = "target",
        scenario: str = "s",
        sample: int = 0,
        model: FakeModel | None = None,
        text: str = "a",
        decoding: Decoding | None = None,
        settings: ModelSettings | None = None,
    ) -> int:
        model = model or FakeModel()
        await calls.line(model, role, settings).thread(scenario, sample).ask([user(text)], decoding)
        return len(model.asked)

    calls = calls_of(tmp_path)
    assert asyncio.run(ask()) == 1
    assert asyncio.run(ask()) == 0
    assert asyncio.run(ask(**other)) == 1  # pyright: ignore[reportArgumentType]


def test_the_same_question_asked_twice_is_drawn_twice_and_both_come_back(tmp_path: Path):
    async def ask_twice(model: FakeModel) -> list[str]:
        thread = calls_of(tmp_path).line(model, "simulator").thread("s")
        return texts(await thread.ask([user("a")]), await thread.ask([user("a")]))

    assert asyncio.run(ask_twice(FakeModel())) == ["reply 1", "reply 2"]
    assert asyncio.run(ask_twice(FakeModel())) == ["reply 1", "reply 2"]


def test_backtracking_forgets_nothing_and_confuses_nothing(tmp_path: Path):
    async def backtrack(model: FakeModel) -> list[str]:
        thread = calls_of(tmp_path).line(model, "target").thread("s")
        await thread.ask([user("a")])
        one = await thread.ask([user("a"), assistant("x"), user("b")])
        other = await thread.ask([user("a"), assistant("x"), user("c")])
        same = await thread.ask([user("a"), assistant("x"), user("b")])
        return texts(one, other, same)

    first = asyncio.run(backtrack(FakeModel()))
    again = FakeModel()
    assert asyncio.run(backtrack(again)) == first == ["reply 2", "reply 3", "reply 4"]
    assert not again.asked


def test_the_key_does_not_depend_on_how_the_history_was_reached(tmp_path: Path):
    chat = [user("a"), assistant("x"), user("b")]

    async def in_steps(model: FakeModel) -> None:
        thread = calls_of(tmp_path).line(model, "target").thread("s")
        await thread.ask(chat[:1])
        await thread.ask(chat)

    async def at_once(model: FakeModel) -> str:
        return (await calls_of(tmp_path).line(model, "target").thread("s").ask(list(chat))).text

    asyncio.run(in_steps(FakeModel()))
    assert asyncio.run(at_once(FakeModel())) == "reply 2"


def test_forks_draw_anew_and_leave_the_trunk_as_it_was(tmp_path: Path):
    async def branch(model: FakeModel) -> list[str]:
        thread = calls_of(tmp_path).line(model, "target").thread("s")
        left, right = thread.fork(), thread.fork()
        chat = [user("a")]
        return texts(await left.ask(chat), await right.ask(chat), await thread.ask(chat), await left.fork().ask(chat))

    first = asyncio.run(branch(FakeModel()))
    again = FakeModel()
    assert first == ["reply 1", "reply 2", "reply 3", "reply 4"]
    assert asyncio.run(branch(again)) == first
    assert not again.asked


def test_a_settings_system_prompt_goes_before_the_conversations_own():
    model = FakeModel()
    line = Calls(None, CallSettings()).line(model, "target", ModelSettings(system_prompt="House rules."))

    async def ask() -> None:
        await line.thread("s").ask([user("a")])
        await line.thread("s").ask([Message(role="system", content="Role."), user("a")])

    asyncio.run(ask())
    assert [[(m.role, m.content) for m in messages] for messages, _ in model.asked] == [
        [("system", "House rules."), ("user", "a")],
        [("system", "House rules.\n\nRole."), ("user", "a")],
    ]


@pytest.mark.parametrize(
    ("role", "settings", "temperature"),
    [
        ("target", {}, 0.0),
        ("judge", {}, 0.0),
        ("simulator", {}, 0.7),
        ("attacker", {}, 0.7),
        ("teacher", {}, 0.7),
        ("target", {"temperature": 0.9}, 0.9),
    ],
)
def test_decoding_follows_the_role_unless_settings_say(role: Role, settings: dict[str, float], temperature: float):
    decoding = default_decoding(role, ModelSettings.model_validate({**settings, "max_tokens": 33}))
    assert (decoding.temperature, decoding.max_tokens) == (temperature, 33)


# ── failures ──


def test_a_passing_failure_is_tried_again_and_counted(tmp_path: Path):
    calls = calls_of(tmp_path)
    reply = asyncio.run(calls.line(FakeModel(failing(2)), "judge").thread("s").ask([user("a")]))
    assert reply.text == "at last"
    assert (calls.counts.roles["judge"].retries, calls.counts.roles["judge"].calls) == (2, 1)


def test_exhausted_retries_are_a_failed_call_that_is_not_journalled(tmp_path: Path):
    calls = calls_of(tmp_path, retries=1)
    with pytest.raises(CallFailed, match=r"HTTP 500 \(2 tries\)"):
        asyncio.run(calls.line(FakeModel(failing(9)), "target").thread("s").ask([user("a")]))
    assert calls.counts.total.failed == 1
    again = FakeModel()
    assert asyncio.run(calls_of(tmp_path).line(again, "target").thread("s").ask([user("a")])).text == "reply 1"


def test_a_filtered_answer_is_journalled(tmp_path: Path):
    async def filter_it(messages: Sequence[Message], decoding: Decoding) -> Reply:
        return Reply(text="", finish_reason="filtered")

    calls = calls_of(tmp_path)
    asyncio.run(calls.line(FakeModel(filter_it), "target").thread("s").ask([user("a")]))
    assert calls.counts.total.filtered == 1
    again = FakeModel()
    reply = asyncio.run(calls_of(tmp_path).line(again, "target").thread("s").ask([user("a")]))
    assert reply.finish_reason == "filtered" and not again.asked


@pytest.mark.parametrize(("tries", "low", "high"), [(1, 0.07, 0.16), (3, 0.36, 0.73), (20, 15.0, 30.0)])
def test_waits_grow_with_jitter_up_to_a_limit(tries: int, low: float, high: float):
    waits = [wait_before(tries) for _ in range(200)]
    assert low <= min(waits) < max(waits) <= high


def test_retry_after_is_heeded_up_to_a_limit():
    assert 5.0 <= wait_before(1, retry_after_s=5.0) <= 5.2
    assert wait_before(1, retry_after_s=100_000.0) <= 121.0


# ── pace ──


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


def test_the_conversation_that_began_first_goes_first():
    served: list[int] = []

    async def go(pace: Pace, order: int) -> None:
        await pace.enter(order)
        served.append(order)
        await asyncio.sleep(0)
        pace.leave()

    async def contend() -> None:
        pace = Pace(1)
        await asyncio.gather(*(go(pace, order) for order in (0, 9, 3, 7, 1)))

    asyncio.run(contend())
    assert served == [0, 1, 3, 7, 9]


def test_a_cancelled_waiter_takes_no_slot():
    async def contend() -> int:
        pace = Pace(1)
        await pace.enter(0)
        waiting = asyncio.create_task(pace.enter(1))
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
        await pace.enter(0)
        return time.monotonic() - start

    assert asyncio.run(contend()) >= 0.2


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


# ── budget and prices ──


def ask_many(line: Line, times: int) -> list[Reply | BaseException]:
    async def ask() -> list[Reply | BaseException]:
        asked = (line.thread(str(number)).ask([user("a")]) for number in range(times))
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(ask())


def test_a_cap_on_calls_is_exact_and_keeps_what_was_done(tmp_path: Path):
    model = FakeModel()
    results = ask_many(calls_of(tmp_path, max_calls=3).line(model, "target"), 5)
    assert len(model.asked) == 3
    assert sum(isinstance(result, BudgetSpent) for result in results) == 2


def test_a_cap_holds_for_the_run_not_the_process(tmp_path: Path):
    ask_many(calls_of(tmp_path, max_calls=3).line(FakeModel(), "target"), 3)
    again = FakeModel()
    results = ask_many(calls_of(tmp_path, max_calls=4).line(again, "target"), 6)
    assert len(again.asked) == 1
    assert sum(isinstance(result, BudgetSpent) for result in results) == 2


@pytest.mark.parametrize(
    ("caps", "least_tokens", "most_tokens", "most_usd"),
    [({"max_tokens": 2000}, 1880, 2000, 9.9), ({"max_cost_usd": 0.05}, 990, 9999, 0.05)],
)
def test_caps_on_tokens_and_cost_are_hard_and_nearly_reached(
    tmp_path: Path, caps: dict[str, float], least_tokens: int, most_tokens: int, most_usd: float
):
    calls = calls_of(tmp_path, **caps)
    settings = ModelSettings(max_tokens=100, price_in=10, price_out=100)
    results = ask_many(calls.line(FakeModel(parallel=8), "target", settings), 500)
    assert any(isinstance(result, BudgetSpent) for result in results)
    total = calls.counts.total
    assert least_tokens <= total.prompt_tokens + total.completion_tokens <= most_tokens
    assert total.cost_usd <= most_usd


def test_calls_that_do_not_fit_wait_for_those_in_flight():
    async def spend() -> int:
        budget = Budget(CallSettings(max_tokens=100))
        await budget.admit(Claim(90, 0.0))
        waiting = asyncio.create_task(budget.admit(Claim(90, 0.0)))
        await asyncio.sleep(0)
        assert not waiting.done()
        budget.settle(Claim(90, 0.0), 10, 0.0)
        await waiting
        return budget.calls

    assert asyncio.run(spend()) == 2


def test_a_cost_cap_needs_a_price(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"no known price.*price_in"):
        calls_of(tmp_path, max_cost_usd=1.0).line(FakeModel(name="http://host/v1#m"), "target")


@pytest.mark.parametrize(
    ("name", "priced"),
    [
        ("openai/gpt-4o-mini", (0.15, 0.60)),
        ("openai/gpt-4o-mini-2024-07-18", (0.15, 0.60)),
        ("openai/gpt-4o-2024-05-13", (5.0, 15.0)),
        ("openai/gpt-9", None),
        ("openai/gpt-4o-audio", None),
        ("http://host/v1#gpt-4o", None),
        ("lab/mini", (0.0, 0.0)),
    ],
)
def test_prices_are_known_free_or_unknown(name: str, priced: tuple[float, float] | None):
    assert PriceTable.packaged().price_of(name, ModelSettings()) == priced


def test_what_a_reply_costs_is_counted_by_role(tmp_path: Path):
    calls = calls_of(tmp_path)
    ask_many(calls.line(FakeModel(), "judge", ModelSettings(price_in=1e6, price_out=2e6)), 2)
    assert calls.counts.roles["judge"].cost_usd == pytest.approx(2 * (10 + 2 * 5))


def test_a_forecast_counts_calls_exactly_and_says_when_a_price_is_unknown():
    price = PriceTable.packaged().price_of("openai/gpt-4o", ModelSettings())
    known = forecast_dialogues({"target": price, "simulator": price, "judge": price}, 200, 5, concurrency=50)
    assert known.calls == 200 * 11
    assert known.cost_usd is not None and known.seconds == pytest.approx(200 * 11 * 2.0 / 50)
    unknown = forecast_dialogues({"target": None, "judge": price}, 10, 5, concurrency=5)
    assert unknown.cost_usd is None and "cost unknown for target" in str(unknown)


def test_a_mix_of_models_behind_one_name_is_told(tmp_path: Path):
    async def answer(messages: Sequence[Message], decoding: Decoding) -> Reply:
        return Reply(text="x", model_reported="m-1" if messages[0].content == "a" else "m-2")

    calls = calls_of(tmp_path)
    line = calls.line(FakeModel(answer), "target")
    asyncio.run(line.thread("1").ask([user("a")]))
    assert calls.mixtures() == []
    asyncio.run(line.thread("2").ask([user("b")]))
    assert calls.mixtures() == ["fake answered as m-1 x 1, m-2 x 1"]


# ── each ──


def test_each_keeps_the_order_of_the_items_and_the_width():
    flight = [0, 0]

    async def work(item: int) -> int:
        flight[0] += 1
        flight[1] = max(flight)
        await asyncio.sleep(0.01 if item % 2 else 0.001)
        flight[0] -= 1
        return item * 10

    assert asyncio.run(each(range(20), work, width=3)) == [item * 10 for item in range(20)]
    assert flight[1] == 3


def test_each_stops_all_at_the_first_exception():
    finished: list[int] = []

    async def work(item: int) -> None:
        if item == 1:
            raise BudgetSpent("spent")
        await asyncio.sleep(0.05)
        finished.append(item)

    with pytest.raises(BudgetSpent):
        asyncio.run(each(range(50), work, width=2))
    assert finished == []


# ── the whole, against a real endpoint ──


def loop_job(url: str, journal: Path, conversations: int = 30, concurrency: int = 10) -> list[str]:
    return [sys.executable, str(LOOP), "breakfix", url, str(conversations), str(concurrency), str(journal)]


def test_after_kill_9_only_calls_in_flight_are_repeated(tmp_path: Path):
    conversations, concurrency, calls = 30, 10, 30 * 11
    journal = journal_path(tmp_path, "bench")
    with loopback(latency_ms=20) as server:
        for kill_after in (60, 100, 90):
            before = server.stats()["requests"]
            process = subprocess.Popen(loop_job(server.url, journal), env=_clean())
            while server.stats()["requests"] < before + kill_after:
                assert process.poll() is None
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.wait()
        done = subprocess.run(loop_job(server.url, journal), env=_clean(), capture_output=True, text=True, check=True)
        total = server.stats()["requests"]
    assert json.loads(done.stdout)["done"] == conversations
    assert calls <= total <= calls + 3 * concurrency


def test_all_conversations_complete_through_faults(tmp_path: Path):
    with loopback(latency_ms=5, fail_rate=0.15) as server:
        job = loop_job(server.url, journal_path(tmp_path, "bench"))
        done = subprocess.run(job, env=_clean(), capture_output=True, text=True, check=True)
        stats = server.stats()
    assert json.loads(done.stdout)["done"] == 30
    assert stats["ok"] == 330 < stats["requests"]
    assert stats["peak"] <= 10


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("OPENAI_API_KEY", "OPENAI_BASE_URL")}
