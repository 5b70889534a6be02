"""Make, keep and find judge cards; let a judge sit the exam; set two judges side by side.

Cards lie in the project's folder, `.breakfix/judges/<judge_id>.json`, with a page to read beside; those of the offline
judges come with the package (bench/packaged_cards.py makes them). A judge whose prompt,
model or limits changed has another id, and so no card. Everything that speaks of a judge takes its line from here.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from breakfix.errors import DataError
from breakfix.files import write_whole
from breakfix.identity import seed_of, version
from breakfix.judge_alone import Opened, judged
from breakfix.judging.cards import (
    QUESTIONS,
    Agreement,
    ExamResult,
    JudgeCard,
    Judged,
    LabelledFacts,
    Question,
    Share,
    agreements,
    is_positive,
    pooled_anew,
    said,
    truth_of,
)
from breakfix.judging.cards_page import card_page, in_words
from breakfix.judging.exam import always_said, load_exam, mark
from breakfix.judging.labelled import LABELLED, LabelledRow, present_sets, read_labelled
from breakfix.packaged import data_file
from breakfix.protocols import Judge
from breakfix.statistics.agreement import cohen_kappa
from breakfix.statistics.intervals import Precision
from breakfix.statistics.paired import paired_interval, paired_test
from breakfix.types import Noun, Verdict
from breakfix.wording import counted

FOLDER = "judges"
TRIED_FIRST = 20
"""Rows of a set that are judged to see whether the judge judges what the set's labels say."""
SHORT = 6
"""Digits of a judge's id in its line."""
OWN_FILE = "your own"


class Sides(Noun):
    """Two judges on one question, over the same rows."""

    question: Question
    n: int
    """Rows that people labelled and both judges answered."""
    clusters: int
    a_agrees: float | None
    b_agrees: float | None
    difference: float | None
    """Of b over a."""
    low: float | None
    high: float | None
    p: float | None
    """McNemar's exact test; by request where several rows share one."""
    only_a: int
    """Rows on which a agrees with people and b does not."""
    only_b: int
    kappa: Share
    """Of the two judges with each other, on every row that both answered."""


class Wanted(NamedTuple):
    """Which labelled rows a card is made of."""

    sets: Sequence[str] = ()
    """Published names and files; none: every published set that is there."""
    rows: int | None = None
    """So many of each set at most, drawn at random; None: all."""
    seed: int = 0
    own: Sequence[LabelledRow] = ()
    """Conversations of a run that people labelled: with these, sets are taken only if they are named."""


# ── cards ──


def load_card(folder: Path, judge_id: str) -> JudgeCard | None:
    """Read a judge's card from a project's `.breakfix` folder, or the packaged one of an offline judge.

    None where there is neither. Raises DataError.
    """
    path = card_path(folder, judge_id)
    if not path.exists() and judge_id.isalnum():
        path = Path(str(data_file(f"cards/{judge_id}.json")))
    try:
        return JudgeCard.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        cause = getattr(error, "strerror", None) or "it is not a judge card of this version"
        raise DataError(
            f"Cannot read {str(path)!r}: {cause}. Remove it, and make it anew: breakfix judge card"
        ) from None


def save_card(folder: Path, card: JudgeCard) -> Path:
    """Write a card as JSON and as a page to read; gives the JSON file. Raises DataError."""
    path = card_path(folder, card.judge_id)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, card.model_dump_json(indent=2).encode())
        write_whole(path.with_suffix(".md"), card_page(card).encode())
    except OSError as error:
        raise DataError(f"Cannot write {str(path)!r}: {error.strerror}. Give another place with --store.") from None
    return path


def card_path(folder: Path, judge_id: str) -> Path:
    """Say where a judge's card lies."""
    return folder / FOLDER / f"{judge_id}.json"


def blank_card(opened: Opened) -> JudgeCard:
    """Begin a card: who the judge is, and what its identity is made of."""
    return JudgeCard(
        judge=opened.name,
        judge_id=opened.judge.judge_id,
        parts=parts_of(opened.judge),
        date=today(),
        version=version(),
    )


def parts_of(judge: Judge) -> dict[str, str]:
    """Say what a judge's identity is made of, as far as it tells."""
    told: Mapping[str, object] = getattr(judge, "parts", {})
    return {name: str(part) for name, part in told.items()}


