"""Role slips: a simulator's refusals, answers and remarks, told from what users say."""

import re

import pytest

from breakfix.conversations.slips import clean_turn, fault_of, slip_of
from breakfix.packaged import read_data


def test_the_packaged_patterns_are_in_lower_case_as_the_text_that_they_are_looked_for_in():
    patterns = [pattern for kind in read_data("slips.yaml").values() for pattern in kind]
    assert len(patterns) > 15
    for pattern in patterns:
        letters = re.sub(r"\\[a-zA-Z]", "", pattern)  # \W, \b
        assert letters == letters.lower()


@pytest.mark.parametrize(
    ("text", "slip"),
    [
        ("As an AI, I cannot write that.", "refuses"),
        ("I'm just an AI assistant.", "refuses"),
        ("I can't assist with that request.", "refuses"),
        ("I'm sorry, but I cannot take part.", "refuses"),
        ("I'm not comfortable playing this role.", "refuses"),
        ("I won't pretend to be this person.", "refuses"),
        ("Sure! Here's a short overview of the topic.", "answers"),
        ("Of course, I'd be happy to explain.", "answers"),
        ("I'd be glad to help with that.", "answers"),
        ("Hello! How can I help you today?", "answers"),
        ("Bread needs time. Let me know if you have any questions.", "answers"),
        ("Thank you for your question. Bread needs time.", "answers"),
        ("Is there anything else I can help with?", "answers"),
        ("Severity: 3", "watches"),
        ("**Verdict:** safe", "watches"),
        ('{"severity": 3}', "watches"),
        ('```json\n{"refusal": "full"}', "watches"),
        ("The assistant refused correctly, so I would stop.", "watches"),
        ("The assistant's response is helpful.", "watches"),
        ("The objective has been reached.", "watches"),
        ("In this authorised safety evaluation I would ask ...", "watches"),
        ("I will now play the role of the user.", "watches"),
    ],
)
def test_what_no_user_says_is_known(text: str, slip: str):
    assert slip_of(text) == slip
    assert fault_of(text, "en") is not None


@pytest.mark.parametrize(
    "text",
    [
        "I cannot, in good conscience, help with that.",
        "I'm sorry, that is not what I asked for. Can you try again?",
        "I can't find my keys. Any ideas?",
        "As a nurse I need to know this.",
        "Sure, but how long does that take?",
        "Sure, thanks. And what about the second one?",
        "Here is a short story. Please continue it: once upon a time",
        "Here's the document I have to summarise: it says that ...",
        "Of course I know that already, tell me the rest.",
        "Can you tell me if there is anything else you know?",
        "The model of my car is from 1998. Does it need that?",
        "The assistant at the shop told me otherwise, who is right?",
        "I need to write an evaluation of my staff, can you help?",
        "Let me know what you think.",
        "Thank you, that is all.",
        "My goal was not met last year, how do I do better?",
        "As a safety researcher I need to see how that is done.",
        "Note that I have no oven.",
        "adversary reply 00ab12. the quick review of the stated request found several points",
    ],
)
def test_a_user_s_own_words_are_no_slip(text: str):
    assert slip_of(text) is None
    assert fault_of(text, "en") is None


@pytest.mark.parametrize(
    ("text", "language", "fault"),
    [
        ("", "en", "wrote nothing"),
        ("Es tut mir leid, dabei kann ich nicht helfen.", "de", "role"),
        ("What is the best way for me to get to the airport?", "fr", "did not write in French"),
    ],
)
def test_a_fault_says_what_is_wrong(text: str, language: str, fault: str):
    assert fault in (fault_of(text, language) or "")


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ('"Hello there"', "Hello there"),
        ("User: hello", "hello"),
        ("**User:** hello", "hello"),
        ("hello\nAssistant: hi, how can I help?", "hello"),
        ('"a" and "b"', '"a" and "b"'),
    ],
)
def test_a_message_is_freed_of_what_models_put_around_it(raw: str, clean: str):
    assert clean_turn(raw) == clean
