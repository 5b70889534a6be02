"""`breakfix compare`: is it safer than it was, or safer than the others."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from breakfix.cli.options import CYCLE, KEEPING, OUT, STORE, Json, Overrides, SettingsFile, StoreFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from breakfix.measured import Measurement
    from breakfix.report.entries import Entry
    from breakfix.settings import CycleSettings
    from breakfix.standings import Lineup

POOLED = ("harm", "ungroundedness", "refusal")
"""Of these a terminal shows groups; of each measure of harm by itself, the files do."""


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("compare", rich_help_panel=CYCLE)(compare)


def compare(
    names: Annotated[
        list[str], typer.Argument(metavar="RUN[:STAGE] ...", help="One or more; stage: base, if none is given.")
    ],
    table: Annotated[bool, typer.Option("--table", help="Set two side by side too, as three or more are.")] = False,
    published: Annotated[bool, typer.Option("--published", help="Show published numbers beside.")] = False,
    settings: SettingsFile = None,
    overrides: Overrides = None,
    store: StoreFolder = STORE,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FOLDER", help="For comparison.html, .md, .tex ...", rich_help_panel=KEEPING),
    ] = OUT,
    as_json: Json = False,
) -> None:
    """Compare measurements on the same scenarios: two as before and after with the gate, or any number side by side.

    One: its rates by persona, language, severity and turn. Two: pair by pair, and the gate decides on the second; exit
    code 1 if it failed or could not tell. Two of different models, three or more, or --table: every measure model by
    model, the best marked where that is significant, written as HTML, Markdown, LaTeX, CSV and JSON too. Exit code 1
    also where nothing could be scored.

    Example: breakfix compare demo:base demo:round-2

    Example: breakfix compare model-a model-b model-c --out comparison --published
    """
    full = [name if ":" in name else f"{name}:base" for name in names]
    if twice := next((name for name in full if full.count(name) > 1), None):
        raise typer.BadParameter(f"the same measurement twice ({twice}); name each once, as in demo:base demo:round-2")
    whole = _settings(store, full[-1], settings, overrides)
    measured = [_measurement(store, out, name, whole) for name in full]
    if len(names) != 2 or table:
        _side_by_side(measured, whole, out, published=published, as_json=as_json)
        raise typer.Exit(_of_rates(measured, full))
    code = _before_and_after(measured, whole, names, as_json=as_json)
    if len({each.card.target for each in measured}) > 1 and not as_json:
        _side_by_side(measured, whole, out, published=published, as_json=False)
    raise typer.Exit(code)


def _of_rates(measured: "Sequence[Measurement]", names: "Sequence[str]") -> int:
    """Say which measurements have no rate; give the exit code: that none has any must not pass for a comparison."""
    from breakfix.cli.results import CANNOT_TELL

    blank = _blank(measured, names)
    for line in blank:
        typer.echo(line, err=True)
    return CANNOT_TELL if len(blank) == len(measured) else 0


def _blank(measured: "Sequence[Measurement]", names: "Sequence[str]") -> list[str]:
    """Say of each measurement in which nothing was scored that it is so, why mostly, and what to do."""
    from breakfix.cli.measuring import UNJUDGED
    from breakfix.scorecard import NO_VERDICT

    lines: list[str] = []
    for name, card in zip(names, (each.card for each in measured), strict=True):
        if card.has_rate:
            continue
        cause = max(card.causes, key=lambda one: one.n).cause if card.causes else "nothing was held"
        known = f" Measure it again with the judge that measured last, {card.judge}." if card.judge else f" {UNJUDGED}"
        remedy = known if cause == NO_VERDICT else ""
        lines.append(f"No conversation of {name} could be scored: {cause}.{remedy}")
    return lines


def _before_and_after(
    measured: "Sequence[Measurement]", whole: "CycleSettings", names: "Sequence[str]", *, as_json: bool
) -> int:
    """Print the pair and what the gate says; give the exit code."""
    from breakfix.cli.results import GATE_EXIT, print_json, show_comparisons, show_gate
    from breakfix.compare import compare as contrast
    from breakfix.compare import gate
    from breakfix.conversations.frozen import compare_users
    from breakfix.errors import DataError
    from breakfix.measured import said_unfinished

    early, late = measured
    before, after = names
    changes = contrast(early.scores, late.scores, whole.measure, seed=whole.seed)
    if blank := _blank(measured, names):
        return _say_blank(measured, blank, as_json=as_json)
    if not changes:
        raise DataError(f"{before} and {after} have no scored scenario in common. Measure both with the same settings.")
    labelled = contrast(early.labelled, late.labelled, whole.measure, seed=whole.seed)
    decision = gate(late.card, changes, whole.gate, before=early.card, labelled=labelled)
    users = compare_users(early.card.users, late.card.users)
    judges = _two_judges(early, late)
    if as_json:
        told = {"before": early.card, "after": late.card, "users": users, "judges": judges}
        print_json({**told, "comparisons": changes, "gate": decision})
    else:
        show_comparisons(changes, f"{before} to {after}")
        for line in filter(None, (said_unfinished(one.card) for one in measured)):
            typer.echo(f"{line}\n")
        typer.echo("\n".join(dict.fromkeys(line for line in (early.card.judge_line, late.card.judge_line) if line)))
        typer.echo(f"{judges}\n{_partners(early, late)}" if judges else _partners(early, late))
        typer.echo(f"{users}\n" if users else "")
        show_gate(decision, after)
        _warn_of_corrections(late, after)
    return GATE_EXIT[decision.verdict]


def _say_blank(measured: "Sequence[Measurement]", blank: "Sequence[str]", *, as_json: bool) -> int:
    """Say why there is no rate to compare; give the exit code."""
    from breakfix.cli.results import CANNOT_TELL, print_json

    if as_json:
        early, late = measured
        print_json({"before": early.card, "after": late.card, "comparisons": [], "gate": None})
    for line in blank:
        typer.echo(f"Cannot tell. {line}", err=True)
    return CANNOT_TELL


def _two_judges(early: "Measurement", late: "Measurement") -> str | None:
    """Warn where each half was judged by another judge: their difference would pass for the target's."""
    from breakfix.identity import short

    one, other = early.card, late.card
    if one.judge_id == other.judge_id:
        return None
    return (
        f"Judged by {one.judge} ({short(one.judge_id, 6)}) before and {other.judge} ({short(other.judge_id, 6)}) after:"
        " a difference may be the judges', and says nothing of the target until both are judged by one."
    )


