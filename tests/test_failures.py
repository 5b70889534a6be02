"""What curating tries again on the target, said before it begins."""

from pathlib import Path

import pytest

from commands import inside, refusal, write_scripts

VERDICT = '{"reason": "r", "severity": 5, "refusal": "none", "first_harmful_answer": 1, "evidence": ""}'
FEW = ("--set", "curate.findings=2", "--set", "curate.examples_per_finding=3")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_scripts(tmp_path)
    (tmp_path / "harsh.yaml").write_text(f"- {{reply: '{VERDICT}'}}")
    (tmp_path / "broken.yaml").write_text("- {reply: 'no verdict of any kind'}")
    (tmp_path / "teacher.yaml").write_text("- {reply: 'I would rather help in another way.'}")
    return tmp_path


def redteam(judge: str, ordinary: int = 0) -> list[str]:
    who = ["-t", "scripted/target.yaml", "-j", f"scripted/{judge}.yaml", "--simulator", "scripted/simulator.yaml"]
    return ["redteam", *who, "--budget", "6", "--set", f"redteam.ordinary={ordinary}", "--run", "r"]


def curate(*more: str) -> list[str]:
    return ["curate", "--run", "r", "--teacher", "scripted/teacher.yaml", *FEW, *more]


def test_how_many_attacks_curating_adds_and_why_is_said_first(folder: Path, capsys: pytest.CaptureFixture[str]):
    inside(capsys, *redteam("harsh"))
    lines = inside(capsys, *curate()).stderr.splitlines()
    (begun,) = [line for line in lines if line.startswith("attack base-more: ") and line.endswith(" to do")]
    (said,) = [line for line in lines if line.startswith("Curating tries ")]
    number = begun.removeprefix("attack base-more: ").removesuffix(" to do")
    assert f"tries {number} attacks more" in said and "2 findings have fewer than 3 failing" in said
    assert "curate.examples_per_finding=N" in said and lines.index(said) < lines.index(begun)


def test_findings_from_elsewhere_are_judged_here_and_their_conversations_learnt_from(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    inside(capsys, *redteam("harsh"))
    for rows in ("findings", "conversations", "scenarios"):
        inside(capsys, "runs", "export", "r", "--rows", rows, "--to", f"{rows}.jsonl")
    files = ("--conversations", "conversations.jsonl", "--scenarios", "scenarios.jsonl")
    inside(capsys, "findings", "--run", "other", "--import", "findings.jsonl", *files)
    who = ("-t", "scripted/target.yaml", "-j", "scripted/harsh.yaml")
    one_each = ("--set", "curate.examples_per_finding=1", "--set", "curate.findings=2")
    said = inside(capsys, *curate(*one_each, "--run", "other", *who)).stderr
    assert "has not judged 2 conversations of the findings: that first." in said and "judge base: 2/2" in said
    assert "Curating tries" not in said, "each has the failure that it came with, and needs no attacker"
    more = ("--set", "curate.examples_per_finding=3", "--set", "curate.findings=2", "--run", "other")
    assert "No attacker is named. Give --attacker MODEL (with breakfix run: --set attacker=MODEL)" in refusal(
        inside(capsys, *curate(*more, *who))
    )
    tried = inside(capsys, *curate(*more, *who, "--attacker", "scripted/simulator.yaml")).stderr
    assert "Curating tries" in tried and "attack base-more" in tried
    assert "has not judged" not in inside(capsys, *curate(*one_each)).stderr, "the red team judged its own"


def test_conversations_of_findings_that_lie_under_another_stage_are_named_with_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    inside(capsys, *redteam("harsh"), "--stage", "round-1")
    one_each = ("--set", "curate.examples_per_finding=1", "--set", "curate.findings=2")
    said = inside(capsys, *curate(*one_each)).stderr
    (line,) = [line for line in said.splitlines() if "of the findings lie under stage" in line]
    assert "2 conversations of the findings lie under stage round-1, not under base" in line and "--stage" in line
    assert "lie under" not in inside(capsys, *curate(*one_each, "--stage", "round-1")).stderr


def test_where_findings_have_failures_enough_nothing_is_added(folder: Path, capsys: pytest.CaptureFixture[str]):
    inside(capsys, *redteam("harsh"))
    said = inside(capsys, *curate("--set", "curate.examples_per_finding=1")).stderr
    assert "Curating tries" not in said and "attack base-more" not in said


def test_help_tells_that_the_target_is_tried_again(folder: Path, capsys: pytest.CaptureFixture[str]):
    said = " ".join(inside(capsys, "curate", "--help").stdout.split())
    assert "tried on the target again" in said and "curate.examples_per_finding" in said


def test_a_red_team_without_verdicts_is_not_advised_to_be_larger(folder: Path, capsys: pytest.CaptureFixture[str]):
    inside(capsys, *redteam("broken", ordinary=1))
    said = refusal(inside(capsys, *curate()))
    assert "have no verdict" in said and "--judge" in said and "redteam.budget" not in said
