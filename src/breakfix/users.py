"""Who speaks to the target in a measurement: the simulated user, or the user turns of an earlier measurement.

`--simulator frozen/RUN[:STAGE]` says again, word for word, what users said in that run, on the same scenarios and
samples. Conversations, scorecards and reports name their users, so that a change in the simulated user cannot pass for
a change in the model.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from breakfix.conversations.frozen import FrozenUsers, talks_in
from breakfix.errors import StoreError
from breakfix.project import Run
from breakfix.protocols import Simulator
from breakfix.roles import FROZEN, open_simulator, role_name
from breakfix.settings import CycleSettings, MeasureSettings
from breakfix.types import Scenario
from breakfix.wording import counted


def open_users(run: Run) -> Simulator:
    """Open who plays the user. Raises StoreError for a frozen run that holds nothing to say again."""
    place = frozen_place(run.settings)
    return open_simulator(run) if place is None else frozen_users(run, *place)


def frozen_place(settings: CycleSettings) -> tuple[str, str] | None:
    """Give the run and stage whose user turns are said again; None: the users are live."""
    name = role_name(settings, "simulator") or ""
    if not name.startswith(FROZEN):
        return None
    source, _, stage = name.removeprefix(FROZEN).partition(":")
    return source, stage or "base"


def frozen_users(run: Run, source: str, stage: str) -> FrozenUsers:
    """Take the user turns of a run's stage. Raises StoreError where there are none."""
    run.store.run(source)
    talks = talks_in(run.store.conversations(source, stage=stage, purpose="benchmark"))
    if not talks:
        raise StoreError(
            f"Run {source!r} has measured nothing at stage {stage!r}, so there is nothing to say again."
            " Name another, as in --simulator frozen/RUN:STAGE; see: breakfix runs list"
        )
    return FrozenUsers(talks)


def frozen_scenarios(run: Run) -> list[Scenario] | None:
    """Give the scenarios of the frozen run, those of the settings' measures and harms; None: the users are live.

    All of them, whatever `conversations` and the like say: what was said then is what there is to say. A note says so.
    """
    place = frozen_place(run.settings)
    if place is None:
        return None
    source, stage = place
    held = {one.scenario_id for one in run.store.conversations(source, stage=stage, purpose="benchmark")}
    wanted = run.settings.measure
    found = [
        one
        for one in run.store.scenarios(source, split="sealed")
        if one.id in held and one.measure in wanted.measures and (not wanted.harms or one.harm in wanted.harms)
    ]
    if not found:
        raise StoreError(
            f"Run {source!r} holds no conversation at stage {stage!r} of {', '.join(wanted.measures)}. Name others with"
            " --measures, or another run: --simulator frozen/RUN:STAGE"
        )
    run.progress.note(_said_of(source, stage, found, wanted))
    return found


def _said_of(source: str, stage: str, found: Sequence[Scenario], wanted: MeasureSettings) -> str:
    """Say which scenarios are measured, and which settings would have chosen others and do not."""
    counts = Counter(one.measure for one in found)
    is_asked = "conversations" in wanted.model_fields_set and {*counts.values()} != {wanted.conversations}
    unheard = {
        f"conversations ({wanted.conversations} a measure)": is_asked,
        f"languages ({', '.join(wanted.languages)})": _leaves_out(wanted.languages, (one.language for one in found)),
        f"personas ({', '.join(wanted.personas)})": _leaves_out(wanted.personas, (one.persona for one in found)),
        f"scenarios ({', '.join(wanted.scenarios)})": bool(wanted.scenarios),
    }
    names = [name for name, is_unheard in unheard.items() if is_unheard]
    said = f"Measured are the {counted(len(found), 'scenario')} that {source}:{stage} held, whose user turns are frozen"
    return f"{said}; {', '.join(names)} cannot choose others." if names else f"{said}."


def _leaves_out(chosen: Sequence[str], held: Iterable[str]) -> bool:
    return bool(chosen) and not set(held) <= set(chosen)
