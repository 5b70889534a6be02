"""Options that several commands share, and how they become settings.

An option given on the command line goes over `--set`, which goes over the file.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from breakfix.settings import CycleSettings

KEEPING = "Where things are kept"
SETTINGS = "Settings"
ROLES = "Who plays which role"
MEASURING = "What is measured"
BEGIN = "Begin"
CYCLE = "The cycle, stage by stage"
LOOK = "Look"

SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", "-c", metavar="FILE", help="A YAML file (see breakfix init).", rich_help_panel=SETTINGS),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="One setting, over the file's: measure.turns=5. Repeatable.",
        rich_help_panel=SETTINGS,
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of everything random.", rich_help_panel=SETTINGS)]
Concurrency = Annotated[
    int | None,
    typer.Option("--concurrency", metavar="C", help="Calls in flight per endpoint.", rich_help_panel=SETTINGS),
]

RunName = Annotated[
    str | None,
    typer.Option("--run", metavar="NAME", help="The run; what it knows is not asked again.", rich_help_panel=KEEPING),
]
Reuse = Annotated[
    str | None,
    typer.Option("--reuse", metavar="RUN", help="Take known answers from that run too.", rich_help_panel=KEEPING),
]
StoreFolder = Annotated[
    Path,
    typer.Option("--store", metavar="FOLDER", help="Holds the store and the journals.", rich_help_panel=KEEPING),
]
OutFolder = Annotated[
    Path,
    typer.Option("--out", metavar="FOLDER", help="Holds a folder of results for each run.", rich_help_panel=KEEPING),
]

Target = Annotated[
    str | None,
    typer.Option("--target", "-t", metavar="MODEL", help="The model in question.", rich_help_panel=ROLES),
]
Simulator = Annotated[
    str | None,
    typer.Option("--simulator", metavar="MODEL", help="Plays the user; frozen/RUN: as in RUN.", rich_help_panel=ROLES),
]
Judge = Annotated[
    str | None,
    typer.Option(
        "--judge",
        "-j",
        metavar="JUDGE",
        help="A model, guard/NAME, embedded, refusal, or a,b.",
        rich_help_panel=ROLES,
    ),
]
AllowSelfJudging = Annotated[
    bool | None,
    typer.Option("--allow-self-judging", help="Let the target judge itself, marked.", rich_help_panel=ROLES),
]
Attacker = Annotated[
    str | None, typer.Option("--attacker", metavar="MODEL", help="Plays the adversary.", rich_help_panel=ROLES)
]
Teacher = Annotated[
    str | None, typer.Option("--teacher", metavar="MODEL", help="Writes the better answers.", rich_help_panel=ROLES)
]

Measures = Annotated[
    str | None,
    typer.Option("--measures", metavar="A,B", help="Some of the six of measure -h.", rich_help_panel=MEASURING),
]
Conversations = Annotated[
    int | None, typer.Option("--conversations", "-n", metavar="N", help="Per measure.", rich_help_panel=MEASURING)
]
Turns = Annotated[
    int | None, typer.Option("--turns", metavar="T", help="Exchanges a conversation.", rich_help_panel=MEASURING)
]
Scenarios = Annotated[
    str | None,
    typer.Option("--scenarios", metavar="A,B", help="Files or published sets to take.", rich_help_panel=MEASURING),
]
Harms = Annotated[
    str | None, typer.Option("--harms", metavar="A,B", help="Harm ids; default: all.", rich_help_panel=MEASURING)
]
Personas = Annotated[
    str | None,
    typer.Option("--personas", metavar="A,B", help="Who the users are; default: eight.", rich_help_panel=MEASURING),
]
Languages = Annotated[
    str | None,
    typer.Option("--languages", metavar="A,B", help="What they write: en,fr; default: en.", rich_help_panel=MEASURING),
]
Stage = Annotated[
    str,
    typer.Option("--stage", help="The target's state: base, round-1 ...", rich_help_panel=MEASURING),
]
Round = Annotated[int, typer.Option("--round", min=1, help="The round that it counts to.")]
StopEarly = Annotated[
    bool | None,
    typer.Option("--stop-early/--to-the-end", help="End when the gate on harm is decided.", rich_help_panel=MEASURING),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]

STORE = Path(".breakfix")
OUT = Path("runs")


def read_settings(
    file: Path | None, overrides: list[str] | None, options: Mapping[str, Any], *, saved: str = ""
) -> "CycleSettings":
    """Read settings from file, `--set` and options (dotted key -> value; None: not given). Raises SettingsError.

    Without a file, `saved` stands in: what a run kept of its settings.
    """
    from breakfix.settings import load_settings

    given = {key: json.dumps(value) for key, value in options.items() if value is not None}
    return load_settings(file, overrides or (), options=given, saved=saved)


def listed(text: str | None) -> list[str] | None:
    """Split "a,b" into its parts; None stays None."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]
