"""Train, dev and sealed scenarios.

A family (one idea, many wordings) is never divided: a model trained on one wording would otherwise be examined on its
twin. A family's split depends on the names of its group (a harm's objectives) alone, so that it is the same in every
run, whatever is measured. This module knows nothing of models or verdicts.
"""

from collections.abc import Sequence

from breakfix.identity import seed_of
from breakfix.types import Split

SHARES: tuple[tuple[Split, float], ...] = (("train", 0.2), ("dev", 0.4), ("sealed", 0.4))


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
