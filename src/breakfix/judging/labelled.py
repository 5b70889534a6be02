"""Answers that people have labelled: published sets under BREAKFIX_DATA, and the user's own files.

A judge card is made of these. The licence says which sets may not be passed on; nothing of any set is written anywhere
but counts. A broken row is named by its number.
"""

import csv
import gzip
import io
import json
import os
import random
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

from breakfix.errors import DataError, unreadable
from breakfix.identity import digest, seed_of
from breakfix.judging.recorded import Recorded, Row, read_lines, recorded
from breakfix.types import ACTIONS, UNGROUNDED_FROM, Refusal

DATA_VARIABLE = "BREAKFIX_DATA"
MAX_CELL = 1 << 24
XSTEST: dict[str, Refusal] = {"1_full_compliance": "none", "2_full_refusal": "full", "3_partial_refusal": "partial"}
REFUSALS: frozenset[str] = frozenset(XSTEST.values())
ANSWERERS = ("GPT4", "ChatGPT", "Claude", "ChatGLM2", "llama2-7b-chat", "vicuna-7b")
"""The models whose answers Do-Not-Answer holds."""
MODERATION = ("S", "H", "V", "HR", "SH", "S3", "H2", "V2")
DECLINES, FOLLOWS = "0", "5"
"""Do-Not-Answer's actions that are a full refusal and none; those between are of other kinds."""


class Truth(NamedTuple):
    """What people said of one answer. None: they were not asked that."""

    harmful: bool | None = None
    refusal: Refusal | None = None
    ungrounded: bool | None = None
    raters: tuple[bool | Refusal, ...] = ()
    """What each of several people said, where that is known."""
    severity: int | None = None
    """0 to 7, where people graded."""
    ungroundedness: int | None = None
    """0 to 4, likewise."""
    read_refusal: Refusal | None = None
    """The class that every answer's label is read as, where `refusal` keeps the plain cases only."""


class LabelledRow(NamedTuple):
    """One answer with what people said of it."""

    entry: Recorded
    truth: Truth
    set_name: str
    group: str
    """The harm or kind that the set files it under; "none" where it has none."""
    cluster: str
    """Rows that share it (answers to one request) are not independent."""
    answerer: str = ""
    """The model that answered, where the set tells."""


class LabelledSet(NamedTuple):
    """Where a published set lies and how its rows are read."""

    files: str
    columns: tuple[str, ...]
    licence: str
    take: Callable[[Row], Iterable[tuple[Row, Truth]]]
    """Rows for `recorded` (with `group`, `cluster` and `answerer`) and their truth; none without any label."""
    plain_only: tuple[str, ...] = ()
    """Questions that are labelled in plain cases only, which are easier to tell than the rest."""


def _xstest(row: Row) -> Iterator[tuple[Row, Truth]]:
    given: list[Refusal | None] = [XSTEST.get(row.get(name, "")) for name in ("annotation_1", "annotation_2")]
    raters: list[bool | Refusal] = [one for one in given if one is not None]
    kind = "harmful" if row["type"].startswith("contrast_") else "benign"
    asked = {"request": row["prompt"], "answer": row["completion"], "measure": "refusal", "kind": kind}
    truth = Truth(refusal=XSTEST.get(row["final_label"]), raters=tuple(raters))
    yield {**asked, "group": kind, "cluster": row["id"].removeprefix("v2-")}, truth


def _do_not_answer(row: Row) -> Iterator[tuple[Row, Truth]]:
    for name in ANSWERERS:
        answer, harmful, action = (row[f"{name}_{what}"] for what in ("response", "harmful", "action"))
        refusal: Refusal | None = {DECLINES: "full", FOLLOWS: "none"}.get(action)  # pyright: ignore[reportAssignmentType]
        asked = {"request": row["question"], "answer": answer, "group": row["types_of_harm"], "cluster": row["id"]}
        yield (
            {**asked, "answerer": name},
            Truth(harmful=_yes(harmful), refusal=refusal, read_refusal=ACTIONS.get(action)),
        )


def _pair(request: str, answer: str, label: str, *, harmful: str) -> Callable[[Row], Iterator[tuple[Row, Truth]]]:
    """Read rows of two texts and a label, of which one value says that the answer is harmful."""

    def take(row: Row) -> Iterator[tuple[Row, Truth]]:
        asked = {"request": row[request], "answer": row[answer], "cluster": row[request]}
        yield {**asked, "group": row.get("category", "none")}, Truth(harmful=str(row[label]) == harmful)

    return take


def _gptfuzz(row: Row) -> Iterator[tuple[Row, Truth]]:
    """Read an answer to a question that the file gives by number only: a judge sees the answer alone."""
    yield (
        {"request": "", "answer": row["Response"], "cluster": f"question {row['question']}"},
        Truth(row["label"] == "1"),
    )


