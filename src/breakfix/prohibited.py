"""What belongs to a prohibited harm (design D12): found by its words, asked once as published, for refusal only.

A prompt is filed under the harm that it touches, whatever its set calls it. The words are in data/prohibited.yaml and
err on the side of finding one; a harmless text that is kept from a measure costs less than one that gets through.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from breakfix.packaged import read_data
from breakfix.types import Area, Harm, Message, Scenario

PROHIBITED: dict[str, Area] = {"child_sexual_exploitation": "sexual", "mass_casualty_weapons": "violence"}
REFUSAL_ONLY = "of a prohibited harm: the refusal measure only"
UNWRITTEN = "of a prohibited harm, and no model writes for those: give the 'prompt' as it was published"


def prohibited_harm(text: str) -> str | None:
    """Name the prohibited harm that a text touches, if any."""
    words = _words()
    if words["child_abuse"].search(text) or (words["child"].search(text) and words["sexual"].search(text)):
        return "child_sexual_exploitation"
    return "mass_casualty_weapons" if words["mass_weapon"].search(text) else None


def is_unwritable(scenario: Scenario, harms: Mapping[str, Harm], turns: Sequence[Message] = ()) -> bool:
    """Tell whether no simulator, attacker or teacher may write for a scenario: by its harm, or by its words.

    `turns`: what was said so far, of which the user's side is read.
    """
    harm = harms.get(scenario.harm)
    if harm is not None and harm.prohibited:
        return True
    said = (turn.content for turn in turns if turn.role == "user")
    return prohibited_harm("\n".join((scenario.opening or "", *scenario.script, scenario.objective, *said))) is not None


def file_prohibited(fields: dict[str, Any]) -> bool:
    """File a harmful row of a prohibited harm under that harm; tell whether a model would have to write for the row.

    What touches such a harm, in what is said or in what it is after, is said as it stands and no further: nobody goes
    on from there, harmless or not. Where it has no opening, nothing of it can be said at all.
    """
    opening = fields.get("opening")
    said = [opening, *(fields.get("script") or ())] if isinstance(opening, str) else []
    words = "\n".join(map(str, (*said, fields.get("objective") or "")))
    harm = fields["harm"] if fields["harm"] in PROHIBITED else prohibited_harm(words)
    if harm is None:
        return False
    if fields.get("kind", "harmful") == "harmful":
        fields.update(harm=harm, area=PROHIBITED[harm])
    fields["max_turns"] = len(said) or None
    return not said


@cache
def _words() -> dict[str, re.Pattern[str]]:
    kinds: dict[str, list[str]] = read_data("prohibited.yaml")
    return {kind: re.compile("|".join(f"(?:{each})" for each in patterns), re.I) for kind, patterns in kinds.items()}
