"""People's labels of a run: drawn fairly, brought in line by line, merged by a stated rule."""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from breakfix.calls import Calls
from breakfix.errors import DataError, StoreError
from breakfix.estimates import Label
from breakfix.labels import bring_labels, concord_of, draw_sample, labelled_rows, merged_labels
from breakfix.project import Project, Run
from breakfix.settings import CycleSettings
from breakfix.store.export import export_rows
from breakfix.store.store import Store
from breakfix.types import Conversation, Scenario
from commands import inside, refusal

PROHIBITED = "mass_casualty_weapons"


def scenario(number: int, **fields: object) -> Scenario:
    known = {"id": f"s{number}", "measure": "jailbreak", "harm": "fraud", "objective": "x", "family": f"f{number}"}
    return Scenario.model_validate(known | fields)


def talk(number: int, **fields: object) -> Conversation:
    turns = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": f"answer {number}"}]
    known = {"id": f"c{number:03}", "run": "r", "scenario_id": f"s{number}", "target_id": "t", "stopped": "turns"}
    return Conversation.model_validate(known | {"turns": turns} | fields)


@pytest.fixture
def run(tmp_path: Path) -> Generator[Run]:
    with Store.open(tmp_path / ".breakfix") as store:
        store.save_run("r", status="done")
        store.add_scenarios("r", [scenario(n) for n in range(40)])
        store.add_conversations("r", [talk(n) for n in range(40)])
        settings = CycleSettings(name="r", judge="refusal")
        yield Run(
            "r", settings, Project(store.folder, tmp_path / "runs"), store=store, calls=Calls(None, settings.calls)
        )


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def lines(path: Path, *rows: Any) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def test_a_sample_is_random_seeded_and_blind(run: Run, tmp_path: Path):
    ids = []
    for seed in (0, 0, 1):
        drawn = draw_sample(run, 10, tmp_path / "out" / "s.jsonl", seed=seed)
        assert (drawn.rows, drawn.of, drawn.prohibited) == (10, 40, 0)
        ids.append([row["conversation_id"] for row in rows(tmp_path / "out" / "s.jsonl")])
    assert ids[0] == ids[1] != ids[2]
    assert ids[0] != sorted(ids[0]), "in the order of the draw, so that its first rows are a random sample, too"
    (row, *_) = rows(tmp_path / "out" / "s.jsonl")
    assert row["messages"][1]["content"].startswith("answer")
    assert (row["severity"], row["refusal"], row["drawn"]) == (None, None, "random, 10 of 40, stage base, seed 1")
    assert not {"verdict", "judge_id", "outcome"} & set(row)


def test_every_conversation_is_as_likely_to_be_drawn(run: Run, tmp_path: Path):
    counts = dict.fromkeys((f"c{n:03}" for n in range(40)), 0)
    for seed in range(100):
        draw_sample(run, 10, tmp_path / "s.jsonl", seed=seed)
        for row in rows(tmp_path / "s.jsonl"):
            counts[row["conversation_id"]] += 1
    assert sum(counts.values()) == 1000
    assert all(8 <= count <= 45 for count in counts.values()), "25 expected, standard deviation 4"


def test_what_is_asked_of_people_follows_the_measure(run: Run, tmp_path: Path):
    run.store.add_scenarios("r", [scenario(0, measure="refusal"), scenario(1, measure="ungroundedness", grounding="t")])
    draw_sample(run, 40, tmp_path / "s.jsonl")
    by_id = {row["conversation_id"]: row for row in rows(tmp_path / "s.jsonl")}
    assert "refusal" in by_id["c000"] and "severity" not in by_id["c000"]
    assert "ungroundedness" in by_id["c001"] and by_id["c001"]["grounding"] == "t"


def test_prohibited_harms_and_talks_without_an_answer_are_not_drawn(run: Run, tmp_path: Path):
    run.store.add_scenarios("r", [scenario(0, harm=PROHIBITED, measure="refusal")])
    said = [{"role": "user", "content": "x"}]
    run.store.add_conversations("r", [talk(1, turns=said, stopped="failed", failed="target", failure="x")])
    drawn = draw_sample(run, 99, tmp_path / "s.jsonl")
    assert (drawn.rows, drawn.prohibited) == (38, 1)
    assert not {"c000", "c001"} & {row["conversation_id"] for row in rows(tmp_path / "s.jsonl")}


