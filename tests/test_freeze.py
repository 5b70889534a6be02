"""Frozen datasets: whole or not at all, the same rows the same dataset, and a card that tells all."""

import json

import pytest

from breakfix.alignment.rows import read_rows
from breakfix.curation.freeze import freeze, read_dataset
from breakfix.curation.repair import Rows
from breakfix.errors import DataError, StoreError
from breakfix.types import Example, Message, Pair
from people import provenance, talk

REPAIRED = provenance(kind="repair", source="f1", conversation_id="c1", harm="weapons")
PROMPT = (Message(role="user", content="do it"),)
NO, YES = (Message(role="assistant", content=text, finish_reason="stop") for text in ("no", "yes"))
ROWS = Rows(
    pairs=(Pair(prompt=PROMPT, chosen=(NO,), rejected=(YES,), provenance=REPAIRED),),
    examples=(
        Example(messages=(*PROMPT, NO), provenance=REPAIRED),
        Example(messages=talk("hi", "hello").turns, provenance=provenance(source="own.jsonl:7", licence="CC0-1.0")),
    ),
    dropped={"near-duplicate": 3},
)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_are_written_in_trls_own_keys(tmp_path):
    home = tmp_path / freeze(ROWS, tmp_path).id[:16]
    assert lines(home / "pairs.jsonl")[0].keys() == {"prompt", "chosen", "rejected", "provenance"}
    assert lines(home / "examples.jsonl")[0]["messages"] == [
        {"role": "user", "content": "do it"},
        {"role": "assistant", "content": "no"},
    ]


def test_the_card_tells_what_is_in_it_and_where_it_came_from(tmp_path):
    dataset = freeze(ROWS, tmp_path, about={"round": 2})
    card = json.loads((tmp_path / dataset.id[:16] / "card.json").read_text())
    assert (dataset.examples, dataset.pairs, dataset.dropped) == (2, 1, {"near-duplicate": 3})
    assert dataset.mixture == {"repair": 2, "seed": 1} and dataset.licences == ("CC0-1.0", "MIT")
    assert card["findings"] == {"f1": {"pairs": [1], "examples": [1]}}
    assert card["sources"] == {"findings": 2, "own.jsonl": 1} and card["about"] == {"round": 2}


def test_the_card_for_people_warns_and_quotes_no_row(tmp_path):
    dataset = freeze(ROWS, tmp_path)
    text = (tmp_path / dataset.id[:16] / "card.md").read_text()
    assert "Content warning" in text and "near-duplicate | 3" in text and "do it" not in text


def test_the_same_rows_are_the_same_dataset(tmp_path):
    one, again = freeze(ROWS, tmp_path), freeze(ROWS, tmp_path)
    other = freeze(ROWS._replace(pairs=()), tmp_path)
    assert one == again and one.id != other.id
    assert len(list(tmp_path.iterdir())) == 2


def test_rows_are_read_back_by_who_trains_on_them(tmp_path):
    home = tmp_path / freeze(ROWS, tmp_path).id[:16]
    assert [row.provenance for row in read_rows(home / "pairs.jsonl", Pair)] == [REPAIRED]
    assert len(list(read_rows(home / "examples.jsonl", Example))) == 2


def test_a_changed_file_is_found_out(tmp_path):
    home = tmp_path / freeze(ROWS, tmp_path).id[:16]
    with (home / "pairs.jsonl").open("a") as stream:
        stream.write("{}\n")
    with pytest.raises(DataError, match="changed after freezing"):
        read_dataset(home)


@pytest.mark.parametrize("card", ["{", "{}", "[]", '{"hashes": {}, "id": 5}'])
def test_a_card_that_is_none_is_named(tmp_path, card):
    home = tmp_path / freeze(ROWS, tmp_path).id[:16]
    (home / "card.json").write_text(card)
    with pytest.raises(DataError, match="is not a dataset card"):
        read_dataset(home)


def test_no_dataset_and_no_rows_are_said(tmp_path):
    with pytest.raises(DataError, match=r"card\.json"):
        read_dataset(tmp_path)
    with pytest.raises(DataError, match="nothing to freeze"):
        freeze(Rows(), tmp_path)


@pytest.mark.parametrize(
    ("dropped", "says"),
    [
        ({}, "No training row was made.*larger --budget"),
        ({"sealed conversation": 11}, r"all 11 were left out \(sealed conversation 11\)\. Nothing that overlaps"),
        ({"near-duplicate": 1, "no safe and helpful answer": 4}, "all 5 .*answer 4, near-duplicate 1.*--teacher"),
        ({"empty message": 1}, "the only one was left out.*--sources FILE"),
    ],
)
def test_rows_that_were_all_left_out_are_counted_by_cause_with_advice_against_it(tmp_path, dropped, says):
    with pytest.raises(DataError, match=f"nothing to freeze.*{says}" if dropped else says):
        freeze(Rows(dropped=dropped), tmp_path)


def test_a_place_that_cannot_be_written_is_said_and_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="Cannot write the dataset"):
        freeze(ROWS, tmp_path / "file")
