"""`breakfix runs` and `breakfix import`: what the store holds, out of it, into it, or gone from it."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from breakfix.cli.options import LOOK, OUT, STORE, Json, OutFolder, StoreFolder
from breakfix.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from breakfix.cli.session import Place
    from breakfix.eval_logs.bringing import Brought
    from breakfix.eval_logs.foreign import Meaning
    from breakfix.eval_logs.judging import Judged
    from breakfix.store.records import RunSummary


class RowKinds(StrEnum):
    """What may be exported."""

    scenarios = "scenarios"
    conversations = "conversations"
    verdicts = "verdicts"
    labels = "labels"
    findings = "findings"
    datasets = "datasets"
    checkpoints = "checkpoints"


SPOKEN = frozenset({RowKinds.conversations, RowKinds.verdicts, RowKinds.scenarios})
"""Rows that hold or quote what was said, or is to be said."""
MeasureName = Literal["ungroundedness", "third_party", "continuation", "summarization", "jailbreak", "refusal"]
KindName = Literal["harmful", "benign", "borderline"]
SplitName = Literal["train", "dev", "sealed"]


class FileForms(StrEnum):
    """In which form."""

    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"
    eval = "eval"


group = typer.Typer(help="List, export or delete runs.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group and the command to the app."""
    app.add_typer(group, name="runs", rich_help_panel=LOOK)
    app.command("import", rich_help_panel=LOOK)(import_log)


@group.command("list")
def list_runs(store: StoreFolder = STORE, as_json: Json = False) -> None:
    """List the runs of a store: state, target, and how much each holds."""
    from breakfix.cli.session import stored

    with stored(store) as opened:
        summaries = opened.runs()
    if as_json:
        from breakfix.cli.results import print_json

        print_json({"runs": [_plain(each) for each in summaries]})
        return
    if not summaries:
        typer.echo(f"No runs in {store} yet. Start one with: breakfix run SETTINGS, or breakfix demo")
        return
    from breakfix.cli.results import show_table

    rows = [
        (each.record.run, each.record.status, each.record.target or "", str(each.scenarios), str(each.conversations),
         str(each.verdicts), str(each.findings), each.record.updated[:16].replace("T", " "))
        for each in summaries
    ]  # fmt: skip
    head = ("run", "state", "target", "scenarios", "conversations", "verdicts", "findings", "updated (UTC)")
    show_table("Runs", head, rows)


@group.command("export")
def export_run(
    run: Annotated[str, typer.Argument(metavar="RUN")],
    rows: Annotated[RowKinds, typer.Option("--rows", help="Which rows.")] = RowKinds.conversations,
    form: Annotated[FileForms, typer.Option("--format", help="parquet and eval need an extra.")] = FileForms.jsonl,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Default: RUN-ROWS.FORMAT here.")] = None,
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
    as_json: Json = False,
) -> None:
    """Write one kind of rows of a run to a file: JSONL, CSV or Parquet; or the whole as a log for `inspect view`.

    Example: breakfix runs export demo --rows verdicts --format csv --to verdicts.csv
    """
    from breakfix.cli.results import print_json, warn_of_text
    from breakfix.errors import SettingsError
    from breakfix.store.export import export_rows
    from breakfix.store.store import check_run_name

    if to == Path("-"):
        raise SettingsError("--to takes a file, and '-' is none: rows do not go to standard output. Name a file.")
    path = to or Path(f"{check_run_name(run)}-{rows}.{form}")
    if form is FileForms.eval:
        from breakfix.cli.session import Place

        count = _export_log(Place(store, out, run), rows, path)
    else:
        from breakfix.cli.session import stored

        with stored(store) as opened:
            count = export_rows(opened, run, rows.value, path=path, form=form.value)
    if as_json:
        print_json({"run": run, "rows": rows.value, "count": count, "path": str(path)})
    else:
        typer.echo(f"{counted(count, rows.removesuffix('s'))} of {run} written to {path}")
    if rows in SPOKEN:
        warn_of_text(path)


def _export_log(place: "Place", rows: RowKinds, path: Path) -> int:
    from breakfix.cli.session import looking
    from breakfix.errors import SettingsError
    from breakfix.eval_logs.samples import need_inspect

    if rows is not RowKinds.conversations:
        raise SettingsError(
            f"An Inspect log holds conversations with their verdicts, not {rows} alone: leave --rows out."
        )
    need_inspect("Export as an Inspect log")
    with looking(place) as run:
        from breakfix.eval_logs.writing import write_log

        return write_log(run, path)


