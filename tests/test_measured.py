from pathlib import Path

import pytest

from breakfix.calls import Calls
from breakfix.errors import StoreError
from breakfix.estimates import Label
from breakfix.measured import MEASURED, begin_stage, end_stage, read_measured, read_one, said_unfinished
from breakfix.project import Project, Run
from breakfix.scorecard import score_of
from breakfix.settings import CycleSettings
from breakfix.store.store import Store
from breakfix.types import Checkpoint, Conversation, Message, Scenario, Verdict

SETTINGS = CycleSettings(name="r", target="hf/x", judge="scripted/j")


def scenario(place: int, split: str = "sealed") -> Scenario:
    fields = {"measure": "jailbreak", "harm": "malware", "objective": "o", "family": f"f{place // 2}", "language": "fr"}
    return Scenario(id=f"s{place:02}-{split}", split=split, persona="low_skilled", **fields)


def talk(about: Scenario, stage: str, **more) -> Conversation:
    turns = tuple(Message(role=role, content="...") for role in ("user", "assistant") * 3)
    fields = {"scenario_id": about.id, "target_id": f"t-{stage}", "turns": turns, "stopped": "turns", **more}
    return Conversation(id=f"{stage}-{about.id}", run="r", stage=stage, **fields)


def judged(said: Conversation, severity: int, judge_id: str = "j") -> Verdict:
    turn = 3 if severity else None
    return Verdict(conversation_id=said.id, judge_id=judge_id, severity=severity, first_harmful_turn=turn)


@pytest.fixture
def run(tmp_path: Path):
    with Store.open(tmp_path / "store") as store:
        store.save_run("r", status="done", judge_id="j")
        asked = [scenario(place) for place in range(10)]
        store.add_scenarios("r", [*asked, scenario(0, "dev")])
        for stage, severity in (("round-2", 0), ("base", 5), ("round-1-sft", 1), ("round-1", 1)):
            said = [talk(each, stage) for each in asked]
            store.add_conversations("r", [*said, talk(scenario(0, "dev"), stage)])
            store.add_verdicts("r", [judged(each, severity) for each in said[1:]])
            store.add_verdicts("r", [judged(each, 7, "another judge") for each in said])
        yield Run("r", SETTINGS, Project(tmp_path / "store", tmp_path), store=store, calls=Calls(None, SETTINGS.calls))


def test_stages_come_in_the_order_of_the_cycle(run: Run):
    assert list(read_measured(run)) == ["base", "round-1-sft", "round-1", "round-2"]


def test_scores_are_those_that_the_whole_conversations_would_give(run: Run):
    scenarios = {each.id: each for each in run.store.scenarios("r", split="sealed")}
    verdicts = {each.conversation_id: each for each in run.store.verdicts("r", "j")}
    said = [each for each in run.store.conversations("r", stage="base") if each.scenario_id in scenarios]
    whole = [score_of(scenarios[each.scenario_id], each, verdicts.get(each.id)) for each in said]
    found = read_one(run, "base")
    assert list(found.scores) == sorted(whole, key=lambda one: one.scenario_id)
    assert {(one.persona, one.language, one.exchanges) for one in found.scores} == {("low_skilled", "fr", 3)}
    assert {(one.severity, one.harmful_exchange) for one in found.scores} == {(5, 2), (None, None)}


def test_only_sealed_scenarios_and_the_runs_own_judge_count(run: Run):
    card = read_one(run, "round-2").card
    found = card.find("jailbreak")
    assert found is not None and (found.n, found.unscored, found.value) == (9, 1, 0.0)
    assert (card.target, card.target_id, card.judge_id) == ("hf/x", "t-round-2", "j")


def test_a_stage_keeps_the_day_on_which_it_was_measured(run: Run, monkeypatch: pytest.MonkeyPatch):
    assert read_one(run, "base").card.date == run.store.run("r").updated[:10], "nothing is on record"
    for day, stage in (("2025-01-01", "base"), ("2025-02-02", "base"), ("2025-03-03", "round-1")):
        monkeypatch.setattr("breakfix.store.store._now", lambda day=day: f"{day}T10:00:00.000000+00:00")
        run.store.open_sealed("r", MEASURED.format(stage))
    monkeypatch.undo()
    run.store.save_run("r", status="done")
    assert {stage: read_one(run, stage).card.date for stage in ("base", "round-1")} == {
        "base": "2025-02-02",
        "round-1": "2025-03-03",
    }


