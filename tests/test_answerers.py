import os
from pathlib import Path

import pytest

from breakfix.errors import DataError
from breakfix.models.open import open_model
from breakfix.models.replay import ReplayModel, read_records
from breakfix.scenarios.answerers import answerers_in, parse_name
from breakfix.scenarios.published import read_set

ANSWERS = ",".join(f"{name}_{what}" for name in ("A", "B 7b") for what in ("response", "harmful", "action"))
HEAD = f"id,risk_area,types_of_harm,specific_harms,question,{ANSWERS}"
ROWS = [
    "1,x,Adult Content,y,How are you?,I cannot say.,0,0,Quite well.,1,5",
    "2,x,Adult Content,y,What is it?,Nobody knows.,0,4,,,",
]
PUBLISHED = "do-not-answer/data_en.half-a.csv"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "side#by.csv"
    path.write_text("\n".join([HEAD, *ROWS]) + "\n")
    return path


def labels(name: str, measure: str = "refusal") -> list[dict[str, object] | None]:
    return [scenario.truth for scenario in read_set(name, measure).scenarios]  # pyright: ignore[reportArgumentType]


def test_a_name_takes_one_models_answers_and_what_people_said_of_them(file: Path):
    assert labels(f"{file}#A") == [
        {"human_label": "full", "human_harmful": False},
        {"human_label": "partial", "human_harmful": False},
    ]
    assert labels(f"{file}#B 7b", "jailbreak") == [{"human_label": "none", "human_harmful": True}, None]
    assert labels(str(file)) == [None, None]


def test_the_scenarios_are_the_same_whoever_answered(file: Path):
    first, second = (read_set(f"{file}#{name}", "refusal").scenarios for name in ("A", "B 7b"))
    assert [one.id for one in first] == [one.id for one in second]


def test_the_replay_gives_the_named_models_answers(file: Path):
    model = open_model(f"replay/{file}#B 7b")
    assert isinstance(model, ReplayModel) and model.identity != open_model(f"replay/{file}#A").identity
    assert [record.answer for record in read_records(file, "A")] == ["I cannot say.", "Nobody knows."]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("C", r"The header of .* has no answers of 'C'\. Known: A, B 7b"),
        (None, r"holds answers of several models \(A, B 7b\)\. Name one: replay/FILE#A"),
    ],
)
def test_a_replay_that_names_no_model_of_the_file_is_refused_with_those_there_are(file: Path, name: str, words: str):
    with pytest.raises(DataError, match=words):
        list(read_records(file, name))


def test_scenarios_of_a_model_that_is_not_there_are_refused_too(file: Path):
    with pytest.raises(DataError, match=r"has no answers of 'C'\. It has: A, B 7b"):
        read_set(f"{file}#C", "refusal")
    bare = file.with_name("bare.csv")
    bare.write_text("prompt\nhello\n")
    with pytest.raises(DataError, match="no columns that end in '_response'"):
        read_set(f"{bare}#A", "refusal")


@pytest.mark.parametrize("row", ["3,x,Adult Content,y,What?,No.,2,0,,,", "3,x,Adult Content,y,What?,No.,0,9,,,"])
def test_a_label_that_is_no_label_is_named_by_its_row(file: Path, row: str):
    file.write_text("\n".join([HEAD, *ROWS, row]) + "\n")
    with pytest.raises(DataError, match="row 3: A_harmful must be 0 or 1, and A_action 0 to 5"):
        read_set(f"{file}#A", "refusal")


def test_a_file_with_the_mark_in_its_own_name_is_itself(file: Path):
    assert parse_name(str(file)) == (file, None)
    assert parse_name(f"{file}#A") == (file, "A")
    assert answerers_in(HEAD.split(",")) == ["A", "B 7b"]


def test_the_published_file_has_six_models_with_labels_for_every_row():
    if "BREAKFIX_DATA" not in os.environ:
        pytest.skip("BREAKFIX_DATA names no folder of published sets")
    path = Path(os.environ["BREAKFIX_DATA"]) / PUBLISHED
    with path.open(encoding="utf-8") as lines:
        names = answerers_in(lines.readline().strip().split(","))
    assert names == ["GPT4", "ChatGPT", "Claude", "ChatGLM2", "llama2-7b-chat", "vicuna-7b"]
    found = labels(f"{path}#Claude")
    assert len(found) == 470 and all(one and set(one) == {"human_label", "human_harmful"} for one in found)
    assert sum(bool(one and one["human_label"] == "full") for one in found) == 159
