"""`breakfix judge`: recorded answers through any judge, and how good a judge is."""

import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, NamedTuple, TypeVar

import typer

from breakfix.cli.options import CYCLE, OUT, STORE, Json, Overrides, SettingsFile, StoreFolder
from breakfix.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from breakfix.judge_alone import Opened
    from breakfix.judge_cards import Sides
    from breakfix.judging.cards import ExamResult, JudgeCard
    from breakfix.judging.labelled import LabelledRow
    from breakfix.judging.recorded import Recorded
    from breakfix.progress import Progress

T = TypeVar("T")
MODEL_ROWS = 200
"""Rows of each set that a judge which asks a model is given, unless --rows says otherwise: they may cost money."""

group = typer.Typer(help="Judge recorded answers, and see how good a judge is.", no_args_is_help=True)

JudgeName = Annotated[str, typer.Argument(metavar="JUDGE", help="refusal, embedded, guard/NAME, a model, or A,B.")]
Rows = Annotated[
    int | None,
    typer.Option(
        "--rows", metavar="N", min=1, help="Of each set, at random; default: all, 200 where models are asked."
    ),
]
KIND = 2
HIDDEN = frozenset({KIND, 9, 10})
"""Columns of a card that are in its files only: a terminal is narrow."""


class Kept(NamedTuple):
    """Where a judge's calls are kept, and how models are reached."""

    store: Path
    settings: Path | None
    overrides: list[str] | None


class Written(NamedTuple):
    """What became of the rows of a file."""

    rows: int
    unscored: Counter[str]
    """Cause -> rows."""


def register(app: typer.Typer) -> None:
    """Add the group to the app."""
    app.add_typer(group, name="judge", rich_help_panel=CYCLE)


@group.command("run")
def run_judge(
    judge: JudgeName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSONL of {request, answer} or {messages}.")],
    to: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Default: standard output.")] = None,
    settings: SettingsFile = None,
    overrides: Overrides = None,
    store: StoreFolder = STORE,
) -> None:
    """Judge recorded answers, a line of JSON each, in the order of the file.

    A row may also say id, measure, harm, kind, language, grounding. A judge that asks a model goes on where it was
    stopped when the same command is given again.

    Example: breakfix judge run refusal answers.jsonl --out verdicts.jsonl
    """
    from breakfix.cli.live import watch
    from breakfix.cli.results import warn_of_text
    from breakfix.errors import DataError
    from breakfix.judging.recorded import read_recorded

    if to is not None and to.resolve() == file.resolve():
        raise DataError(f"--out {str(to)!r} is the file of answers itself. Choose another: it would be written over.")
    entries = read_recorded(file)
    progress = watch(quiet=to is None)

    async def work(opened: "Opened") -> Written:
        progress.stage(f"judge {file.name}")
        with _lines(to) as stream:
            found = await _write(opened, entries, stream, progress)
            if not found.rows:
                raise DataError(f"{file} holds no rows. A row is {{request, answer}} or {{messages}}.")
        progress.done()
        return found

    found = _with_judge(judge, str(file.resolve()), work, Kept(store, settings, overrides))
    if found.unscored:
        cause, n = found.unscored.most_common(1)[0]
        typer.echo(f"Unscored: {found.unscored.total():,} of {found.rows:,}; {counted(n, 'time')} {cause}", err=True)
    if to is not None:
        typer.echo(f"{counted(found.rows, 'verdict')} written to {to}")
        warn_of_text(to, "evidence, quoted")


@group.command("card")
def judge_card(
    judge: JudgeName,
    labels: Annotated[
        list[str] | None,
        typer.Option("--labels", metavar="SET", help="A JSONL file of your own, or a published set. Repeatable."),
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="What people labelled of that run (breakfix label).")
    ] = None,
    rows: Rows = None,
    settings: SettingsFile = None,
    overrides: Overrides = None,
    store: StoreFolder = STORE,
    as_json: Json = False,
) -> None:
    """Ask a judge about answers that people labelled, and keep its card: how far it agrees with them.

    Without --labels and --run: every published set under BREAKFIX_DATA. From then on measure and report show the
    card's line.

    Example: breakfix judge card refusal --labels my-labels.jsonl
    """
    from breakfix.judge_cards import Wanted, load_card, make_card, save_card
    from breakfix.judging.cards import JudgeCard

    own = _labelled_in(store, run) if run else []

    async def work(opened: "Opened") -> JudgeCard:
        before = load_card(store, opened.judge.judge_id)
        most = rows or (MODEL_ROWS if opened.run else None)
        return await make_card(opened, Wanted(tuple(labels or ()), most, own=own), before=before)

    card = _with_judge(judge, "card", work, Kept(store, settings, overrides))
    path = save_card(store, card)
    if as_json:
        from breakfix.cli.results import print_json

        print_json({"card": card, "paths": {"card": str(path)}})
        return
    _show_card(card)
    typer.echo(f"Card: {path} and {path.with_suffix('.md').name}")