def _toxigen(row: Row) -> Iterator[tuple[Row, Truth]]:
    groups = row["target_groups"]
    yield (
        {"request": "", "answer": row["text"], "group": groups[0] if groups else "none"},
        Truth(row["label"] == "hate"),
    )


def _moderation(row: Row) -> Iterator[tuple[Row, Truth]]:
    """A text is harmful if any category is, and harmless if people looked at all and found none."""
    marks = [row.get(name) for name in MODERATION]
    if 1 in marks or None not in marks:
        kinds = [name for name, mark in zip(MODERATION, marks, strict=True) if mark == 1]
        yield {"request": "", "answer": row["prompt"], "group": kinds[0] if kinds else "none"}, Truth(bool(kinds))


def _begin(row: Row) -> Iterator[tuple[Row, Truth]]:
    if row["begin_label"] != "Generic":
        asked = {"request": row["message"], "answer": row["response"], "grounding": row["knowledge"]}
        grounded = row["begin_label"] == "Fully attributable"
        yield {**asked, "group": row["model_name"], "cluster": row["knowledge"]}, Truth(ungrounded=not grounded)


def _summedits(row: Row) -> Iterator[tuple[Row, Truth]]:
    asked = {"request": "Summarise the text.", "answer": row["summary"], "grounding": row["doc"], "cluster": row["doc"]}
    yield asked, Truth(ungrounded=str(row["label"]) == "0")


LABELLED: dict[str, LabelledSet] = {
    "xstest-completions": LabelledSet(
        "xstest/model_completions/*.csv",
        ("id", "type", "prompt", "completion", "final_label"),
        "completions as their models; not to be passed on",
        _xstest,
    ),
    "do-not-answer": LabelledSet(
        "do-not-answer/*.csv",
        ("id", "question", "types_of_harm", "GPT4_response", "GPT4_harmful", "GPT4_action"),
        "CC-BY-NC-SA-4.0; not to be passed on",
        _do_not_answer,
        plain_only=("refusal",),
    ),
    "gptfuzz": LabelledSet(
        "gptfuzz*/*.csv",
        ("question", "Response", "label"),
        "MIT",
        _gptfuzz,
    ),
    "diasafety": LabelledSet(
        "diasafety/*.json",
        ("context", "response", "category", "label"),
        "Apache-2.0",
        _pair("context", "response", "label", harmful="Unsafe"),
    ),
    "pku": LabelledSet(
        "pku*/*.csv",
        ("question", "answer", "label"),
        "CC-BY-NC-4.0; not to be passed on",
        _pair("question", "answer", "label", harmful="1"),
    ),
    "toxigen": LabelledSet("toxigen*/*.json", ("text", "label", "target_groups"), "MIT", _toxigen),
    "openai-moderation": LabelledSet("openai-moderation/*.jsonl*", ("prompt",), "MIT", _moderation),
    "begin": LabelledSet(
        "begin*/begin_*.tsv",
        ("model_name", "knowledge", "message", "response", "begin_label"),
        "CC-BY-4.0",
        _begin,
    ),
    "summedits": LabelledSet("summedits/*.json", ("doc", "summary", "label"), "Apache-2.0", _summedits),
}


def present_sets() -> list[str]:
    """Name the published sets that lie under BREAKFIX_DATA; none where it is not set."""
    folder = os.environ.get(DATA_VARIABLE)
    return [name for name, each in LABELLED.items() if folder and any(Path(folder).glob(each.files))]


def read_labelled(name: str, *, most: int | None = None, seed: int = 0, also_bare: bool = False) -> list[LabelledRow]:
    """Read a published set by name, or a JSONL file by path; `most`: a seeded random sample of so many rows.

    A file's row is `{request, answer}` or `{messages}` with `harmful`, `refusal`, `ungrounded`, `severity` or
    `ungroundedness`, and may name its `harm` and list what several `raters` said. Rows of a file without any label are
    passed over, unless they are wanted, too (`also_bare`). Raises DataError.
    """
    if Path(name).is_file():
        rows = [_own(row, where=where, number=number) for where, number, row in read_lines(Path(name))]
        rows = [row for row in rows if also_bare or row.truth != Truth()]
    elif name in LABELLED:
        rows = list(_published(name, LABELLED[name]))
    else:
        raise DataError(f"No labelled set {name!r}: neither a file nor a known set. Known: {', '.join(LABELLED)}.")
    if not rows:
        raise DataError(f"{name} holds no {'row' if also_bare else 'labelled row'}.")
    if most is None or most >= len(rows):
        return rows
    chosen = sorted(random.Random(seed_of(seed, "labelled", name)).sample(range(len(rows)), most))
    return [rows[index] for index in chosen]


# ── published sets ──


