"""Forecasts: what a measurement, a red team or a whole cycle will ask of endpoints, before it starts.

Upper bounds: conversations are taken to last as long as each scenario lets them, and messages to be of one length. A
role that is played by local weights, a record or the lab costs no calls of an endpoint and is left out.
"""

from collections import Counter
from collections.abc import Sequence

from breakfix.attacks.techniques import load_techniques, most_queries
from breakfix.conversations.dialogue import given_turns, most_exchanges
from breakfix.judges import models_of
from breakfix.prices import LATENCY_S, MESSAGE_TOKENS, Forecast, Price, PriceTable, Share, Unpriced, forecast_dialogues
from breakfix.roles import role_name
from breakfix.settings import CycleSettings
from breakfix.types import Role, Scenario

ENDPOINTS = ("openai/", "http://", "https://", "inspect/")
MORE_TRIES = 2
"""Conversations that curating holds for each failing one that a finding lacks."""


def forecast_measurement(settings: CycleSettings, conversations: int, *, is_trained: bool = False) -> Forecast | None:
    """Estimate a measurement; None where no endpoint is asked. A target trained here is weights, and costs nothing."""
    prices = endpoint_prices(settings, ("target", "simulator", "judge"), is_trained=is_trained)
    if not prices:
        return None
    return forecast_dialogues(prices, conversations, settings.measure.turns, concurrency=settings.calls.concurrency)


def forecast_scenarios(
    settings: CycleSettings, chosen: Sequence[Scenario], *, times: float = 1, is_trained: bool = False
) -> Forecast | None:
    """Estimate a measurement of these very scenarios: many last one exchange only, and some ask no simulator.

    `times` is how often all are held, or, of a few that stand for more, how many more. None where no endpoint is asked.
    """
    measured = settings.measure
    is_alone = role_name(settings, "simulator") is None  # nobody goes on from what a scenario says itself
    limits = [(most_exchanges(each, measured.turns), len(given_turns(each))) for each in chosen]
    alike = Counter((min(limit, given) if is_alone else limit, given >= limit) for limit, given in limits)
    whole: Forecast | None = None
    for (limit, is_given), n in alike.items():
        part = {"measure": measured.model_copy(update={"turns": limit}), **({"simulator": None} if is_given else {})}
        held = round(n * measured.samples * times)
        whole = together(whole, forecast_measurement(settings.model_copy(update=part), held, is_trained=is_trained))
    if whole is None:
        return None
    at_once = min(settings.calls.concurrency, max(1, round(len(chosen) * measured.samples * times)))
    return whole._replace(seconds=whole.calls * LATENCY_S / at_once, at_once=at_once)


def forecast_siege(
    settings: CycleSettings, asked: Sequence[Scenario] = (), *, is_trained: bool = False
) -> Forecast | None:
    """Estimate a red team at its full budget, and what ordinary users ask beside; None where no endpoint is asked."""
    search = settings.redteam
    prices = endpoint_prices(settings, ("target", "attacker", "judge"), is_trained=is_trained)
    shares = tuple(
        Share(role, search.budget, 4 * search.budget * MESSAGE_TOKENS, search.budget * MESSAGE_TOKENS, price)
        for role, price in prices.items()
    )
    attacks = _of(settings, shares) if shares else None
    return together(attacks, forecast_scenarios(settings, asked, is_trained=is_trained))


def forecast_more(
    settings: CycleSettings, queries: int, asked: Sequence[Scenario] = (), *, is_trained: bool = False
) -> Forecast | None:
    """Estimate what curating adds for findings with few failures: attacks of so many target calls, and what users ask.

    The most it may be: an attack may end sooner, and is judged once. None where no endpoint is asked.
    """
    attacks = settings.model_copy(update={"redteam": settings.redteam.model_copy(update={"budget": queries})})
    return together(
        forecast_siege(attacks, is_trained=is_trained) if queries else None,
        forecast_scenarios(settings, asked, is_trained=is_trained),
    )


def most_more(settings: CycleSettings) -> int:
    """Give the calls of the target that curating a round may add at most: no finding has a failure to learn from."""
    curate, techniques = settings.curate, load_techniques(settings.redteam.techniques).values()
    dearest = max(most_queries(one, settings.redteam.max_turns) for one in techniques)
    return MORE_TRIES * curate.findings * curate.examples_per_finding * dearest


def forecast_cycle(
    settings: CycleSettings, measured: Sequence[Scenario], asked: Sequence[Scenario] = ()
) -> Forecast | None:
    """Estimate all rounds, each at its full size: an upper bound, since a cycle stops when its gate passes.

    `measured` are the scenarios of a measurement, `asked` what ordinary users ask beside the red team.
    """
    rounds, curate = settings.rounds, settings.curate
    repairs = rounds * curate.findings * curate.examples_per_finding
    prices = endpoint_prices(settings, ("teacher", "judge"), is_trained=True)
    taught = tuple(
        Share(role, repairs, 4 * repairs * MESSAGE_TOKENS, repairs * MESSAGE_TOKENS, price)
        for role, price in prices.items()
    )
    looks = 3 if settings.measure.users == "frozen" else 2  # between SFT and DPO, after, and with the first's users
    return together(
        forecast_scenarios(settings, measured),
        forecast_siege(settings, asked),
        *([forecast_siege(settings, asked, is_trained=True)] * rounds),
        *(forecast_more(settings, most_more(settings), is_trained=done > 0) for done in range(rounds)),
        _of(settings, taught) if taught and repairs else None,
        forecast_scenarios(settings, measured, times=looks * rounds, is_trained=True),
    )


def endpoint_prices(
    settings: CycleSettings, roles: Sequence[Role], *, is_trained: bool = False
) -> dict[str, Price | Unpriced]:
    """Give the price of each role that an endpoint plays, or what its settings lack for one."""
    table = PriceTable.packaged()
    played: dict[str, str] = {
        role: role_name(settings, role) or "" for role in roles if not (is_trained and role == "target")
    }
    if "judge" in played:
        judges = models_of(played.pop("judge"))
        played |= {f"judge {number}" if number > 1 else "judge": name for number, name in enumerate(judges, 1)}
    return {
        role: table.price_or_lack(name, settings.model_settings(name))
        for role, name in played.items()
        if name.startswith(ENDPOINTS)
    }


def together(*forecasts: Forecast | None) -> Forecast | None:
    """Add forecasts up, role by role; None where nobody is asked."""
    known = [each for each in forecasts if each is not None]
    shares: dict[str, Share] = {}
    for share in (share for each in known for share in each.shares):
        sum_so_far = shares.get(share.role, Share(share.role, 0, 0, 0, share.price))
        shares[share.role] = Share(
            share.role,
            sum_so_far.calls + share.calls,
            sum_so_far.prompt_tokens + share.prompt_tokens,
            sum_so_far.completion_tokens + share.completion_tokens,
            share.price,
        )
    if not known:
        return None
    return Forecast(
        tuple(shares.values()), sum(each.seconds for each in known), at_once=max(each.at_once for each in known)
    )


def _of(settings: CycleSettings, shares: tuple[Share, ...]) -> Forecast:
    calls, at_once = sum(share.calls for share in shares), settings.calls.concurrency
    return Forecast(shares, calls * LATENCY_S / at_once, at_once)
