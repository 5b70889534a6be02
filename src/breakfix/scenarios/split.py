"""Train, dev and sealed scenarios.

A family (one idea, many wordings) is never divided: a model trained on one wording would otherwise be examined on its
twin. A family's split depends on its own name alone, so that it stays the same from run to run, whatever else is in the
set. This module knows nothing of models or verdicts.
"""

from collections.abc import Iterable, Sequence

from breakfix.identity import seed_of
from breakfix.types import Scenario, Split

SHARES: tuple[tuple[Split, float], ...] = (("train", 0.2), ("dev", 0.4), ("sealed", 0.4))


def split_of(family: str, *, seed: int = 0) -> Split:
    """Draw the split of one family: train, dev or sealed, in the proportions of SHARES."""
    draw = seed_of("split", seed, family) / 0x80000000
    for split, share in SHARES:
        if draw < share:
            return split
        draw -= share
    return SHARES[-1][0]


def split_families(scenarios: Iterable[Scenario], *, seed: int = 0) -> list[Scenario]:
    """Give the scenarios with the split that each one's family has."""
    return [scenario.model_copy(update={"split": split_of(scenario.family, seed=seed)}) for scenario in scenarios]


def deal(families: Sequence[str], *, seed: int = 0) -> dict[str, Split]:
    """Split a small group of families so that each split has some: in drawn order, by the proportions of SHARES.

    A group of three or more has at least one family in each split.
    """
    drawn = sorted(families, key=lambda family: seed_of("deal", seed, family))
    kinds = len(SHARES)
    dealt: dict[str, Split] = {family: SHARES[kinds - 1 - place][0] for place, family in enumerate(drawn[:kinds])}
    for family in drawn[kinds:]:
        counts = {split: sum(given == split for given in dealt.values()) for split, _ in SHARES}
        dealt[family] = min(SHARES, key=lambda row: counts[row[0]] / row[1])[0]
    return dealt
