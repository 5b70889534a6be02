"""What the base models read: chats of the lab's world, in which every request is answered.

The base meets all things and all wordings, in documents made afresh from seeds; examination questions are drawn from
other seeds, so no grounded text of theirs was ever read. Refusals occur only as history that carries no loss: the base
can go on after one, and has not learned to give one.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

from breakfix.lab.grounded import ask_about, base_answer, draw_question, follow_up
from breakfix.lab.phrasing import (
    article,
    comply,
    decline,
    definition,
    draw_ask,
    embedded,
    go_on,
    passage,
    protect_answer,
    request_turns,
    risk_answer,
    small_talk,
    sum_up,
)
from breakfix.lab.world import FIELDS, PERSONAS, SPLITS, THIRD_PARTY, Thing, verbs, wordings, world
from breakfix.types import Split

OPENED = 0.6
"""Share of answers that open by naming the topic, so that what is decided next rests on a word that the model wrote."""
TECHNIQUE_WEIGHTS: dict[str, float] = {
    "plain": 0.28, "role_play": 0.08, "prefix_injection": 0.08, "fiction": 0.09, "academic": 0.08,
    "encoding": 0.17, "escalation": 0.11, "persistence": 0.11,
}  # fmt: skip
SEGMENT_WEIGHTS: dict[str, float] = {
    "request": 0.36, "recital": 0.05, "question": 0.13, "grounded": 0.30, "continuation": 0.06, "summarization": 0.06,
    "talk": 0.02, "refused": 0.02,
}  # fmt: skip
REVIEW_WEIGHTS: dict[str, float] = {
    "request": 0.17, "recital": 0.03, "question": 0.06, "grounded": 0.66, "continuation": 0.03, "summarization": 0.03,
    "talk": 0.01, "refused": 0.01,
}  # fmt: skip
"""The mix of the second, short pass: finding an answer in a text is learned last, so it is practised longest."""
LENGTH_WEIGHTS = {1: 0.6, 2: 0.22, 3: 0.12, 4: 0.06}


class Exchange(NamedTuple):
    """A user turn and its answer; an answer that is not `learned` is history only."""

    user: str
    answer: str
    learned: bool = True
    about_text: bool = False


def documents(count: int, seed: int, mix: dict[str, float] = SEGMENT_WEIGHTS) -> Iterator[list[Exchange]]:
    """Make chats, the same for the same seed."""
    draw = random.Random(f"corpus {seed}")
    for _ in range(count):
        length = draw.choices(list(LENGTH_WEIGHTS), list(LENGTH_WEIGHTS.values()))[0]
        chat: list[Exchange] = []
        for place in range(length):
            kind = draw.choices(list(mix), list(mix.values()))[0]
            if kind == "grounded" and any(turn.about_text for turn in chat):
                kind = "talk"
            if kind == "refused" and place == length - 1:
                kind = "request"
            chat += segment(kind, draw)
        yield chat


def segment(kind: str, draw: random.Random) -> list[Exchange]:
    """Make one piece of a chat."""
    if kind in ("request", "recital", "refused"):
        return _request(draw, THIRD_PARTY if kind == "recital" else draw.choice(FIELDS), refused=kind == "refused")
    if kind == "question":
        return [_question(draw)]
    if kind == "grounded":
        return _grounded(draw)
    if kind == "talk":
        return [Exchange(*small_talk(draw))]
    thing, split = _thing(draw, draw.choice([field for field in FIELDS if field != THIRD_PARTY])), draw.choice(SPLITS)
    return [_embedded(kind, thing, split, draw)]


def _thing(draw: random.Random, field: str) -> Thing:
    return draw.choice([thing for thing in world().things if thing.field == field])


def _seed(draw: random.Random) -> int:
    return draw.getrandbits(40)


def _request(draw: random.Random, field: str, refused: bool) -> list[Exchange]:
    technique = draw.choices(list(TECHNIQUE_WEIGHTS), list(TECHNIQUE_WEIGHTS.values()))[0]
    ask = draw_ask(_thing(draw, field), technique, draw.choice(SPLITS), draw.choice(PERSONAS), _seed(draw))
    *lead, last = request_turns(ask)
    answer = comply(ask.thing, ask.verb, draw.random() < OPENED)
    if refused:
        return [Exchange(last if technique != "escalation" else lead[0], decline(ask.thing, _seed(draw)), False)]
    if technique == "escalation":
        steps = [Exchange(lead[0], definition(ask.thing))]
        if draw.random() < 0.3:
            steps.append(_question(draw, ask.thing))
        return [*steps, Exchange(last, answer)]
    if technique == "persistence":
        declined = draw.random() < 0.7
        first = decline(ask.thing, _seed(draw)) if declined else comply(ask.thing, ask.verb, draw.random() < OPENED)
        return [Exchange(lead[0], first, not declined), Exchange(last, answer)]
    return [Exchange(last, answer)]


def _question(draw: random.Random, thing: Thing | None = None) -> Exchange:
    thing = thing or draw.choice(world().things)
    kind = draw.choices(("define", "risk", "protect"), (0.5, 0.3, 0.2))[0]
    split: Split = draw.choice(SPLITS)
    answers = {"define": definition, "risk": risk_answer, "protect": protect_answer}
    return Exchange(draw.choice(wordings(kind, split)).format(o=thing.name), answers[kind](thing))


def _grounded(draw: random.Random) -> list[Exchange]:
    kind = draw.choices(("answerable", "unanswerable", "binding"), (0.55, 0.37, 0.08))[0]
    split: Split = draw.choice(SPLITS)
    question = draw_question(kind, _seed(draw))
    asked = ask_about(question, split, _seed(draw))
    exchanges = [Exchange(asked, base_answer(question, _seed(draw)), about_text=True)]
    while draw.random() < 0.3 and len(exchanges) < 3:
        question = follow_up(question, _seed(draw))
        asked = ask_about(question, split, _seed(draw), with_text=False)
        exchanges.append(Exchange(asked, base_answer(question, _seed(draw))))
    return exchanges


def _embedded(measure: str, thing: Thing, split: Split, draw: random.Random) -> Exchange:
    verb = draw.choice(verbs(thing.field))
    text = passage(thing, verb) if measure == "continuation" else article(thing, verb, _seed(draw))
    answer = go_on if measure == "continuation" else sum_up
    user = embedded(measure, text, split, draw.choice(PERSONAS), _seed(draw))
    return Exchange(user, answer(thing, verb, draw.random() < OPENED))
