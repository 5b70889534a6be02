"""What a run says of its calls when it ends, and what it keeps of that."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from breakfix.errors import BreakfixError, BudgetSpent, ModelError, StoreError
from breakfix.pacing import TryAgain
from breakfix.progress import Silent
from breakfix.project import Project, changes_of, open_run, place_now, run_name
from breakfix.settings import ModelSettings, load_settings, settings_from
from breakfix.store.store import Store
from breakfix.types import Checkpoint, Decoding, Message, Reply, Usage
from fake_model import FakeModel, user

WITHHELD, FINE = Reply(text="", finish_reason="filtered"), Reply(text="fine")
CUT = Reply(text="and then", finish_reason="length")


BROKEN_OFF = (
    "Of 2 answers that the target gave now 1 broke off at max_tokens, or at the end of its context: what would"
    " have followed is not judged."
    " For longer ones raise models.<name>.max_tokens."
)


class Noting(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Keep a line."""
        self.notes.append(text)


class Remarking(FakeModel):
    """Has something to say of how it answers."""

    remarks = ("it draws as it likes",)


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        ([TryAgain("busy"), WITHHELD, FINE], ["Model calls: 1 withheld by a content filter, 1 tried again."]),
        ([FINE, FINE], []),
        ([FINE, CUT], [BROKEN_OFF]),
    ],
)
def test_calls_that_did_not_go_as_wished_are_told_at_the_end_and_kept(
    tmp_path: Path, outcomes: list[Reply | TryAgain], told: list[str]
):
    left = list(outcomes)

    async def answer(messages: Sequence[Message], decoding: Decoding) -> Reply:
        outcome = left.pop(0)
        if isinstance(outcome, TryAgain):
            raise outcome
        return outcome

    async def whole() -> None:
        settings = settings_from({"name": "x", "target": "lab/mini"}, where="test")
        async with open_run(Project(tmp_path / "s", tmp_path / "r"), settings, progress=progress) as run:
            line = run.calls.line(FakeModel(answer), "target")
            for scenario in "ab":
                await line.thread(scenario).ask([user(scenario)])

    progress = Noting()
    asyncio.run(whole())
    assert progress.notes == told
    with Store.open(tmp_path / "s") as store:
        usage = store.run("x").usage
    assert (usage.calls, usage.retries, usage.filtered) == (2, outcomes.count(WITHHELD), outcomes.count(WITHHELD))
    assert usage.cut == outcomes.count(CUT)


def test_a_command_says_what_it_cost_and_what_the_run_did(tmp_path: Path):
    async def whole(scenario: str) -> None:
        settings = settings_from({"name": "x", "target": "lab/mini"}, where="test")
        async with open_run(Project(tmp_path / "s", tmp_path / "r"), settings, progress=progress) as run:
            line = run.calls.line(FakeModel(), "target", ModelSettings(price_in=1000, price_out=2000))
            await line.thread(scenario).ask([user(scenario)])

    progress = Noting()
    asyncio.run(whole("a"))
    asyncio.run(whole("b"))
    asyncio.run(whole("b"))  # from the journal: free
    first, second = progress.notes
    assert first == "Model calls cost $0.020."
    assert second == "Model calls cost $0.020, $0.040 with the earlier commands of this run."


def test_what_a_killed_command_took_is_counted_once_when_its_run_goes_on(tmp_path: Path):
    def asked(*, is_killed: bool) -> Usage:
        async def whole() -> None:
            settings = settings_from({"name": "x", "target": "lab/mini"}, where="test")
            async with open_run(Project(tmp_path / "s", tmp_path / "r"), settings, progress=progress) as run:
                line = run.calls.line(FakeModel(), "target", ModelSettings(price_in=1000, price_out=2000))
                for scenario in "ab"[: 1 if is_killed else 2]:
                    await line.thread(scenario).ask([user(scenario)])
                if is_killed:
                    os.kill(os.getpid(), signal.SIGKILL)

        asyncio.run(whole())
        with Store.open(tmp_path / "s") as store:
            return store.run("x").usage

    progress = Noting()
    killed = multiprocessing.get_context("fork").Process(target=asked, kwargs={"is_killed": True})
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    for journalled in (1, 3):
        took = asked(is_killed=False)
        assert (took.calls, took.journalled, took.prompt_tokens, took.cost_usd) == (2, journalled, 20, 0.04)
    assert progress.notes == ["Model calls (1 call of a command that was killed among them) cost $0.040."]


def test_an_endpoint_that_was_slowed_down_is_told_of_at_the_end(tmp_path: Path):
    async def whole() -> None:
        settings = settings_from({"name": "x", "target": "lab/mini"}, where="test")
        async with open_run(Project(tmp_path / "s", tmp_path / "r"), settings, progress=progress) as run:
            run.calls.pace_of(FakeModel()).slowdowns = 2

    progress = Noting()
    asyncio.run(whole())
    assert progress.notes == ["Model calls: slowed down 2 times."]