def test_a_stage_that_was_not_measured_is_refused_with_those_that_were(run: Run):
    with pytest.raises(StoreError, match="has not measured 'round-9'; it has measured base, round-1-sft, round-1"):
        read_one(run, "round-9")


def test_what_people_said_stands_beside_the_judges_scores_even_where_the_judge_said_nothing(run: Run):
    assert read_one(run, "base").labelled == ()
    labels = [Label(conversation_id=f"base-s{place:02}-sealed", harmful=place == 1) for place in range(3)]
    run.store.add_labels("r", labels)
    found = read_one(run, "base")
    assert [one.value for one in found.scores[:3]] == [None, 1.0, 1.0]
    assert [one.value for one in found.labelled] == [0.0, 1.0, 0.0]
    assert [one.scenario_id for one in found.labelled] == [one.scenario_id for one in found.scores[:3]]


def known(run: Run, name: str | None = "scripted/j") -> Run:
    """Record who judged and what was measured, then let a later command name another judge and another target."""
    run.store.save_run(
        "r",
        status="done",
        target_id="t-base",
        judges={"j": name} if name else {"another judge": "scripted/other"},
        targets={"t-base": "hf/x", "t-round-1": "hf/made/dpo/weights", "t-round-2": "scripted/y"},
    )
    later = SETTINGS.model_copy(update={"judge": "embedded", "target": "hf/made/dpo/weights"})
    return Run("r", later, Project(run.store.folder, run.folder), store=run.store, calls=run.calls)


def test_a_later_command_does_not_rename_the_judge_of_what_was_measured(run: Run):
    card = read_one(known(run), "base").card
    assert (card.judge, card.judge_id) == ("scripted/j", "j")
    assert "scripted/j j" in card.judge_line and "embedded" not in card.judge_line


@pytest.mark.parametrize("recorded", ["others", "nothing"])
def test_a_judge_whose_name_is_unknown_is_shown_by_its_id_alone(run: Run, recorded: str):
    if recorded == "others":
        known(run, None)
    later = SETTINGS.model_copy(update={"judge": "embedded"})
    card = read_one(
        Run("r", later, Project(run.store.folder, run.folder), store=run.store, calls=run.calls), "base"
    ).card
    assert card.judge == "j" and "embedded" not in card.judge_line


def test_each_stage_is_named_by_its_own_target_and_a_checkpoint_by_what_it_came_from(run: Run):
    facts = {"parent_id": "p", "dataset_id": "d", "settings_id": "s", "stages": ("sft", "dpo"), "curves": {}}
    made = Checkpoint.model_validate({"id": "c", "path": "made/dpo/weights", **facts})
    run.store.add_checkpoint("r", made)
    found = {stage: one.card.target for stage, one in read_measured(known(run)).items()}
    assert (found["base"], found["round-1"], found["round-2"]) == ("hf/x", "hf/x", "scripted/y")


def test_a_stage_without_sealed_conversations_is_not_among_those_measured(run: Run):
    run.store.add_conversations("r", [talk(scenario(0, "dev"), "base-dev")])
    with pytest.raises(StoreError, match="has not measured 'base-dev'; it has measured base, round-1-sft, round-1, r"):
        read_one(run, "base-dev")


def test_a_measurement_that_was_ended_is_known_for_unfinished_until_it_is_whole(run: Run):
    assert read_one(run, "base").card.unheld == 0, "nothing is on record"
    asked = [scenario(place) for place in range(6, 20)]
    begin_stage(run, "base", asked)
    card = read_one(run, "base").card
    assert card.unheld == 10, "4 of the 14 are held, beside 6 others"
    assert said_unfinished(card).startswith("Not finished: of 20 conversations of r:base 10 were held;")
    assert read_one(run, "round-1").card.unheld == 0
    run.store.add_scenarios("r", asked)
    run.store.add_conversations("r", [talk(each, "base") for each in asked])
    assert said_unfinished(read_one(run, "base").card) == "", "all are there, whatever ended"


def test_a_measurement_that_came_to_its_end_early_is_finished(run: Run):
    begin_stage(run, "base", [scenario(place) for place in range(99)])
    begin_stage(run, "round-1", [scenario(place) for place in range(99)])
    end_stage(run, "base")
    assert read_one(run, "base").card.unheld == 0 < read_one(run, "round-1").card.unheld


def test_before_anybody_judged_no_judge_is_named(run: Run):
    run.store.put_run(run.store.run("r").model_copy(update={"judge_id": None}))
    card = read_one(run, "base").card
    assert (card.judge, card.judge_line) == ("", "judge: none yet")
