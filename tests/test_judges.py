"""Who judges: panels whose every verdict is kept and whose agreement is shown, and no model judging itself."""

import json
from pathlib import Path
from typing import Any

import pytest

from breakfix.errors import SettingsError
from breakfix.forecasts import endpoint_prices
from breakfix.judges import check_self_judging, judge_names, models_of
from breakfix.prices import forecast_dialogues
from breakfix.roles import check_judge, measures_of
from breakfix.settings import CycleSettings
from breakfix.store.store import Store
from breakfix.types import MEASURES
from commands import HARMLESS, REFUSED, inside, roles, write_scripts
from talkers import scene

FEW = ["--measures", "jailbreak,refusal", "-n", "6", "--turns", "1", "--json"]
HARSH = {"reason": "bad", "severity": 5, "refusal": "none", "first_harmful_answer": 1, "evidence": "general answer"}
MIXED = f"""- {{contains: 'Fraud', reply: '{json.dumps(HARSH)}'}}
- {{reply: '{json.dumps(HARMLESS)}'}}"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_scripts(tmp_path)
    (tmp_path / "harsh.yaml").write_text(f"- {{reply: '{json.dumps(HARSH)}'}}\n")
    (tmp_path / "nonsense.yaml").write_text("- {reply: no verdict}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def measured(capsys: pytest.CaptureFixture[str], judge: str, *more: str) -> dict[str, Any]:
    said = inside(capsys, "measure", *roles(judge=judge), *FEW, "--run", "one", *more)
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


PANEL = "scripted/judge.yaml,scripted/harsh.yaml"


def test_a_panel_keeps_every_verdict_and_counts_its_own(folder: Path, capsys: pytest.CaptureFixture[str]):
    body = measured(capsys, PANEL)
    assert body["outcomes"]["jailbreak"]["harmful"] == 6, "of two judges the stricter counts"
    with Store.open(folder / ".breakfix") as store:
        record = store.run("one")
        verdicts = list(store.verdicts("one"))
    members = record.panels[record.judge_id or ""]
    assert sorted(members.values()) == sorted(PANEL.split(","))
    by_judge = {judge_id: [one.severity for one in verdicts if one.judge_id == judge_id] for judge_id in members}
    assert sorted(map(tuple, by_judge.values())) == [(0,) * 12, (5,) * 12]
    own = [one for one in verdicts if one.judge_id == record.judge_id]
    assert len(own) == 12 and {one.severity for one in own} == {5}
    assert all("The judges said: severity" in (one.reason or "") for one in own)


def test_agreement_is_shown_beside_the_table_and_kept_with_the_scorecard(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    body = measured(capsys, PANEL)
    severity = next(one for one in body["agreement"] if one["about"] == "severity")
    assert severity["n"] == 12 and severity["same"]["value"] == 0.0 and set(severity["judges"]) == set(PANEL.split(","))
    card = json.loads((folder / "runs" / "one" / "scorecard.json").read_text())
    assert card["agreement"] == body["agreement"]
    shown = inside(capsys, "measure", *roles(judge=PANEL), *FEW[:-1], "--run", "one").stdout
    assert "The judges agree with each other so far:" in shown and "on severity: 0 % the same" in shown
    written = inside(capsys, "report", "--run", "one")
    assert written.returncode == 0, written.stderr
    assert "on severity: 0 % the same" in (folder / "runs" / "one" / "report.md").read_text()


def test_one_judge_alone_has_no_agreement_to_show(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert measured(capsys, "scripted/judge.yaml")["agreement"] == []


def test_a_panel_goes_on_where_one_judge_talks_nonsense(folder: Path, capsys: pytest.CaptureFixture[str]):
    body = measured(capsys, "scripted/nonsense.yaml,scripted/harsh.yaml")
    assert body["outcomes"]["jailbreak"]["harmful"] == 6


def test_the_rule_is_a_setting_and_makes_another_judge(folder: Path, capsys: pytest.CaptureFixture[str]):
    first = measured(capsys, PANEL)
    mean = measured(capsys, PANEL, "--set", "judge_rule=mean", "--run", "two")
    assert mean["judge_id"] != first["judge_id"]
    with Store.open(folder / ".breakfix") as store:
        assert {one.severity for one in store.verdicts("two", mean["judge_id"])} == {3}


# ── its own judge ──


def test_a_model_is_not_its_own_judge_unless_the_user_insists(folder: Path, capsys: pytest.CaptureFixture[str]):
    named = roles(target="scripted/judge.yaml")
    said = inside(capsys, "measure", *named, *FEW, "--run", "one")
    assert said.returncode == 2 and said.stderr.startswith(REFUSED)
    assert "is the model under test (the same name)" in said.stderr and "--allow-self-judging" in said.stderr
    forced = inside(capsys, "measure", *named, *FEW, "--run", "one", "--allow-self-judging")
    assert forced.returncode == 0, forced.stderr
    body = json.loads(forced.stdout)
    assert body["self_judged"] is True and body["judge_line"].endswith("the target judges itself")
    shown = inside(capsys, "measure", *named, *FEW[:-1], "--run", "one", "--allow-self-judging").stdout
    assert "its own judge" in shown
    assert inside(capsys, "report", "--run", "one").returncode == 0
    for name in ("report.md", "report.html"):
        assert "its own judge" in (folder / "runs" / "one" / name).read_text()


def test_a_copy_under_another_name_is_the_same_model(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "copy.yaml").write_text((folder / "judge.yaml").read_text())
    said = inside(capsys, "measure", *roles(target="scripted/copy.yaml"), *FEW)
    assert said.returncode == 2 and "the same weights or address" in said.stderr


def test_a_member_of_a_panel_counts_too(folder: Path, capsys: pytest.CaptureFixture[str]):
    said = inside(capsys, "measure", *roles(target="scripted/harsh.yaml", judge=PANEL), *FEW)
    assert said.returncode == 2 and "'scripted/harsh.yaml' is the model under test" in said.stderr


def test_another_judge_later_is_not_marked(folder: Path, capsys: pytest.CaptureFixture[str]):
    itself = inside(
        capsys, "measure", *roles(judge="scripted/target.yaml"), *FEW, "--run", "one", "--allow-self-judging"
    )
    assert itself.returncode == 1, "what answers as a target gives no verdict that could be read"
    assert measured(capsys, "scripted/judge.yaml")["self_judged"] is False


class Names:
    """A run in which every model is another one."""

    def __init__(self, *, allow: bool = False) -> None:
        self.settings = CycleSettings(allow_self_judging=allow)

    def model(self, name: str, settings: Any = None) -> Any:
        return type("Model", (), {"identity": name})


@pytest.mark.parametrize(
    ("target", "judge"),
    [
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("openai/gpt-4o", "https://gateway/v1#gpt-4o"),
        ("hf/meta-llama/Llama-3.1-8B", "http://host/v1#meta-llama/Llama-3.1-8B"),
        ("http://host/v1#Llama-3.1-8B", "hf/meta-llama/Llama-3.1-8B"),
        ("http://a/v1#org/model", "http://b/v1#Org/Model"),
        ("hf/allenai/wildguard", "guard/wildguard"),
        ("http://host/v1#guard", "guard/wildguard=http://host/v1#guard"),
        ("http://localhost:8000/v1#m", "http://127.0.0.1:8000/v1/#m"),
    ],
)
def test_the_same_model_is_known_by_its_name_wherever_it_is_served(target: str, judge: str):
    with pytest.raises(SettingsError, match="no fair judge of itself"):
        check_self_judging(Names(), target, [judge])  # pyright: ignore[reportArgumentType]
    assert check_self_judging(Names(allow=True), target, [judge])  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("target", "judge"),
    [
        ("openai/gpt-4o", "openai/gpt-4o-mini"),
        ("http://a/v1#m", "http://b/v1#m"),
        ("http://localhost:8000/v1#m", "http://127.0.0.1:8001/v1#m"),
        ("hf/./runs/final", "hf/./other/final"),
        ("lab/mini", "lab/exact"),
        ("http://host/v1#m", "refusal"),
        ("hf/meta-llama/Llama-3.1-8B", "guard/llama-guard-3"),
    ],
)
def test_models_that_only_sound_alike_are_not_the_same(target: str, judge: str):
    assert not check_self_judging(Names(), target, [judge])  # pyright: ignore[reportArgumentType]


# ── names ──


@pytest.mark.parametrize(("named", "cause"), [("a,,b", "empty place"), ("a,", "empty place"), ("a,b,a", "'a' twice")])
def test_a_panel_that_is_not_well_named_is_refused(named: str, cause: str):
    with pytest.raises(SettingsError, match=cause):
        judge_names(named)


@pytest.mark.parametrize(
    ("judge", "unable"),
    [
        ("refusal", {"ungroundedness", "third_party", "continuation", "summarization", "jailbreak"}),
        ("guard/llama-guard-3", {"ungroundedness", "refusal"}),
        ("guard/wildguard", {"ungroundedness"}),
        ("openai/gpt-4o", set[str]()),
    ],
)
def test_a_judge_is_refused_what_it_has_no_opinion_on(judge: str, unable: set[str]):
    assert set(MEASURES) - measures_of(judge) == unable
    for measure in MEASURES:
        settings, asked = CycleSettings(judge=judge), [scene(measure=measure)]
        if measure in unable:
            with pytest.raises(SettingsError, match=f"cannot judge {measure}"):
                check_judge(settings, asked)
        else:
            check_judge(settings, asked)


def test_of_a_panel_one_able_member_is_enough():
    check_judge(CycleSettings(judge="refusal,guard/llama-guard-3"), [scene(measure="refusal"), scene()])
    with pytest.raises(SettingsError, match="cannot judge ungroundedness"):
        check_judge(CycleSettings(judge="refusal,guard/llama-guard-3"), [scene(measure="ungroundedness")])


def test_the_exact_judge_is_in_no_panel(folder: Path, capsys: pytest.CaptureFixture[str]):
    said = inside(capsys, "measure", *roles(judge="lab/exact,scripted/judge.yaml"), *FEW)
    assert said.returncode == 2 and "judges alone" in said.stderr


def test_a_guard_that_is_not_known_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]):
    said = inside(capsys, "measure", *roles(judge="guard/lama-guard-3"), *FEW)
    assert said.returncode == 2 and "Did you mean 'guard/llama-guard-3'?" in said.stderr


def test_a_forecast_counts_every_judge_and_a_guard_by_its_model():
    panel = "openai/gpt-4o,guard/wildguard=http://host/v1#wg,refusal"
    prices = endpoint_prices(CycleSettings(target="http://host/v1#m", judge=panel), ("target", "judge"))
    assert list(prices) == ["target", "judge", "judge 2"]
    assert models_of("guard/wildguard,lab/exact") == ("hf/allenai/wildguard",) and models_of("") == ()
    (target, first, second) = forecast_dialogues(prices, 10, 3, concurrency=4).shares
    assert (target.calls, first.calls, second.calls) == (30, 10, 10)


def test_doctor_asks_each_judge_of_a_panel_in_its_own_form(folder: Path, capsys: pytest.CaptureFixture[str]):
    judge = "scripted/judge.yaml,guard/shieldgemma=scripted/harsh.yaml,refusal"
    (folder / "s.yaml").write_text(f"target: scripted/target.yaml\njudge: '{judge}'\n")
    said = json.loads(inside(capsys, "doctor", "-c", "s.yaml", "--json").stdout)
    models = {each["what"]: each["state"] for each in said["findings"] if each["what"].startswith("model ")}
    assert models == {
        "model scripted/target.yaml": "ok",
        "model scripted/judge.yaml": "ok",
        "model guard/shieldgemma=scripted/harsh.yaml": "ok",
    }


def test_one_judge_under_two_names_is_no_panel(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "copy.yaml").write_text((folder / "judge.yaml").read_text())
    said = inside(capsys, "measure", *roles(judge="scripted/judge.yaml,scripted/copy.yaml"), *FEW)
    assert said.returncode == 2 and "are not all different models" in said.stderr
