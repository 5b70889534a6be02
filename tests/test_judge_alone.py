"""Any judge on recorded answers: in order, resumable, and batched where the judge takes many."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from breakfix.errors import ModelError, SettingsError
from breakfix.judge_alone import TOGETHER, ManyJudge, Opened, judged, open_alone
from breakfix.judging.embedded import EmbeddedJudge
from breakfix.judging.recorded import Recorded, recorded
from breakfix.project import Project
from breakfix.settings import CycleSettings
from breakfix.store.store import Store
from breakfix.types import Conversation, Scenario, Verdict


def rows(count: int) -> list[Recorded]:
    return [recorded({"request": "q", "answer": f"answer {n}"}, where="", number=n) for n in range(count)]


def verdict(said: Conversation, **fields: object) -> Verdict:
    return Verdict.model_validate({"conversation_id": said.id, "judge_id": "j", **fields})


class Slow:
    """Answers the later the earlier it was asked."""

    judge_id = "j"

    def __init__(self) -> None:
        self.waiting = self.most = self.asked = 0

    async def judge(self, scenario: Scenario, conversation: Conversation) -> Verdict:
        self.asked += 1
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await asyncio.sleep(0.02 / self.asked)
        self.waiting -= 1
        return verdict(conversation, reason=conversation.turns[-1].content)


class Many:
    judge_id = "j"

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def judge(self, scenario: Scenario, conversation: Conversation) -> Verdict:
        raise AssertionError("one at a time, though it takes many")

    def judge_many(self, asked: Sequence[tuple[Scenario, Conversation]]) -> Sequence[Verdict]:
        self.sizes.append(len(asked))
        return [verdict(said, reason=said.turns[-1].content) for _, said in asked]


def reasons(opened: Opened, entries: list[Recorded]) -> list[str | None]:
    async def work() -> list[str | None]:
        return [found.reason async for _, found in judged(opened, entries)]

    return asyncio.run(work())


def test_verdicts_come_in_the_order_of_the_rows_and_so_many_at_a_time():
    judge = Slow()
    assert reasons(Opened("slow", judge, 4), rows(20)) == [f"answer {n}" for n in range(20)]
    assert judge.most == 4


def test_a_judge_that_takes_many_is_given_many():
    judge = Many()
    assert len(reasons(Opened("many", judge), rows(TOGETHER + 3))) == TOGETHER + 3
    assert judge.sizes == [TOGETHER, 3]


def test_what_is_in_flight_is_cancelled_when_nobody_reads_on():
    async def work() -> int:
        judge = Slow()
        found = judged(Opened("slow", judge, 5), rows(9))
        await anext(found)
        await found.aclose()
        return judge.asked

    assert asyncio.run(work()) <= 5


def test_an_offline_judge_leaves_no_run(tmp_path: Path):
    async def work() -> str:
        async with open_alone("refusal", "x", project=Project(tmp_path / "store", tmp_path / "out")) as opened:
            return opened.judge.judge_id

    assert asyncio.run(work())
    assert list(tmp_path.iterdir()) == []


def test_a_model_judge_has_a_run_whose_journal_answers_the_second_time(tmp_path: Path):
    harmless = {"reason": "r", "severity": 0, "refusal": "none", "first_harmful_answer": 0, "evidence": ""}
    script = tmp_path / "judge.yaml"
    script.write_text(f"- {{reply: '{json.dumps(harmless)}'}}\n")
    project = Project(tmp_path / "store", tmp_path / "out")

    async def work(about: str) -> tuple[int, int]:
        async with open_alone(f"scripted/{script}", about, project=project) as opened:
            found = [each.severity async for _, each in judged(opened, rows(3))]
            assert found == [0, 0, 0]
            assert opened.run is not None
            total = opened.run.calls.counts.total
            return total.calls, total.journalled

    assert asyncio.run(work("file")) == (3, 0)
    assert asyncio.run(work("file")) == (0, 3)
    assert asyncio.run(work("another file")) == (3, 0)
    with Store.open(project.store) as store:
        assert [each.record.status for each in store.runs()] == ["done", "done"]


def test_an_unknown_judge_is_refused_and_leaves_nothing(tmp_path: Path):
    async def work() -> None:
        async with open_alone("nosuch", "x", project=Project(tmp_path / "store", tmp_path / "out")):
            pass

    with pytest.raises((ModelError, SettingsError), match="nosuch"):
        asyncio.run(work())
    with Store.open(tmp_path / "store") as store:
        assert store.runs() == []


def test_settings_reach_the_judge(tmp_path: Path):
    script = tmp_path / "judge.yaml"
    script.write_text("- {reply: 'x'}\n")
    name = f"scripted/{script}"

    async def identity(settings: CycleSettings) -> str:
        async with open_alone(name, "x", project=Project(tmp_path / "s", tmp_path / "o"), settings=settings) as opened:
            return opened.judge.judge_id

    warmer = CycleSettings.model_validate({"models": {name: {"temperature": 0.5}}})
    assert asyncio.run(identity(CycleSettings())) != asyncio.run(identity(warmer))


def test_a_run_that_only_judges_measures_nobody(tmp_path: Path):
    script = tmp_path / "judge.yaml"
    script.write_text("- {reply: 'x'}\n")
    project = Project(tmp_path / "s", tmp_path / "o")
    with Store.open(project.store) as store:
        store.save_run("measured", status="done", target="scripted/target.yaml")

    async def work() -> None:
        settings = CycleSettings(target=f"scripted/{script}")
        async with open_alone(f"scripted/{script}", "x", project=project, settings=settings):
            pass

    asyncio.run(work())
    with Store.open(project.store) as store:
        assert store.latest_run().run == "measured", "what `report` takes without a name"


def test_the_embedded_judge_judges_many_as_it_judges_one():
    judge = EmbeddedJudge()
    assert isinstance(judge, ManyJudge)
    said = rows(5)
    long = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "Sure, first do this, then do that."}]
    said.append(recorded({"messages": [*long, *long]}, where="", number=9))
    said.append(recorded({"request": "q", "answer": " "}, where="", number=10))
    asked = [(entry.scenario, entry.conversation) for entry in said]
    assert list(judge.judge_many(asked)) == [asyncio.run(judge.judge(*one)) for one in asked]
    assert judge.judge_many([]) == []