def made_on(judge: Judge) -> frozenset[str]:
    """Name the labelled sets that a judge was made on, as far as it tells."""
    return frozenset(getattr(judge, "made_on", ()))


async def make_card(opened: Opened, wanted: Wanted, *, before: JudgeCard | None = None) -> JudgeCard:
    """Ask a judge about labelled rows, and count how far it agrees with people.

    An earlier card's exam stays, and so do its other sets: only those that are judged now are replaced.

    A set whose labels say nothing that the judge judges is left out after a few rows. Raises DataError without any.
    """
    found: list[Judged] = []
    tried: list[Verdict] = []
    facts: list[LabelledFacts] = []
    seen = made_on(opened.judge)
    names = wanted.sets or (() if wanted.own else present_sets())
    own = {one.set_name: wanted.own for one in wanted.own[:1]}
    for name in (*own, *names):
        rows = some_of(own[name], wanted) if name in own else read_labelled(name, most=wanted.rows, seed=wanted.seed)
        random.Random(seed_of(wanted.seed, "order", name)).shuffle(rows)
        judged_rows = await _judge_set(opened, rows, tried)
        if judged_rows:
            facts.append(_facts(name, rows, seen))
            found += judged_rows
    if not found:
        refuse_silence(opened, tried)
        places = ", ".join((*own, *names)) or "no published set: BREAKFIX_DATA names no folder that holds one"
        raise DataError(
            f"No labels for what judge {opened.name!r} judges (looked at: {places}). Give your own with --labels FILE."
        )
    card = blank_card(opened)
    made = card.model_copy(update={"sets": tuple(facts), "agreements": agreements(found, seen=seen, seed=wanted.seed)})
    return made if before is None else _joined(before, made)


def _joined(before: JudgeCard, made: JudgeCard) -> JudgeCard:
    """Keep what an earlier card has of other sets, and its exam."""
    fresh = {one.name for one in made.sets}
    kept = [one for one in before.sets if one.name not in fresh]
    lines = [one for one in before.agreements if one.set_name in {facts.name for facts in kept}]
    whole = pooled_anew([*lines, *made.agreements], [*made.agreements, *before.agreements])
    return made.model_copy(update={"sets": (*kept, *made.sets), "agreements": whole, "exam": before.exam})


def some_of(rows: Sequence[LabelledRow], wanted: Wanted) -> list[LabelledRow]:
    """Draw as many rows as are wanted of each set, the same for the same seed."""
    if wanted.rows is None or wanted.rows >= len(rows):
        return list(rows)
    return random.Random(seed_of(wanted.seed, "own")).sample(list(rows), wanted.rows)


def _facts(name: str, rows: Sequence[LabelledRow], seen: frozenset[str]) -> LabelledFacts:
    known, of = LABELLED.get(name), rows[0].set_name
    licence, plain_only = (known.licence, known.plain_only) if known else (OWN_FILE, ())
    return LabelledFacts(name=of, licence=licence, rows=len(rows), is_seen=of in seen, plain_only=plain_only)


def refuse_silence(opened: Opened, verdicts: Sequence[Verdict]) -> None:
    """Raise DataError where a judge gave no verdict at all, and say why: nothing is known of it then."""
    causes = Counter(one.unscored for one in verdicts if one.unscored)
    if verdicts and causes.total() == len(verdicts):
        cause = causes.most_common(1)[0][0].rstrip(". ")
        raise DataError(
            f"Judge {opened.name!r} gave no verdict on any of {counted(len(verdicts), 'answer')}: {cause}."
            f" See whether it answers: breakfix doctor -m {opened.name}"
        )


async def _judge_set(opened: Opened, rows: Sequence[LabelledRow], tried: list[Verdict]) -> list[Judged]:
    first = await _judge_rows(opened, rows[:TRIED_FIRST])
    tried += [one.verdict for one in first]
    if not any(_is_answered(one) for one in first):
        return []
    return first + await _judge_rows(opened, rows[TRIED_FIRST:])


def _is_answered(one: Judged) -> bool:
    truth, verdict = one.row.truth, one.verdict
    return any(truth_of(asked, truth) is not None and said(asked, verdict) is not None for asked in QUESTIONS)