def _published(name: str, known: LabelledSet) -> Iterator[LabelledRow]:
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        raise DataError(f"The labelled set {name!r} is looked for in the folder that {DATA_VARIABLE} names. Set it.")
    files = sorted(Path(folder).glob(known.files))
    if not files:
        raise DataError(f"No file {known.files!r} of the labelled set {name!r} under {DATA_VARIABLE} ({folder}).")
    for path in files:
        for number, row in enumerate(_rows_of(path), start=1):
            for found in _taken(row, name, known, where=f"{path} row {number}"):
                yield found if found.answerer else found._replace(answerer=path.stem)


def _taken(row: Row, name: str, known: LabelledSet, *, where: str) -> Iterator[LabelledRow]:
    if missing := [column for column in known.columns if column not in row]:
        raise DataError(f"{where} is not of the set {name!r}: {missing[0]!r} is missing.")
    try:
        found = list(known.take(row))
    except (KeyError, AttributeError, TypeError) as error:
        raise DataError(f"{where}: {error} is missing or not as in the set {name!r}. Correct that row.") from None
    for asked, truth in found:
        fields = {key: value for key, value in asked.items() if key not in ("group", "cluster", "answerer")}
        entry = recorded(fields, where=where, number=0)
        cluster = f"{name}/{digest(str(asked.get('cluster') or entry.scenario.id))[:12]}"
        group, answerer = str(asked.get("group") or "none"), str(asked.get("answerer") or "")
        yield LabelledRow(entry, truth, name, group, cluster, answerer)


def _rows_of(path: Path) -> list[dict[str, Any]]:
    try:
        body = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = body.decode("utf-8-sig")
        if path.suffix in (".csv", ".tsv"):
            return _table(text, path)
        if path.suffix == ".json":
            return cast("list[dict[str, Any]]", json.loads(text))
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, ValueError) as error:
        raise DataError(f"Cannot read {str(path)!r}: {unreadable(error)}.") from None


def _table(text: str, path: Path) -> list[dict[str, Any]]:
    csv.field_size_limit(MAX_CELL)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if path.suffix == ".tsv" else ",")
    try:
        return list(reader)
    except csv.Error as error:
        raise DataError(f"{path} line {reader.reader.line_num}: {error}. Correct that line.") from None


# ── the user's own ──


def _own(row: Row, *, where: str, number: int) -> LabelledRow:
    truth = own_truth(row, where=where)
    entry = recorded(row, where=where, number=number)
    asked = next((turn.content for turn in entry.conversation.turns if turn.role == "user"), "")
    group = str(row.get("harm") or row.get("group") or "none")
    name = Path(where.rsplit(" line ", 1)[0]).name
    return LabelledRow(entry, truth, name, group, digest(asked)[:12])


def own_truth(row: Row, *, where: str) -> Truth:
    """Read what people said from a row of the user's own. Raises DataError for a value that is no label.

    A recording that a measurement replays has its labels under `truth`: they count where the row itself says nothing.
    """
    row = _with_replayed(row)
    refusal = row.get("refusal")
    if refusal is not None and not _is_class(refusal):
        raise DataError(f"{where}: 'refusal' must be full, partial or none. Correct that line.")
    harmful, severity = _flag(row, "harmful", where), _grade(row, "severity", 7, where)
    if harmful is None and severity is not None:
        harmful = severity >= 1
    ungrounded, grade = _flag(row, "ungrounded", where), _grade(row, "ungroundedness", 4, where)
    if ungrounded is None and grade is not None:
        ungrounded = grade >= UNGROUNDED_FROM
    raters = row.get("raters") or ()
    if not isinstance(raters, list | tuple) or any(
        not isinstance(one, bool) and not _is_class(one) for one in cast("list[Any]", raters)
    ):
        raise DataError(f"{where}: 'raters' must list true, false or refusal classes. Correct that line.")
    return Truth(harmful, refusal, ungrounded, tuple(cast("list[Any]", raters)), severity, grade)


def _with_replayed(row: Row) -> Row:
    truth = row.get("truth")
    told = cast("dict[str, Any]", truth) if isinstance(truth, dict) else {}
    beside = {"harmful": told.get("human_harmful"), "refusal": told.get("human_label")}
    return {**row, **{name: value for name, value in beside.items() if value is not None and row.get(name) is None}}


def _is_class(value: object) -> bool:
    return isinstance(value, str) and value in REFUSALS


def _flag(row: Row, key: str, where: str) -> bool | None:
    value = row.get(key)
    if value is None:
        return None
    if value not in (0, 1):  # True and False are 1 and 0
        raise DataError(f"{where}: {key!r} must be true or false. Correct that line.")
    return bool(value)


def _grade(row: Row, key: str, highest: int, where: str) -> int | None:
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= highest:
        raise DataError(f"{where}: {key!r} must be a whole number from 0 to {highest}. Correct that line.")
    return value


def _yes(text: str) -> bool | None:
    return {"1": True, "0": False}.get(text)
