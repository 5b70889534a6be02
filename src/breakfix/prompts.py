"""Prompt files: load one by name, fill it; a missing or unused variable is an error, never an empty hole.

A variable is written `{{name}}`. Everything else, single braces of JSON included, is taken word for word.
"""

import re
from importlib import resources
from pathlib import Path

from breakfix.errors import DataError, unreadable
from breakfix.packaged import data_file
from breakfix.types import Message, Noun, Scenario

GROUNDING_PROMPT = (
    "Answer from the text below and from nothing else. If the text does not hold the answer, say so.\n\n"
    "Text:\n{grounding}"
)
_VARIABLE = re.compile(r"\{\{\s*([a-z][a-z0-9_]*)\s*\}\}")


class Prompt(Noun):
    """A prompt file: its name, and its text with `{{variables}}`."""

    name: str
    text: str

    @property
    def variables(self) -> frozenset[str]:
        """The variables that the text has."""
        return frozenset(_VARIABLE.findall(self.text))


def load_prompt(name: str) -> Prompt:
    """Read a packaged prompt by name (data/prompts/<name>.md), or the user's own file by path. Raises DataError."""
    if "/" in name or name.endswith(".md"):
        return _read(name, Path(name))
    folder = data_file("prompts")
    with resources.as_file(folder / f"{name}.md") as path:
        if path.exists():
            return _read(name, path)
    known = sorted(item.name.removesuffix(".md") for item in folder.iterdir() if item.name.endswith(".md"))
    raise DataError(f"No prompt {name!r}. Known: {', '.join(known)}; or give the path of a file.")


def fill(prompt: Prompt, **values: str) -> str:
    """Put values in place of variables, once: a value that holds `{{x}}` stays as it is. Raises DataError."""
    wanted, given = prompt.variables, frozenset(values)
    if missing := wanted - given:
        raise DataError(f"Prompt {prompt.name!r} needs {_names(missing)}, which was not given.")
    if unused := given - wanted:
        raise DataError(f"Prompt {prompt.name!r} does not use {_names(unused)}. Its variables: {_names(wanted)}.")
    return _VARIABLE.sub(lambda match: values[match.group(1)], prompt.text)


def system_messages(scenario: Scenario) -> tuple[Message, ...]:
    """Give the system message that the target hears: the scenario's own prompt, and its grounding text if any.

    A grounding text that the opening already quotes is not said twice.
    """
    parts = [scenario.system_prompt] if scenario.system_prompt else []
    if scenario.grounding and scenario.grounding not in (scenario.opening or ""):
        parts.append(GROUNDING_PROMPT.format(grounding=scenario.grounding))
    return (Message(role="system", content="\n\n".join(parts)),) if parts else ()


def _read(name: str, path: Path) -> Prompt:
    try:
        return Prompt(name=name, text=path.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read prompt file {name!r}: {unreadable(error)}.") from None


def _names(names: frozenset[str]) -> str:
    return ", ".join(f"{{{{{name}}}}}" for name in sorted(names)) or "none"
