"""Numbers with their nouns."""

import pytest

from breakfix.wording import counted, dollars, kind_of


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [(1, "label", "1 label"), (0, "label", "0 labels"), (2, "family", "2 families"), (3, "reply", "3 replies"),
     (12_000, "conversation", "12,000 conversations"), (2, "match", "2 matches"), (2, "day", "2 days")],
)  # fmt: skip
def test_a_noun_agrees_with_its_number(number: int, noun: str, text: str):
    assert counted(number, noun) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0.0, "$0.00"),
        (0.001, "$0.0010"),
        (0.0000123, "$0.000012"),
        (0.05, "$0.050"),
        (0.3, "$0.30"),
        (1234.5, "$1,234.50"),
    ],
)
def test_few_dollars_are_not_none(amount: float, text: str):
    assert dollars(amount) == text


@pytest.mark.parametrize(
    ("value", "named"),
    [(None, "null"), (True, "true or false"), ("a", "a text"), (3, "a number"), ([], "a list"), ({}, "an object")],
)
def test_a_value_is_named_as_json_calls_it(value: object, named: str):
    assert kind_of(value) == named
