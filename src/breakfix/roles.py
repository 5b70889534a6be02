"""Who plays which role in a run: names from the settings become a target, simulator, judge, attacker and teacher.

A role is any model by name, or one of the exact roles of the lab (`lab/exact`). A judge may also be the offline
`refusal`, a guard model (`guard/<family>`), or several judges (`a,b`). In the lab the exact roles are the default;
elsewhere a role without a model is an error that says which flag names it.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import orjson

from breakfix.calls import Line
from breakfix.errors import SettingsError, closest, nearest
from breakfix.harms import load_harms
from breakfix.identity import digest
from breakfix.judges import (
    EXACT,
    OFFLINE,
    check_self_judging,
    judge_names,
    model_behind,
    models_of,
    open_panel,
    self_judging,
)
from breakfix.judging.guards.families import split_guard
from breakfix.models.open import FORMS, NEAR, check_name
from breakfix.models.weights import lab_folders
from breakfix.project import Run
from breakfix.protocols import Attacker, Judge, SimulatedUser, Simulator, Teacher
from breakfix.settings import CycleSettings
from breakfix.types import MEASURES, Harm, Measure, Message, Persona, Role, Scenario

REFUSAL = "refusal"
EMBEDDED = "embedded"
FROZEN = "frozen/"
"""A simulator of this name says again what users said in a run (users.py)."""
STAND_INS: Mapping[Role, Role] = {"attacker": "simulator"}
"""A role that nobody was named for is played by this one's model."""


class Target(NamedTuple):
    """The model under test, ready to be asked."""

    name: str
    line: Line
    target_id: str


def role_name(settings: CycleSettings, role: Role) -> str | None:
    """Give the name that plays a role: as set, the lab's exact one for a lab model, or its stand-in's."""
    named: str | None = getattr(settings, role)
    if named is None and role != "target" and _is_exact_at_home(settings):
        return EXACT
    if named is None and role in STAND_INS:
        stand_in = role_name(settings, STAND_INS[role])
        return None if stand_in and stand_in.startswith(FROZEN) else stand_in
    return named


def stand_in(settings: CycleSettings, role: Role) -> str | None:
    """Give the model that plays a role nobody was named for in another role's place; None: nobody stands in."""
    name = role_name(settings, role)
    is_named = getattr(settings, role) is not None
    return None if is_named or role not in STAND_INS or name == EXACT else name


def is_lab(settings: CycleSettings) -> bool:
    """Tell whether the lab's world supplies the scenarios: its simulator or judge plays."""
    return EXACT in (role_name(settings, "simulator"), role_name(settings, "judge"))


def _is_exact_at_home(settings: CycleSettings) -> bool:
    """Tell whether roles without a name are the lab's: its model, or an exact simulator or judge, is named."""
    shown = (settings.simulator, settings.judge)
    return EXACT in shown or ((settings.target or "").startswith("lab/") and None in shown)


def check_judge(settings: CycleSettings, scenarios: Sequence[Scenario]) -> None:
    """Refuse a judge, or a panel, that has no opinion on some of the scenarios. Raises SettingsError."""
    check_measures(settings, [scenario.measure for scenario in scenarios])


def check_measures(settings: CycleSettings, measures: Sequence[Measure]) -> None:
    """Refuse a judge, or a panel, that has no opinion on some of the measures. Raises SettingsError."""
    named = role_name(settings, "judge") or ""
    able = frozenset[Measure]().union(*(measures_of(name) for name in judge_names(named or EXACT)))
    if others := sorted(set(measures) - able):
        what = "tells whether a request was refused, and " if named == REFUSAL else ""
        raise SettingsError(
            f"Judge {named!r} {what}cannot judge {', '.join(others)}. Name a model with --judge,"
            f" or leave those measures out: --measures {','.join(one for one in MEASURES if one in able)}"
        )


def lacks(settings: CycleSettings) -> list[str]:
    """Say why a measurement under these settings would be refused, as far as they alone can tell."""
    found: list[str] = []
    for role in ("target", "judge"):
        try:
            _needed(settings, role)
        except SettingsError as error:
            found.append(str(error))
    if found:
        return found
    target, judge = settings.target or "", role_name(settings, "judge") or ""
    if target in models_of(judge) and not settings.allow_self_judging:
        found.append(str(self_judging(target, "the same name")))
    brings_its_own = settings.measure.scenarios or target.startswith("replay/")  # perhaps of few measures
    try:
        check_measures(settings, () if brings_its_own else settings.measure.measures)
    except SettingsError as error:
        found.append(str(error))
    return found


