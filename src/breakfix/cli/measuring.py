"""`breakfix measure`: how safe is it."""

from typing import TYPE_CHECKING

import typer

from breakfix.cli.options import (
    CYCLE,
    OUT,
    STORE,
    AllowSelfJudging,
    Concurrency,
    Conversations,
    Harms,
    Json,
    Judge,
    Languages,
    Measures,
    OutFolder,
    Overrides,
    Personas,
    Reuse,
    RunName,
    Scenarios,
    Seed,
    SettingsFile,
    Simulator,
    Stage,
    StopEarly,
    StoreFolder,
    Target,
    Turns,
    listed,
)
from breakfix.wording import counted

if TYPE_CHECKING:
    from breakfix.cli.session import Place
    from breakfix.estimates import Scorecard
    from breakfix.settings import CycleSettings

MOST_CAUSES = 3
CUT_SHORT = "no text (finish reason 'length')"
UNJUDGED = "Nobody has judged it yet: name a judge (--judge) with the command that measures or imports it."
AT_FAULT = {"judge-failed": "the judge", "target-failed": "the target", "attacker-failed": "the simulator"}


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("measure", rich_help_panel=CYCLE)(measure)


def measure(
    target: Target = None,
    simulator: Simulator = None,
    judge: Judge = None,
    allow_self_judging: AllowSelfJudging = None,
    measures: Measures = None,
    conversations: Conversations = None,
    turns: Turns = None,
    scenarios: Scenarios = None,
    harms: Harms = None,
    personas: Personas = None,
    languages: Languages = None,
    stage: Stage = "base",
    stop_early: StopEarly = None,
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
    """Measure a target in simulated conversations: every rate with its interval.

    Exit code 1: no conversation could be scored, so that there is no rate.

    Measures: ungroundedness, third_party, continuation, summarization, jailbreak, refusal.

    Example: breakfix measure -t http://localhost:8000/v1#my-model --simulator openai/gpt-4o -j openai/gpt-4o
    --measures jailbreak,refusal -n 200 --turns 5 --concurrency 50
    """
    from breakfix.cli.session import Given, Place, settle

    options = {
        "target": target,
        "simulator": simulator,
        "judge": judge,
        "allow_self_judging": allow_self_judging,
        "measure.measures": listed(measures),
        "measure.conversations": conversations,
        "measure.turns": turns,
        "measure.scenarios": listed(scenarios),
        "measure.harms": listed(harms),
        "measure.personas": listed(personas),
        "measure.languages": listed(languages),
        "measure.stop_early": stop_early,
        "calls.concurrency": concurrency,
        "seed": seed,
    }
    place = Place(store, out, run, reuse)
    _measure(_all_recorded(settle(place, Given(settings, overrides, options))), place, stage, as_json=as_json)


def _all_recorded(settings: "CycleSettings") -> "CycleSettings":
    """Take a recording whole where nobody said how much of it, and an offline judge makes it free."""
    from breakfix.models.open import open_model
    from breakfix.models.replay import ReplayModel
    from breakfix.roles import EMBEDDED, REFUSAL

    target, measured = settings.target or "", settings.measure
    is_own = measured.scenarios in ((), (target.removeprefix("replay/"),))
    is_free = target.startswith("replay/") and settings.judge in (REFUSAL, EMBEDDED)
    if "conversations" in measured.model_fields_set or not is_own or not is_free:
        return settings
    recorded = open_model(target)
    n = len(recorded) if isinstance(recorded, ReplayModel) else measured.conversations
    return settings.model_copy(update={"measure": measured.model_copy(update={"conversations": n})})


def _measure(settings: "CycleSettings", place: "Place", stage: str, *, as_json: bool) -> None:
    from breakfix.cli.results import CANNOT_TELL, print_json, result_of, show_scorecard
    from breakfix.cli.session import in_run
    from breakfix.measure import measure as measure_target

    found = in_run(settings, place, lambda opened: measure_target(opened, stage=stage), stage=stage)
    paths = {"scorecard": place.out / found.card.run / "scorecard.json", "store": place.store}
    if as_json:
        print_json(result_of(found.card, paths))
        say_no_rate(found.card)
    else:
        show_scorecard(found.card)
        _show_causes(found.card)
        say_no_rate(found.card)
        typer.echo(f"Run {found.card.run}. Scorecard: {paths['scorecard']}")
        name = found.card.run if stage == "base" else f"{found.card.run}:{stage}"
        typer.echo(f"By persona, language, severity and turn: breakfix compare {name}")
    raise typer.Exit(0 if found.card.has_rate else CANNOT_TELL)


def _show_causes(card: "Scorecard") -> None:
    """Say why conversations were left unscored, the most frequent causes first, each with one to look at."""
    if not card.causes:
        return
    typer.echo("Unscored, most often since")
    for one in card.causes[:MOST_CAUSES]:
        look = f" (breakfix show {one.conversation_id[:8]} --run {card.run})" if one.conversation_id else ""
        typer.echo(f"  {counted(one.n, 'time')} in {one.measure}: {one.cause}{look}")
    if (left := len(card.causes) - MOST_CAUSES) > 0:
        typer.echo(f"  and {left} more, in scorecard.json")
    typer.echo("")


def say_no_rate(card: "Scorecard") -> None:
    """Say what to do where no conversation could be scored, which is no measurement, however it looks."""
    if card.has_rate:
        return
    outcome = max(card.causes, key=lambda one: one.n).outcome if card.causes else ""
    if outcome == "judge-failed" and not card.judge_id:
        typer.echo(f"No rate exists. {UNJUDGED}", err=True)
        return
    who = AT_FAULT.get(outcome)
    if who is None:
        typer.echo("No rate exists: no conversation could be scored.", err=True)
        return
    typer.echo(f"No rate exists: {_remedy(card, outcome, who)}", err=True)


def _remedy(card: "Scorecard", outcome: str, who: str) -> str:
    from breakfix.roles import EMBEDDED, EXACT, REFUSAL

    names = {"judge-failed": card.judge, "target-failed": card.target}
    if names.get(outcome) in (REFUSAL, EMBEDDED, EXACT):
        return f"the judge {card.judge!r} could judge none of these conversations, as said above. Name another judge."
    if any(CUT_SHORT in one.cause for one in card.causes):
        return (
            f"{who} spent all its tokens before it said anything, as models that reason first may."
            f" Raise models.<name>.max_tokens of {names.get(outcome) or who}, then run again."
        )
    tried = f"breakfix doctor -m {names[outcome]}" if outcome in names else "breakfix doctor -m MODEL"
    form = ", and that it can answer in JSON" if outcome == "judge-failed" else ""
    return (
        f"check that {who} answers ({tried}){form}, then run again: calls that failed are asked anew;"
        " answers that could not be used are kept, so for these name another model."
    )
