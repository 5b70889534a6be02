"""Itinerary: the stages of a cycle that are still to come, and about how much each has to do.

What the time left is reckoned from (cli/remaining.py). Counts are the settings' own where those decide; how much a
red team finds, and so how much there is to repair and to try again, is a guess until it is known.
"""

from collections.abc import Iterator
from math import ceil

from breakfix.alignment.recipes import resolve_recipe
from breakfix.progress import Leg
from breakfix.roles import EXACT, role_name
from breakfix.settings import CycleSettings, DpoSettings, SftSettings
from breakfix.types import Dataset

CALLS, ROWS = "calls", "rows"
DPO_FOR_SFT = 8 / 3
"""Work of a DPO row in SFT rows: two answers, each also read once by the reference, where a backward pass costs two."""
LATER = 0.25
"""What is left to repair after a round, as a share of what its settings would take: so it went in the lab."""
MORE = 0.5
"""Attacks made again for more of the same failures, for each repair that is wanted."""
LOADING_S = 10.0
"""What it takes to start a training process, torch and TRL: 8 to 15 s on a CPU."""
REPORT_S = 2.0


def whole_cycle(settings: CycleSettings, conversations: int) -> list[Leg]:
    """Foresee a cycle from its start; `conversations` is the size of one measurement."""
    return [_measured(settings, "base", conversations), *_rounds(settings, conversations, done=0)]


def from_training(settings: CycleSettings, conversations: int, number: int, dataset: Dataset) -> list[Leg]:
    """Foresee the rest of a cycle from the training of a round on, whose dataset is known."""
    return [
        *_training(settings, number, examples=dataset.examples, pairs=dataset.pairs),
        *_proof(settings, conversations, number),
        *_rounds(settings, conversations, done=number),
    ]


def last_look(settings: CycleSettings, number: int) -> list[Leg]:
    """Foresee what follows the last round: the red team once more, and the report."""
    return [*_siege(settings, f"round-{number}"), Leg("report", seconds=REPORT_S)]


def _rounds(settings: CycleSettings, conversations: int, *, done: int) -> Iterator[Leg]:
    for number in range(done + 1, settings.rounds + 1):
        legs = _round(settings, conversations, number)
        may_stop = settings.stop_when_passed and number > 1
        yield from (leg._replace(is_certain=not may_stop) for leg in legs)
    yield from last_look(settings, settings.rounds)


def _round(settings: CycleSettings, conversations: int, number: int) -> Iterator[Leg]:
    stage, curate = "base" if number == 1 else f"round-{number - 1}", settings.curate
    repairs = curate.findings * curate.examples_per_finding * (1 if number == 1 else LATER)
    taught = 0 if role_name(settings, "teacher") == EXACT else 2 * repairs / max(1, curate.findings)
    seeds = curate.seed_examples if number == 1 else curate.replay
    yield from _siege(settings, stage)
    yield Leg(f"attack {stage}-more", MORE * repairs, CALLS)
    yield Leg(f"curate round {number}", curate.findings, CALLS, weight=taught)
    yield from _training(
        settings,
        number,
        examples=round(repairs * (1 + curate.contrast + curate.retention) + seeds),
        pairs=round(repairs * (1 + curate.contrast * curate.contrast_pairs)),
    )
    yield from _proof(settings, conversations, number)


def _siege(settings: CycleSettings, stage: str) -> Iterator[Leg]:
    """Foresee a red team; the ordinary users beside it have been there already where a retest came first."""
    yield Leg(f"red team {stage}", settings.redteam.budget, CALLS)
    if stage == "base":
        yield from _ordinary(settings, stage)


def _ordinary(settings: CycleSettings, stage: str) -> Iterator[Leg]:
    measures = [name for name in settings.measure.measures if name != "jailbreak"]
    if talks := settings.redteam.ordinary * len(measures):
        yield _measured(settings, f"{stage}-dev", talks)


def _training(settings: CycleSettings, number: int, *, examples: int, pairs: int) -> Iterator[Leg]:
    recipe = resolve_recipe(settings.align)
    if (recipe.sft.enabled and examples) or (recipe.dpo.enabled and pairs):
        yield Leg(f"loading round {number}", seconds=LOADING_S)
    for name, own, rows, weight in (("sft", recipe.sft, examples, 1.0), ("dpo", recipe.dpo, pairs, DPO_FOR_SFT)):
        if own.enabled and rows:
            batch = _batch(own)
            yield Leg(f"{name} round {number}", ceil(rows * own.epochs / batch), ROWS, weight=weight * batch)


def _batch(own: SftSettings | DpoSettings) -> int:
    return own.batch_size * own.gradient_accumulation


def _proof(settings: CycleSettings, conversations: int, number: int) -> Iterator[Leg]:
    """Foresee how a round is measured: between SFT and DPO, whole, with the users of the start, and its findings."""
    stage, recipe = f"round-{number}", resolve_recipe(settings.align)
    if recipe.sft.enabled and recipe.dpo.enabled:
        yield _measured(settings, f"{stage}-sft", conversations)
    yield _measured(settings, stage, conversations)
    if settings.measure.users == "frozen":
        yield _measured(settings, f"{stage}-frozen", conversations)
    yield Leg(f"attack {stage}-retest", settings.redteam.budget, CALLS)
    yield from _ordinary(settings, stage)


def _measured(settings: CycleSettings, stage: str, conversations: int) -> Leg:
    return Leg(f"measure {stage}", conversations, CALLS, weight=settings.measure.turns)
