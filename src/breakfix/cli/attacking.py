"""`breakfix redteam` and `breakfix findings`: where does it break."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from breakfix.cli.options import (
    CYCLE,
    LOOK,
    OUT,
    STORE,
    AllowSelfJudging,
    Attacker,
    Concurrency,
    Json,
    Judge,
    OutFolder,
    Overrides,
    Reuse,
    Round,
    RunName,
    Seed,
    SettingsFile,
    Simulator,
    Stage,
    StoreFolder,
    Target,
    listed,
)
from breakfix.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from breakfix.attacks.search import Archive, Tally
    from breakfix.redteam import Siege
    from breakfix.store.bring import Files
    from breakfix.types import Finding

SEARCH = "The search"
SHOWN = 30
"""Findings in the table that `redteam` ends with."""
Budget = Annotated[int | None, typer.Option("--budget", help="Calls of the target.", rich_help_panel=SEARCH)]
Techniques = Annotated[
    str | None, typer.Option("--techniques", metavar="A,B", help="Technique ids; default: all.", rich_help_panel=SEARCH)
]
Personas = Annotated[
    str | None, typer.Option("--personas", metavar="A,B", help="Persona ids; default: two.", rich_help_panel=SEARCH)
]


class States(StrEnum):
    """What has become of a finding."""

    open = "open"
    curated = "curated"
    trained = "trained"
    verified = "verified"
    regressed = "regressed"


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command("redteam", rich_help_panel=CYCLE)(redteam)
    app.command("findings", rich_help_panel=LOOK)(findings)


def redteam(
    target: Target = None,
    attacker: Attacker = None,
    simulator: Simulator = None,
    judge: Judge = None,
    allow_self_judging: AllowSelfJudging = None,
    budget: Budget = None,
    techniques: Techniques = None,
    personas: Personas = None,
    stage: Stage = "base",
    number: Round = 1,
    concurrency: Concurrency = None,
    seed: Seed = None,
    settings: SettingsFile = None,
    overrides: Overrides = None,
    run: RunName = None,
    reuse: Reuse = None,
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
    as_json: Json = False,
) -> None:
    """Attack a target within a budget of calls, and group what failed into ranked findings.

    Success of a search is selected: it is shown as attack success, never as a benchmark rate.
    Exit code 1: nothing that was tried could be scored.

    Example: breakfix redteam -t hf/models/mine --attacker openai/gpt-4o -j openai/gpt-4o --budget 500 --run mine
    """
    from breakfix.cli.results import CANNOT_TELL, print_json
    from breakfix.cli.session import Given, Place, in_run, settle

    options = {
        "target": target,
        "attacker": attacker,
        "simulator": simulator,
        "judge": judge,
        "allow_self_judging": allow_self_judging,
        "redteam.budget": budget,
        "redteam.techniques": listed(techniques),
        "redteam.personas": listed(personas),
        "calls.concurrency": concurrency,
        "seed": seed,
    }
    place = Place(store, out, run, reuse)
    whole = settle(place, Given(settings, overrides, options))
    from breakfix.project import run_name
    from breakfix.redteam import redteam as besiege

    name = whole.name or run_name(whole)

    siege = in_run(whole, place, lambda opened: besiege(opened, stage=stage, number=number), stage=stage)
    if as_json:
        print_json({"run": name, "stage": stage, **_told(siege)})
    else:
        _show_siege(siege, name)
    tried = [*(attempt.success for attempt in siege.archive.attempts), *(one.value for one in siege.asked)]
    raise typer.Exit(CANNOT_TELL if all(found is None for found in tried) else 0)


def findings(
    run: RunName = None,
    state: Annotated[States | None, typer.Option("--state", help="Only those in this state.")] = None,
    bring: Annotated[
        Path | None, typer.Option("--import", metavar="FILE", help="Add findings of another run (JSONL).")
    ] = None,
    conversations: Annotated[
        Path | None, typer.Option("--conversations", metavar="FILE", help="With --import: theirs (JSONL).")
    ] = None,
    scenarios: Annotated[
        Path | None, typer.Option("--scenarios", metavar="FILE", help="With --import: theirs (JSONL).")
    ] = None,
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
    as_json: Json = False,
) -> None:
    """List findings, ranked; or add findings from elsewhere.

    Example: breakfix findings --run mine --import findings.jsonl --conversations conversations.jsonl
    --scenarios scenarios.jsonl
    """
    from breakfix.cli.results import print_json
    from breakfix.cli.session import Place, resume, stored

    if bring is not None:
        from breakfix.store.bring import Files

        name = _import(run, Files(bring, conversations, scenarios), store)
    elif conversations or scenarios:
        told = "--conversations" if conversations else "--scenarios"
        raise typer.BadParameter(f"{told} goes with findings that are brought in: add --import FILE, or leave it out")
    else:
        name = resume(Place(store, out, run)).run or ""
    with stored(store) as opened:
        found = opened.findings(name, state=state.value if state else None)
    if as_json:
        print_json({"run": name, "findings": found})
    else:
        show_findings(found, f"Findings of {name}")


def show_findings(found: "list[Finding]", title: str) -> None:
    """Print findings as a table, the worst first."""
    from breakfix.cli.results import between, number, show_table

    if not found:
        typer.echo(f"{title}: none.")
        return
    head = ("rank", "round", "state", "harm", "behaviour", "technique", "success", "interval", "severity", "id")
    rows = [
        (str(each.rank), str(each.round), each.state, "–" if each.harm == "none" else each.harm.replace("_", " "),
         each.behaviour, each.technique,
         f"{each.succeeded}/{each.tried}", between(each.low, each.high),
         number(each.severity if each.is_rated else None, 1), each.id[:8])
        for each in found
    ]  # fmt: skip
    show_table(title, head, rows)
    if not all(each.is_rated for each in found):
        typer.echo("severity –: this judge gives no severity.")


def _import(run: str | None, files: "Files", store: Path) -> str:
    from breakfix.errors import StoreError
    from breakfix.store.bring import bring_findings
    from breakfix.store.store import Store

    if run is None:
        raise StoreError("Name the run that the findings go into: --run NAME")
    with Store.open(store) as opened, opened.lock_run(run):
        count = bring_findings(opened, run, files)
        opened.save_run(run, status=opened.run(run).status if opened.is_known(run) else "done")
    typer.echo(f"{counted(count, 'finding')} came into {run}.", err=True)
    return run


def _told(siege: "Siege") -> dict[str, object]:
    tallies = siege.archive
    success = {"technique": tallies.by_technique, "area": tallies.by_area, "persona": tallies.by_persona}
    gaps = [{"outcome": gap.outcome, "n": gap.n, "causes": dict(gap.causes)} for gap in tallies.gaps]
    return {
        "spent": tallies.spent,
        "attacks": len(tallies.attempts),
        "unscored": gaps,
        "ordinary": {"n": len(siege.asked), "unscored": sum(one.value is None for one in siege.asked)},
        "success": success,
        "findings": siege.findings,
    }


def _show_siege(siege: "Siege", name: str) -> None:
    _show_success("technique", siege.archive.by_technique)
    _show_success("area", siege.archive.by_area)
    _show_success("persona", siege.archive.by_persona)
    show_findings(list(siege.findings[:SHOWN]), f"Findings of {name} ({len(siege.findings)}), the worst first")
    if (left := len(siege.findings) - SHOWN) > 0:
        typer.echo(f"{left} more: breakfix findings --run {name}")
    _show_gaps(siege.archive)
    if unscored := sum(one.value is None for one in siege.asked):
        asked = counted(len(siege.asked), "conversation")
        typer.echo(f"{unscored:,} of {asked} of ordinary users are unscored, and neither safe nor findings.")


def _show_gaps(archive: "Archive") -> None:
    """Say at the end what could not be scored: it looks like safety, and is none."""
    from breakfix.redteam import said_of

    gaps, tries = archive.gaps, len(archive.attempts)
    for line in said_of(gaps, tries):
        typer.echo(f"{line}.")
    if gaps and sum(gap.n for gap in gaps) == tries:
        typer.echo("No attack could be scored: that none succeeded says nothing about how safe the target is.")
    elif gaps:
        typer.echo("They count neither as successes nor as safe: bounds say how much they could change.")


def _show_success(name: str, tallies: "Mapping[str, Tally]") -> None:
    from breakfix.cli.results import between, number, show_table

    has_gaps = any(tally.unscored for tally in tallies.values())
    rows: list[tuple[str, ...]] = []
    for key, tally in tallies.items():
        won = f"{tally.k}/{tally.n}" if tally.n else "–"
        open_ones = (str(tally.unscored or ""), between(*tally.bounds) if tally.unscored else "") if has_gaps else ()
        words = "of no area" if (name, key) == ("area", "none") else key.replace("_", " ")
        rows.append((words, won, number(tally.rate), *open_ones, str(tally.queries)))
    head = (name, "succeeded", "rate", *(("unscored", "bounds") if has_gaps else ()), "queries")
    show_table(f"Attack success by {name}", head, rows)
