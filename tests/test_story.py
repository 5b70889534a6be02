"""The whole cycle on the lab's smallest model, once, with little of everything; and what each loop left behind."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from breakfix.align import weights_of
from breakfix.api import report, run_cycle
from breakfix.cycle import State
from breakfix.errors import ModelError, SettingsError, StoreError
from breakfix.failures import stages_of
from breakfix.forecasts import forecast_measurement
from breakfix.measure import sealed_scenarios
from breakfix.project import Project, Run, open_run, run_name
from breakfix.redteam import is_refused, objectives
from breakfix.report.data import ReportData
from breakfix.reporting import gather
from breakfix.retest import cell_of
from breakfix.roles import is_lab, open_target, role_name, speaks_lab
from breakfix.settings import CycleSettings, settings_from

LITTLE = {
    "name": "story",
    "target": "lab/mini",
    "rounds": 1,
    "measure": {"conversations": 12, "turns": 2},
    "redteam": {"budget": 48, "ordinary": 8},
    "curate": {"leave_out_areas": ["cyber"], "seed_examples": 160, "findings": 4, "examples_per_finding": 4},
    "align": {"sft": {"save_steps": 5}, "dpo": {"save_steps": 5}},
}


class Story:
    """One finished cycle, and where it lies."""

    def __init__(self, folder: Path) -> None:
        self.project = Project(folder / ".breakfix", folder / "runs")
        self.settings = settings_from(LITTLE, where="test")
        self.data: ReportData = run_cycle(self.settings, project=self.project)
        self.folder = self.project.out / "story"

    def look(self, work):
        async def whole():
            async with open_run(self.project, self.settings) as run:
                return work(run)

        return asyncio.run(whole())


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    yield Story(tmp_path_factory.mktemp("story"))


def test_the_cycle_measures_before_and_after_on_the_same_sealed_scenarios(story: Story):
    before, after = story.data.scorecards
    assert (before.stage, after.stage) == ("base", "round-1")
    assert before.scenarios_id == after.scenarios_id
    assert before.target_id != after.target_id
    harm = before.find("harm")
    assert harm is not None and harm.value is not None and harm.value > 0.9, "the base model complies"


def test_the_gate_decides_and_says_why(story: Story):
    (only,) = story.data.rounds
    assert only.gate is not None and only.gate.verdict in ("passed", "failed", "cannot_tell")
    assert len(only.gate.rules) == 4


def test_sft_and_dpo_are_measured_apart(story: Story):
    (only,) = story.data.rounds
    assert only.checkpoint is not None and only.checkpoint.stages == ("sft", "dpo")
    assert only.sft_only is not None and only.sft_only.target_id != story.data.scorecards[1].target_id


def test_findings_lead_to_rows_and_back(story: Story):
    (only,) = story.data.rounds
    known = {finding.id for finding in story.data.findings}
    assert only.lineage and {each.finding_id for each in only.lineage} <= known
    states = {finding.state for finding in story.data.findings if finding.round == 1}
    assert states - {"open"}, "what was trained on has been tried again"


def test_the_first_round_leaves_its_hole(story: Story):
    (only,) = story.data.rounds
    assert only.dataset is not None
    rows = [orjson.loads(line) for line in (Path(only.dataset.path) / "pairs.jsonl").read_bytes().splitlines()]
    assert rows and all(row["provenance"]["harm"] != "cyber" for row in rows)


def test_no_training_row_is_of_a_sealed_family(story: Story):
    (only,) = story.data.rounds
    sealed = story.look(lambda run: {one.family for one in run.store.scenarios("story", split="sealed")})
    assert only.dataset is not None and sealed
    for name in ("examples.jsonl", "pairs.jsonl"):
        rows = [orjson.loads(line) for line in (Path(only.dataset.path) / name).read_bytes().splitlines()]
        assert not {row["provenance"]["family"] for row in rows} & sealed


def test_the_report_stands_in_every_format(story: Story):
    assert all((story.folder / f"report.{form}").stat().st_size > 1000 for form in ("html", "md", "json"))
    assert (story.folder / "scorecard.json").exists()
    assert list((story.folder / "figures").glob("*.svg"))


def test_examples_are_of_as_many_measures_as_failed(story: Story):
    failed = {one.measure for one in story.data.scorecards[0].estimates if one.harm == "all" and one.value}
    assert {one.scenario.measure for one in story.data.transcripts} == failed - {"harm"}


def test_a_second_run_asks_and_trains_nothing_and_agrees(story: Story):
    weights = sorted(story.folder.glob("checkpoints/*/*/weights/model.safetensors"))
    before = [path.stat().st_mtime_ns for path in weights]
    again = run_cycle(story.settings, project=story.project)
    once = story.data.usage
    assert once is not None and again.usage is not None
    assert again.usage.calls == once.calls and again.usage.journalled > once.journalled
    assert [card.estimates for card in again.scorecards] == [card.estimates for card in story.data.scorecards]
    assert before and [path.stat().st_mtime_ns for path in weights] == before


def test_a_report_needs_no_more_than_the_store(story: Story):
    assert report(story.settings, project=story.project).rounds[0].comparisons == story.data.rounds[0].comparisons


def test_every_opening_of_the_sealed_split_is_on_record(story: Story):
    why = story.look(lambda run: [each.why for each in run.store.sealed_openings("story")])
    assert {"measure base", "measure round-1-sft", "measure round-1"} <= set(why)


def test_the_red_team_keeps_to_its_pool_and_budget(story: Story):
    held = story.look(lambda run: list(run.store.conversations("story", stage="base", purpose="redteam")))
    dev = story.look(lambda run: {one.id for one in run.store.scenarios("story", split="dev")})
    assert held and sum(one.queries for one in held) <= story.settings.redteam.budget
    assert all(one.scenario_id in dev for one in held)


def test_transcripts_and_retests_name_the_same_cells(story: Story):
    assert stages_of("base") == ("base", "base-dev", "base-retest")
    assert all(len(cell_of(finding)) == 4 for finding in story.data.findings)
    assert State("base").target is None


def in_empty_run(tmp_path: Path, settings: CycleSettings, work):
    async def whole():
        async with open_run(Project(tmp_path / "store", tmp_path / "runs"), settings) as run:
            return work(run)

    return asyncio.run(whole())


def test_a_run_that_measured_nothing_cannot_be_reported(tmp_path: Path):
    with pytest.raises(StoreError, match="has measured nothing yet"):
        in_empty_run(tmp_path, settings_from({"target": "lab/mini", "name": "bare"}, where="test"), gather)


def test_equal_settings_name_equal_runs():
    one, two = CycleSettings(target="lab/mini"), CycleSettings(target="lab/mini", seed=1)
    assert run_name(one) == run_name(CycleSettings(target="lab/mini")) != run_name(two)
    assert run_name(CycleSettings(target="http://127.0.0.1:80/v1#m")).startswith("http-127.0.0.1-80-v1-m-")


def test_the_lab_plays_all_roles_of_its_own_models_only(tmp_path: Path):
    lab = CycleSettings(target="lab/mini")
    assert {role_name(lab, role) for role in ("simulator", "judge", "attacker", "teacher")} == {"lab/exact"}
    assert is_lab(lab) and speaks_lab("lab/small") and not speaks_lab("openai/any")


def test_a_checkpoint_of_any_lab_model_is_the_labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BREAKFIX_HOME", str(tmp_path / "home"))
    words = {"built": tmp_path / "home" / "lab" / "small", "trained": tmp_path / "trained", "other": tmp_path / "other"}
    for name, folder in words.items():
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        vocabulary = {"a": 0} if name == "other" else {"b": 0}
        (folder / "tokenizer.json").write_bytes(orjson.dumps({"model": {"vocab": vocabulary}}))
    assert speaks_lab(f"hf/{words['trained']}") and not speaks_lab(f"hf/{words['other']}")
    foreign = CycleSettings(target="openai/any", simulator="lab/exact", judge="lab/exact", name="x")
    with pytest.raises(SettingsError, match="knows the truth about the lab's own models only"):
        in_empty_run(tmp_path, foreign, open_target)


@pytest.mark.parametrize("role", ["judge", "attacker", "teacher"])
def test_a_role_without_a_model_is_named(tmp_path: Path, role: str):
    from breakfix import roles

    bare = CycleSettings(target="openai/any", name="x")
    with pytest.raises(SettingsError, match=f"No {role} is named. Give --{role} MODEL"):
        in_empty_run(tmp_path, bare, getattr(roles, f"open_{role}"))


@pytest.mark.parametrize(
    ("name", "said"),
    [("openai/any", "no weights here"), ("hf/./none", "there is no folder"), ("lab/giant", "No lab model 'giant'")],
)
def test_only_weights_that_lie_here_can_be_trained(name: str, said: str):
    with pytest.raises(ModelError, match=said):
        weights_of(name)


def test_the_red_teams_objectives_come_from_its_split(tmp_path: Path):
    def work(run: Run):
        return objectives(run, "dev", n=20), sealed_scenarios(run), forecast_measurement(run.settings, 10)

    settings = settings_from({"target": "openai/x", "simulator": "openai/x", "name": "x"}, where="test")
    pool, sealed, forecast = in_empty_run(tmp_path, settings, work)
    assert {one.split for one in pool} == {"dev"} and {one.split for one in sealed} == {"sealed"}
    assert not {one.family for one in pool} & {one.family for one in sealed}
    assert forecast is not None and forecast.calls == 10 * 2 * settings.measure.turns


@pytest.mark.parametrize(
    ("answer", "refused"),
    [("I'm sorry, but I can't help with that.", True), ("Sure. Here is how to do it: first the plan.", False)],
)
def test_an_attacker_is_told_whether_it_was_refused(answer: str, refused: bool):
    assert is_refused(answer) == refused


@pytest.mark.parametrize("name", ["harms", "scenarios"])
def test_the_lab_refuses_a_choice_that_it_would_ignore(tmp_path: Path, name: str):
    chosen = settings_from({"target": "lab/mini", "name": "x", "measure": {name: ["foo"]}}, where="test")
    with pytest.raises(SettingsError, match=f"measure.{name} \\(foo\\) does not apply in the lab"):
        in_empty_run(tmp_path, chosen, sealed_scenarios)


def test_how_fast_calls_are_made_is_no_part_of_a_runs_name():
    slow = settings_from({"target": "lab/mini", "calls": {"concurrency": 1}}, where="test")
    assert run_name(slow) == run_name(CycleSettings(target="lab/mini"))
