"""What was spent, what may be, and what it costs."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from breakfix.budget import Budget, Claim
from breakfix.calls import Calls
from breakfix.errors import BudgetSpent, SettingsError
from breakfix.journal import Journal, journal_path
from breakfix.prices import Price, PriceTable, Unpriced, forecast_dialogues
from breakfix.settings import CallSettings, ModelSettings
from breakfix.types import Decoding, Message, Reply
from fake_model import FakeModel, ask_many, calls_of


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


def test_a_cap_on_tokens_holds_where_the_endpoint_reports_none(tmp_path: Path):
    async def answer(messages: Sequence[Message], decoding: Decoding) -> Reply:
        return Reply(text="word " * 60)

    model = FakeModel(answer, parallel=1)
    ask_many(calls_of(tmp_path, max_tokens=2000).line(model, "target", ModelSettings(max_tokens=200)), 100)
    assert 10 <= len(model.asked) <= 25


def test_what_the_journal_answers_counts_as_it_did_where_the_endpoint_reports_no_tokens(tmp_path: Path):
    async def answer(messages: Sequence[Message], decoding: Decoding) -> Reply:
        return Reply(text="word " * 60)

    def spend() -> int:
        model = FakeModel(answer, parallel=1)
        ask_many(calls_of(tmp_path, max_tokens=2000).line(model, "target", ModelSettings(max_tokens=200)), 100)
        return len(model.asked)

    assert spend() > 10
    assert spend() == 0  # all that the cap allows was asked before


def test_what_another_run_paid_for_counts_against_no_cap_of_this_one(tmp_path: Path):
    ask_many(calls_of(tmp_path).line(FakeModel(), "target"), 5)
    asked: list[int] = []
    for model in (FakeModel(), FakeModel()):  # the second as after a kill
        borrowing = Journal(journal_path(tmp_path, "next"), "next", reuse="run")
        line = Calls(borrowing, CallSettings(max_calls=3)).line(model, "target")
        assert sum(isinstance(result, BudgetSpent) for result in ask_many(line, 10)) == 2
        borrowing.close()
        asked.append(len(model.asked))
    assert asked == [3, 0]


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


def test_a_cap_on_calls_holds_for_those_who_waited_too():
    async def spend() -> tuple[int, int]:
        budget = Budget(CallSettings(max_calls=2, max_tokens=100))
        await budget.admit(Claim(90, 0.0))
        waiting = [asyncio.create_task(budget.admit(Claim(30, 0.0))) for _ in range(3)]
        await asyncio.sleep(0)
        budget.settle(Claim(90, 0.0), 0, 0.0)
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        return budget.calls, sum(isinstance(one, BudgetSpent) for one in ended)

    assert asyncio.run(spend()) == (2, 2)


@pytest.mark.parametrize(
    ("caps", "says"),
    [
        ({"max_cost_usd": 0.001}, r"cap of \$0\.0010 .*\$0\.00 spent, the next call may cost \$0\.0022"),
        ({"max_tokens": 16_000}, r"cap of 16,000 tokens .*0 used, the next call may take 20,000"),
    ],
)
def test_a_cap_that_the_next_call_may_pass_is_said_with_what_that_may_take(caps: dict[str, float], says: str):
    async def spend() -> None:
        await Budget(CallSettings.model_validate(caps)).admit(Claim(20_000, 0.0022))

    with pytest.raises(BudgetSpent, match=says):
        asyncio.run(spend())


@pytest.mark.parametrize(
    ("caps", "price", "told"),
    [
        ({}, 1.0, ["what it costs is not known."]),
        ({"max_tokens": 9000}, 1.0, ["its cost is guessed from the length of the texts."]),
        ({}, 0.0, []),
    ],
)
def test_an_endpoint_that_counts_no_tokens_is_told_once_where_they_cost(
    tmp_path: Path, caps: dict[str, int], price: float, told: list[str]
):
    async def answer(messages: Sequence[Message], decoding: Decoding) -> Reply:
        return Reply(text="word " * 60)

    calls = calls_of(tmp_path, **caps)
    ask_many(calls.line(FakeModel(answer), "target", ModelSettings(price_in=price, price_out=price)), 3)
    said = "fake answers without saying how many tokens that took: "
    assert [remark.removeprefix(said) for remark in calls.remarks] == told


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


@pytest.mark.parametrize(
    ("name", "settings", "priced"),
    [
        ("openai/gpt-9", {"price_in": 1.0}, Unpriced("openai/gpt-9", ("price_out",))),
        ("openai/gpt-9", {"price_out": 1.0}, Unpriced("openai/gpt-9", ("price_in",))),
        ("openai/gpt-9", {}, Unpriced("openai/gpt-9", ("price_in", "price_out"))),
        ("openai/gpt-9", {"price_in": 1.0, "price_out": 0.0}, Price(1.0, 0.0)),
        ("openai/gpt-4o-mini", {"price_in": 9.0}, Price(9.0, 0.60)),
        ("lab/mini", {"price_in": 9.0}, Price(9.0, 0.0)),
    ],
)
def test_a_price_that_is_set_by_half_is_the_tables_for_the_other_half_or_unknown(
    name: str, settings: dict[str, float], priced: Price | Unpriced
):
    assert PriceTable.packaged().price_or_lack(name, ModelSettings(**settings)) == priced


def test_a_forecast_says_which_price_is_missing_and_on_what_its_time_rests():
    mine, other = Unpriced("openai/gpt-9", ("price_out",)), Unpriced("http://h:1/v1#m")
    said = str(forecast_dialogues({"target": mine, "simulator": mine, "judge": other}, 60, 3, concurrency=8))
    assert "cost unknown for judge, simulator, target (set models.openai/gpt-9.price_out; " in said
    assert "models.http://h:1/v1#m.price_in and price_out; dollars per million tokens)" in said
    assert said.endswith("about 2 min (were a call to take 2 s, 8 at a time)")
    alike = {"target": Unpriced("openai/gpt-9"), "simulator": Unpriced("openai/gpt-8"), "judge": other}
    said = str(forecast_dialogues(alike, 60, 3, concurrency=8))
    assert "(set price_in and price_out of models.openai/gpt-9, models.openai/gpt-8, models.http://h:1/v1#m;" in said


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