def test_answers_of_others_that_broke_off_are_not_called_the_target_s(tmp_path: Path):
    async def answer(messages: Sequence[Message], decoding: Decoding) -> Reply:
        return CUT

    async def whole() -> None:
        settings = settings_from({"name": "x", "target": "lab/mini"}, where="test")
        async with open_run(Project(tmp_path / "s", tmp_path / "r"), settings, progress=progress) as run:
            await run.calls.line(FakeModel(answer), "simulator").thread("a").ask([user("a")])
            assert run.calls.counts.total.cut == 1 and run.usage().cut == 0  # nor in the report

    progress = Noting()
    asyncio.run(whole())
    assert progress.notes == []


def test_what_a_model_remarks_on_is_told_while_the_run_goes_on(tmp_path: Path):
    async def whole() -> None:
        settings = settings_from({"name": "x", "target": "lab/mini"}, where="test")
        async with open_run(Project(tmp_path / "s", tmp_path / "r"), settings, progress=progress) as run:
            for scenario in "ab":
                await run.calls.line(Remarking(), "target").thread(scenario).ask([user(scenario)])
                assert progress.notes == ["it draws as it likes"]

    progress = Noting()
    asyncio.run(whole())


def test_what_a_model_remarked_on_is_still_known_when_the_report_is_written(tmp_path: Path):
    async def whole(model: FakeModel | None) -> tuple[str, ...]:
        settings = settings_from({"name": "x", "target": "lab/mini"}, where="test")
        async with open_run(Project(tmp_path / "s", tmp_path / "r"), settings) as run:
            if model:
                await run.calls.line(model, "target").thread("a").ask([user("a")])
            return run.remarks()

    asyncio.run(whole(Remarking()))
    assert asyncio.run(whole(None)) == asyncio.run(whole(None)) == ("it draws as it likes",)


def test_a_mix_of_models_behind_one_name_is_told_at_the_end_and_kept_with_the_run(tmp_path: Path):
    async def answer(messages: Sequence[Message], decoding: Decoding) -> Reply:
        return Reply(text="x", model_reported=f"m-{messages[0].content}")

    async def whole(*texts: str) -> tuple[str, ...]:
        settings = settings_from({"name": "x", "target": "lab/mini"}, where="test")
        async with open_run(Project(tmp_path / "s", tmp_path / "r"), settings, progress=progress) as run:
            for text in texts:
                await run.calls.line(FakeModel(answer), "target").thread(text).ask([user(text)])
            return run.remarks()

    progress = Noting()
    mixed = "fake answered as m-a, m-b: figures of a mix are not those of one model."
    assert asyncio.run(whole("b", "a")) == asyncio.run(whole("a", "b")) == asyncio.run(whole()) == (mixed,)
    assert progress.notes == [mixed, mixed], "a command that asked nothing has nothing to say"


async def ended(
    tmp_path: Path,
    target: str,
    error: BreakfixError | None = None,
    *,
    progress: Noting | None = None,
    stage: str = "base",
) -> None:
    """Ask once in a run of a target; end with an error."""
    settings = settings_from({"name": "x", "target": target}, where="test")
    async with open_run(Project(tmp_path / "s", tmp_path / "r"), settings, progress=progress, stage=stage) as run:
        await run.calls.line(FakeModel(), "simulator").thread(target).ask([user("a")])
        if error:
            run.store.put_run(run.store.run("x").model_copy(update={"planned": {"base": 9}}))
            raise error


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (ModelError("no such model"), ("done", "lab/mini", 2, {})),
        (BudgetSpent("spent"), ("failed", "openai/typo", 2, {"base": 9})),
    ],
    ids=("refused by its endpoint", "to go on with"),
)
def test_a_model_that_its_endpoint_refuses_leaves_a_finished_run_as_it_was(
    tmp_path: Path, error: BreakfixError, left: tuple[str, str, int, dict[str, int]]
):
    asyncio.run(ended(tmp_path, "lab/mini"))
    with pytest.raises(type(error)):
        asyncio.run(ended(tmp_path, "openai/typo", error))
    with Store.open(tmp_path / "s") as store:
        record = store.run("x")
    assert (record.status, record.target, record.usage.calls, record.planned) == left


@pytest.mark.parametrize("files", [[], ["scores.jsonl"]], ids=("nothing else", "files of its own"))
def test_a_refused_command_leaves_a_run_that_had_no_settings_without_any(tmp_path: Path, files: list[str]):
    folder = tmp_path / "r" / "x"
    with Store.open(tmp_path / "s") as store:
        before = store.save_run("x", status="done")
    for name in files:
        folder.mkdir(parents=True)
        (folder / name).touch()
    with pytest.raises(ModelError):
        asyncio.run(ended(tmp_path, "openai/typo", ModelError("no such model")))
    with Store.open(tmp_path / "s") as store:
        after = store.run("x")
    told_apart = {"updated", "usage"}
    assert after.model_dump(exclude=told_apart) == before.model_dump(exclude=told_apart) and after.usage.calls == 1
    assert (sorted(path.name for path in folder.iterdir()) if folder.exists() else []) == files


