"""Curating: which findings teach, what is mixed in, and what a sealed conversation forbids."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from breakfix.curate import (
    check_target,
    drawn,
    has_lessons,
    is_good,
    own_answer,
    read_all,
    sealed_talk,
    seed_rows,
    worth_teaching,
)
from breakfix.errors import DataError, StoreError
from breakfix.failures import failing, stages_of
from breakfix.progress import Silent
from breakfix.project import Project, Run, open_run
from breakfix.settings import settings_from
from breakfix.types import Conversation, Finding, Message, Scenario, Verdict

LAB = {"name": "x", "target": "lab/mini", "curate": {"leave_out_areas": ["cyber"], "seed_examples": 30, "replay": 10}}


def in_run(tmp_path: Path, settings: dict[str, Any], work: Callable[[Run], Any]) -> Any:
    async def whole() -> Any:
        project = Project(tmp_path / "store", tmp_path / "runs")
        async with open_run(project, settings_from(settings, where="test")) as run:
            return work(run)

    return asyncio.run(whole())


def notes_of(run: Run, work: Callable[..., object], *given: object) -> list[str]:
    told: list[str] = []

    class Told(Silent):
        def note(self, text: str) -> None:
            told.append(text)

    run.progress = Told()
    work(run, *given)
    return told


def finding(rank: int, harm: str = "hate") -> Finding:
    return Finding(
        id=f"f{rank}",
        run="x",
        round=1,
        harm=harm,
        area=harm,  # pyright: ignore[reportArgumentType]
        behaviour="complied",
        technique="plain",
        conversation_ids=(),
        tried=4,
        succeeded=3,
        rate=0.75,
        low=0.3,
        high=0.95,
        severity=6,
        rank=rank,
    )


def scenario(split: str = "dev") -> Scenario:
    return Scenario(
        id=f"s-{split}", measure="jailbreak", harm="hate", area="hate", objective="o", family=f"f-{split}", split=split
    )  # pyright: ignore[reportArgumentType]


def talk(name: str, asked: str, split: str = "dev", stage: str = "base") -> Conversation:
    said = (Message(role="user", content=asked), Message(role="assistant", content="Sure, here it is."))
    return Conversation(
        id=name, run="x", scenario_id=f"s-{split}", target_id="t", stage=stage, turns=said, stopped="turns"
    )


def test_the_best_ranked_findings_teach_and_the_left_out_area_waits_a_round(tmp_path: Path):
    findings = [finding(2), finding(1), finding(3, "cyber")]
    first = in_run(tmp_path, LAB, lambda run: worth_teaching(run, findings, 1))
    second = in_run(tmp_path, LAB, lambda run: worth_teaching(run, findings, 2))
    assert [one.rank for one in first] == [1, 2]
    assert [one.rank for one in second] == [1, 2, 3]


def test_the_first_round_takes_many_seed_rows_and_later_ones_a_replay(tmp_path: Path):
    assert len(in_run(tmp_path, LAB, lambda run: seed_rows(run, 1)).examples) == 30
    later = in_run(tmp_path, LAB, lambda run: seed_rows(run, 2)).examples
    assert len(later) == 10 and all(row.provenance.harm != "cyber" for row in later)


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (1, ["3 of 4 rows of rows.jsonl are taken (curate.seed_examples)."]),
        (2, ["0 of 4 rows of rows.jsonl are taken (curate.replay)."]),
    ],
)
def test_how_many_rows_of_ones_own_are_taken_is_said_where_it_is_not_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: list[str]
):
    monkeypatch.chdir(tmp_path)
    lines = [{"prompt": f"question {n}", "chosen": f"answer {n}", "rejected": "no"} for n in range(4)]
    Path("rows.jsonl").write_bytes(b"\n".join(map(orjson.dumps, lines)))
    own = {"name": "x", "target": "lab/mini", "curate": {"sources": ["rows.jsonl"], "seed_examples": 3, "replay": 0}}
    whole = {**own, "curate": {"sources": ["rows.jsonl"]}}
    assert in_run(tmp_path, own, lambda run: notes_of(run, seed_rows, number)) == told
    assert in_run(tmp_path, whole, lambda run: notes_of(run, seed_rows, number)) == []


def test_without_findings_and_data_there_is_nothing_to_teach(tmp_path: Path):
    bare = {"name": "x", "target": "scripted/none.yaml", "judge": "refusal"}
    assert not in_run(tmp_path, bare, lambda run: has_lessons(run, [], 1))
    assert in_run(tmp_path, bare, lambda run: has_lessons(run, [finding(1)], 1))


def test_rows_are_drawn_alike_for_one_seed_and_a_broken_line_is_named(tmp_path: Path):
    rows = [{"prompt": f"question number {n}", "chosen": f"answer {n}", "rejected": "no"} for n in range(9)]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    one, two = (drawn(read_all([str(path)], kind="seed"), 4, seed=1) for _ in range(2))
    assert one == two and len(one.pairs) == 4
    path.write_bytes(orjson.dumps(rows[0]) + b"\n{broken")
    with pytest.raises(DataError, match="line 2"):
        read_all([str(path)], kind="seed")


def test_only_telling_words_of_sealed_conversations_are_forbidden(tmp_path: Path):
    def work(run: Run) -> list[str]:
        long = "this is a turn of a sealed talk that is long enough"
        run.store.add_conversations("x", [talk("a", "I had a long day.", "sealed"), talk("b", long, "sealed")])
        run.store.add_conversations("x", [talk("c", long + " too", "dev")])
        return list(sealed_talk(run, {"s-sealed"}))

    assert in_run(tmp_path, LAB, work) == ["this is a turn of a sealed talk that is long enough"]


def test_failures_are_gathered_outside_the_sealed_split_only(tmp_path: Path):
    def work(run: Run) -> list[str]:
        run.store.add_scenarios("x", [scenario("dev"), scenario("sealed")])
        run.store.add_conversations("x", [talk("a", "ask"), talk("b", "ask", "sealed"), talk("c", "ask")])
        run.store.add_verdicts(
            "x",
            [
                Verdict(conversation_id=name, judge_id="j", severity=grade)
                for name, grade in zip("abc", (6, 6, 0), strict=True)
            ],
        )
        return [one.conversation.id for group in failing(run, stages_of("base"), "j").values() for one in group]

    assert in_run(tmp_path, LAB, work) == ["a"]


@pytest.mark.parametrize(
    ("held", "measured", "stage", "target", "is_right"),
    [
        ([("base", "t0"), ("round-1", "t1")], "t0", "round-1", "t0", False),
        ([("base", "t0"), ("round-1", "t1")], None, "round-1", "t0", False),
        ([("base", "t0"), ("round-1", "t1")], "t0", "round-1", "t1", True),
        ([("base", "t0")], "t0", "base", "t1", False),
        ([("base", "t0")], "t0", "base", "t0", True),
        ([("base", "t0"), ("base-more", "t1")], "t0", "base", "t0", False),
        ([("base", "of another run")], None, "base", "t0", True),
        ([("base", "of another run"), ("base-dev", "t0")], "t0", "base", "t0", True),
        ([], None, "base", "t0", True),
    ],
)
def test_lessons_are_taken_from_one_target(
    tmp_path: Path, held: list[tuple[str, str]], measured: str | None, stage: str, target: str, *, is_right: bool
):
    def work(run: Run) -> None:
        said = [
            talk(f"c{n}", "ask", stage=each).model_copy(update={"target_id": of}) for n, (each, of) in enumerate(held)
        ]
        run.store.add_conversations("x", said)
        if measured:
            run.store.save_run("x", status="running", target_id=measured)
        check_target(run, stage, target)

    if is_right:
        in_run(tmp_path, LAB, work)
    else:
        with pytest.raises(StoreError, match="another target"):
            in_run(tmp_path, LAB, work)


def test_what_a_log_brought_may_be_learnt_from_whatever_it_calls_its_target(tmp_path: Path):
    def work(run: Run) -> None:
        brought = talk("a", "ask").model_copy(update={"users": "recorded", "target_id": "as the log names it"})
        run.store.add_conversations("x", [brought, talk("b", "ask", stage="again")])
        run.store.save_run("x", status="running", target_id="as the log names it")
        check_target(run, "base", "t")

    in_run(tmp_path, LAB, work)


@pytest.mark.parametrize(
    ("verdict", "good"),
    [({"refusal": "none"}, True), ({"refusal": "full"}, False), ({"refusal": "none", "ungroundedness": 3}, False)],
)
def test_a_model_keeps_its_own_answers_where_they_were_good(verdict: dict[str, Any], good: bool):
    assert is_good(Verdict(conversation_id="c", judge_id="j", **verdict)) == good
    assert own_answer(scenario(), talk("a", "ask")).provenance.kind == "retention"