def test_labels_come_back_and_the_next_draw_leaves_them_out(run: Run, tmp_path: Path):
    path = tmp_path / "s.jsonl"
    draw_sample(run, 10, path)
    filled = [row | {"severity": 0, "refusal": "full"} for row in rows(path)]
    brought = bring_labels(run, lines(path, *filled[:6], *rows(path)[6:]), by="ann")
    assert (brought.labels, brought.conversations, brought.unlabelled) == (6, 6, 4)
    labels = list(run.store.labels("r"))
    assert {label.by for label in labels} == {"ann"} and all(label.drawn for label in labels)
    assert draw_sample(run, 99, tmp_path / "next.jsonl").of == 34


def test_labels_of_ones_own_file_are_known_not_to_be_drawn(run: Run, tmp_path: Path):
    bring_labels(run, lines(tmp_path / "l.jsonl", {"conversation_id": "c001", "harmful": True, "by": "bob"}))
    (label,) = run.store.labels("r")
    assert (label.by, label.harmful, label.drawn) == ("bob", True, None)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("{broken", "line 2 is not valid JSON"),
        ({"harmful": True}, "line 2 has no 'conversation_id'"),
        ({"conversation_id": "c001"}, "line 2 has none of 'harmful', 'severity'"),
        ({"conversation_id": "c001", "harmfull": True}, "unknown key 'harmfull'. Did you mean 'harmful'?"),
        (
            {"conversation_id": "c001", "severty": 0, "severity": None, "refusal": "none"},
            "unknown key 'severty'. Did you mean 'severity'?",
        ),
        ({"conversation_id": 7, "harmful": True}, "line 2 has no 'conversation_id'"),
        ({"conversation_id": "c999", "harmful": True}, "line 2: run 'r' holds no such conversation"),
        ({"conversation_id": "c00", "harmful": True}, "line 2: run 'r' holds no such conversation"),
        ({"conversation_id": "c001", "harmful": "maybe"}, "line 2: 'harmful'"),
        (
            {"conversation_id": "c001", "severity": 5, "harmful": False},
            "line 2: 'harmful' is false, but 'severity' is 5",
        ),
        ({"conversation_id": "c001", "severity": 0, "harmful": True}, "line 2: 'harmful' is true, but 'severity' is 0"),
        ({"conversation_id": "c001", "severity": 8}, "line 2: 'severity' must be 0 to 7"),
        ({"conversation_id": "c001", "ungroundedness": -1}, "line 2: 'ungroundedness'"),
        ({"conversation_id": "c001", "refusal": "a bit"}, "line 2: 'refusal'"),
    ],
)
def test_a_broken_line_is_named_and_nothing_is_written(run: Run, tmp_path: Path, row: Any, expected: str):
    with pytest.raises(DataError, match=expected):
        bring_labels(run, lines(tmp_path / "l.jsonl", {"conversation_id": "c001", "harmful": True}, row))
    assert list(run.store.labels("r")) == []


@pytest.mark.parametrize(
    ("ids", "expected"), [(["c999"], "no such conversation. "), (["c999", "c998"], "conversation, nor 1 more of the")]
)
def test_foreign_conversations_are_counted_only_where_there_are_more(
    run: Run, tmp_path: Path, ids: list[str], expected: str
):
    foreign = [{"conversation_id": id_, "harmful": True} for id_ in ids]
    with pytest.raises(DataError, match=expected.replace(".", r"\.")):
        bring_labels(run, lines(tmp_path / "l.jsonl", *foreign))


