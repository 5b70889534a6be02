"""How each kind of guard model is asked: what it is shown of a conversation, and in which form.

Where a model's tokenizer carries the template that it was trained on, that is used, with its variables; the words here
are then only what the template leaves open (a policy, a risk). Two models carry none: their published prompts are in
data/prompts, with their licence in NOTICE.
"""

from functools import cache
from typing import Any, NamedTuple

from breakfix.identity import digest
from breakfix.judging.view import TURN_CHARACTERS, cut_middle, in_text, mark_of, subject_of
from breakfix.packaged import read_data
from breakfix.prompts import fill, load_prompt
from breakfix.types import Area, Conversation, Harm, Message, PromptForm, Scenario

SAFE_WORDS = ("unsafe", "safe")
YES_WORDS = ("yes", "no")
RISKS: dict[Area, str] = {
    "fairness": "social_bias",
    "hate": "social_bias",
    "sexual": "sexual_content",
    "violence": "violence",
    "cyber": "unethical_behavior",
}
"""Granite Guardian's risk beside the general one that an area's harms are asked about."""


class Seen(NamedTuple):
    """A conversation as far as one of its answers, and what it is about."""

    scenario: Scenario
    harm: Harm | None
    conversation: Conversation

    @property
    def messages(self) -> tuple[Message, ...]:
        """Give the turns, long ones with their middle cut out."""
        return tuple(
            Message(role=turn.role, content=cut_middle(turn.content, TURN_CHARACTERS))
            for turn in self.conversation.turns
        )

    @property
    def exchange(self) -> tuple[str, str]:
        """Give the last request and its answer."""
        asked = [turn.content for turn in self.messages if turn.role == "user"]
        return (asked[-1] if asked else ""), self.messages[-1].content


class Question(NamedTuple):
    """One question to a guard."""

    messages: tuple[Message, ...]
    form: PromptForm
    about: str = ""
    """The policy or risk that it asks about, where there are several."""


def ask_llama_guard(seen: Seen) -> tuple[Question, ...]:
    """Show the whole conversation; Llama Guard's template asks about its last answer."""
    return (Question(seen.messages, PromptForm(words=SAFE_WORDS)),)


def ask_shieldgemma(seen: Seen) -> tuple[Question, ...]:
    """Show the last exchange, once for each policy."""
    asked, answered = seen.exchange
    chat = (Message(role="user", content=asked), Message(role="assistant", content=answered))
    return tuple(
        Question(chat, PromptForm(variables={"guideline": text}, words=YES_WORDS), about=name)
        for name, text in policies().items()
    )


def ask_wildguard(seen: Seen) -> tuple[Question, ...]:
    """Show the last exchange in WildGuard's own prompt."""
    asked, answered = seen.exchange
    text = fill(load_prompt("guard-wildguard"), request=asked, answer=answered)
    return (Question(_text(f"<s><|user|>\n{text}\n<|assistant|>\n"), PromptForm(is_text=True)),)


def ask_harmbench(seen: Seen) -> tuple[Question, ...]:
    """Show the answer and the behaviour that it was to bring about, in the classifier's own prompt."""
    behaviour = seen.scenario.opening or seen.scenario.objective
    text = fill(load_prompt("guard-harmbench"), behaviour=behaviour, answer=seen.exchange[1])
    return (Question(_text(text), PromptForm(is_text=True, words=YES_WORDS)),)


def ask_granite(seen: Seen) -> tuple[Question, ...]:
    """Show the last exchange, asking about harm in general and about the risk nearest to the scenario's area."""
    asked, answered = seen.exchange
    chat = (Message(role="user", content=asked), Message(role="assistant", content=answered))
    near = RISKS.get(seen.scenario.area) if seen.scenario.area else None
    risks = ("harm", near) if near else ("harm",)
    return tuple(Question(chat, PromptForm(variables=_risk(risk), words=YES_WORDS), about=risk) for risk in risks)


def ask_qwen3guard(seen: Seen) -> tuple[Question, ...]:
    """Show the whole conversation; Qwen3Guard's template asks about its last answer."""
    return (Question(seen.messages, PromptForm()),)


def ask_safeguard(seen: Seen) -> tuple[Question, ...]:
    """Give a policy of ours, made from the harm, and the whole conversation as its content."""
    told = fill(load_prompt("guard-policy"), subject=subject_of(seen.scenario, seen.harm))
    shown = in_text(seen.scenario, seen.conversation)
    mark = mark_of(told, shown)
    content = fill(load_prompt("guard-content"), mark=mark, conversation=shown)
    return (Question((Message(role="system", content=told), Message(role="user", content=content)), PromptForm()),)


@cache
def policies() -> dict[str, str]:
    """Read ShieldGemma's four policies, in words of our own: name -> guideline."""
    entries = read_data("guards.yaml")["shieldgemma"]
    return {entry["id"]: f'"{entry["name"]}": {entry["text"]}' for entry in entries}


def words_id() -> str:
    """Hash everything that guards are told in our words: it makes a guard's judge_id."""
    names = ("guard-wildguard", "guard-harmbench", "guard-policy", "guard-content")
    return digest([load_prompt(name).text for name in names], policies(), RISKS)


def _text(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def _risk(risk: str) -> dict[str, Any]:
    """Name the risk as every version of Granite Guardian's template wants it, without thinking aloud."""
    return {"guardian_config": {"risk_name": risk, "criteria_id": risk}, "think": False}
