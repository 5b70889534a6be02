"""A measurement's choices: languages and personas of the grid, and where they are refused or filter instead."""

import json
from collections import Counter
from pathlib import Path

import pytest

from breakfix.store.store import Store
from commands import REFUSED, inside, roles, write_scripts

Capture = pytest.CaptureFixture[str]
FRENCH = "Bonjour, pouvez-vous m'en dire plus sur ce sujet, car il est pour moi ?"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_scripts(tmp_path)


def measured(capsys: Capture, *chosen: str) -> list[tuple[str, str]]:
    """Language and persona of every scenario of a small measurement."""
    done = inside(capsys, "measure", *roles(), "--measures", "jailbreak", "-n", "8", "--run", "r", *chosen)
    assert done.returncode == 0, done.stderr
    with Store.open(Path(".breakfix")) as store:
        return [(scenario.language, scenario.persona) for scenario in store.scenarios("r")]


def refusal(capsys: Capture, *chosen: str) -> str:
    done = inside(capsys, "measure", "--measures", "jailbreak", "-n", "4", *chosen)
    assert done.returncode == 2
    return done.stderr.strip().splitlines()[-1].removeprefix(REFUSED)


def test_the_chosen_languages_and_personas_are_measured_evenly(capsys: Capture, folder: Path):
    (folder / "simulator.yaml").write_text(f'- {{reply: "{FRENCH}"}}')
    found = measured(capsys, "--languages", "fr,it", "--personas", "low_skilled,ordinary", "--turns", "1")
    assert Counter(found) == {(code, who): 2 for code in ("fr", "it") for who in ("low_skilled", "ordinary")}


@pytest.mark.parametrize("judge", ["scripted/judge.yaml", "guard/llama-guard-3=scripted/guard.yaml"])
def test_a_run_that_reuses_another_asks_nobody_anew(capsys: Capture, folder: Path, judge: str):
    (folder / "guard.yaml").write_text('- {reply: "safe"}')
    chosen = ("--measures", "jailbreak", "-n", "4", "-j", judge, "--set", "measure.samples=2")
    for more in (("--run", "r"), ("--run", "s", "--reuse", "r")):
        assert inside(capsys, "measure", *roles(), *chosen, *more).returncode == 0
    with Store.open(Path(".breakfix")) as store:
        first, again = store.run("r").usage, store.run("s").usage
    assert first.calls > 0 == first.journalled
    assert (again.calls, again.journalled) == (0, first.calls)


def test_a_simulated_user_who_speaks_english_is_no_measure_of_french(capsys: Capture, folder: Path):
    (folder / "simulator.yaml").write_text(
        '- {reply: "What is the best way for me to get to the airport with my bicycle?"}'
    )
    chosen = ("--measures", "jailbreak", "-n", "4", "--languages", "fr", "--run", "r")
    found = json.loads(inside(capsys, "measure", *roles(), *chosen, "--json").stdout)
    assert found["outcomes"]["jailbreak"]["attacker-failed"] == 4
    (why,) = found["causes"]
    assert (why["measure"], why["outcome"], why["n"]) == ("jailbreak", "attacker-failed", 4)
    assert "did not write in French" in why["cause"] and len(why["conversation_id"]) == 32
    kept = Path("runs/r/scorecard.json")
    assert json.loads(kept.read_text())["causes"] == found["causes"]
    assert inside(capsys, "report", "--run", "r", "--set", "report.formats=[html,md,json]").returncode == 1
    assert json.loads(kept.read_text())["causes"] == found["causes"], "read again from the store, they are the same"
    assert all("did not write in French" in Path(f"runs/r/report.{form}").read_text() for form in ("html", "md"))


def test_without_a_choice_it_is_english_in_every_mouth(capsys: Capture):
    found = measured(capsys)
    assert {language for language, _ in found} == {"en"}
    assert len({persona for _, persona in found}) == 8


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (("--languages", "klingon"), "Unknown language 'klingon'"),
        (("--languages", "French"), "Did you mean 'fr'"),
        (("--personas", "ordinari"), "Did you mean 'ordinary'"),
    ],
)
def test_an_unknown_name_is_refused_before_anything_is_asked(capsys: Capture, chosen: tuple[str, ...], expected: str):
    assert expected in refusal(capsys, *roles(), *chosen)


@pytest.mark.parametrize(("option", "value"), [("languages", "fr"), ("personas", "ordinary")])
def test_the_lab_refuses_what_it_would_ignore(capsys: Capture, option: str, value: str):
    assert f"measure.{option} ({value}) does not apply in the lab" in refusal(
        capsys, "--target", "lab/mini", f"--{option}", value
    )


def rows(folder: Path) -> Path:
    file = folder / "own.jsonl"
    said = [("Hello there, friend", "en"), ("Bonjour mon ami", "fr"), ("Bonjour ma chère", "fr")]
    file.write_text("\n".join(json.dumps({"prompt": text, "language": code}) for text, code in said))
    return file


def test_of_scenarios_from_files_the_chosen_languages_are_taken(capsys: Capture, folder: Path):
    chosen = ("--scenarios", str(rows(folder)), "--turns", "1", "--run")
    assert [code for code, _ in measured(capsys, "--languages", "fr", *chosen, "r")] == ["fr", "fr"]
    assert "No scenario of jailbreak in de" in refusal(capsys, *roles(), "--languages", "de", *chosen, "s")


def test_scenarios_from_files_have_personas_of_their_own(capsys: Capture, folder: Path):
    said = refusal(capsys, *roles(), "--scenarios", str(rows(folder)), "--personas", "ordinary")
    assert "does not apply to scenarios from files" in said
