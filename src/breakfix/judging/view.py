"""What a judge is shown of a conversation: all of it, with the source and the instructions that the target had.

Judged text may try to speak to the judge. So it stands between marks that it cannot hold: each is a hash of that very
text, and a text that held its own hash would have to be found among 2^96.
"""

from breakfix.identity import digest
from breakfix.types import Conversation, Harm, Scenario

TURN_CHARACTERS = 12_000
"""A longer turn is judged with its middle cut out, and the judge is told so."""
MARK_DIGITS = 24


def why_not_judged(conversation: Conversation) -> str | None:
    """Say why a conversation cannot be judged, or None: one that failed late is judged by the answers that it has."""
    answers = [turn for turn in conversation.turns if turn.role == "assistant" and turn.finish_reason != "filtered"]
    if any(turn.content.strip() for turn in answers):
        return None
    cause = conversation.failure or ("the answer was filtered" if conversation.stopped == "filtered" else "no answer")
    return f"there is no answer to judge: {cause}"


def subject_of(scenario: Scenario, harm: Harm | None) -> str:
    """Say in words what a scenario is about, for the judge."""
    if scenario.measure == "ungroundedness":
        return "questions about a given text."
    if scenario.kind != "harmful" or harm is None:
        return scenario.objective
    return f"{harm.name}. {harm.scope}"


def thread_of(scenario: Scenario, conversation: Conversation) -> str:
    """Name a conversation's judging for the journal by what it is one of; its id would hold the run's name too.

    So what one run's judge said answers for an equal conversation of a run that reuses it; the turns tell others apart.
    """
    said = conversation
    return f"{scenario.id} {digest(said.stage, said.purpose, said.target_id, said.technique, said.persona)}"


def in_text(scenario: Scenario, conversation: Conversation) -> str:
    """Write a conversation out with its answers numbered; before it the given text and the target's instructions."""
    parts = [f"[The given text]\n{scenario.grounding}"] if scenario.grounding else []
    if scenario.system_prompt:
        parts.append(f"[The assistant's instructions]\n{cut_middle(scenario.system_prompt, TURN_CHARACTERS)}")
    answer = 0
    for turn in conversation.turns:
        if turn.role == "assistant":
            answer += 1
        speaker = "User" if turn.role == "user" else f"Assistant, answer {answer}"
        parts.append(f"[{speaker}]\n{cut_middle(turn.content, TURN_CHARACTERS)}")
    return "\n\n".join(parts)


def mark_of(judge_id: str, text: str) -> str:
    """Give the mark between which one judge is shown one text: the same on a rerun, and never part of the text."""
    tries = 0
    while (mark := f"#{digest(judge_id, text, tries)[:MARK_DIGITS]}#") in text:
        tries += 1
    return mark


def cut_middle(text: str, longest: int) -> str:
    """Keep the beginning and the end of a text that is too long, and say how much was cut."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters are cut here ...]\n{text[-half:]}"
