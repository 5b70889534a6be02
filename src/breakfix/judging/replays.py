"""Labelled answers as recorded ones: files that a measurement replays, with people's labels beside each answer.

Such a replay is measured like a live model, and its corrected rates can be held against what people said. The rows hold
what models said word for word; they are for the user's own folder, as the set's licence allows.
"""

from collections.abc import Iterable
from typing import NamedTuple

from breakfix.judging.labelled import LABELLED, LabelledRow


class Replay(NamedTuple):
    """The answers of one model."""

    answerer: str
    rows: tuple[dict[str, object], ...]
    left_out: int
    """Further answers to a request: a replay gives one answer to each."""


def replays(rows: Iterable[LabelledRow]) -> list[Replay]:
    """Give a replay for each model that answered, of the first answer to each request, in the order of the set."""
    found: dict[str, dict[str, dict[str, object]]] = {}
    counts: dict[str, int] = {}
    for row in rows:
        request = " ".join((row.entry.scenario.opening or "").split())
        if not request:
            continue
        counts[row.answerer] = counts.get(row.answerer, 0) + 1
        found.setdefault(row.answerer, {}).setdefault(request, _row(row))
    return [Replay(name, tuple(some.values()), counts[name] - len(some)) for name, some in found.items()]


def _row(row: LabelledRow) -> dict[str, object]:
    scenario, known = row.entry.scenario, LABELLED.get(row.set_name)
    # Labels of plain cases only are no random sample, and would correct wrongly: every answer's label is taken.
    is_whole = known is None or "refusal" not in known.plain_only
    told = {
        "human_harmful": row.truth.harmful,
        "human_label": row.truth.refusal if is_whole else row.truth.read_refusal,
    }
    return {
        "prompt": scenario.opening,
        "completion": row.entry.conversation.turns[-1].content,
        "kind": scenario.kind,
        "family": row.cluster,
        "source": row.set_name,
        "licence": known.licence if known else "unstated",
        "max_turns": 1,
        **({"grounding": scenario.grounding} if scenario.grounding else {}),
        "truth": {name: value for name, value in told.items() if value is not None},
    }
