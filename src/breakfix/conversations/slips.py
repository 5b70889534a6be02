"""What a simulated user wrote, and whether it is a user's message at all.

A model that plays the user may refuse to, may answer as the assistant it was trained to be, or may judge the talk from
outside. None of that may reach the target: it would be measured on words that nobody says. The words by which it is
known are in data/slips.yaml (English) and data/languages.yaml.
"""

import re
from collections.abc import Sequence
from functools import cache

from breakfix.languages import is_slip_in, is_written_in, name_of
from breakfix.packaged import read_data
from breakfix.personas import unwrapped
from breakfix.types import Message

REACH = 400
"""Characters of a message, from its beginning, in which a slip is looked for."""
ECHO_WORDS = 8
"""So many words, and all the assistant's own, are an echo of it."""
REFUSING = (
    "n't",
    "n’t",
    "not ",
    "unable",
    "sorry",
    "declin",
    "refus",
    "apolog",
    "inappropriate",
    "unethical",
    "against",
)
"""Without one of these, an English answer refuses nothing."""
FAULTS = {
    "refuses": "refused or fell out of its role",
    "answers": "answered in the assistant's place (it fell out of its role)",
    "watches": "judged the conversation instead of taking part (it fell out of its role)",
}
_OTHER_SIDE = re.compile(r"^\s*(?:\*\*)?(?:assistant|ai|chatbot)(?:\*\*)?\s*:", re.I | re.M)


def fault_of(text: str, language: str, turns: Sequence[Message] = ()) -> str | None:
    """Say why a text is no user's message, in this language and after these turns; None: it is one."""
    if not text:
        return "wrote nothing"
    if slip := slip_of(text):
        return FAULTS[slip]
    if is_slip_in(text[:REACH], language):
        return FAULTS["refuses"]
    if _is_echo(text, turns):
        return FAULTS["answers"]
    if language == "en" and text.isascii():
        return None
    return None if is_written_in(text, language) else f"did not write in {name_of(language)}"


def slip_of(text: str) -> str | None:
    """Name what a text does that no user does: refuses, answers, watches."""
    head = text[:REACH].lower()  # as the patterns are: to search without regard to case takes half as long again
    return next((name for name, (begins, holds) in _slips().items() if begins.match(head) or holds.search(head)), None)


def sounds_refused(answer: str) -> bool:
    """Tell quickly whether an answer may be a refusal at all; most are not, and need no closer look."""
    head = answer[:REACH].lower()
    return any(sign in head for sign in REFUSING)


def clean_turn(text: str) -> str:
    """Strip what models put around a message: a speaker's name, quotation marks, and the other side's lines."""
    text = _OTHER_SIDE.split(text, maxsplit=1)[0] if not _OTHER_SIDE.match(text) else text
    return unwrapped(text)


def _is_echo(text: str, turns: Sequence[Message]) -> bool:
    """Tell whether a text is what the assistant said last, over again."""
    last = next((turn.content for turn in reversed(turns) if turn.role == "assistant"), "")
    if text.lstrip()[:1] != last.lstrip()[:1]:  # most: asked of every turn, so it must cost little
        return False
    said = text.split()
    return len(said) >= ECHO_WORDS and said == last.split()


@cache
def _slips() -> dict[str, tuple[re.Pattern[str], re.Pattern[str]]]:
    """Give each kind's patterns: those for the beginning of a message, which are tried once, and those for anywhere."""
    kinds: dict[str, list[str]] = read_data("slips.yaml")
    return {
        kind: (
            _either([each for each in patterns if each.startswith("^")]),
            _either([each for each in patterns if not each.startswith("^")]),
        )
        for kind, patterns in kinds.items()
    }


def _either(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{each})" for each in patterns))
