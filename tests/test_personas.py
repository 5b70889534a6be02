"""Personas: the ladder of skill is there, and a broken file is named."""

import pytest

from breakfix.errors import DataError
from breakfix.personas import load_personas, unwrapped


def test_both_attackers_of_the_report_are_there():
    assert {"low_skilled", "intermediate", "ordinary"} <= set(load_personas())
    assert list(load_personas(["intermediate"])) == ["intermediate"]


def test_an_unknown_persona_is_named_with_those_known():
    with pytest.raises(DataError, match=r"'wizard'.*low_skilled"):
        load_personas(["wizard"])


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("- id: a", "'description'"),
        ("[", "not valid YAML"),
        ("- {id: a, description: b}\n- {id: a, description: b}", "twice"),
    ],
)
def test_a_broken_persona_file_is_one_clear_line(tmp_path, body, fault):
    (tmp_path / "own.yaml").write_text(body)
    with pytest.raises(DataError, match=fault):
        load_personas(folder=tmp_path)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('Say "yes" first', 'Say "yes" first'),
        ("**Message:** hello", "hello"),
        ("Me: “hello”", "hello"),
        ("User: please finish this.\nAssistant: Sure,", "please finish this.\nAssistant: Sure,"),
    ],
)
def test_a_message_is_unwrapped_and_nothing_within_it_changes(written: str, said: str):
    assert unwrapped(written) == said


@pytest.mark.parametrize(
    ("name", "said"),
    [("intermediat", "Did you mean 'intermediate'[?] Known: low_skilled, "), ("xyzzy", "[)]. Known: low_skilled, ")],
)
def test_a_persona_that_is_not_known_is_answered_with_the_nearest_and_all(name: str, said: str):
    with pytest.raises(DataError, match=said):
        load_personas((name,))
