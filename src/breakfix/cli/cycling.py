"""`breakfix run`, `breakfix demo` and `breakfix report`: the whole cycle, and what it showed."""

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from breakfix.cli.options import (
    BEGIN,
    CYCLE,
    OUT,
    STORE,
    Concurrency,
    Json,
    OutFolder,
    Overrides,
    Reuse,
    RunName,
    Seed,
    SettingsFile,
    StoreFolder,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from breakfix.cli.session import Place
    from breakfix.reporting import Reported
    from breakfix.settings import CycleSettings

DEMO = "demo"
PAGES = ("html", "md", "json")
"""Formats of a report that are one file each."""
Fresh = Annotated[bool, typer.Option("--fresh", help="Forget what the run holds, and start anew.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command("demo", rich_help_panel=BEGIN)(demo)
    app.command("run", rich_help_panel=CYCLE)(run_settings)
    app.command("report", rich_help_panel=CYCLE)(report)


def demo(
    overrides: Overrides = None,
    fresh: Fresh = False,
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
    as_json: Json = False,
) -> None:
    """Take the lab's smallest model through two rounds of the cycle, in minutes, on a CPU.

    It is the ordinary cycle on a packaged settings file. A second time, it finds everything done.
    """
    from breakfix.cli.session import Given, Place, settle
    from breakfix.packaged import data_file

    place = Place(store, out, DEMO)
    with resources.as_file(data_file("demo.yaml")) as file:
        settings = settle(place, Given(file, overrides))
    _show(_cycle(settings, place, fresh=fresh), as_json=as_json)


def run_settings(
    file: Annotated[Path, typer.Argument(metavar="SETTINGS", help="A YAML file (see breakfix init).")],
    overrides: Overrides = None,
    concurrency: Concurrency = None,
    seed: Seed = None,
    run: RunName = None,
    reuse: Reuse = None,
    fresh: Fresh = False,
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
    as_json: Json = False,
) -> None:
    """Take a model through the cycle: measure, red team, curate, align and measure again, round after round; report.

    Exit code 1: the gate failed, or could not tell.

    Example: breakfix run breakfix.yaml --run first --set rounds=3
    """
    from breakfix.cli.session import Given, Place, settle

    settings = settle(Place(store, out, run), Given(file, overrides, {"calls.concurrency": concurrency, "seed": seed}))
    from breakfix.project import run_name

    place = Place(store, out, settings.name or run_name(settings), reuse)
    verdict = _show(_cycle(settings, place, fresh=fresh), as_json=as_json)
    raise typer.Exit(0 if verdict == "passed" else 1)


def report(
    run: RunName = None,
    settings: SettingsFile = None,
    overrides: Overrides = None,
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
    as_json: Json = False,
) -> None:
    """Write a run's report anew from what the store holds: HTML, Markdown, JSON, SVG and PNG.

    Exit code 1: the run scored no conversation, so that there is no rate to report.

    Example: breakfix report --run demo --set "report.formats=[html]"
    """
    from breakfix.cli.live import watch
    from breakfix.cli.session import Given, Place, looking, resume, settle, to_its_end

    place = resume(Place(store, out, run))
    with looking(place, settings=settle(place, Given(settings, overrides))) as opened:
        from breakfix.reporting import report as write

        opened.progress = watch(quiet=as_json)
        reported = to_its_end(write(opened))
    _show(reported, as_json=as_json)
    cards = reported.data.scorecards
    if not any(card.has_rate for card in cards):
        from breakfix.cli.measuring import say_no_rate
        from breakfix.cli.results import CANNOT_TELL

        say_no_rate(cards[-1])
        raise typer.Exit(CANNOT_TELL)


def _cycle(settings: "CycleSettings", place: "Place", *, fresh: bool) -> "Reported":
    from breakfix.cli.session import forget_run, in_run, looking

    if fresh and _is_known(place):
        _check_start(settings, place)
        forget_run(place)
    if (paths := _done_already(settings, place)) is not None:
        typer.echo(f"Run {place.run} is done already; nothing was asked or trained. --fresh starts anew.", err=True)
        from breakfix.reporting import Reported, gather

        with looking(place, settings=settings) as opened:
            return Reported(gather(opened), paths)
    from breakfix.cycle import run_cycle

    return in_run(settings, place, run_cycle)


def _is_known(place: "Place") -> bool:
    from breakfix.store.store import Store

    with Store.open(place.store) as store:
        return any(each.record.run == place.run for each in store.runs())


def _check_start(settings: "CycleSettings", place: "Place") -> None:
    """Look whether the new run can start, before the old one is deleted for it. Raises BreakfixError."""
    from breakfix.cli.session import looking, to_its_end
    from breakfix.cycle import look_ahead
    from breakfix.secrecy import refuse_secrets_in

    async def look() -> None:
        with looking(place, settings=settings) as old:
            try:
                refuse_secrets_in(settings)
                _refuse_own_files(settings, old.folder)
                look_ahead(old)
            finally:
                await old.close()

    to_its_end(look())


def _refuse_own_files(settings: "CycleSettings", folder: Path) -> None:
    """Refuse weights and data that would be deleted with the old run. Raises StoreError."""
    from breakfix.errors import StoreError
    from breakfix.roles import describe

    data = (*settings.curate.sources, *settings.curate.retention_sources, *settings.measure.scenarios)
    for name in (*filter(None, describe(settings).values()), *data):
        if Path(name.removeprefix("hf/")).resolve().is_relative_to(folder.resolve()):
            raise StoreError(
                f"{name!r} lies in the run that --fresh deletes. Copy it elsewhere, or give another --run."
            )


def _done_already(settings: "CycleSettings", place: "Place") -> "Sequence[Path] | None":
    """Give the files of a report that these very settings led to; None where there is something left to do."""
    from breakfix.settings import dump_settings
    from breakfix.store.store import Store

    name = place.run or ""
    with Store.open(place.store) as store:
        records = {each.record.run: each.record for each in store.runs()}
        rounds = store.rounds(name)
    record = records.get(name)
    if record is None or record.status != "done" or record.settings != dump_settings(settings):
        return None
    pages = [place.out / name / f"report.{form}" for form in PAGES if form in settings.report.formats]
    passed = bool(rounds) and rounds[-1].gate == "passed" and settings.stop_when_passed
    is_whole = all(page.exists() for page in pages) and (passed or len(rounds) >= settings.rounds)
    return pages if is_whole else None


def _show(reported: "Reported", *, as_json: bool) -> str:
    """Print what the cycle showed; gives the last round's gate verdict."""
    from breakfix.cli.results import print_json, result_of, show_gate
    from breakfix.cli.summary import show_findings_settled, show_rounds

    data = reported.data
    gates = [each.gate for each in data.rounds if each.gate]
    verdict = gates[-1].verdict if gates else "cannot_tell"
    paths = {path.name: path for path in reported.paths}
    if as_json:
        print_json(result_of(data.scorecards[-1], paths, rounds=data.rounds, scorecards=data.scorecards))
        return verdict
    show_rounds(data)
    for each in data.rounds:
        if each.gate:
            show_gate(each.gate, f"round {each.round}")
    show_findings_settled(data.findings)
    typer.echo(f"Report: {reported.paths[0]}" if reported.paths else "No file was asked for (report.formats).")
    return verdict
