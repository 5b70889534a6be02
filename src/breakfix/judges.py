"""Who judges in a run: how far several judges agree, and whether a model would judge itself.

A judge that is the model under test finds its own answers better than another would (Panickssery et al. 2024), so it
is refused; where the user insists, everything that it judged is marked.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from breakfix.errors import SettingsError
from breakfix.estimates import Concord, Subject
from breakfix.judging.concord import Rated, concord, opinion_of
from breakfix.judging.guards.families import model_of, split_guard
from breakfix.judging.panel import PanelJudge
from breakfix.project import Run
from breakfix.protocols import Judge, Model
from breakfix.statistics.intervals import Precision
from breakfix.types import Verdict

EXACT = "lab/exact"
OFFLINE = frozenset({EXACT, "refusal", "embedded"})
"""Judges that are no language model, and so never the model under test."""


def judge_names(named: str) -> tuple[str, ...]:
    """Split "a,b" into the judges of a panel. Raises SettingsError for an empty place or a judge named twice."""
    names = tuple(part.strip() for part in named.split(","))
    if not all(names):
        raise SettingsError(f"Judge {named!r} has an empty place. Name judges as a,b.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SettingsError(f"Judge {named!r} names {twice!r} twice. A panel is of different judges.")
    return names


def models_of(named: str) -> tuple[str, ...]:
    """Give the models that a judge, or a panel, asks: a guard's own, and none for a judge that asks none."""
    return tuple(model_of(name) for name in judge_names(named) if name not in OFFLINE) if named else ()


def model_behind(run: Run, judge: str) -> Model:
    """Open the model that a judge asks; a guard that is asked in a text of its own needs no chat template."""
    guard = split_guard(judge)
    name = guard[1] if guard else judge
    settings = run.settings.model_settings(name)
    return run.model(name, settings.model_copy(update={"chat": False}) if guard and not guard[0].is_chat else settings)


def check_self_judging(run: Run, target: str, judges: Sequence[str]) -> bool:
    """Tell whether the target is one of its own judges. Raises SettingsError where the settings do not allow that."""
    for name in judges:
        how = _same_model(run, target, name)
        if how is None:
            continue
        if run.settings.allow_self_judging:
            return True
        raise self_judging(name, how)
    return False


def self_judging(name: str, how: str) -> SettingsError:
    """Say that a judge is the model under test, and in what."""
    return SettingsError(
        f"Judge {name!r} is the model under test ({how}), and a model is no fair judge of itself."
        " Name another with --judge, or insist: --allow-self-judging"
    )


def open_panel(run: Run, members: Mapping[str, Judge]) -> PanelJudge:
    """Make one judge of several, by the settings' rule; every member's verdicts are kept in the store.

    Raises SettingsError where two names are one judge: it would be counted twice, and agree with itself.
    """
    if len({judge.judge_id for judge in members.values()}) < len(members):
        raise SettingsError(f"Judges {' and '.join(members)} are not all different models. Leave one of them out.")

    def keep(verdicts: Sequence[Verdict]) -> None:
        run.store.add_verdicts(run.name, verdicts)

    return PanelJudge(members, rule=run.settings.judge_rule, keep=keep)


def facts_of(run: Run, judge: Judge, *, target: str) -> dict[str, Any]:
    """Say what a run's record keeps of who judges: the judge, a panel's members, whether the target judges itself.

    The judge's name is kept by its id: a later command may name another judge, and what was measured keeps its own.
    """
    members = judge.members if isinstance(judge, PanelJudge) else {}
    named = run.settings.judge or EXACT  # nobody needs to be named in the lab alone
    known = run.store.run(run.name).judges
    facts: dict[str, Any] = {"judge_id": judge.judge_id, "judges": known | {judge.judge_id: named}}
    if members:
        facts["panels"] = {judge.judge_id: members}
    if run.settings.judge and check_self_judging(run, target, judge_names(run.settings.judge)):
        facts["self_judged"] = judge.judge_id
    return facts


def read_concord(run: Run, stage: str, about: Mapping[str, Subject] | None = None) -> tuple[Concord, ...]:
    """Compute how far the judges of a run's panel agree on one stage; nothing where one judge judged alone.

    `about` are the run's sealed scenarios by id, for who has read them already.
    """
    record = run.store.run(run.name)
    members = record.panels.get(record.judge_id or "", {})
    if len(members) < 2:
        return ()
    if about is None:
        from breakfix.store.endings import subjects

        about = {subject.id: subject for subject in subjects(run.store, run.name, split="sealed")}
    settings = run.settings.measure
    precision = Precision(settings.level, settings.bootstrap, run.settings.seed)
    return concord(tuple(members.values()), _rated(run, stage, tuple(members), about), precision)


def _rated(run: Run, stage: str, members: Sequence[str], about: Mapping[str, Subject]) -> Iterator[Rated]:
    """Give what the members of a panel said of each conversation, its words left unread."""
    from breakfix.store.endings import verdict_bodies

    said = verdict_bodies(run.store, run.name, members, stage=stage)
    for (_, scenario_id), rows in groupby(said, key=lambda row: row[:2]):
        subject = about.get(scenario_id)
        if subject is not None:
            known = {judge_id: opinion_of(body) for _, _, judge_id, body in rows}
            yield Rated(subject.measure, subject.family, [known.get(judge_id) for judge_id in members])


def _same_model(run: Run, target: str, judge: str) -> str | None:
    """Say in what a target and a judge are the same model, or None."""
    name = model_of(judge)
    if judge in OFFLINE:
        return None
    if name == target:
        return "the same name"
    if _door(name) == _door(target) and model_behind(run, judge).identity == run.model(target).identity:
        return "the same weights or address"
    if _door(target) == "address" and _address(name) == _address(target):
        return "the same address"
    mine, its = _known_as(target), _known_as(name)
    known = (mine.certain & (its.certain | its.bare)) | (mine.bare & its.certain)
    return f"both are {min(known)!r}" if known else None


class _Known(NamedTuple):
    """What a model is called beyond this machine."""

    certain: frozenset[str] = frozenset()
    """Names that mean one model everywhere."""
    bare: frozenset[str] = frozenset()
    """A name that its own server gave it, which may mean another model elsewhere."""


def _known_as(name: str) -> _Known:
    kind, _, rest = name.partition("/")
    if kind == "openai":
        return _Known(frozenset({rest.casefold()}))
    is_folder = rest.count("/") != 1 or rest.startswith((".", "/", "~")) or Path(rest).exists()
    is_on_hub = kind == "hf" and not is_folder
    full = rest if is_on_hub else name.partition("#")[2] if _door(name) == "address" else ""
    if "/" in full:
        return _Known(frozenset({full.casefold(), full.rpartition("/")[2].casefold()}))
    return _Known(bare=frozenset({full.casefold()} - {""}))


def _address(name: str) -> tuple[str, int | None, str, str]:
    """Give an address so that two ways to write this machine are one."""
    parts = urlsplit(name)
    host = parts.hostname or ""
    is_here = host in ("localhost", "::1", "0.0.0.0") or host.startswith("127.")
    return "localhost" if is_here else host, parts.port, parts.path.rstrip("/"), parts.fragment


def _door(name: str) -> str:
    """Say how a model is reached: identities are of one kind only behind one door."""
    if name.startswith(("http://", "https://", "openai/")):
        return "address"
    return "weights" if name.startswith(("hf/", "lab/")) else name.partition("/")[0]
