"""The published sets that breakfix reads: where each lies, its columns, its licence, and what a row means.

A set's own categories are given a harm of harms.yaml only where they mean the same; where they are broader, the area
of Figure 4 alone is given. A prompt that touches a prohibited harm (design D12), whatever its set calls it, is filed
under that harm: it is asked once, in the refusal measure only, and nobody writes a further word.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from breakfix.types import Area, Measure, Refusal

Row = dict[str, Any]
HARMFUL_MEASURES: tuple[Measure, ...] = ("jailbreak", "refusal")
PROHIBITED: dict[str, Area] = {"child_sexual_exploitation": "sexual", "mass_casualty_weapons": "violence"}
HUMAN_LABELS: dict[str, Refusal] = {
    "1_full_compliance": "none",
    "2_full_refusal": "full",
    "3_partial_refusal": "partial",
}

_CHILD = re.compile(
    r"\b(?:child(?:ren)?|minors?|underage|teen(?:ager)?s?|pre-?teens?|kids?|infants?|toddlers?)\b", re.I
)
_SEXUAL = re.compile(r"\b(?:sex\w*|porn\w*|erotic\w*|nud(?:e|es|ity)|grooming|molest\w*|pedophil\w*|explicit)\b", re.I)
_CHILD_ABUSE = re.compile(r"\b(?:child porn\w*|csam|p(?:a?e)dophil\w*|lolita\w*)\b", re.I)
_MASS_WEAPON = re.compile(
    r"\b(?:bio-?weapons?|biological (?:weapon|agent|warfare)s?|chemical (?:weapon|warfare)s?|nerve (?:agent|gas)|sarin|"
    r"anthrax|ricin|smallpox|(?:nuclear|dirty|atomic|radiological) (?:bomb|weapon|device)s?|"
    r"weapons? of mass destruction|mustard gas|chlorine gas|vx gas|pandemic virus|deadly virus|mass[- ]casualty)\b",
    re.I,
)


class Topic(NamedTuple):
    """What a set's own category is in our terms."""

    area: Area | None = None
    harm: str = "none"


class Layout(NamedTuple):
    """How to read one published set."""

    files: str
    """Where its files lie under BREAKFIX_DATA, as a pattern."""
    columns: tuple[str, ...]
    """What a file must have to be read as this set."""
    measures: tuple[Measure, ...]
    licence: str
    take: Callable[[Row, Measure], Row | None]
    """Fields of a scenario from a row; None: the row holds nothing for this measure."""


AILUMINATE: dict[str, Topic] = {
    "cse": Topic("sexual", "child_sexual_exploitation"),
    "dfm": Topic("current_events", "fabricated_news"),
    "hte": Topic("hate"),
    "ipv": Topic(),
    "iwp": Topic("violence", "mass_casualty_weapons"),
    "ncr": Topic("cyber"),
    "prv": Topic("cyber", "privacy"),
    "spc_ele": Topic("political_misinformation", "election_misinformation"),
    "spc_fin": Topic("model_identity", "unqualified_advice"),
    "spc_hlt": Topic("model_identity", "unqualified_advice"),
    "spc_lgl": Topic("model_identity", "unqualified_advice"),
    "src": Topic("sexual", "sexual_abuse"),
    "ssh": Topic("violence", "self_harm"),
    "sxc_prn": Topic("sexual", "adult_sexual"),
    "vcr": Topic("violence", "violent_crime"),
}
JAILBREAKBENCH: dict[str, Topic] = {
    "Disinformation": Topic("political_misinformation"),
    "Economic harm": Topic("cyber"),
    "Expert advice": Topic("model_identity", "unqualified_advice"),
    "Fraud/Deception": Topic("cyber", "fraud"),
    "Government decision-making": Topic("fairness"),
    "Harassment/Discrimination": Topic("hate"),
    "Malware/Hacking": Topic("cyber"),
    "Physical harm": Topic("violence"),
    "Privacy": Topic("cyber", "privacy"),
    "Sexual/Adult content": Topic("sexual"),
}
STRONGREJECT: dict[str, Topic] = {
    "Disinformation and deception": Topic("political_misinformation"),
    "Hate, harassment and discrimination": Topic("hate"),
    "Illegal goods and services": Topic("violence", "dangerous_acts"),
    "Non-violent crimes": Topic("cyber"),
    "Sexual content": Topic("sexual"),
    "Violence": Topic("violence"),
}


def prohibited_harm(text: str) -> str | None:
    """Name the prohibited harm that a prompt touches, if any. Errs on the side of finding one."""
    if _CHILD_ABUSE.search(text) or (_CHILD.search(text) and _SEXUAL.search(text)):
        return "child_sexual_exploitation"
    return "mass_casualty_weapons" if _MASS_WEAPON.search(text) else None


def _harmful(prompt: str, topic: Topic, measure: Measure, **more: Any) -> Row | None:
    """Give the fields of a harmful prompt; None where its harm is prohibited and the measure is not refusal."""
    prohibited = topic.harm if topic.harm in PROHIBITED else prohibited_harm(prompt)
    if prohibited:
        topic = Topic(PROHIBITED[prohibited], prohibited)
    if prohibited and measure != "refusal":
        return None
    turns = {"max_turns": 1} if measure == "refusal" else {}
    return {"opening": prompt, "harm": topic.harm, "area": topic.area, **turns, **more}


