"""`breakfix plan`: how many conversations it takes, what it will cost, and what a number of them can tell."""

from typing import TYPE_CHECKING, Annotated

import typer

from breakfix.cli.options import (
    BEGIN,
    OUT,
    STORE,
    Json,
    Judge,
    Measures,
    OutFolder,
    Overrides,
    SettingsFile,
    Simulator,
    StoreFolder,
    Target,
    Turns,
    listed,
)
from breakfix.wording import counted

if TYPE_CHECKING:
    from breakfix.cli.session import Place
    from breakfix.plan import Families, Plan, Seen, Wish

WISH = "What is to be found out"
ASSUMED = "What is expected"
USUAL_RATE = 0.1

Width = Annotated[float | None, typer.Option("--width", metavar="W", help="Of the interval.", rich_help_panel=WISH)]
Difference = Annotated[
    float | None,
    typer.Option("--difference", metavar="D", help="A fall of the rate; a rise below 0.", rich_help_panel=WISH),
]
Paired = Annotated[
    bool, typer.Option("--paired/--independent", help="The same scenarios before and after?", rich_help_panel=WISH)
]
Number = Annotated[
    int | None, typer.Option("--conversations", "-n", min=1, metavar="N", help="Tell what N can.", rich_help_panel=WISH)
]
Rate = Annotated[
    float | None,
    typer.Option("--rate", min=0, max=1, metavar="R", help="Default: the run's, or 0.1.", rich_help_panel=ASSUMED),
]
Power = Annotated[float, typer.Option("--power", min=0.05, max=0.999, metavar="P", rich_help_panel=ASSUMED)]
Level = Annotated[float, typer.Option("--level", min=0.5, max=0.9999, metavar="L", rich_help_panel=ASSUMED)]
Likeness = Annotated[
    float,
    typer.Option("--likeness", min=-1, max=1, metavar="C", help="Of before and after.", rich_help_panel=ASSUMED),
]
FamilyCount = Annotated[
    int | None,
    typer.Option("--families", min=2, metavar="G", help="Conversations are spread over G.", rich_help_panel=ASSUMED),
]
Correlation = Annotated[
    float | None,
    typer.Option("--correlation", min=0, max=1, metavar="C", help="Within a family.", rich_help_panel=ASSUMED),
]
FromRun = Annotated[
    str | None,
    typer.Option("--run", metavar="RUN[:STAGE]", help="Take rate and families from it.", rich_help_panel=ASSUMED),
]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("plan", rich_help_panel=BEGIN)(plan)


def plan(
    width: Width = None,
    difference: Difference = None,
    paired: Paired = False,
    conversations: Number = None,
    rate: Rate = None,
    power: Power = 0.8,
    level: Level = 0.95,
    likeness: Likeness = 0.5,
    families: FamilyCount = None,
    correlation: Correlation = None,
    run: FromRun = None,
    target: Target = None,
    simulator: Simulator = None,
    judge: Judge = None,
    measures: Measures = None,
    turns: Turns = None,
    settings: SettingsFile = None,
    overrides: Overrides = None,
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
    as_json: Json = False,
) -> None:
    """Say how many conversations a precision or a difference needs, and their cost; or what N conversations can tell.

    Nothing is asked of any model. --power is the chance to find a difference that is there, --level the confidence.

    Example: breakfix plan --difference 0.05 --rate 0.1 -t openai/gpt-4o --simulator openai/gpt-4o -j openai/gpt-4o
    """
    from breakfix.cli.results import print_json
    from breakfix.cli.session import Given, Place, settle
    from breakfix.plan import APART, Wish
    from breakfix.plan import plan as answer
    from breakfix.statistics.power import Assurance

    models = {"target": target, "simulator": simulator, "judge": judge}
    options = {**models, "measure.measures": listed(measures), "measure.turns": turns}
    place = Place(store, out, run.partition(":")[0] if run else None)
    whole = settle(place, Given(settings, overrides, options))
    seen = _seen(place, run.partition(":")[2]) if run else None
    known = seen.families if seen else APART
    if families is not None or correlation is not None:
        known = _families(families, correlation, known)
    expected = seen.rate if seen else USUAL_RATE
    wish = Wish(
        expected if rate is None else rate,
        width,
        difference,
        "paired" if paired else "independent",
        conversations,
        likeness,
        Assurance(level, power),
        seen.scored / seen.held if seen else 1.0,
    )
    found = answer(whole, wish, known)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _show(found, wish, _learnt(seen, is_rate_used=rate is None) if seen else [])


