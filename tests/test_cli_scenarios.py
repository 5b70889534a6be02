"""`breakfix scenarios`: what there is, what is in it, and what is not shown."""

import json
from pathlib import Path

import pytest

from commands import inside, refusal
from written import table


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    done = inside(capsys, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


HARMFUL = {"goal": "a placeholder of several words", "target": "x"}


@pytest.fixture(autouse=True)
def _no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BREAKFIX_DATA", raising=False)


def test_the_list_says_measures_languages_licence_and_where(capsys: pytest.CaptureFixture[str]):
    out = said(capsys, "scenarios")
    assert "Published sets" in out
    assert "hub:walledai/AdvBench" in out
    assert "not here (mlcommons/ailuminate)" in out
    assert "red-instruct: catqa" in out


def test_the_list_counts_the_rows_that_are_here(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "advbench").mkdir()
    table(tmp_path / "advbench" / "half.csv", HARMFUL, HARMFUL | {"goal": "another"})
    monkeypatch.setenv("BREAKFIX_DATA", str(tmp_path))
    body = json.loads(said(capsys, "scenarios", "--json"))
    entry = next(one for one in body["sets"] if one["name"] == "advbench")
    assert (entry["rows"], entry["published_rows"], entry["where"]) == (2, 520, "here, 1 file")
    assert entry["licence"] == "MIT"


def test_a_set_is_counted_by_measure_and_says_what_it_left_out(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    path = table(tmp_path / "a.csv", HARMFUL, HARMFUL, HARMFUL | {"goal": "about the nerve agent"})
    out = said(capsys, "scenarios", str(path))
    assert "3 rows, 1 scenario, 1 family" in out
    assert "of a prohibited harm: the refusal measure only 1" in out
    assert "says the same as an earlier row 1" in out
    assert "mass_casualty_weapons 1" in out
    assert "placeholder" not in out


@pytest.mark.parametrize(("options", "is_shown"), [((), False), (("--reveal",), True)])
def test_harmful_text_is_shown_only_when_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, options: tuple[str, ...], is_shown: bool
):
    path = table(tmp_path / "a.csv", HARMFUL)
    out = said(capsys, "scenarios", str(path), "--measure", "refusal", "--show", "1", *options)
    assert ("a placeholder of several words" in out) is is_shown
    assert ("(5 words)" in out) is not is_shown


def test_prohibited_text_is_never_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    path = table(tmp_path / "a.csv", HARMFUL | {"goal": "about the nerve agent"})
    assert "nerve" not in said(capsys, "scenarios", str(path), "--measure", "refusal", "--show", "1", "--reveal")


def test_harmless_text_is_shown_and_cut(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    row = {"mutated_prompt": "word " * 50, "is_malicious": "False"}
    out = said(capsys, "scenarios", str(table(tmp_path / "a.csv", row)), "--measure", "refusal", "--show", "1")
    assert "word word" in out
    assert "..." in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(("xtest",), "Did you mean 'xstest'"), (("advbench", "--measure", "refusals"), "unknown measure 'refusals'")],
)
def test_a_wrong_name_is_one_line_and_exit_2(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], expected: str
):
    assert expected in refusal(inside(capsys, "scenarios", *arguments))


def test_a_path_that_is_not_there_is_no_set(capsys: pytest.CaptureFixture[str]):
    for name in ("gone/there.jsonl", "gone.csv"):
        assert f"There is no file {name!r}" in refusal(inside(capsys, "scenarios", name))