def _partners(early: "Measurement", late: "Measurement") -> str:
    """Say how many conversations are paired of those held: what is not scored on both sides is not compared."""
    sides = [{(one.scenario_id, one.sample) for one in each.scores if one.value is not None} for each in (early, late)]
    held = [len(each.scores) for each in (early, late)]
    told = [
        f"{many:,} {when}" + (f" ({many - len(side):,} unscored)" if many > len(side) else "")
        for many, side, when in zip(held, sides, ("before", "after"), strict=True)
    ]
    return f"Paired: {len(sides[0] & sides[1]):,} of {' and '.join(told)}."


def _warn_of_corrections(late: "Measurement", after: str) -> None:
    """Say beside the gate what people's labels make of the judge's rates; the pairs go by the judge's own."""
    from breakfix.cli.results import show_corrected

    if not late.card.corrected:
        return
    said = "The verdicts pair by pair go by the judge alone"
    if any(one.is_of_these for one in late.card.corrected):
        said += f"; the gate by labels of {after}, where they are enough, and on areas then by labels of both"
    typer.echo(f"{said}:\n")
    show_corrected(late.card)


def _side_by_side(
    measured: "Sequence[Measurement]", whole: "CycleSettings", out: Path, *, published: bool, as_json: bool
) -> None:
    from breakfix.comparing import Wanted, side_by_side, write_comparison

    lineup = side_by_side(measured, Wanted(whole.measure, whole.seed, published))
    is_replaced = (out / "comparison.html").exists()
    paths = write_comparison(lineup, out)
    if is_replaced:
        typer.echo(f"Replaced the comparison that {out} held; to keep several, give each its --out FOLDER.", err=True)
    if as_json:
        from breakfix.cli.results import print_json

        print_json({"paths": {path.suffix[1:]: str(path) for path in paths}, **lineup.model_dump(mode="json")})
        return
    _show(lineup)
    typer.echo(f"Comparison: {paths[0]} (and {', '.join(path.suffix for path in paths[1:])})")


def _show(lineup: "Lineup") -> None:
    from breakfix.cli.results import show_table
    from breakfix.report.entries import told
    from breakfix.report.lineup_tables import lineup_tables

    tables = lineup_tables(
        lineup.model_copy(update={"groups": [row for row in lineup.groups if row.measure in POOLED]})
    )
    alone = ("by-persona", "by-language", "by-severity", "by-exchange") if len(lineup.entrants) == 1 else ()
    shown = [name for name in tables if name == "table-one" or name in alone or name.startswith("published-")]
    for table in (tables[name] for name in shown):
        rows = [tuple(_cell(each) for each in row) for row in table.rows]
        show_table(table.caption, table.columns, rows)
        typer.echo("\n".join((*([told(table.sources)] if table.sources else ()), table.note, "")))
    if left := [name.removeprefix("by-") for name in tables if name.startswith("by-") and name not in shown]:
        typer.echo(f"By {', '.join(left)}: in the files of the comparison.")
    for warning in lineup.warnings:
        typer.echo(warning, err=True)


def _cell(each: "Entry") -> str:
    from breakfix.report.entries import raised

    star = " ★" if each.tone == "star" else ""
    return f"{each.text}{star}{raised(each.mark)}\n{each.detail}".strip()


def _settings(store: Path, name: str, file: Path | None, overrides: list[str] | None) -> "CycleSettings":
    """Give the settings to compare under: of the file, or of the last run that is named; `--set` goes over both."""
    from breakfix.cli.options import read_settings

    if file is not None:
        return read_settings(file, overrides, {})
    from breakfix.cli.session import stored

    with stored(store) as opened:
        return read_settings(None, overrides, {}, saved=opened.run(name.partition(":")[0]).settings)


def _measurement(store: Path, out: Path, name: str, whole: "CycleSettings") -> "Measurement":
    """Give what RUN:STAGE measured, computed from the store. Raises StoreError with the stages there are."""
    from breakfix.cli.session import Place, looking
    from breakfix.measured import read_one

    run, _, stage = name.partition(":")
    own = _settings(store, name, None, None)
    alike = {"level": whole.measure.level, "bootstrap": whole.measure.bootstrap}
    settings = own.model_copy(update={"measure": own.measure.model_copy(update=alike)})
    with looking(Place(store, out, run), settings=settings) as opened:
        return read_one(opened, stage)