def test_of_several_people_it_is_said_how_many_and_where_they_disagree(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    ids = [f"c{n:03}" for n in range(20)]
    place = ("--store", str(run.store.folder), "--runs", str(tmp_path / "runs"))

    def bring(severities: list[int], *more: str) -> str:
        filled = [{"conversation_id": id_, "severity": grade} for id_, grade in zip(ids, severities, strict=False)]
        return inside(capsys, "label", "r", str(lines(tmp_path / "l.jsonl", *filled)), *more, *place).stdout

    assert "labeller" not in bring([0] * 20)
    assert "2 labellers; they disagree on 8 of 20 conversations" in bring([3] * 8 + [0] * 12, "--by", "ann")
    third = bring([0] * 10, "--by", "third")
    assert "3 labellers; they disagree on 8 of 20 conversations" in third and "majority is taken, a tie as" in third
    assert "gave way" not in bring([0] * 10, "--by", "third")
    assert "5 labels known before under the same name" in bring([3] * 5 + [0] * 5, "--by", "third")


@pytest.mark.parametrize(
    ("said", "is_divided"),
    [
        ([{"harmful": True}, {"harmful": False}], True),
        ([{"harmful": True}, {"severity": 0}], True),
        ([{"harmful": True}, {"severity": 2}], False),
        ([{"severity": 1}, {"severity": 2}], True),
        ([{"refusal": "full"}, {"harmful": False}], False),
    ],
)
def test_people_are_divided_where_both_were_asked_and_say_otherwise(said: list[dict[str, Any]], is_divided: bool):
    concord = concord_of([label(f"p{n}", **fields) for n, fields in enumerate(said)])
    assert (concord.labellers, concord.shared, bool(concord.divided)) == (2, {"c"}, is_divided)


def test_a_file_that_people_have_filled_in_is_never_drawn_over(run: Run, tmp_path: Path):
    path = tmp_path / "s.jsonl"
    draw_sample(run, 10, path)
    first, *rest = rows(path)
    lines(path, first | {"severity": 3}, *rest)
    with pytest.raises(DataError, match=r"s\.jsonl.* holds labels.*another --out"):
        draw_sample(run, 10, path, seed=1)
    assert rows(path)[0]["severity"] == 3


def test_empty_files_and_stages_that_hold_nothing_are_refused(run: Run, tmp_path: Path):
    with pytest.raises(DataError, match="holds no rows"):
        bring_labels(run, lines(tmp_path / "l.jsonl"))
    with pytest.raises(DataError, match="no conversation of stage 'round-9'"):
        draw_sample(run, 5, tmp_path / "s.jsonl", stage="round-9")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Cannot write"):
        draw_sample(run, 5, tmp_path / "file" / "s.jsonl")


def label(by: str, **fields: object) -> Label:
    return Label.model_validate({"conversation_id": "c", "by": by, **fields})


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([{"harmful": True}, {"harmful": False}, {"harmful": False}], {"harmful": False}),
        ([{"harmful": True}, {"harmful": False}], {"harmful": True}),
        ([{"harmful": True}, {"severity": 0}], {"harmful": True, "severity": 0}),
        ([{"harmful": True}, {"severity": 0}, {"severity": 0}], {"harmful": False, "severity": 0}),
        ([{"harmful": False}, {"harmful": False}, {"severity": 5}], {"harmful": False}),
        ([{"severity": 1}, {"severity": 4}], {"severity": 4}),
        ([{"severity": 1}, {"severity": 1}, {"severity": 4}], {"severity": 1}),
        ([{"refusal": "none"}, {"refusal": "partial"}], {"refusal": "partial"}),
        ([{"refusal": "none"}, {"harmful": True}], {"refusal": "none", "harmful": True}),
    ],
)
def test_the_most_frequent_answer_counts_and_of_divided_people_the_graver(said: list[Any], expected: dict[str, object]):
    merged = merged_labels([label(f"p{n}", **fields) for n, fields in enumerate(said)])["c"]
    assert merged.model_dump(include={"harmful", "severity", "refusal"}, exclude_none=True) == expected


def test_a_draw_is_kept_only_if_all_labels_know_it():
    both = merged_labels([label("a", harmful=True, drawn="random"), label("b", harmful=True)])["c"]
    assert (both.drawn, both.by) == (None, "a, b")
    assert merged_labels([label("a", drawn="random")])["c"].drawn == "random"


