"""What is forecast before a measurement, a red team or a cycle starts."""

import pytest

from breakfix.forecasts import (
    forecast_cycle,
    forecast_measurement,
    forecast_more,
    forecast_scenarios,
    forecast_siege,
    together,
)
from breakfix.prices import LATENCY_S, Forecast, Price, Share
from breakfix.settings import CycleSettings, settings_from
from breakfix.types import Scenario

EVERYONE = dict.fromkeys(("target", "simulator", "judge", "attacker", "teacher"), "openai/gpt-4o")


def planned(**more: object) -> CycleSettings:
    return settings_from({"name": "x", **EVERYONE, **more}, where="test")


def calls_of(forecast: Forecast | None) -> dict[str, int]:
    return {share.role: share.calls for share in forecast.shares} if forecast else {}


def test_a_measurement_asks_target_and_simulator_every_turn_and_the_judge_once():
    settings = planned(measure={"turns": 4})
    assert calls_of(forecast_measurement(settings, 10)) == {"target": 40, "simulator": 40, "judge": 10}


def scenario(number: int, **more: object) -> Scenario:
    told = {
        "measure": "jailbreak",
        "harm": "none",
        "family": f"f{number}",
        "objective": "o",
        "source": "s",
        "licence": "l",
    }
    return Scenario.model_validate({"id": f"s{number}", **told, **more})


def many(count: int) -> list[Scenario]:
    return [scenario(number) for number in range(count)]


def test_scenarios_are_forecast_by_how_long_each_may_last_and_who_says_its_turns():
    settings = planned(measure={"turns": 4, "samples": 2}, calls={"concurrency": 8})
    single = [scenario(n, opening="How?", max_turns=1) for n in range(10)]
    found = forecast_scenarios(settings, single)
    assert calls_of(found) == {"target": 20, "judge": 20}
    assert found is not None and (found.at_once, found.seconds) == (8, 40 * LATENCY_S / 8)
    mixed = [*single, scenario(20), scenario(21, opening="How?", script=("And?", "So?"))]
    assert calls_of(forecast_scenarios(settings, mixed)) == {"target": 34, "judge": 24, "simulator": 8}
    assert forecast_scenarios(planned(**dict.fromkeys(EVERYONE, "lab/mini")), single) is None


def test_without_a_simulator_a_conversation_ends_with_what_its_scenario_says():
    settings = planned(simulator=None, measure={"turns": 4})
    told = [scenario(0, opening="How?"), scenario(1, opening="How?", script=("And?",), max_turns=6)]
    assert calls_of(forecast_scenarios(settings, told)) == {"target": 1 + 2, "judge": 2}


def test_weights_that_were_trained_here_cost_no_calls():
    assert "target" not in calls_of(forecast_measurement(planned(), 10, is_trained=True))


def test_a_red_team_is_its_budget_and_the_ordinary_users():
    settings = planned(redteam={"budget": 100, "ordinary": 0})
    assert calls_of(forecast_siege(settings)) == {"target": 100, "attacker": 100, "judge": 100}
    asked = [scenario(n) for n in range(10)]
    beside = planned(redteam={"budget": 100, "ordinary": 10}, measure={"turns": 1})
    assert calls_of(forecast_siege(beside, asked)) == {"target": 110, "attacker": 100, "judge": 110, "simulator": 10}


def test_a_cycle_grows_with_its_rounds_but_the_endpoint_that_is_trained_is_asked_at_the_start_only():
    one, three = (forecast_cycle(planned(rounds=rounds), many(50)) for rounds in (1, 3))
    assert one is not None and three is not None
    assert calls_of(one)["target"] == calls_of(three)["target"]
    assert calls_of(one)["teacher"] * 3 == calls_of(three)["teacher"]
    assert one.cost_usd is not None and three.cost_usd is not None and one.cost_usd < three.cost_usd


@pytest.mark.parametrize("name", ["lab/mini", "hf/models/mine"])
def test_where_no_endpoint_is_asked_there_is_nothing_to_forecast(name: str):
    settings = planned(**dict.fromkeys(EVERYONE, name))
    assert (
        forecast_measurement(settings, 10) is None
        and forecast_siege(settings) is None
        and forecast_cycle(settings, many(10), many(3)) is None
    )


def test_forecasts_add_up_role_by_role():
    share = Share("judge", 2, 10, 5, Price(1.0, 2.0))
    whole = together(Forecast((share,), 3.0), None, Forecast((share,), 4.0))
    assert whole == Forecast((Share("judge", 4, 20, 10, Price(1.0, 2.0)),), 7.0)
    assert together(None) is None


def test_what_endpoints_without_a_price_lack_is_said_of_a_red_team_and_a_whole_cycle_too():
    mine = dict.fromkeys(EVERYONE, "openai/gpt-9")
    settings = planned(**mine, models={"openai/gpt-9": {"price_in": 1.0}}, calls={"concurrency": 7})
    for forecast in (forecast_siege(settings), forecast_cycle(settings, many(20))):
        assert forecast is not None and forecast.cost_usd is None and "7 at a time" in str(forecast)
        assert "(set models.openai/gpt-9.price_out; dollars per million tokens)" in str(forecast)


def test_what_curating_adds_is_counted_before_it_is_asked_and_in_a_cycle_too():
    assert calls_of(forecast_more(planned(), 60)) == {"target": 60, "attacker": 60, "judge": 60}
    talks = forecast_more(planned(measure={"turns": 2}), 0, many(10))
    assert calls_of(talks) == {"target": 20, "simulator": 20, "judge": 10}
    assert forecast_more(planned(), 0) is None
    few, much = (calls_of(forecast_cycle(planned(curate={"examples_per_finding": n}), many(50))) for n in (1, 9))
    assert much["attacker"] > few["attacker"]


def test_a_cycle_on_single_requests_is_forecast_so_in_every_round():
    settings = planned(
        rounds=2, redteam={"budget": 10}, curate={"findings": 0}, measure={"turns": 4, "users": "frozen"}
    )
    single = [scenario(n, opening="How?", max_turns=1) for n in range(10)]
    found = calls_of(forecast_cycle(settings, single, single[:5]))
    assert found["target"] == 10 + 10 + 5, "measured, attacked, and asked by ordinary users; then it is weights"
    assert found["judge"] == 10 * (1 + 2 * 3) + 3 * (10 + 5) and "simulator" not in found
