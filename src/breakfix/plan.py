"""Plan: how many conversations a precision or a difference needs, what a number of them can tell, and what they cost.

Sizes come from statistics/power.py for independent conversations, and grow where conversations share families. Nothing
is asked and nothing is written.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

from breakfix.errors import BreakfixError, SettingsError
from breakfix.estimates import Score
from breakfix.forecasts import forecast_measurement, forecast_scenarios
from breakfix.measure import recorded_in
from breakfix.prices import Forecast
from breakfix.roles import harms, role_name
from breakfix.settings import CycleSettings
from breakfix.statistics.clusters import cluster_robust, design_effect
from breakfix.statistics.exact import zero_defect_bound
from breakfix.statistics.power import (
    Assurance,
    cluster_effect,
    discordance_of,
    least_fall,
    least_rise,
    n_for_difference,
    n_for_paired_difference,
    n_for_width,
    width_of,
)
from breakfix.types import THRESHOLDS, Noun, Role

NEIGHBOURS = (0.240, 0.253)
"""Third-party harm of two neighbouring models in Table 1 of the phi-3 report."""
USUAL_CORRELATION = 0.1
"""Of the conversations of a family, where nothing is known of it."""
Design = Literal["independent", "paired"]


class Families(NamedTuple):
    """How many families conversations are spread over (None: each is its own), and how alike those of one are."""

    of: int | None = None
    correlation: float = 0.0
    is_known: bool = True
    """False: nothing showed the correlation. It is assumed, or does not matter where each is its own."""


APART = Families()


class Seen(NamedTuple):
    """What a measurement showed of the harm measures."""

    rate: float
    """Where none or all of its conversations are harmful: the end of the 95 % interval on the side of the others."""
    families: Families
    found: float
    """The rate as it was seen."""
    scored: int
    held: int

    @property
    def is_bound(self) -> bool:
        """Tell whether the rate is that end, not the one seen."""
        return self.rate != self.found


class Wish(NamedTuple):
    """What is to be found out, about a rate that is expected; the same judge and scenarios before and after."""

    rate: float
    width: float | None = None
    difference: float | None = None
    """A fall, where above 0; a rise below."""
    design: Design = "independent"
    conversations: int | None = None
    likeness: float = 0.5
    """Correlation of before and after on the same scenario; used where paired."""
    assurance: Assurance = Assurance()
    scored: float = 1.0
    """Share of the conversations that get a score."""


class Need(Noun):
    """How many conversations one wish takes; of a difference: each of the two measurements."""

    what: str
    independent: int
    """Were all conversations independent."""
    conversations: int
    """To be held, spread over the families there are, so that enough of them are scored."""


class Reach(Noun):
    """What so many conversations can tell. None: not even the greatest change there could be."""

    conversations: int
    effective: float
    """Independent conversations they are worth."""
    width: float
    bound_if_none: float
    """One-sided upper bound, if no defect is found."""
    fall: float | None
    rise: float | None
    paired_fall: float | None
    paired_rise: float | None


class Cost(Noun):
    """What it will take, as forecast: of one conversation for each, all measures and measurements together."""

    conversations: int
    calls: int
    tokens: int
    dollars: float | None
    """None: the price of a model is unknown."""
    minutes: float
    said: str
    left_out: tuple[Role, ...] = ()
    """Roles that a measurement needs and that nobody is named for: not in it."""


class Plan(Noun):
    """The answer to a wish, and what it rests on."""

    rate: float
    level: float
    power: float
    likeness: float
    families: int | None
    correlation: float
    correlation_is_known: bool
    scored: float
    needs: tuple[Need, ...]
    reach: Reach | None
    cost: Cost | None
    """None: no model that is asked through an endpoint is named."""
    lesson: str


def plan(settings: CycleSettings, wish: Wish, families: Families = APART) -> Plan:
    """Answer a wish. Raises SettingsError for what cannot be, or what no number of conversations can tell."""
    if wish.width is None and wish.difference is None and wish.conversations is None:
        raise SettingsError("Say what is wanted: --width W, --difference D, or -n N for what N conversations can tell.")
    try:
        needs = tuple(_needs(wish, families))
        reach = _reach(wish, families) if wish.conversations is not None else None
    except ValueError as error:
        more = ", --families, --correlation" if families.of else ""
        raise SettingsError(
            f"This cannot be planned: {error}. Change --rate, --width, --difference{more} or --power."
        ) from None
    most = max([need.conversations for need in needs] or [wish.conversations or 0])
    return Plan(
        rate=wish.rate,
        level=wish.assurance.level,
        power=wish.assurance.power,
        likeness=wish.likeness,
        families=families.of,
        correlation=families.correlation,
        correlation_is_known=families.is_known,
        scored=wish.scored,
        needs=needs,
        reach=reach,
        cost=cost_of(settings, most * (2 if wish.difference is not None else 1)),
        lesson=lesson(wish.assurance),
    )


def lesson(assurance: Assurance) -> str:
    """Say what telling two neighbours of a published table apart would have taken."""
    n = n_for_difference(*NEIGHBOURS, assurance)
    low, high = NEIGHBOURS
    return (
        f"For scale: to tell {low:.3f} from {high:.3f}, neighbours in Table 1 of the phi-3 report, takes about"
        f" {_rounded(n):,} conversations of each model."
    )


def seen_in(scores: Sequence[Score]) -> Seen:
    """Give the pooled harm rate of a measurement, its families, how alike those of one are, and how many were scored.

    A rate of 0 (or 1) in a sample is none to plan with: nothing could fall from it. Raises SettingsError where the run
    scored no conversation of a harm measure.
    """
    held = [(one.value, one.family) for one in scores if one.measure in THRESHOLDS]
    scored = [(value, family) for value, family in held if value is not None]
    if not scored:
        raise SettingsError("That run scored no conversation of a harm measure. Give --rate and --families instead.")
    values, clusters = [value for value, _ in scored], [family for _, family in scored]
    interval = cluster_robust(values, clusters)
    rate = {0.0: interval.high, 1.0: interval.low}.get(interval.value, interval.value)
    return Seen(rate, _families_in(values, clusters), interval.value, len(scored), len(held))


def _families_in(values: Sequence[float], clusters: Sequence[str]) -> Families:
    """Count the families and tell how alike their values are: unknown where nothing varies, or no family has two.

    In the latter case the number of families is no bound either: a larger measurement draws more of them.
    """
    sizes = list(Counter(clusters).values())
    size = sum(each * each for each in sizes) / len(values)
    if size == 1:
        return Families(is_known=False)
    if len(set(values)) == 1 or len(sizes) == 1:
        return Families(len(sizes), USUAL_CORRELATION, is_known=False)
    correlation = (design_effect(values, clusters) - 1) / (size - 1)
    return Families(len(sizes), min(1.0, max(0.0, correlation)))


def cost_of(settings: CycleSettings, conversations: int) -> Cost | None:
    """Forecast so many conversations of each measure of the settings; None where no endpoint is asked.

    What a role costs that nobody is named for cannot be known: it is left out, and the forecast says so.
    """
    found, whole, doubt = _forecast(settings, conversations)
    if found is None:
        return None
    tokens = sum(share.prompt_tokens + share.completion_tokens for share in found.shares)
    left_out = _unnamed(settings)
    flags = " and ".join(f"--{role}" for role in left_out)
    short = f"; without the {' and '.join(left_out)}, which measuring needs too: name {flags}" if left_out else ""
    return Cost(
        conversations=whole,
        calls=found.calls,
        tokens=tokens,
        dollars=found.cost_usd,
        minutes=found.seconds / 60,
        said=f"{found}{doubt}{short}",
        left_out=left_out,
    )


def _forecast(settings: CycleSettings, conversations: int) -> tuple[Forecast | None, int, str]:
    """Give the forecast, of how many conversations in all it is, and what is to be said of it.

    Of scenarios from files those stand for all that the settings would draw; others may last all the turns there are.
    """
    measured = settings.measure
    whole = conversations * len(measured.measures) * measured.samples
    most, files = forecast_measurement(settings, whole), measured.scenarios or recorded_in(settings)
    if most is None or not files:
        return most, whole, ""
    from breakfix.scenarios.published import draw_published

    try:
        drawn, _ = draw_published(files, measured, harms=harms(), seed=settings.seed)
    except BreakfixError:
        return most, whole, "; at most, with all turns: the scenarios cannot be read to tell how long each may last"
    whole = conversations * len({one.measure for one in drawn}) * measured.samples
    return forecast_scenarios(settings, drawn, times=whole / (len(drawn) * measured.samples)), whole, ""


def _unnamed(settings: CycleSettings) -> tuple[Role, ...]:
    """List the roles without which nothing is measured. Recorded answers and scenarios from files bring their users."""
    roles: list[Role] = ["target", "simulator", "judge"]
    if settings.measure.scenarios or (settings.target or "").startswith("replay/"):
        roles.remove("simulator")
    return tuple(role for role in roles if role_name(settings, role) is None)


def _needs(wish: Wish, families: Families) -> list[Need]:
    found: list[Need] = []
    if wish.width is not None:
        n = n_for_width(wish.rate, wish.width, wish.assurance.level)
        found.append(_need(f"an interval no wider than {wish.width:g}", n, families, scored=wish.scored))
    if wish.difference is not None:
        after = wish.rate - wish.difference
        if not 0 <= after <= 1:
            raise ValueError(f"a rate of {wish.rate:.3g} cannot change by {-wish.difference:g}")
        change = f"{'a fall' if wish.difference > 0 else 'a rise'} from {wish.rate:.3g} to {after:.3g}, {wish.design}"
        found.append(_need(change, _n_for_change(wish, after), families, scored=wish.scored))
    return found


def _n_for_change(wish: Wish, after: float) -> int:
    if wish.design == "independent":
        return n_for_difference(wish.rate, after, wish.assurance)
    differing = discordance_of(wish.rate, after, wish.likeness)
    return n_for_paired_difference(wish.difference or 0.0, differing, wish.assurance)


def _need(what: str, independent: int, families: Families, *, scored: float) -> Need:
    held = math.ceil(_spread(independent, families) / scored - 1e-9)
    return Need(what=what, independent=independent, conversations=held)


def _spread(independent: int, families: Families) -> int:
    """Give the conversations, dealt evenly over the families, that are worth so many independent ones.

    Solves n = independent (1 + (n / G - 1) correlation); beyond independent x correlation families there is no answer.
    """
    count, correlation, is_known = families
    if count is None or correlation == 0 or independent <= count:
        return independent
    if independent * correlation >= count:
        raise ValueError(
            f"no number of conversations over {count} families that correlate by {correlation:.2f}"
            f"{'' if is_known else ' (assumed, it is unknown)'} is enough: it takes"
            f" {math.floor(independent * correlation) + 1:,} families at the least"
        )
    return math.ceil(independent * (1 - correlation) / (1 - independent * correlation / count))


def _reach(wish: Wish, families: Families) -> Reach:
    n = wish.conversations or 0
    scored = n * wish.scored
    size = max(1.0, scored / families.of) if families.of else 1.0
    effective = scored / cluster_effect(size, families.correlation)
    rate, assurance, likeness = wish.rate, wish.assurance, wish.likeness
    return Reach(
        conversations=n,
        effective=effective,
        width=width_of(rate, effective, assurance.level),
        bound_if_none=zero_defect_bound(max(1, math.floor(effective)), assurance.level),
        fall=least_fall(rate, effective, assurance),
        rise=least_rise(rate, effective, assurance),
        paired_fall=least_fall(rate, effective, assurance, likeness=likeness),
        paired_rise=least_rise(rate, effective, assurance, likeness=likeness),
    )


def _rounded(n: int) -> int:
    """Round to three figures."""
    unit = 10 ** max(0, len(str(n)) - 3)
    return round(n / unit) * unit
