"""`breakfix runs`: what the store holds, out of it, or gone from it."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from breakfix.cli.options import LOOK, OUT, STORE, Json, OutFolder, StoreFolder

if TYPE_CHECKING:
    from breakfix.store.records import RunSummary

HARMFUL_TEXT = "This file holds what models said word for word, harmful text too. Handle it with care."


class RowKinds(StrEnum):
    """What may be exported."""

    scenarios = "scenarios"
    conversations = "conversations"
    verdicts = "verdicts"
    findings = "findings"
    datasets = "datasets"
    checkpoints = "checkpoints"


class FileForms(StrEnum):
    """In which form."""

    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


group = typer.Typer(help="List, export or delete runs.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group to the app."""
    app.add_typer(group, name="runs", rich_help_panel=LOOK)


@group.command("list")
def list_runs(store: StoreFolder = STORE, as_json: Json = False) -> None:
    """List the runs of a store: state, target, and how much each holds."""
    from breakfix.store.store import Store

    with Store.open(store) as opened:
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
    form: Annotated[FileForms, typer.Option("--format", help="Parquet needs the parquet extra.")] = FileForms.jsonl,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Default: RUN-ROWS.FORMAT here.")] = None,
    store: StoreFolder = STORE,
) -> None:
    """Write one kind of rows of a run to a file: JSONL, CSV or Parquet.

    Example: breakfix runs export demo --rows verdicts --format csv --to verdicts.csv
    """
    from breakfix.store.export import export_rows
    from breakfix.store.store import Store, check_run_name

    path = to or Path(f"{check_run_name(run)}-{rows}.{form}")
    with Store.open(store) as opened:
        count = export_rows(opened, run, rows.value, path=path, form=form.value)
    typer.echo(f"{count} {rows} of {run} written to {path}")
    if rows is RowKinds.conversations:
        typer.echo(HARMFUL_TEXT, err=True)


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
    from breakfix.cli.session import Place, forget_run
    from breakfix.store.store import Store

    with Store.open(store) as opened:
        opened.run(run)
    if not yes and not typer.confirm(f"Delete run {run!r}, its journal and {out / run}?", err=True):
        typer.echo("Nothing was deleted.")
        return
    forget_run(Place(store, out, run))
    typer.echo(f"Deleted {run}.")


def _plain(summary: "RunSummary") -> dict[str, object]:
    body = summary.model_dump(mode="json")
    return {**body.pop("record"), **body}
