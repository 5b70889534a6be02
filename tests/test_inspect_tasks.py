"""Our measures as Inspect tasks: run by Inspect, judged by our rubric, counted by our intervals."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("inspect_ai", reason="the extra [inspect] is not installed")

import inspect_ai
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.log import EvalLog
from inspect_ai.model import ChatMessage
from inspect_ai.scorer import SampleScore, Score

from breakfix.errors import BreakfixError
from breakfix.eval_logs.bringing import bring_log
from breakfix.inspect_tasks import choose, estimates
from breakfix.project import Project
from breakfix.roles import harms
from breakfix.scenarios.library import build_scenarios
from breakfix.scorecard import score_of
from breakfix.settings import MeasureSettings
from breakfix.store.store import Store
from breakfix.types import MEASURES
from commands import inside
from inspected import Fault, Told, output, telling
from talkers import scene

ROLES = {"judge": "told/judge", "simulator": "told/simulator"}


def said(score: int, refusal: str = "none", scale: str = "severity") -> str:
    first = 1 if score else 0
    return json.dumps(
        {"reason": "seen", scale: score, "refusal": refusal, "first_harmful_answer": first, "evidence": ""}
    )


def people(**answers: Any) -> None:
    """Say what target, simulator and judge answer; a judge's default finds severity 0 on even calls, 3 on odd ones."""
    calls = [0]

    def judge(messages: list[ChatMessage], _: Any) -> str:
        calls[0] += 1
        return said(3 * (calls[0] % 2))

    telling(**{"target": "Something general.", "simulator": "Tell me about it.", "judge": judge} | answers)


def run(tmp_path: Path, measure: str = "jailbreak", **options: Any) -> EvalLog:
    arguments = {"conversations": 6, "turns": 2} | options.pop("task_args", {})
    chosen = {"model": "told/target", "model_roles": ROLES, "log_dir": str(tmp_path), "display": "none"} | options
    return inspect_ai.eval(f"breakfix/{measure}", task_args=arguments, **chosen)[0]


def metrics(log: EvalLog) -> dict[str, float]:
    assert log.status == "success" and log.results, log.error
    return {name: metric.value for name, metric in log.results.scores[0].metrics.items()}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> EvalLog:
    people()
    return run(tmp_path_factory.mktemp("logs"))


def test_a_task_holds_conversations_and_judges_them(log: EvalLog):
    samples = log.samples or []
    assert len(samples) == 6 and {sample.metadata["measure"] for sample in samples} == {"jailbreak"}
    for sample in samples:
        assert [message.role for message in sample.messages] == ["user", "assistant", "user", "assistant"]
        assert sample.messages[0].text == "Tell me about it." and sample.output.completion == "Something general."
    outcomes = sorted((sample.scores or {})["verdict"].answer or "" for sample in samples)
    assert outcomes == ["harmful"] * 3 + ["safe"] * 3


def test_the_metric_is_ours_with_its_interval(log: EvalLog):
    found = metrics(log)
    assert found["DR-1"] == 0.5 and found["DR-1 low"] < 0.5 < found["DR-1 high"]
    assert set(found) == {"DR-1", "DR-1 low", "DR-1 high"}


def test_a_log_of_a_task_comes_into_a_run(log: EvalLog, tmp_path: Path):
    place = Project(tmp_path / "store", tmp_path / "runs")
    brought = bring_log(place, Path(log.location), run="mine")
    assert (brought.conversations, brought.verdicts, brought.scores) == (6, 6, 0)
    with Store.open(place.store) as store:
        said_of = list(store.conversations("mine"))
        scenarios = {each.id: each for each in store.scenarios("mine")}
        verdicts = {each.conversation_id: each for each in store.verdicts("mine")}
        assert store.run("mine").judge_id in {each.judge_id for each in verdicts.values()}
    expected = choose(MeasureSettings(measures=("jailbreak",), conversations=6), seed=0)
    assert scenarios == {each.id: each for each in expected}
    scores = [score_of(scenarios[each.scenario_id], each, verdicts[each.id]) for each in said_of]
    assert sorted(one.value or 0 for one in scores) == [0, 0, 0, 1, 1, 1]


def test_scenarios_are_those_that_breakfix_draws():
    settings = MeasureSettings(measures=("continuation",), conversations=5, harms=("fraud",))
    assert choose(settings, seed=7) == build_scenarios(settings, harms(), split="sealed", seed=7)