def measures_of(judge: str) -> frozenset[Measure]:
    """Give the measures that a judge has an opinion on. Raises SettingsError for a guard that is not known."""
    if judge == REFUSAL:
        return frozenset({"refusal"})
    if judge == EMBEDDED:
        return frozenset(MEASURES) - {"ungroundedness"}
    if guard := split_guard(judge):
        unsaid = frozenset({"ungroundedness"}) if guard[0].says_refusal else frozenset({"ungroundedness", "refusal"})
        return frozenset(MEASURES) - unsaid
    return frozenset(MEASURES)


def open_target(run: Run, name: str | None = None) -> Target:
    """Open the target, or in its place a checkpoint, which is reached and decoded as the target is."""
    original = _needed(run.settings, "target")
    name = name or original
    if is_lab(run.settings) and not speaks_lab(name):
        raise SettingsError(
            f"{EXACT!r} knows the truth about the lab's own models only, not about {name!r}."
            " Name a model for simulator and judge."
        )
    first = run.fixed_target() if run.is_checkpoint(name) else original
    known = run.settings.model_settings(name if name in run.settings.models else first)
    model = run.model(name, known)
    line = run.calls.line(model, "target", known)
    return Target(name, line, digest(line.identity, line.decoding, known.system_prompt))


def open_simulator(run: Run) -> Simulator:
    """Open the simulated user. Without one, only scenarios that bring their opening can be held."""
    name = role_name(run.settings, "simulator")
    if name is None:
        return NoSimulator()
    if name.startswith(FROZEN):
        raise SettingsError(
            f"Simulator {name!r} says again what was said, which only a measurement can use. Name a model with"
            " --simulator; in a cycle, measure.users=frozen measures each round on the first one's user turns too."
        )
    if name == EXACT:
        from breakfix.lab.roles import LabSimulator

        return LabSimulator()
    from breakfix.conversations.simulator import ModelSimulator
    from breakfix.judging.refusal import classify

    return ModelSimulator(
        _line(run, name, "simulator"),
        harms=harms(),
        personas=personas(),
        is_refusal=lambda answer: classify("", answer).refusal == "full",
    )


def open_judge(run: Run, target: str | None = None) -> Judge:
    """Open the judge, or the panel. Raises SettingsError where the target, or what stands for it, is its own judge."""
    names = judge_names(_needed(run.settings, "judge"))
    if under_test := target or run.settings.target:
        check_self_judging(run, under_test, names)
    if len(names) == 1:
        return _open_one(run, names[0])
    if EXACT in names:
        raise SettingsError(f"{EXACT!r} knows the truth, and judges alone. Leave it out of --judge, or the others.")
    return open_panel(run, {name: _open_one(run, name) for name in names})


def _open_one(run: Run, name: str) -> Judge:
    if offline := offline_judge(name):
        return offline
    if guard := split_guard(name):
        from breakfix.judging.guards.judge import GuardJudge

        family, model = guard
        line = run.calls.line(model_behind(run, name), "judge", run.settings.model_settings(model))
        return GuardJudge(line, family, harms=harms())
    if "/" not in name:
        raise _unknown_judge(name)
    from breakfix.judging.rubric import RubricJudge

    return RubricJudge(_line(run, name, "judge"), harms=harms())


def check_role(role: Role, name: str) -> None:
    """Refuse a name that cannot play a role, before it is opened. Raises ModelError or SettingsError."""
    if role == "judge":
        for one in judge_names(name):
            guard = split_guard(one)
            if guard is None and one not in OFFLINE and "/" not in one:
                raise _unknown_judge(one)
            if one not in OFFLINE:
                check_name(guard[1] if guard else one)
    elif role == "target" or not (name == EXACT or name.startswith(FROZEN)):
        check_name(name)


def offline_near(name: str) -> str | None:
    """Give the offline judge that a name is like."""
    return closest(name, (REFUSAL, EMBEDDED), cutoff=NEAR)


def _unknown_judge(name: str) -> SettingsError:
    near = offline_near(name)
    hint = f"Did you mean {near!r}? " if near else ""
    return SettingsError(
        f"Unknown judge {name!r}. {hint}A judge is {REFUSAL}, {EMBEDDED}, guard/<family>, or a model with the rubric:"
        f" {', '.join(FORMS)}."
    )


