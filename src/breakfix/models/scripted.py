"""A model that follows a YAML file of rules: for tests, examples and rehearsals without a model.

The file is a list of rules, or a mapping with `rules` and `latency_s`. The first rule whose `pattern` is found in the
last user message (in the whole chat, with `where: all`) answers; one without a pattern always does.
"""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from breakfix.errors import CallFailed, DataError, unreadable
from breakfix.identity import digest
from breakfix.pacing import TryAgain
from breakfix.types import Decoding, Message, Noun, Reply


class Rule(Noun):
    """One rule: when it holds, and what is answered."""

    pattern: str | None = None
    """A regular expression, in any case of letters; None: always."""
    where: Literal["last", "all"] = "last"
    reply: str | tuple[str, ...] = ""
    """Several: the first answers the first turn, and so on; the last one answers all later turns."""
    finish_reason: Literal["stop", "length", "filtered"] = "stop"
    error: str | None = None
    """The call fails for good, with this cause."""
    failures: int = 0
    """Tries that fail, and may be tried again, before the rule answers."""


class Script(Noun):
    """A whole file of rules."""

    rules: tuple[Rule, ...]
    latency_s: float = 0.0


class ScriptedModel:
    """A model that follows rules (protocols.Model)."""

    parallel = None

    def __init__(self, name: str, script: Script) -> None:
        self.name = name
        self.identity = digest("scripted", script)
        self._script = script
        self._patterns = [re.compile(rule.pattern or "", re.IGNORECASE | re.DOTALL) for rule in script.rules]
        self._failures = [rule.failures for rule in script.rules]

    async def generate(self, messages: Sequence[Message], decoding: Decoding) -> Reply:
        """Answer by the first rule that holds. Raises CallFailed where none does, or where the rule says so."""
        if self._script.latency_s:
            await asyncio.sleep(self._script.latency_s)
        number = self._rule_for(messages)
        rule = self._script.rules[number]
        if self._failures[number]:
            self._failures[number] -= 1
            raise TryAgain("a scripted failure")
        if rule.error is not None:
            raise CallFailed(rule.error)
        return Reply(text=_reply(rule, messages), finish_reason=rule.finish_reason)

    async def close(self) -> None:
        """Nothing to free."""

    def _rule_for(self, messages: Sequence[Message]) -> int:
        everything = "\n".join(message.content for message in messages)
        last = next((message.content for message in reversed(messages) if message.role == "user"), "")
        for number, (rule, pattern) in enumerate(zip(self._script.rules, self._patterns, strict=True)):
            if pattern.search(everything if rule.where == "all" else last):
                return number
        raise CallFailed(f"no rule of {self.name} matches")


def read_script(path: Path) -> Script:
    """Read a file of rules. Raises DataError naming the rule that is wrong."""
    try:
        tree: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read {str(path)!r}: {unreadable(error)}.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise DataError(f"{path}{line} is not valid YAML. Correct that line.") from None
    try:
        script = Script.model_validate({"rules": tree} if isinstance(tree, list) else tree)
    except ValidationError as error:
        first = error.errors()[0]
        place = " ".join(str(part) for part in first["loc"])
        raise DataError(f"{path}: {place}: {first['msg']}. A rule has: {', '.join(Rule.model_fields)}.") from None
    for number, rule in enumerate(script.rules, 1):
        _check_pattern(rule, where=f"{path}: rule {number}")
    return script


def _check_pattern(rule: Rule, where: str) -> None:
    try:
        re.compile(rule.pattern or "")
    except re.error as error:
        raise DataError(f"{where}: pattern is not a regular expression ({error}).") from None


def _reply(rule: Rule, messages: Sequence[Message]) -> str:
    if isinstance(rule.reply, str):
        return rule.reply
    turn = sum(message.role == "assistant" for message in messages)
    return rule.reply[min(turn, len(rule.reply) - 1)] if rule.reply else ""
