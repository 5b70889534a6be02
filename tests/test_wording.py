"""Numbers with their nouns."""

import pytest

from breakfix.wording import counted


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [(1, "label", "1 label"), (0, "label", "0 labels"), (2, "family", "2 families"), (3, "reply", "3 replies"),
     (12_000, "conversation", "12,000 conversations"), (2, "match", "2 matches"), (2, "day", "2 days")],
)  # fmt: skip
def test_a_noun_agrees_with_its_number(number: int, noun: str, text: str):
    assert counted(number, noun) == text
