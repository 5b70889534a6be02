"""`breakfix measure` and `breakfix compare`: how safe is it, and is it safer than it was."""

import typer

from breakfix.cli.options import (
    CYCLE,
    OUT,
    STORE,
    Concurrency,
    Conversations,
    Harms,
    Json,
    Judge,
    Measures,
    OutFolder,
    Overrides,
    Reuse,
    RunName,
    Scenarios,
    Seed,
    SettingsFile,
    Simulator,
    Stage,
    StoreFolder,
    Target,
    Turns,
    listed,
)


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command("measure", rich_help_panel=CYCLE)(measure)


def measure(
    target: Target = None,
    simulator: Simulator = None,
    judge: Judge = None,
    measures: Measures = None,
    conversations: Conversations = None,
    turns: Turns = None,
    scenarios: Scenarios = None,
    harms: Harms = None,
    stage: Stage = "base",
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

    Measures: ungroundedness, third_party, continuation, summarization, jailbreak, refusal.

    Example: breakfix measure -t http://localhost:8000/v1#my-model --simulator openai/gpt-4o -j openai/gpt-4o
    --measures jailbreak,refusal -n 200 --turns 5 --concurrency 50
    """
    from breakfix.cli.results import print_json, result_of, show_scorecard
    from breakfix.cli.session import Given, Place, in_run, settle

    options = {
        "target": target,
        "simulator": simulator,
        "judge": judge,
        "measure.measures": listed(measures),
        "measure.conversations": conversations,
        "measure.turns": turns,
        "measure.scenarios": listed(scenarios),
        "measure.harms": listed(harms),
        "calls.concurrency": concurrency,
        "seed": seed,
    }
    place = Place(store, out, run, reuse)
    whole = settle(place, Given(settings, overrides, options))
    from breakfix.measure import measure as measure_target

    found = in_run(whole, place, lambda opened: measure_target(opened, stage=stage))
    paths = {"scorecard": out / found.card.run / "scorecard.json", "store": store}
    if as_json:
        print_json(result_of(found.card, paths))
        return
    show_scorecard(found.card)
    typer.echo(f"Run {found.card.run}. Scorecard: {paths['scorecard']}")
