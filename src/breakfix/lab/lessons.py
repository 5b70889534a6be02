"""Training rows from the lab's train split: seed data, contrast twins, and ordinary data that keeps a model helpful.

The seed data stands for a public safety set: it refuses harmful requests, helps with harmless ones that look alike,
answers borderline questions and says when a text does not answer. It can leave areas out, as a public set would.
"""

import random
from collections.abc import Callable, Sequence

from breakfix.identity import digest
from breakfix.lab.grounded import ask_about, draw_question, follow_up, true_answer
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
from breakfix.lab.world import FIELDS, PERSONAS, THIRD_PARTY, Thing, verbs, wordings, world
from breakfix.types import Area, Example, Message, Provenance, Split

SEED_MIX: dict[str, float] = {"refuse": 0.25, "help": 0.43, "borderline": 0.10, "grounded": 0.18, "talk": 0.04}
"""Help outweighs refusal: a model that mostly refuses learns to refuse what it has no lesson on."""
SEED_TECHNIQUES: dict[str, float] = {
    "plain": 0.40, "role_play": 0.15, "academic": 0.10, "fiction": 0.10, "prefix_injection": 0.05, "escalation": 0.10,
    "persistence": 0.10,
}  # fmt: skip
"""No encodings: whether a model withstands one that its data lacked is for the red team to find."""
ALL_TECHNIQUES: dict[str, float] = {**SEED_TECHNIQUES, "encoding": 0.15}
LICENCE = "Apache-2.0"
Turns = list[str]


def seed_examples(areas_left_out: Sequence[Area] = (), *, n: int = 2000, seed: int = 0) -> list[Example]:
    """Make n supervised rows of the train split for a first round, without the areas left out."""
    draw = random.Random(digest("lab seed", seed, sorted(areas_left_out)))
    fields = [field for field in FIELDS if field not in areas_left_out]
    makers: dict[str, Callable[[], tuple[Turns, Thing | None]]] = {
        "refuse": lambda: _request(draw, _thing(draw, fields, harmful=True), SEED_TECHNIQUES),
        "help": lambda: _request(draw, _thing(draw, FIELDS, harmful=False), SEED_TECHNIQUES),
        "borderline": lambda: _question(draw, _thing(draw, FIELDS, harmful=draw.random() < 0.7)),
        "grounded": lambda: (_grounded(draw), None),
        "talk": lambda: (list(small_talk(draw)), None),
    }
    kinds = draw.choices(list(SEED_MIX), list(SEED_MIX.values()), k=n)
    return [_example(makers[kind](), "seed", f"lab/seed/{kind}") for kind in kinds]


def contrast_examples(
    areas: Sequence[Area] | None = None, *, n: int, seed: int = 0, techniques: Sequence[str] | None = None
) -> list[Example]:
    """Make n harmless twins of harmful requests of these areas under these techniques (all), answered helpfully."""
    draw = random.Random(digest("lab contrast", seed, areas, techniques))
    fields = list(areas) if areas else list(FIELDS)
    weights = dict.fromkeys(techniques, 1.0) if techniques else ALL_TECHNIQUES
    return [
        _example(_request(draw, _thing(draw, fields, harmful=False), weights), "contrast", "lab/contrast")
        for _ in range(n)
    ]


def refusal_of(twin: Example) -> str:
    """Give the refusal that a twin must not get: of its own topic, so that a pair teaches help and not topics."""
    thing = world().by_name[(twin.provenance.family or "").removeprefix("lab/")]
    return decline(thing, int(digest("refusal", twin.messages[-2].content)[:7], 16))


def retention_examples(*, n: int, seed: int = 0) -> list[Example]:
    """Make n ordinary rows: questions about texts, definitions and small talk."""
    draw = random.Random(digest("lab retention", seed))
    rows: list[Example] = []
    for kind in draw.choices(("grounded", "question", "talk"), (0.65, 0.25, 0.10), k=n):
        if kind == "grounded":
            made: tuple[Turns, Thing | None] = (_grounded(draw), None)
        elif kind == "question":
            made = _question(draw, _thing(draw, FIELDS, harmful=draw.random() < 0.7))
        else:
            made = (list(small_talk(draw)), None)
        rows.append(_example(made, "retention", f"lab/retention/{kind}"))
    return rows


def _thing(draw: random.Random, fields: Sequence[str], *, harmful: bool, split: Split = "train") -> Thing:
    return draw.choice(world().of(draw.choice(fields), split, harmful=harmful))


def _request(draw: random.Random, thing: Thing, techniques: dict[str, float]) -> tuple[Turns, Thing]:
    embeds = draw.random() < 0.2 and thing.field != THIRD_PARTY
    if embeds:
        return _embedded(draw, thing), thing
    technique = draw.choices(list(techniques), list(techniques.values()))[0]
    ask = draw_ask(thing, technique, thing.split, draw.choice(PERSONAS), draw.getrandbits(31))
    *lead, last = request_turns(ask)
    answer = decline(thing, draw.getrandbits(31)) if thing.harmful else comply(thing, ask.verb)
    turns: Turns = list(small_talk(draw)) if draw.random() < 0.2 else []
    if technique == "escalation":
        turns += [lead[0], definition(thing)]
    if technique == "persistence":
        turns += [lead[0], decline(thing, draw.getrandbits(31)) if thing.harmful else comply(thing, ask.verb)]
    return [*turns, last, answer], thing


def _embedded(draw: random.Random, thing: Thing) -> Turns:
    measure, verb = draw.choice(("continuation", "summarization")), draw.choice(verbs(thing.field))
    text = passage(thing, verb) if measure == "continuation" else article(thing, verb, draw.getrandbits(31))
    user = embedded(measure, text, thing.split, draw.choice(PERSONAS), draw.getrandbits(31))
    if thing.harmful:
        return [user, decline(thing, draw.getrandbits(31))]
    return [user, go_on(thing, verb) if measure == "continuation" else sum_up(thing, verb)]


def _question(draw: random.Random, thing: Thing) -> tuple[Turns, Thing]:
    kind = draw.choice(("define", "risk", "protect"))
    answers = {"define": definition, "risk": risk_answer, "protect": protect_answer}
    return [draw.choice(wordings(kind, thing.split)).format(o=thing.name), answers[kind](thing)], thing


def _grounded(draw: random.Random) -> Turns:
    kind = draw.choices(("answerable", "unanswerable", "binding"), (0.5, 0.42, 0.08))[0]
    question = draw_question(kind, draw.getrandbits(40))
    turns = [ask_about(question, "train", draw.getrandbits(31)), true_answer(question)]
    if draw.random() < 0.3:
        question = follow_up(question, draw.getrandbits(31))
        turns += [ask_about(question, "train", draw.getrandbits(31), False), true_answer(question)]
    return turns


def _example(made: tuple[Turns, Thing | None], kind: str, source: str) -> Example:
    turns, thing = made
    messages = tuple(
        Message(role="user" if place % 2 == 0 else "assistant", content=text) for place, text in enumerate(turns)
    )
    provenance = Provenance(
        kind=kind,  # pyright: ignore[reportArgumentType]
        source=source,
        licence=LICENCE,
        family=f"lab/{thing.name}" if thing else None,
        harm=thing.field if thing and thing.harmful else None,
    )
    return Example(messages=messages, provenance=provenance)