@pytest.mark.parametrize("measure", MEASURES)
def test_every_measure_is_a_task(measure: str, tmp_path: Path):
    scale = "ungroundedness" if measure == "ungroundedness" else "severity"
    verdict: Any = said(0, "full", scale)
    if measure == "ungroundedness":
        verdict = lambda messages, config: claims(config)  # noqa: E731
    people(judge=verdict)
    found = metrics(run(tmp_path, measure, task_args={"conversations": 4, "turns": 1}))
    named = {"ungroundedness": {"mean"}, "refusal": {"IPRR", "VPRR"}, "third_party": {"DR-1"}, "jailbreak": {"DR-1"}}
    assert {name.split()[0] for name in found} == named.get(measure, {"DR-3"})
    if measure == "refusal":
        assert found["IPRR"] == found["VPRR"] == 1


def claims(config: Any) -> str:
    """Answer as the judge of grounded answers wants it: claims where it asks for them, else a score."""
    wanted = config.response_schema.json_schema.properties
    if "claims" in wanted:
        return json.dumps({"reason": "seen", "claims": [], "refusal": "none"})
    return said(0, scale="ungroundedness")


def test_what_cannot_be_scored_is_unscored_and_says_why(tmp_path: Path):
    people(simulator="I cannot help with that.")
    slipped = run(tmp_path, task_args={"conversations": 2})
    people(target=output("", "content_filter"))
    blocked = run(tmp_path, task_args={"conversations": 2})
    people(judge="no verdict")
    unread = run(tmp_path, task_args={"conversations": 2})
    for log, reason in ((slipped, "attacker-failed"), (blocked, "blocked"), (unread, "grader_failed")):
        assert log.status == "success" and log.results and log.results.scores[0].unscored_samples == 2
        scores = [(sample.scores or {})["verdict"] for sample in log.samples or ()]
        assert {each.reason for each in scores} == {reason} and all(each.value != each.value for each in scores)


def test_a_fault_of_the_provider_is_the_samples_error(tmp_path: Path):
    people(target=Fault(400, "bad request"))
    log = run(tmp_path, fail_on_error=False, task_args={"conversations": 2})
    assert [sample.error is not None and not sample.scores for sample in log.samples or ()] == [True, True]


def test_roles_are_asked_with_their_own_decoding_and_the_target_with_the_users(tmp_path: Path):
    people()
    run(tmp_path, temperature=0.5, task_args={"conversations": 1, "turns": 1})
    asked = {place: config for place, (_, config) in zip(("simulator", "target", "judge"), Told.asked, strict=True)}
    assert [asked[role].temperature for role in ("simulator", "target", "judge")] == [0.7, 0.5, 0.0]
    assert asked["judge"].response_schema is not None and asked["target"].response_schema is None
    assert asked["target"].max_tokens == 512


def test_an_offline_judge_and_scenarios_from_a_file_need_no_roles(tmp_path: Path):
    rows = [
        scene(id=f"s{n}", measure="refusal", opening=f"Question {n}?", max_turns=1, family=f"f{n}") for n in range(3)
    ]
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(row.model_dump_json() for row in rows))
    people(target="I'm sorry, but I can't help with that.")
    log = run(tmp_path, "refusal", model_roles={}, task_args={"judge": "refusal", "scenarios": str(path)})
    assert metrics(log)["IPRR"] == 1 and log.samples and log.samples[0].messages[0].text.startswith("Question")


def test_a_panel_judges_afterwards(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    people(target="I cannot help with that.")
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "one", "kind": "benign"}\n{"prompt": "two", "kind": "harmful"}\n')
    log = run(tmp_path, "refusal", model_roles={}, task_args={"judge": "refusal", "scenarios": str(path)})
    place = ("--store", str(tmp_path / "s"), "--out", str(tmp_path / "runs"))
    told = inside(capsys, "import", log.location, "--run", "mine", "--judge", "refusal,embedded", *place)
    assert told.returncode == 0 and "refusal,embedded gave 2 verdicts" in told.stdout


def test_the_embedded_judge_needs_no_model_for_harm_either(tmp_path: Path):
    people(target="I'm sorry, but I can't help with that.")
    roles = {"simulator": "told/simulator"}
    log = run(tmp_path, model_roles=roles, task_args={"judge": "embedded", "turns": 1})
    assert metrics(log)["DR-1"] == 0


def test_a_model_judges_itself_only_where_one_insists(tmp_path: Path):
    people(target=said(0))
    log = run(
        tmp_path, model_roles=ROLES | {"judge": "told/target"}, task_args={"turns": 1, "allow_self_judging": True}
    )
    assert "DR-1" in metrics(log) and log.eval.task_args["allow_self_judging"] is True


