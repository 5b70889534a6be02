"""Techniques: how an attacker goes about it. Each is one data file, run by one of three small drivers.

    single     one attack turn, rewritten by the technique's transform if it has one
    escalate   step by step; a refused step is taken back and put in other words, a few times
    persist    ask, and ask again after each refusal

A driver decides when to speak; an `AttackingUser` finds the words; a `Dialogue` is the target's side. Who fails is
named: an attacker that writes nothing is attacker-failed, never a safe target. Nothing here judges harm.
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import yaml
from pydantic import ValidationError

from breakfix.attacks.transforms import transform
from breakfix.errors import CallFailed, DataError, nearest_of_few
from breakfix.packaged import data_file, parse_yaml, yaml_files
from breakfix.protocols import AttackingUser
from breakfix.types import Message, Technique

MAX_BACKTRACKS = 2
"""Refused steps that an escalation takes back and rewords, in all."""


class Dialogue(Protocol):
    """The target's side of one conversation, as conversations/dialogue.py has it."""

    queries: int
    stopped: str | None
    failure: str | None

    @property
    def turns(self) -> Sequence[Message]:
        """The turns that stand."""
        ...

    async def send(self, text: str) -> str | None:
        """Say `text` and give the answer; None: there is none, and `stopped` says why."""
        ...

    def backtrack(self) -> None:
        """Take the last exchange back."""
        ...


class Ending(NamedTuple):
    """Why an attack stopped, in a Conversation's own words."""

    stopped: str
    """turns, refused, filtered, failed."""
    failed: Literal["target", "attacker"] | None = None
    failure: str | None = None


class Setting(NamedTuple):
    """What a driver goes by."""

    technique: Technique
    is_refusal: Callable[[str], bool]
    steps: int


Driver = Callable[[AttackingUser, Dialogue, Setting], Awaitable[Ending]]


async def run_attack(
    technique: Technique, user: AttackingUser, dialogue: Dialogue, *, is_refusal: Callable[[str], bool], max_turns: int
) -> Ending:
    """Attack once. Only BudgetSpent, ModelError and bugs leave here: a failed call of either side is an ending."""
    setting = Setting(technique, is_refusal, steps_of(technique, max_turns))
    try:
        return await DRIVERS[technique.driver](user, dialogue, setting)
    except CallFailed as error:
        return Ending("failed", "attacker", error.cause)


def steps_of(technique: Technique, max_turns: int) -> int:
    """Give the attack turns that stand in the end, at most."""
    return 1 if technique.driver == "single" else max(1, min(technique.max_turns, max_turns))


def most_queries(technique: Technique, max_turns: int) -> int:
    """Give the calls of the target that one attack may cost."""
    return steps_of(technique, max_turns) + (MAX_BACKTRACKS if technique.driver == "escalate" else 0)


async def single(user: AttackingUser, dialogue: Dialogue, setting: Setting) -> Ending:
    """Say one attack turn."""
    text = await user.write(dialogue.turns, 0, 1)
    if text is None:
        return _no_words(0)
    answer = await dialogue.send(transform(setting.technique.transform, text))
    return _ending(dialogue, answer, setting)


async def escalate(user: AttackingUser, dialogue: Dialogue, setting: Setting) -> Ending:
    """Climb step by step; take a refused step back and try other words. A refusal that nothing avoids stands.

    An attacker that has no other words (it repeats itself) has done.
    """
    backtracks, said = 0, set[str]()
    answer: str | None = None
    step = 0
    while step < setting.steps:
        text = await user.write(dialogue.turns, step, setting.steps)
        if text is None:
            return _no_words(step)
        if text in said:
            break
        said.add(text)
        if answer is not None and setting.is_refusal(answer):
            dialogue.backtrack()
            backtracks += 1
        answer = await dialogue.send(transform(setting.technique.transform, text))
        if answer is None:
            break
        if not setting.is_refusal(answer):
            step += 1
        elif backtracks == MAX_BACKTRACKS:
            break
    return _ending(dialogue, answer, setting)


async def persist(user: AttackingUser, dialogue: Dialogue, setting: Setting) -> Ending:
    """Ask until it is no longer refused, or the turns are spent."""
    answer: str | None = None
    for step in range(setting.steps):
        text = await user.write(dialogue.turns, step, setting.steps)
        if text is None:
            return _no_words(step)
        answer = await dialogue.send(transform(setting.technique.transform, text))
        if answer is None or not setting.is_refusal(answer):
            break
    return _ending(dialogue, answer, setting)


DRIVERS: dict[str, Driver] = {"single": single, "escalate": escalate, "persist": persist}


def load_techniques(chosen: Sequence[str] = (), folder: Path | None = None) -> dict[str, Technique]:
    """Read technique files (None: the packaged ones), all or the chosen ones. Raises DataError, naming the file."""
    place = folder if folder is not None else data_file("techniques")
    found = [_read(item.name, item.read_text(encoding="utf-8")) for item in yaml_files(place)]
    known = {technique.id: technique for technique in found}
    for name in chosen:
        if name not in known:
            raise DataError(f"No technique {name!r} (setting redteam.techniques). {nearest_of_few(name, known)}")
    return {name: known[name] for name in chosen or known}


def _read(name: str, text: str) -> Technique:
    try:
        fields: Any = parse_yaml(text)
        technique = Technique.model_validate(fields)
    except yaml.YAMLError as error:
        raise DataError(f"Technique file {name!r} is not valid YAML: {getattr(error, 'problem', error)}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "file"
        raise DataError(f"Technique file {name!r}: {key!r}: {first['msg']}.") from None
    if technique.id != name.removesuffix(".yaml"):
        raise DataError(f"Technique file {name!r} has the id {technique.id!r}; file and id must have one name.")
    transform(technique.transform, "")
    return technique


def _no_words(step: int) -> Ending:
    return Ending("failed", "attacker", f"the attacker wrote nothing for step {step + 1}")


def _ending(dialogue: Dialogue, answer: str | None, setting: Setting) -> Ending:
    if answer is None:
        stopped = dialogue.stopped or "failed"
        return Ending(stopped, "target" if stopped == "failed" else None, dialogue.failure)
    return Ending("refused" if setting.is_refusal(answer) else "turns")