def _xstest(row: Row, measure: Measure) -> Row:
    number = row["id"].removeprefix("v2-")
    kind = "harmful" if row["type"].startswith("contrast_") else "benign"
    fields = {"opening": row["prompt"], "kind": kind, "max_turns": 1}
    return {**fields, "id": f"{measure}/xstest/{number}", "family": f"xstest/{number}", "source": "xstest"}


def _completion(row: Row, measure: Measure) -> Row:
    label = HUMAN_LABELS.get(row["final_label"])
    return {**_xstest(row, measure), "truth": {"human_label": label} if label else None}


def _advbench(row: Row, measure: Measure) -> Row | None:
    return _harmful(row["goal"], Topic(), measure)


def _jailbreakbench(row: Row, measure: Measure) -> Row | None:
    topic = JAILBREAKBENCH.get(row["Category"], Topic())
    return _harmful(row["Goal"], topic, measure, family=f"jailbreakbench/{row['Behavior']}")


def _attack(row: Row, measure: Measure) -> Row | None:
    if not row["prompt"]:
        return None
    fields = _harmful(row["prompt"], JAILBREAKBENCH.get(row["category"], Topic()), measure)
    if fields is None or prohibited_harm(row["goal"]):
        return None
    return {**fields, "objective": row["goal"], "family": f"jailbreakbench/{row['behavior']}", "max_turns": 1}


def _strongreject(row: Row, measure: Measure) -> Row | None:
    return _harmful(row["forbidden_prompt"], STRONGREJECT.get(row["category"], Topic()), measure)


def _harmbench(row: Row, measure: Measure) -> Row | None:
    if row.get("ContextString"):
        return None
    return _harmful(row["Behavior"], Topic(), measure, family=f"harmbench/{row['BehaviorID']}")


def _ailuminate(row: Row, measure: Measure) -> Row | None:
    if measure == "third_party" and row["hazard"] != "ipv":
        return None
    topic = AILUMINATE.get(row["hazard"], Topic())
    fields = _harmful(row["prompt_text"], topic, measure, language=row["locale"][:2])
    return fields and {**fields, "family": f"ailuminate/{row['release_prompt_id']}"}


def _do_not_answer(row: Row, measure: Measure) -> Row | None:
    return _harmful(row["question"], Topic(), measure, family=f"do-not-answer/{row['id']}")


def _mitre(row: Row, measure: Measure) -> Row | None:
    if str(row["is_malicious"]).lower() == "true":
        return None
    return {"opening": row["mutated_prompt"], "kind": "benign", "area": "cyber", "max_turns": 1}


def _begin(row: Row, measure: Measure) -> Row:
    return {
        "opening": row["message"],
        "grounding": row["knowledge"],
        "kind": "benign",
        "objective": "Talk about the subject of the text",
        "max_turns": 1,
    }


LAYOUTS: dict[str, Layout] = {
    "xstest-completions": Layout(
        "xstest/model_completions/*.csv",
        ("id", "type", "prompt", "completion", "final_label"),
        ("refusal",),
        "CC-BY-4.0",
        _completion,
    ),
    "xstest": Layout("xstest/xstest_prompts*.csv", ("id", "prompt", "type"), ("refusal",), "CC-BY-4.0", _xstest),
    "advbench": Layout("advbench/*.csv", ("goal", "target"), HARMFUL_MEASURES, "MIT", _advbench),
    "jailbreakbench": Layout(
        "jailbreakbench/harmful-behaviors*.csv",
        ("Goal", "Behavior", "Category"),
        HARMFUL_MEASURES,
        "MIT",
        _jailbreakbench,
    ),
    "jailbreakbench-attacks": Layout(
        "jailbreakbench/attack-artifacts/**/*.json",
        ("goal", "behavior", "category", "prompt"),
        ("jailbreak",),
        "MIT",
        _attack,
    ),
    "strongreject": Layout(
        "strongreject/*.csv", ("category", "source", "forbidden_prompt"), HARMFUL_MEASURES, "MIT", _strongreject
    ),
    "harmbench": Layout("harmbench/*.csv", ("Behavior", "BehaviorID"), HARMFUL_MEASURES, "MIT", _harmbench),
    "ailuminate": Layout(
        "ailuminate*/*en_us*.csv",
        ("release_prompt_id", "prompt_text", "hazard", "locale"),
        (*HARMFUL_MEASURES, "third_party"),
        "CC-BY-4.0",
        _ailuminate,
    ),
    "do-not-answer": Layout(
        "do-not-answer/*.csv", ("id", "risk_area", "question"), HARMFUL_MEASURES, "CC-BY-NC-SA-4.0", _do_not_answer
    ),
    "mitre-frr": Layout("mitre-frr/*.json", ("mutated_prompt", "is_malicious"), ("refusal",), "MIT", _mitre),
    "begin": Layout(
        "begin*/begin_*.tsv", ("knowledge", "message", "begin_label"), ("ungroundedness",), "CC-BY-4.0", _begin
    ),
}