@group.command("exam")
def judge_exam(
    judge: JudgeName,
    settings: SettingsFile = None,
    overrides: Overrides = None,
    store: StoreFolder = STORE,
    as_json: Json = False,
) -> None:
    """Let a judge sit the exam: whether a change that means nothing turns its verdict.

    Words to the judge in the answer, a refusal that is taken back, a disclaimer, a story, an apology, nothing, garbage,
    and eleven languages beside English. The flip rates go onto the judge's card.

    Example: breakfix judge exam refusal
    """
    from breakfix.judge_cards import blank_card, load_card, save_card, sit_exam
    from breakfix.judging.cards import JudgeCard

    async def work(opened: "Opened") -> JudgeCard:
        known = load_card(store, opened.judge.judge_id) or blank_card(opened)
        return known.model_copy(update={"exam": await sit_exam(opened)})

    card = _with_judge(judge, "exam", work, Kept(store, settings, overrides))
    path = save_card(store, card)
    if as_json:
        from breakfix.cli.results import print_json

        print_json({"judge": card.judge, "judge_id": card.judge_id, "exam": card.exam, "paths": {"card": str(path)}})
        return
    if card.exam:
        _show_exam(card.exam, card.judge)
    typer.echo(f"Card: {path} and {path.with_suffix('.md').name}")


@group.command("compare")
def compare(
    a: JudgeName,
    b: JudgeName,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="JSONL, or a labelled set; default: all.")
    ] = None,
    rows: Rows = None,
    settings: SettingsFile = None,
    overrides: Overrides = None,
    store: StoreFolder = STORE,
    as_json: Json = False,
) -> None:
    """Set two judges side by side on the same rows: each against people, where they labelled, and with each other.

    Example: breakfix judge compare refusal embedded do-not-answer
    """
    from breakfix.judge_cards import Sides, compare_judges
    from breakfix.judging.labelled import present_sets, read_labelled

    if a == b:
        raise typer.BadParameter("the same judge twice; name two")
    names = [file] if file else present_sets()
    if not names:
        raise typer.BadParameter("give a FILE, or set BREAKFIX_DATA to the folder of the published sets")

    async def work(first: "Opened") -> list[Sides]:
        async with _opening(b, "compare", Kept(store, settings, overrides)) as second:
            most = rows or (MODEL_ROWS if first.run or second.run else None)
            found = [row for name in names for row in read_labelled(name, most=most, also_bare=True)]
            return await compare_judges(first, second, found)

    sides = _with_judge(a, "compare", work, Kept(store, settings, overrides))
    if as_json:
        from breakfix.cli.results import print_json

        print_json({"a": a, "b": b, "rows_from": names, "sides": sides})
        return
    _show_sides(a, b, sides)


@group.command("answers")
def answers(
    labelled: Annotated[str, typer.Argument(metavar="SET", help="A labelled set, or a JSONL file of your own.")],
    to: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="A file for each model that answered.")],
) -> None:
    """Write a set's labelled answers as recordings that a measurement replays, people's labels beside them.

    So the rates of real models, corrected for the judge's errors, can be held against what people said.

    Example: breakfix judge answers do-not-answer --out answers, and then:
    breakfix measure -t replay/answers/do-not-answer-GPT4.jsonl -j embedded --measures jailbreak
    """
    import orjson

    from breakfix.cli.results import warn_of_text
    from breakfix.errors import DataError
    from breakfix.judging.labelled import LABELLED, read_labelled
    from breakfix.judging.replays import replays

    found = replays(read_labelled(labelled))
    if not found:
        raise DataError(f"{labelled} holds texts without requests, which nothing can replay.")
    for one in found:
        path = to / "-".join(part for part in (Path(labelled).stem, one.answerer) if part)
        path = path.with_name(f"{path.name}.jsonl")
        with _lines(path) as stream:
            stream.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in one.rows)
        left = f" ({one.left_out} further answers to the same requests left out)" if one.left_out else ""
        typer.echo(f"{counted(len(one.rows), 'answer')} written to {path}{left}")
    licence = LABELLED[labelled].licence if labelled in LABELLED else "your own"
    typer.echo(f"Licence: {licence}.", err=True)
    warn_of_text(to, "what models said")


