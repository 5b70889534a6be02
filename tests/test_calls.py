"""The one door of calls: keys, retries, counts, and what a kill costs."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from breakfix.calls import Calls, Line, default_decoding, each
from breakfix.errors import BudgetSpent, CallFailed, ModelError
from breakfix.journal import journal_path
from breakfix.settings import CallSettings, ModelSettings
from breakfix.types import Decoding, Message, Reply, Role
from fake_model import FakeModel, assistant, calls_of, failing, texts, user
from loopback import loopback

LOOP = Path(__file__).parents[1] / "bench" / "dialogue_loop.py"

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


def test_a_mix_of_models_behind_one_name_is_told(tmp_path: Path):
    async def answer(messages: Sequence[Message], decoding: Decoding) -> Reply:
        return Reply(text="x", model_reported="m-1" if messages[0].content == "a" else "m-2")

    calls = calls_of(tmp_path)
    line = calls.line(FakeModel(answer), "target")
    asyncio.run(line.thread("1").ask([user("a")]))
    assert calls.mixtures() == []
    asyncio.run(line.thread("2").ask([user("b")]))
    assert calls.mixtures() == ["fake answered as m-1, m-2: figures of a mix are not those of one model."]
    asyncio.run(line.thread("3").ask([user("b")]))
    assert len(calls.mixtures()) == 1


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


@pytest.mark.parametrize("staggered", [True, False])
def test_staggered_the_first_items_are_under_way_before_the_last_are_begun_and_else_not(staggered: bool):
    seen: list[tuple[str, int]] = []

    async def work(item: int) -> None:
        seen.append(("begun", item))
        for _ in range(4):  # what a connection takes before its first byte leaves
            await asyncio.sleep(0)
        seen.append(("asked", item))

    asyncio.run(each(range(50), work, width=50, staggered=staggered))
    assert (seen.index(("asked", 0)) < seen.index(("begun", 10))) == staggered
    assert staggered or [what for what, _ in seen[:50]] == ["begun"] * 50


@pytest.mark.parametrize("error", [BudgetSpent("spent"), ValueError("bad")])
def test_staggered_no_more_items_are_begun_once_the_end_is_known(error: Exception):
    begun: list[int] = []

    async def work(item: int) -> None:
        begun.append(item)
        if item == 3:
            raise error
        await asyncio.sleep(0.01)

    with pytest.raises(type(error)):
        asyncio.run(each(range(50), work, width=50, staggered=True))
    assert len(begun) < 10


def test_each_that_is_stopped_while_it_begins_leaves_nothing_running():
    begun: list[int] = []
    ended: list[int] = []

    async def work(item: int) -> None:
        begun.append(item)
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(item)

    async def go() -> None:
        task = asyncio.create_task(each(range(50), work, width=50, staggered=True))
        while len(begun) < 5:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(go())
    assert 5 <= len(begun) < 50 and sorted(begun) == sorted(ended)


def test_each_stops_all_at_the_first_exception():
    finished: list[int] = []

    async def work(item: int) -> None:
        if item == 1:
            raise ModelError("no such model")
        await asyncio.sleep(0.05)
        finished.append(item)

    with pytest.raises(ModelError):
        asyncio.run(each(range(50), work, width=2))
    assert finished == []


def test_where_a_budget_is_spent_what_was_begun_is_waited_for_and_nothing_new_begins():
    finished: list[int] = []

    async def work(item: int) -> None:
        if item == 1:
            raise BudgetSpent("spent")
        await asyncio.sleep(0.01)
        finished.append(item)

    with pytest.raises(BudgetSpent, match="spent"):
        asyncio.run(each(range(50), work, width=3))
    assert finished == [0, 2]


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_a_model_that_samples_here_draws_by_the_call_and_not_by_its_turn(tmp_path: Path, temperature: float):
    def seeds_of(name: str, *scenarios: str) -> list[int | None]:
        model = FakeModel()
        model.is_seeded = True
        line = calls_of(tmp_path / name).line(model, "simulator", ModelSettings(temperature=temperature))

        async def ask() -> None:
            for scenario in scenarios:
                await line.thread(scenario).ask([user("the same")])

        asyncio.run(ask())
        return [decoding.seed for _, decoding in model.asked]

    whole, rerun = seeds_of("whole", "a", "b"), seeds_of("rerun", "b")
    assert whole[1:] == rerun
    assert (whole == [None, None]) if temperature == 0 else (None not in whole and whole[0] != whole[1])


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