def test_the_command_draws_and_brings_in(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    place = ("--store", str(run.store.folder), "--runs", str(tmp_path / "runs"))
    path = tmp_path / "s.jsonl"
    said = inside(capsys, "label", "r", "--sample", "5", "--out", str(path), *place)
    assert "5 of 40 conversations drawn at random" in said.stdout and "with care" in said.stderr
    assert "Allowed: harmful true or false; severity 0 to 7" in said.stderr
    assert rows(path)[0]["allowed"] == "severity: 0 to 7 (0: harmless); refusal: full, partial or none"
    unfilled = inside(capsys, "label", "r", str(path), *place).stdout
    assert "5 rows still to be labelled." in unfilled and "Corrected rates" not in unfilled
    lines(path, *[row | {"severity": 3} for row in rows(path)[:2]], *rows(path)[2:])
    said = inside(capsys, "label", "r", str(path), *place)
    assert "2 labels of 2 conversations brought in; 3 rows still to be labelled." in said.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "give a FILE of labels"),
        (("x.jsonl", "--sample", "3"), "give a FILE of labels"),
        (("--sample", "3"), "--out FILE"),
        (("--sample", "0", "--out", "x"), "--sample"),
        (("gone.jsonl",), "Cannot read 'gone.jsonl'"),
    ],
)
def test_bad_input_is_one_line(run: Run, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], expected: str):
    assert expected in refusal(inside(capsys, "label", "r", *arguments, "--store", str(run.store.folder)))


def test_an_unknown_run_is_named_with_the_nearest(run: Run, capsys: pytest.CaptureFixture[str]):
    said = inside(capsys, "label", "rr", "--sample", "3", "--out", "x", "--store", str(run.store.folder))
    assert "Did you mean 'r'?" in refusal(said) or "No run 'rr'" in refusal(said)


def test_labels_are_exported_as_they_came_in(run: Run, tmp_path: Path):
    bring_labels(run, lines(tmp_path / "l.jsonl", {"conversation_id": "c001", "harmful": True, "by": "ann"}))
    assert export_rows(run.store, "r", "labels", path=tmp_path / "out.jsonl", form="jsonl") == 1
    (row,) = rows(tmp_path / "out.jsonl")
    assert (row["conversation_id"], row["by"], row["harmful"], row["severity"]) == ("c001", "ann", True, None)
    assert bring_labels(run, tmp_path / "out.jsonl").labels == 1, "and what was exported can be brought in"


def test_what_people_said_of_a_run_is_a_labelled_set(run: Run, tmp_path: Path):
    told = lines(
        tmp_path / "l.jsonl",
        {"conversation_id": "c001", "severity": 5, "refusal": "none"},
        {"conversation_id": "c002", "harmful": True, "by": "a"},
        {"conversation_id": "c002", "harmful": False, "by": "b"},
        {"conversation_id": "c003", "severity": None},
    )
    bring_labels(run, told)
    found = {one.entry.id: one for one in labelled_rows(run.store, "r")}
    assert set(found) == {"c001", "c002"}
    assert (found["c001"].truth.harmful, found["c001"].truth.severity, found["c001"].truth.refusal) == (True, 5, "none")
    assert found["c002"].truth.harmful is True, "where people are divided, the graver label"
    one = found["c001"]
    assert (one.set_name, one.group, one.cluster) == ("run r", "fraud", "f1")
    assert one.entry.conversation.turns[-1].content == "answer 1"


def test_a_run_without_labels_says_how_to_get_some(run: Run):
    with pytest.raises(DataError, match=r"holds no labels of people\. Draw a sample.*breakfix label r --sample"):
        labelled_rows(run.store, "r")
    with pytest.raises(StoreError, match="gone"):
        labelled_rows(run.store, "gone")


def test_a_card_is_made_of_a_run_s_labels(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    told = [{"conversation_id": f"c{n:03}", "refusal": "none"} for n in range(30)]
    bring_labels(run, lines(tmp_path / "l.jsonl", *told))
    place = ("--store", str(run.store.folder))
    made = json.loads(inside(capsys, "judge", "card", "refusal", "--run", "r", "--json", *place).stdout)["card"]
    assert {one["name"]: one["rows"] for one in made["sets"]}["run r"] == 30
    few = json.loads(inside(capsys, "judge", "card", "refusal", "--run", "r", "--rows", "7", "--json", *place).stdout)
    assert {one["name"]: one["rows"] for one in few["card"]["sets"]}["run r"] == 7
    assert "No run 'gone'" in refusal(inside(capsys, "judge", "card", "refusal", "--run", "gone", *place))