def with_weights(tmp_path: Path) -> str:
    """Begin a run of lab/mini and let it have trained a checkpoint; give that one's name."""
    asyncio.run(ended(tmp_path, "lab/mini"))
    made = str(tmp_path / "dpo" / "weights")
    ids = {"id": "c", "parent_id": "p", "dataset_id": "d", "settings_id": "s"}
    with Store.open(tmp_path / "s") as store:
        store.add_checkpoint("x", Checkpoint.model_validate({**ids, "path": made, "stages": ("dpo",), "curves": {}}))
    return f"hf/{made}"


@pytest.mark.parametrize("other", ["checkpoint", "openai/other"])
def test_the_runs_target_stays_while_another_model_is_measured_as_a_stage(tmp_path: Path, other: str):
    trained = with_weights(tmp_path)
    progress = Noting()
    target = trained if other == "checkpoint" else other
    asyncio.run(ended(tmp_path, target, progress=progress, stage="round-1"))
    with Store.open(tmp_path / "s") as store:
        record = store.run("x")
    saved = load_settings(tmp_path / "r" / "x" / "settings.yaml")
    assert (record.target, saved.target, progress.notes) == ("lab/mini", "lab/mini", [])
    assert "target: lab/mini\n" in record.settings


def test_a_run_that_begins_with_a_later_stage_is_about_what_it_names(tmp_path: Path):
    asyncio.run(ended(tmp_path, "hf/given", stage="round-1"))
    with Store.open(tmp_path / "s") as store:
        assert store.run("x").target == "hf/given"


def test_what_a_run_trained_is_not_its_base(tmp_path: Path):
    trained = with_weights(tmp_path)
    with pytest.raises(StoreError, match=r"was trained in run 'x'.*--stage round-1"):
        asyncio.run(ended(tmp_path, trained))
    with Store.open(tmp_path / "s") as store:
        assert (store.run("x").target, store.run("x").status) == ("lab/mini", "done")


def test_another_target_at_the_base_is_said_to_be_one(tmp_path: Path):
    asyncio.run(ended(tmp_path, "lab/mini"))
    progress = Noting()
    asyncio.run(ended(tmp_path, "hf/elsewhere", progress=progress))
    assert "begun with other settings (target: lab/mini before, hf/elsewhere now)" in progress.notes[0]


def test_to_name_the_labs_own_judge_changes_nothing():
    assert changes_of("target: lab/mini\njudge: null", "target: lab/mini\njudge: lab/exact") == []
    assert changes_of("target: hf/x\njudge: null", "target: hf/x\njudge: lab/exact") == [
        "judge: None before, lab/exact now"
    ]


def test_the_first_judge_of_a_run_is_no_other_one(tmp_path: Path):
    async def begun(judge: str | None) -> list[str]:
        progress = Noting()
        settings = settings_from({"name": "x", "target": "hf/x", "judge": judge}, where="test")
        async with open_run(Project(tmp_path / "s", tmp_path / "r"), settings, progress=progress):
            return progress.notes

    assert [asyncio.run(begun(judge)) for judge in (None, "refusal")] == [[], []]
    with Store.open(tmp_path / "s") as store:
        store.save_run("x", status="done", judge_id="j")
    assert "judge: refusal before, embedded now" in asyncio.run(begun("embedded"))[0]


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("replay//data/completions-xstest-v2-completions-gpt4-on-all.csv", "xstest-v2-completions-gpt4-on-all.csv-"),
        ("hf/" + "x" * 60, "x" * 40 + "-"),
    ],
)
def test_a_long_name_is_cut_where_a_word_begins(target: str, name: str):
    assert run_name(settings_from({"target": target}, where="test")).startswith(name)


@pytest.mark.parametrize(
    ("recorded", "tail"),
    [
        ("/before/runs/r/checkpoints/round-1-ab/dpo/weights", "checkpoints/round-1-ab/dpo/weights"),
        ("runs/r/datasets/0123", "datasets/0123"),
        ("/all/datasets/project/runs/r/datasets/0123", "datasets/0123"),
        ("/all/datasets/mine", None),
        ("mine", None),
    ],
)
def test_what_a_run_made_is_found_in_its_folder_and_anything_else_where_it_was(
    tmp_path: Path, recorded: str, tail: str | None
):
    for made in ("checkpoints/round-1-ab/dpo/weights", "datasets/0123"):
        (tmp_path / made).mkdir(parents=True)
    assert place_now(recorded, tmp_path) == (tmp_path / tail if tail else Path(recorded))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_no_room_for_a_runs_settings_asks_for_room_not_for_another_place(tmp_path: Path):
    (tmp_path / "r" / "x").mkdir(parents=True)
    (tmp_path / "r" / "x" / "settings.yaml").symlink_to("/dev/full")
    with pytest.raises(StoreError, match=r"No space left on device\. Free some space\.$"):
        asyncio.run(ended(tmp_path, "lab/mini"))