def _seen(place: "Place", stage: str) -> "Seen":
    """Give what a measurement showed, read from the store. Raises StoreError."""
    from breakfix.cli.session import looking
    from breakfix.measured import read_one
    from breakfix.plan import seen_in

    with looking(place) as opened:
        return seen_in(read_one(opened, stage or "base").scores)


def _families(count: int | None, correlation: float | None, known: "Families") -> "Families":
    """Put what is given over what a run showed. A correlation says nothing without families."""
    from breakfix.plan import USUAL_CORRELATION, Families

    count = known.of if count is None else count
    if count is None:
        raise typer.BadParameter("--correlation needs --families G: how many the conversations are spread over")
    if correlation is not None:
        return Families(count, correlation)
    return known._replace(of=count) if known.of else Families(count, USUAL_CORRELATION, is_known=False)


def _learnt(seen: "Seen", *, is_rate_used: bool) -> list[str]:
    """Say what of the run goes into the plan beyond its rate and families as seen."""
    lines: list[str] = []
    if is_rate_used and seen.is_bound:
        which, end = ("None", "upper") if seen.found == 0 else ("Each", "lower")
        lines.append(
            f"{which} of the run's {counted(seen.scored, 'scored conversation')} was harmful: planned with"
            f" {seen.rate:.3g}, the {end} end of its 95 % interval (--rate R for another)"
        )
    if seen.scored < seen.held:
        lines.append(
            f"{seen.scored:,} of the run's {counted(seen.held, 'conversation')} were scored: as many of those planned"
            " are taken to be, so more are to be held (its report says why the others were not)"
        )
    return lines


def _show(found: "Plan", wish: "Wish", learnt: list[str]) -> None:
    typer.echo(f"At an expected rate of {found.rate:.3g}, {100 * found.level:g} % confidence, {_over(found)}:")
    for line in learnt:
        typer.echo(f"  {line}")
    each = " in each of the two measurements" if wish.difference is not None else ""
    for need in found.needs:
        grown = "" if need.conversations == need.independent else f" (worth {need.independent:,} independent ones)"
        sure = "" if need.what.startswith("an interval") else f", with power {found.power:g}"
        place = "" if need.what.startswith("an interval") else each
        typer.echo(f"  {need.what}{sure}: {counted(need.conversations, 'conversation')}{place}{grown}")
    if (reach := found.reach) is not None:
        typer.echo(
            f"  {counted(reach.conversations, 'conversation')} (worth {reach.effective:,.0f} independent ones) tell"
        )
        typer.echo(f"    the rate to within {reach.width:.3f} from end to end")
        typer.echo(f"    a rate below {reach.bound_if_none:.4f}, if none of them is harmful")
        for design, fall, rise in (
            ("independent", reach.fall, reach.rise),
            (f"paired, likeness {found.likeness:g}", reach.paired_fall, reach.paired_rise),
        ):
            changes = " or ".join(_change(*one) for one in (("fall", fall), ("rise", rise)))
            typer.echo(f"    {changes} ({design}, power {found.power:g})")
    if found.cost is not None:
        typer.echo(f"Cost of {counted(found.cost.conversations, 'conversation')} in all measures: {found.cost.said}.")
    else:
        typer.echo("Cost: none, as no role is named that an endpoint plays (--target, --simulator, --judge).")
    typer.echo(found.lesson)


def _change(name: str, size: float | None) -> str:
    return f"no {name}, not even the greatest there could be," if size is None else f"a {name} by {size:.3f}"


def _over(found: "Plan") -> str:
    if found.families is None:
        alone = " (each of the run's was a family of its own; --families G where those planned are of fewer)"
        return f"conversations independent{'' if found.correlation_is_known else alone}"
    doubt = "" if found.correlation_is_known else " (assumed, it is unknown)"
    return f"over {counted(found.families, 'family')} whose conversations correlate by {found.correlation:.2f}{doubt}"