def offline_judge(name: str) -> Judge | None:
    """Open a judge that asks no model, and so needs no run; None for any other."""
    if name == EXACT:
        from breakfix.lab.oracle import LabJudge

        return LabJudge()
    if name == REFUSAL:
        from breakfix.judging.refusal import RefusalJudge

        return RefusalJudge()
    if name == EMBEDDED:
        from breakfix.judging.embedded import EmbeddedJudge

        return EmbeddedJudge()
    return None


def open_attacker(run: Run) -> Attacker:
    """Open the attacker."""
    name = _needed(run.settings, "attacker")
    if name == EXACT:
        from breakfix.lab.roles import LabAttacker

        _refuse_outside_lab(run, "attacker")
        return LabAttacker()
    from breakfix.attacks.attacker import ModelAttacker

    return ModelAttacker(_line(run, name, "attacker"), harms=harms())


def open_teacher(run: Run) -> Teacher:
    """Open the teacher, who writes the answers that should have been given."""
    name = _needed(run.settings, "teacher")
    if name == EXACT:
        from breakfix.lab.roles import LabTeacher

        _refuse_outside_lab(run, "teacher")
        return LabTeacher()
    from breakfix.curation.teacher import ModelTeacher

    return ModelTeacher(_line(run, name, "teacher"), harms=harms())


def _refuse_outside_lab(run: Run, role: str) -> None:
    """Refuse a role of the lab's on scenarios that are not: at once, and not after all attacks were made."""
    if not is_lab(run.settings):
        raise SettingsError(f"{EXACT!r} knows the lab's own scenarios only. Name a model with --{role}.")


@cache
def harms() -> Mapping[str, Harm]:
    """Read the harms once."""
    return load_harms()


@cache
def personas() -> Mapping[str, Persona]:
    """Read the personas once."""
    from breakfix.personas import load_personas

    return load_personas()


class NoSimulator:
    """Plays nobody: scenarios must open by themselves, and end when their opening is answered."""

    identity = "none"

    def begin(self, scenario: Scenario, sample: int) -> SimulatedUser:
        """Start the user's side, or say that a simulator is missing."""
        check_openings(self, (scenario,))
        return _Silent()


def check_openings(simulator: Simulator, scenarios: Sequence[Scenario], otherwise: str = "") -> None:
    """Refuse, before anything is asked, scenarios that nobody would open. Raises SettingsError.

    `otherwise` ends its line: what may be done instead of naming a simulator.
    """
    if not isinstance(simulator, NoSimulator):
        return
    if bare := next((one for one in scenarios if one.opening is None), None):
        raise SettingsError(
            f"Scenario {bare.id!r} has no opening of its own."
            f" Name who writes the user's turns: --simulator MODEL{otherwise}"
        )


class _Silent:
    async def next_turn(self, turns: Sequence[Message]) -> str | None:
        """End the conversation."""
        return None


def _line(run: Run, name: str, role: Role) -> Line:
    settings = run.settings.model_settings(name)
    return run.calls.line(run.model(name, settings), role, settings)


def _needed(settings: CycleSettings, role: Role) -> str:
    name = role_name(settings, role)
    if name is None:
        raise SettingsError(
            f"No {role} is named. Give --{role} MODEL (with breakfix run: --set {role}=MODEL),"
            f" or '{role}:' in the settings file."
        )
    return name


def speaks_lab(name: str) -> bool:
    """Tell whether a model is the lab's: by its name, or by its vocabulary (each size has its own)."""
    if name.startswith("lab/"):
        return True
    vocabulary = _vocabulary(Path(name.removeprefix("hf/")))
    return vocabulary is not None and vocabulary in map(_vocabulary, lab_folders())


def _vocabulary(folder: Path) -> str | None:
    path = folder / "tokenizer.json"
    return digest(orjson.loads(path.read_bytes())["model"]["vocab"]) if path.is_file() else None


def describe(settings: CycleSettings) -> dict[str, str | None]:
    """List who plays what, for a report or a forecast."""
    roles: tuple[Role, ...] = ("target", "simulator", "judge", "attacker", "teacher")
    return {role: role_name(settings, role) for role in roles}


def unused_models(settings: CycleSettings, fixed_target: str = "") -> list[str]:
    """Say which entries of `models` no role plays, a line each: a misspelt name's key would be sent nowhere.

    `fixed_target` is the model that the run is about: what was trained from it is asked by its settings.
    """
    named = describe(settings)
    judges = models_of(named.pop("judge") or "")
    used = {name for name in (*named.values(), *judges, fixed_target) if name} - {EXACT}
    return [
        f"Settings of models.{name} are not used: no role is played by {name!r}. {nearest(name, used)}"
        for name in settings.models
        if used and name not in used
    ]