def import_log(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An Inspect log (.eval).")],
    run: Annotated[str | None, typer.Option("--run", metavar="NAME", help="Default: the run it was made of.")] = None,
    measure: Annotated[MeasureName | None, typer.Option("--measure", help="What a foreign log measures.")] = None,
    harm: Annotated[str | None, typer.Option("--harm", metavar="ID", help="The harm that a foreign log seeks.")] = None,
    kind: Annotated[
        KindName | None, typer.Option("--kind", help="What a foreign log asks for; default: harmful.")
    ] = None,
    split: Annotated[
        SplitName | None, typer.Option("--split", help="train: a foreign log may teach; default: sealed.")
    ] = None,
    licence: Annotated[str | None, typer.Option("--licence", help="A foreign log's; default: unstated.")] = None,
    judge: Annotated[
        str | None, typer.Option("--judge", "-j", metavar="JUDGE", help="Judge what it has not judged.")
    ] = None,
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
    as_json: Json = False,
) -> None:
    """Bring the conversations of an Inspect log into a run.

    A log that breakfix made comes back as it was: scenarios, conversations, verdicts, labels. Of any other, say what it
    measures; its own scores are laid into the run's folder. With a judge it is judged, and what failed of a train split
    becomes findings.

    Example: breakfix import logs/audit.eval --run audit --measure jailbreak --split train --judge openai/gpt-4o
    """
    from breakfix.cli.results import print_json
    from breakfix.cli.session import Place
    from breakfix.eval_logs.bringing import bring_log
    from breakfix.project import Project

    meaning = _meaning(measure, {"harm": harm, "kind": kind, "split": split, "licence": licence})
    brought = bring_log(Project(store, out), file, run=run, meaning=meaning)
    if not as_json:
        _say_brought(brought, out)
    judged = None if judge is None else _judge(Place(store, out, brought.run), judge)
    if as_json:
        print_json({**brought._asdict(), "judged": judged and judged._asdict()})
    elif judged:
        typer.echo(
            f"{judge} gave {counted(judged.verdicts, 'verdict')};"
            f" {counted(judged.findings, 'finding')} in {brought.run}."
        )


def _say_brought(brought: "Brought", out: Path) -> None:
    from breakfix.eval_logs.bringing import SCORES

    what = f"{counted(brought.conversations, 'conversation')} and {counted(brought.verdicts, 'verdict')}"
    typer.echo(f"{what} came into {brought.run}.")
    if brought.scores:
        typer.echo(f"{counted(brought.scores, 'score')} of other scorers, in {out / brought.run / SCORES}")
    if brought.dropped:
        left = ", ".join(f"{count} {name}" for name, count in sorted(brought.dropped.items()))
        typer.echo(f"Left out: {left}", err=True)


def _meaning(measure: MeasureName | None, more: "Mapping[str, str | None]") -> "Meaning | None":
    """Give what a foreign log means; None where nothing is said of it. Raises SettingsError for half a meaning."""
    from breakfix.errors import SettingsError
    from breakfix.eval_logs.foreign import Meaning
    from breakfix.roles import harms
    from breakfix.scenarios.library import pick_harms

    said = {name: value for name, value in more.items() if value is not None}
    if measure is None:
        if said:
            told = ", ".join(f"--{name}" for name in said)
            raise SettingsError(f"{told}: said of a log of another tool, with --measure. Add it, or leave this out.")
        return None
    harm = said.pop("harm", None)
    found = {} if harm is None else {"harm": pick_harms(harms(), [harm])[harm]}
    return Meaning(measure)._replace(**said, **found)


def _judge(place: "Place", judge: str) -> "Judged":
    from breakfix.cli.session import Given, in_run, settle
    from breakfix.eval_logs.judging import judge_brought

    return in_run(settle(place, Given(options={"judge": judge})), place, judge_brought)


@group.command("delete")
def delete_run(
    run: Annotated[str, typer.Argument(metavar="RUN")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
) -> None:
    """Delete a run: its rows, its journal, and its folder of results, checkpoints included.

    The log of sealed openings stays: that the sealed split was read cannot be undone.
    """
    from breakfix.cli.session import Place, forget_run, stored

    with stored(store) as opened:
        opened.run(run)
    if not yes and not _confirmed(f"Delete run {run!r}, its journal and {out / run}?"):
        typer.echo("Nothing was deleted.")
        return
    forget_run(Place(store, out, run))
    typer.echo(f"Deleted {run}.")


def _confirmed(question: str) -> bool:
    """Ask; Ctrl-C stops the command, but that nobody can answer is for the user to mend. Raises SettingsError."""
    from breakfix.errors import SettingsError

    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        if sys.stdin.isatty():
            raise
        typer.echo(err=True)  # the question's line has no end
        raise SettingsError(
            "Nothing was deleted: nobody is there to answer. To delete without a question: --yes"
        ) from None


def _plain(summary: "RunSummary") -> dict[str, object]:
    from breakfix.secrecy import without_headers

    body = summary.model_dump(mode="json")
    record = body.pop("record")
    return {**record, "settings": without_headers(record["settings"]), **body}
