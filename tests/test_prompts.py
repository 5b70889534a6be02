"""Prompt files: every hole is filled, every value is used."""

from pathlib import Path

import pytest

from breakfix.errors import DataError
from breakfix.prompts import Prompt, fill, load_prompt

PROMPT = Prompt(name="p", text='Say {{ greeting }} to {{name}}. Answer {"ok": true}.')


def test_filling_replaces_variables_and_leaves_single_braces():
    assert fill(PROMPT, greeting="hello", name="you") == 'Say hello to you. Answer {"ok": true}.'


def test_a_value_that_looks_like_a_variable_is_not_filled_again():
    assert fill(PROMPT, greeting="{{name}}", name="you").startswith("Say {{name}} to you.")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"greeting": "hello"}, r"needs \{\{name\}\}"),
        ({"greeting": "a", "name": "b", "more": "c"}, r"not use \{\{more\}\}"),
    ],
)
def test_a_missing_or_unused_variable_is_an_error(values: dict[str, str], told: str):
    with pytest.raises(DataError, match=told):
        fill(PROMPT, **values)


def test_a_packaged_prompt_is_found_by_name():
    assert "persona" in load_prompt("simulator").variables


def test_an_own_prompt_is_read_by_path(tmp_path: Path):
    (tmp_path / "own.md").write_text("Be {{manner}}.\n")
    assert fill(load_prompt(str(tmp_path / "own.md")), manner="kind") == "Be kind."


def test_an_unknown_prompt_names_the_known_ones():
    with pytest.raises(DataError, match=r"No prompt 'simulatr'.*simulator"):
        load_prompt("simulatr")


def test_a_prompt_path_without_a_file_is_one_clear_error(tmp_path: Path):
    with pytest.raises(DataError, match="Cannot read prompt file"):
        load_prompt(str(tmp_path / "none.md"))
