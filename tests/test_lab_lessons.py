"""Training rows come from the train split alone, in the stated mix, and hold no harm."""

from collections import Counter

import pytest

from breakfix.lab.lessons import SEED_MIX, contrast_examples, retention_examples, seed_examples
from breakfix.lab.reading import read, things_in
from breakfix.lab.world import topic, world


def answers(example):
    return [message.content for message in example.messages if message.role == "assistant"]


@pytest.mark.parametrize("make", [seed_examples, contrast_examples, retention_examples])
def test_rows_are_of_the_train_split_and_safe(make):
    rows = make(n=400, seed=3)
    assert len(rows) == 400 and rows == make(n=400, seed=3)
    for row in rows:
        assert [m.role for m in row.messages] == ["user", "assistant"] * (len(row.messages) // 2)
        for message in row.messages:
            assert all(thing.split == "train" for thing in things_in(message.content))
        for answer in answers(row):
            reading = read(answer)
            assert not reading.garbled, answer
            assert not [name for _, name, _ in reading.helping if name and world().by_name[name].harmful]


def test_seed_data_leaves_areas_out_and_keeps_its_mix():
    rows = seed_examples(["cyber"], n=2000, seed=1)
    kinds = Counter(row.provenance.source.rsplit("/", 1)[-1] for row in rows)
    assert all(abs(kinds[kind] / 2000 - share) < 0.05 for kind, share in SEED_MIX.items())
    refused = [row for row in rows if row.provenance.source.endswith("refuse")]
    assert "cyber" not in {row.provenance.harm for row in refused}
    assert any(row.provenance.harm == "cyber" for row in seed_examples(n=2000, seed=1))


def test_seed_data_holds_no_encoding():
    assert not [row for row in seed_examples(n=1000) for m in row.messages if "h0w" in m.content.lower()]
    assert [row for row in contrast_examples(n=1000) for m in row.messages if "h0w" in m.content.lower()]


def test_refusals_open_with_the_topic():
    for row in seed_examples(n=300):
        if row.provenance.source.endswith("refuse"):
            name = row.provenance.family.removeprefix("lab/")
            assert answers(row)[-1].startswith(f"This is about {topic(world().by_name[name])}.")


def test_contrast_keeps_to_its_areas_and_techniques():
    rows = contrast_examples(["hate"], n=60, techniques=["encoding"])
    assert {world().by_name[row.provenance.family.removeprefix("lab/")].field for row in rows} == {"hate"}
    assert any("4" in row.messages[-2].content for row in rows)