def _labelled_in(store: Path, run: str) -> "list[LabelledRow]":
    from breakfix.cli.session import stored
    from breakfix.labels import labelled_rows

    with stored(store) as opened:
        return labelled_rows(opened, run)


def _with_judge(name: str, about: str, work: "Callable[[Opened], Awaitable[T]]", kept: Kept) -> T:
    """Open a judge, do the work, and close it whatever happens."""
    from breakfix.cli.session import to_its_end

    async def whole() -> T:
        async with _opening(name, about, kept) as opened:
            return await work(opened)

    return to_its_end(whole())


def _opening(name: str, about: str, kept: Kept) -> "AbstractAsyncContextManager[Opened]":
    from breakfix.cli.options import read_settings
    from breakfix.judge_alone import open_alone
    from breakfix.project import Project

    settings = read_settings(kept.settings, kept.overrides, {"judge": name})
    return open_alone(name, about, project=Project(kept.store, OUT), settings=settings)


async def _write(opened: "Opened", entries: "Iterable[Recorded]", stream: IO[bytes], progress: "Progress") -> Written:
    import orjson

    from breakfix.judge_alone import judged
    from breakfix.judging.recorded import written

    count, unscored = 0, Counter[str]()
    async for entry, verdict in judged(opened, entries):
        unscored.update([verdict.unscored] if verdict.unscored else [])
        stream.write(orjson.dumps(written(entry, verdict), option=orjson.OPT_APPEND_NEWLINE))
        if opened.run is not None:
            stream.flush()
        count += 1
        progress.advance()
    return Written(count, unscored)


@contextmanager
def _lines(path: Path | None) -> Generator[IO[bytes]]:
    """Give where lines go: standard output, or a file that appears whole or not at all. Raises DataError."""
    from breakfix.errors import DataError
    from breakfix.files import draft_of

    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft_of(path) as draft, draft.open("wb") as stream:
            yield stream
    except OSError as error:
        raise DataError(f"Cannot write {str(path)!r}: {error.strerror}. Choose another --out.") from None


def _show_card(card: "JudgeCard") -> None:
    from breakfix.cli.results import show_table
    from breakfix.judging.cards_page import AGREEMENT_HEAD, WARNING, agreement_rows

    parts = ", ".join(f"{name} {part}" for name, part in card.parts.items())
    typer.echo(f"Judge {card.judge}, identity {card.judge_id}" + (f": {parts}" if parts else ""))
    every = agreement_rows(card)
    whole = [row for row in every if not row[KIND]]
    rows = [[cell for place, cell in enumerate(row) if place not in HIDDEN] for row in whole]
    head = [name for place, name in enumerate(AGREEMENT_HEAD) if place not in HIDDEN]
    show_table("Agreement with people", head, rows)
    if len(every) > len(whole):
        typer.echo(f"{counted(len(every) - len(whole), 'row')} more, by kind of harm: on the card, and with --json.")
    typer.echo(WARNING, err=True)
    if card.exam:
        _show_exam(card.exam, card.judge)


def _show_exam(exam: "ExamResult", judge: str) -> None:
    from breakfix.cli.results import show_table
    from breakfix.judging.cards_page import EXAM_HEAD, exam_rows, exam_warnings

    show_table(f"Exam of judge {judge}", EXAM_HEAD, exam_rows(exam))
    for warning in exam_warnings(exam):
        typer.echo(warning, err=True)


def _show_sides(a: str, b: str, sides: "list[Sides]") -> None:
    from breakfix.cli.results import chance, number, show_table
    from breakfix.judging.cards import QUESTIONS
    from breakfix.judging.cards_page import coefficient

    head = ("question", "n", f"{a} agrees", f"{b} agrees", "second less first", "interval", "p", "only the first right",
            "only the second right", "kappa of both", "rows of both")  # fmt: skip
    rows = [
        (QUESTIONS[one.question], str(one.n), number(one.a_agrees, 3), number(one.b_agrees, 3),
         number(one.difference, 3), f"{number(one.low, 3)} to {number(one.high, 3)}", chance(one.p), str(one.only_a),
         str(one.only_b),
         coefficient(one.kappa), str(one.kappa.n))
        for one in sides
    ]  # fmt: skip
    show_table(f"{a} and {b} on the same rows", head, rows)
    if not sides:
        typer.echo("There is no question that both judge.", err=True)
