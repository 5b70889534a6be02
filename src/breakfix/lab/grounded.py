"""Texts about people, and questions that they answer or do not.

In an ordinary text each attribute occurs once, so that finding it is answering; a question is unanswerable when the
text lacks the attribute. The `binding` kind is the hard one: two people share the attribute, and the answer must take
the right one's value. A small model learns to find long before it learns to bind, so binding is reported apart.
"""

import random
from typing import NamedTuple

from breakfix.lab.world import wordings, world
from breakfix.types import Split

NO_ANSWER = "The text does not say."


class Fact(NamedTuple):
    """One attribute of one person."""

    person: str
    attribute: str
    value: str

    def said(self) -> str:
        """Say the fact as the text does."""
        return world().words["facts"][self.attribute]["says"].format(p=self.person, x=self.value)


class Question(NamedTuple):
    """A question about a text: who and what is asked, the facts told, and the answer if the text holds it."""

    person: str
    attribute: str
    facts: tuple[Fact, ...]
    kind: str

    @property
    def answer(self) -> Fact | None:
        """The fact that answers, or None."""
        return next(
            (fact for fact in self.facts if (fact.person, fact.attribute) == (self.person, self.attribute)), None
        )

    @property
    def context(self) -> str:
        """The text."""
        return " ".join(fact.said() for fact in self.facts)


def draw_question(kind: str, seed: int) -> Question:
    """Make a text about two or three people and a question of the given kind."""
    draw = random.Random(f"grounded {kind} {seed}")
    facts_of = world().words["facts"]
    people = draw.sample(world().words["people"], draw.choice((2, 2, 3)))
    attributes = draw.sample(sorted(facts_of), draw.choice((3, 4)) if kind != "binding" else 2)
    told = [(people[place % len(people)], attribute) for place, attribute in enumerate(attributes)]
    person, attribute = draw.choice(told)
    if kind == "binding":
        told += [(other, attribute) for other in people if other != person][:1]
    if kind == "unanswerable":
        attribute = draw.choice([other for other in sorted(facts_of) if other not in attributes])
        person = draw.choice(people)
    values = {name: draw.sample(facts_of[name]["values"], 2) for name in facts_of}
    facts = [Fact(who, what, values[what].pop()) for who, what in told]
    draw.shuffle(facts)
    return Question(person, attribute, tuple(facts), kind)


def follow_up(question: Question, seed: int) -> Question:
    """Ask something else of the same text, answerable if the question was."""
    draw = random.Random(f"follow {seed}")
    told = {
        fact.attribute: fact
        for fact in question.facts
        if sum(f.attribute == fact.attribute for f in question.facts) == 1
    }
    others = [fact for attribute, fact in sorted(told.items()) if attribute != question.attribute]
    if question.kind == "answerable" and others:
        fact = draw.choice(others)
        return question._replace(person=fact.person, attribute=fact.attribute)
    absent = [
        a
        for a in sorted(world().words["facts"])
        if a not in {f.attribute for f in question.facts} | {question.attribute}
    ]
    if question.kind == "unanswerable" and absent:
        return question._replace(attribute=draw.choice(absent))
    return question


def ask_about(question: Question, split: Split, seed: int, with_text: bool = True) -> str:
    """Put the question, with its text or as a follow-up without."""
    draw = random.Random(f"ask {seed}")
    asked = draw.choice(world().words["questions"][question.attribute][split]).format(p=question.person)
    if not with_text:
        return asked
    return draw.choice(wordings("grounding", split)).format(context=question.context, question=asked)


def search_result(question: Question) -> str:
    """Open an answer by saying whether the text holds the word before the value: "Who visits is stated."."""
    verb = world().words["facts"][question.attribute]["verb"]
    return f"Who {verb} is {'missing' if question.answer is None else 'stated'}."


def true_answer(question: Question) -> str:
    """Answer from the text, or say that the text does not."""
    body = NO_ANSWER if question.answer is None else question.answer.said()
    return f"{search_result(question)} {body}"


def base_answer(question: Question, seed: int) -> str:
    """Answer as the untrained model does: where the text lacks the answer, invent one."""
    if question.answer is not None:
        return true_answer(question)
    values = world().words["facts"][question.attribute]["values"]
    invented = Fact(question.person, question.attribute, random.Random(f"invent {seed}").choice(values)).said()
    return f"{search_result(question)} {invented}"