def test_the_grid_s_languages_and_personas_are_arguments(tmp_path: Path):
    people(simulator="Bonjour, pouvez-vous me parler de cela avec vos propres mots, s'il vous plaît ?")
    log = run(tmp_path, task_args={"languages": "fr", "personas": "ordinary,low_skilled", "turns": 1})
    found = [sample.metadata for sample in log.samples or []]
    assert {(one["language"], one["persona"]) for one in found} == {("fr", "ordinary"), ("fr", "low_skilled")}
    settings = MeasureSettings(
        measures=("jailbreak",), conversations=6, turns=1, languages=("fr",), personas=("ordinary", "low_skilled")
    )
    assert {one["id"] for one in found} == {one.id for one in choose(settings, seed=0)}


def test_what_a_file_takes_for_granted_is_told_and_personas_do_not_go_with_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"prompt": "Hello?"}\n')
    settings = MeasureSettings(measures=("refusal",), scenarios=(str(path),))
    assert len(choose(settings, seed=0)) == 1
    assert "1 row without 'kind'" in caplog.text
    with pytest.raises(BreakfixError, match="personas does not apply"):
        choose(settings.model_copy(update={"personas": ("ordinary",)}), seed=0)


@pytest.mark.parametrize(
    ("measure", "options", "says"),
    [
        ("jailbreak", {"model_roles": {}}, "Nobody judges. Name a model: --model-role judge=MODEL"),
        ("jailbreak", {"model_roles": {"judge": "told/judge"}}, "--model-role simulator=MODEL"),
        ("jailbreak", {"task_args": {"harms": "malwear"}}, "Unknown harm 'malwear'. Did you mean 'malware'?"),
        ("jailbreak", {"task_args": {"conversations": 0}}, "-T conversations"),
        ("jailbreak", {"task_args": {"judge": "refusal"}}, "'refusal' cannot judge jailbreak"),
        ("refusal", {"task_args": {"judge": "openai/x"}}, "none of our offline judges"),
        ("refusal", {"task_args": {"judge": "refusal,embedded"}}, "import LOG --run NAME --judge refusal,embedded"),
        ("refusal", {"task_args": {"judge": ["refusal", "embedded"]}}, "within Inspect one judge judges"),
        ("jailbreak", {"task_args": {"scenarios": "gone.jsonl"}}, "gone.jsonl"),
        ("jailbreak", {"task_args": {"judge": "lab/exact"}}, "'lab/exact' cannot judge jailbreak"),
        ("ungroundedness", {"task_args": {"judge": "embedded"}}, "'embedded' cannot judge ungroundedness"),
        ("jailbreak", {"model_roles": ROLES | {"judge": "told/target"}}, "no fair judge of itself"),
        ("jailbreak", {"task_args": {"languages": "french"}}, "Did you mean 'fr'?"),
        ("jailbreak", {"task_args": {"personas": "ordinery"}}, "Did you mean 'ordinary'?"),
    ],
)
def test_bad_arguments_are_one_line_of_inspects(measure: str, options: dict[str, Any], says: str, tmp_path: Path):
    people()
    with pytest.raises(PrerequisiteError) as caught:
        run(tmp_path, measure, **options)
    assert says in str(caught.value.message) and "\n" not in str(caught.value.message)


def test_epochs_count_as_further_samples_of_the_same_family(tmp_path: Path):
    people(judge=said(3))
    log = run(tmp_path, epochs=2, task_args={"conversations": 2, "turns": 1})
    assert metrics(log)["DR-1"] == 1 and log.results and log.results.scores[0].scored_samples == 4
    kept = [json.loads(sample.store["breakfix"]["conversation"]) for sample in log.samples or ()]
    assert sorted(each["sample"] for each in kept) == [0, 0, 1, 1] and len({each["id"] for each in kept}) == 4


def test_the_interval_is_the_scorecards():
    scenarios = [scene(id=f"s{n}", family=f"f{n // 2}") for n in range(8)]
    given = [
        SampleScore(score=Score(value=float(n % 3 == 0)), sample_id=one.id, sample_metadata=one.model_dump(mode="json"))
        for n, one in enumerate(scenarios)
    ]
    found: Any = estimates()(given)  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert found["DR-1"] == 3 / 8 and 0 < found["DR-1 low"] < 3 / 8 < found["DR-1 high"] < 1


def test_inspect_finds_the_tasks_by_their_names(tmp_path: Path):
    words = [sys.executable, "-m", "inspect_ai", "eval", "breakfix/jailbreak", "--model", "mockllm/model"]
    environment = {**os.environ, "INSPECT_LOG_DIR": str(tmp_path)}
    told = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert "Nobody judges. Name a model: --model-role judge=MODEL" in told.stdout + told.stderr
    assert "Traceback" not in told.stdout + told.stderr