async def _judge_rows(opened: Opened, rows: Sequence[LabelledRow]) -> list[Judged]:
    verdicts = [verdict async for _, verdict in judged(opened, (row.entry for row in rows))]
    return [Judged(row, verdict) for row, verdict in zip(rows, verdicts, strict=True)]


async def sit_exam(opened: Opened) -> ExamResult:
    """Let a judge sit the exam. Raises DataError where it gave no verdict at all.

    Raises what the judge raises, too: `lab/exact` judges nothing outside the lab.
    """
    exam = load_exam()
    verdicts = {entry.conversation.id: verdict async for entry, verdict in judged(opened, exam.forms())}
    refuse_silence(opened, list(verdicts.values()))
    always = always_said(verdicts.values())
    return ExamResult(exam_id=exam.exam_id, date=today(), kinds=mark(exam.cases, verdicts), always=always)


def judge_line(name: str, judge_id: str, card: JudgeCard | None) -> str:
    """Say in one line who judged, and how far people agree: what stands beside every table."""
    if name == "lab/exact":
        return f"judge: {name}, exact by construction"
    if not judge_id:
        return "judge: none yet"
    who = f"judge: {judge_id[:SHORT]}" if name == judge_id else f"judge: {name} {judge_id[:SHORT]}"
    if card is None or not card.agreements:
        return f"{who}, no card{f' (breakfix judge card {name})' if name != judge_id else ''}"
    seen = ", ".join(one.name for one in card.sets if one.is_seen)
    made = f"; made with sight of {seen}, where agreement says nothing of its quality" if seen else ""
    return f"{who}, agreement with people: {'; '.join(in_words(card, one) for one in _pooled(card))}{made}"


def _pooled(card: JudgeCard) -> Iterable[Agreement]:
    return [found for question in QUESTIONS if (found := card.pooled(question)) is not None]


# ── two judges ──


async def compare_judges(a: Opened, b: Opened, rows: Sequence[LabelledRow], *, seed: int = 0) -> list[Sides]:
    """Set two judges side by side on the same rows: each against people, and against each other.

    Raises DataError where one of them gave no verdict at all.
    """
    one, other = await _judge_rows(a, rows), await _judge_rows(b, rows)
    for opened, found in ((a, one), (b, other)):
        refuse_silence(opened, [row.verdict for row in found])
    pairs = list(zip(one, other, strict=True))
    precision = Precision(seed=seed)
    return [sides for question in QUESTIONS if (sides := _sides(question, pairs, precision)) is not None]


class _Answered(NamedTuple):
    """What both judges, and perhaps people, said of a row."""

    a: bool
    b: bool
    true: bool | None
    cluster: str


def _sides(question: Question, pairs: Sequence[tuple[Judged, Judged]], precision: Precision) -> Sides | None:
    both = [found for one, other in pairs if (found := _answered(question, one, other)) is not None]
    if not both:
        return None
    alike = cohen_kappa(
        [one.a for one in both],
        [one.b for one in both],
        clusters=[one.cluster for one in both],
        precision=precision,
    )
    labelled = [one for one in both if one.true is not None]
    a = [float(one.a == one.true) for one in labelled]
    b = [float(one.b == one.true) for one in labelled]
    clusters = [one.cluster for one in labelled]
    low, high = paired_interval(a, b, clusters, precision) if labelled else (None, None)
    return Sides(
        question=question,
        n=len(labelled),
        clusters=len(set(clusters)),
        a_agrees=sum(a) / len(a) if a else None,
        b_agrees=sum(b) / len(b) if b else None,
        difference=(sum(b) - sum(a)) / len(a) if a else None,
        low=low,
        high=high,
        p=paired_test(a, b, clusters) if labelled else None,
        only_a=sum(one > other for one, other in zip(a, b, strict=True)),
        only_b=sum(other > one for one, other in zip(a, b, strict=True)),
        kappa=Share(value=alike.value, low=alike.low, high=alike.high, n=alike.n, method=alike.method),
    )


def _answered(question: Question, one: Judged, other: Judged) -> _Answered | None:
    a, b = said(question, one.verdict), said(question, other.verdict)
    if a is None or b is None:
        return None
    true = truth_of(question, one.row.truth)
    return _Answered(is_positive(a), is_positive(b), None if true is None else is_positive(true), one.row.cluster)


def today() -> str:
    """Give the date, UTC."""
    return datetime.now(UTC).date().isoformat()
