"""`breakfix harms`: the list, one harm, other people's categories, and a run's rates by them."""

import json
from pathlib import Path

import pytest

from breakfix.harms import load_harms, load_taxonomies
from commands import inside, roles, write_scripts

Capture = pytest.CaptureFixture[str]


def test_the_list_has_every_harm_with_area_threshold_and_maps(capsys: Capture):
    said = inside(capsys, "harms").stdout
    for harm in load_harms().values():
        line = next(line for line in said.splitlines() if line.split()[:1] == [harm.id])
        assert f"DR-{harm.threshold}" in line
        assert harm.area is None or harm.area in line
        assert all(place in line for place in harm.maps.get("mlcommons", ()))


def test_one_harm_is_shown_with_bands_and_maps(capsys: Capture):
    said, harm = inside(capsys, "harms", "self_harm").stdout, load_harms()["self_harm"]
    assert all(criteria in said for criteria in harm.severity.values())
    assert all(line in said for line in (*harm.includes, *harm.excludes, *harm.objectives))
    assert "mlcommons: ssh" in said


def test_a_prohibited_harm_says_so_and_has_no_objectives(capsys: Capture):
    said = inside(capsys, "harms", "mass_casualty_weapons").stdout
    assert "prohibited" in said
    assert "objectives: none" in said


@pytest.mark.parametrize("taxonomy", load_taxonomies())
def test_another_taxonomy_is_listed_whole(capsys: Capture, taxonomy: str):
    said = json.loads(inside(capsys, "harms", "--taxonomy", taxonomy, "--json").stdout)
    assert said["schema"]
    assert set(said["harms"]) == set(load_taxonomies()[taxonomy].categories) == set(said["taxonomy"]["categories"])
    assert all(category in inside(capsys, "harms", "--taxonomy", taxonomy).stdout for category in said["harms"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("frod",), "Did you mean 'fraud'"),
        (("--taxonomy", "azur"), "Did you mean 'azure'"),
        (("--run", "x", "--store", "gone"), "No store in 'gone'"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(capsys: Capture, words: tuple[str, ...], expected: str):
    done = inside(capsys, "harms", *words)
    assert done.returncode == 2
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_run_is_shown_by_another_taxonomy(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(write_scripts(tmp_path))
    chosen = ["--harms", "fraud,self_harm", "--measures", "jailbreak", "-n", "6", "--languages", "en"]
    assert inside(capsys, "measure", *roles(), *chosen, "--run", "first").returncode == 0
    said = json.loads(inside(capsys, "harms", "--taxonomy", "mlcommons", "--run", "first", "--json").stdout)
    assert {(one["harm"], one["n"], one["value"]) for one in said["estimates"]} == {("ncr", 3, 0.0), ("ssh", 3, 0.0)}
    own = json.loads(inside(capsys, "harms", "--run", "first", "--json").stdout)["estimates"]
    assert [(one["harm"], one["metric"], one["n"], one["value"]) for one in own] == [
        ("fraud", "DR-1", 3, 0.0), ("self_harm", "DR-1", 3, 0.0)
    ]  # fmt: skip
    assert "DR-1" in inside(capsys, "harms", "--run", "first").stdout
    assert "Suicide and self-harm" in inside(capsys, "harms", "--taxonomy", "mlcommons", "--run", "first:base").stdout
