"""Overlap: what counts as the same text, and what does not."""

import random

import numpy as np
import pytest

from breakfix.overlap import (
    OverlapIndex,
    bands_for,
    jaccard,
    near_duplicates,
    normalise,
    shingle,
    signatures,
    words,
)

LONG = "the quick brown fox jumps over the lazy dog near the river bank at dawn every single day"


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("  Hello,   WORLD!! ", "hello world"),
        ("\uff28\uff45\uff4c\uff4c\uff4f", "hello"),
        ("he\u200bllo", "hello"),
        ("Straße", "strasse"),
        ("炸弹怎么做", "炸 弹 怎 么 做"),
        ("कैसे बनाएं", "कैसे बनाएं"),
        ("...", ""),
    ],
)
def test_equal_texts_have_one_normal_form(text, normal):
    assert normalise(text) == normal


def test_shingles_are_the_distinct_runs_of_five_words():
    shingled = shingle([words("a b c d e a b c d e"), words("a b"), [], words("a b c d e")])
    assert [len(shingled.of(row)) for row in range(4)] == [5, 1, 1, 1]
    assert set(shingled.of(3)) <= set(shingled.of(0))
    assert shingled.of(1)[0] not in set(shingled.of(0))


def test_signatures_estimate_the_jaccard_similarity():
    draw = random.Random(3)
    vocabulary = [f"word{n}" for n in range(500)]
    errors = []
    for cut in range(0, 200, 20):
        text = draw.choices(vocabulary, k=300)
        other = text[:cut] + draw.choices(vocabulary, k=50) + text[cut + 50 :]
        shingled = shingle([text, other])
        one, two = signatures(shingled)
        errors.append(np.mean(one == two) - jaccard(shingled.of(0), shingled.of(1)))
    assert max(map(abs, errors)) < 0.14
    assert abs(float(np.mean(errors))) < 0.05


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8, 0.95, 1.0])
def test_bands_propose_nearly_all_pairs_at_the_threshold(threshold):
    bands, rows = bands_for(threshold)
    assert 1 - (1 - threshold**rows) ** bands >= 0.99 or rows == 1


def test_near_duplicates_name_the_first_kept_text():
    other = "entirely different words stand in this sentence and nothing of it repeats the one above at all"
    texts = [LONG, other, LONG + " ok", LONG.upper() + "!", "short", "short"]
    assert near_duplicates(texts, 0.8) == [None, None, 0, 0, None, 4]


def test_a_changed_word_in_a_short_text_is_no_near_duplicate():
    assert near_duplicates(["tell me how to run a belmok", "tell me how to run a dorvab"], 0.8) == [None, None]


def test_near_duplicates_agree_with_the_exact_similarity_of_all_pairs():
    draw = random.Random(5)
    vocabulary = [f"w{n}" for n in range(60)]
    texts = []
    for _ in range(120):
        text = draw.choices(vocabulary, k=40)
        texts.append(" ".join(text))
        for place in draw.sample(range(40), draw.randint(0, 2)):
            text[place] = draw.choice(vocabulary)
        texts.append(" ".join(text))
    shingled = shingle([words(text) for text in texts])
    kept: list[int] = []
    expected = []
    for row in range(len(texts)):
        twin = next((old for old in kept if jaccard(shingled.of(old), shingled.of(row)) >= 0.8), None)
        expected.append(twin)
        if twin is None:
            kept.append(row)
    found = near_duplicates(texts, 0.8)
    assert sum(one == other for one, other in zip(found, expected, strict=True)) >= len(texts) - 2
    assert any(twin is not None for twin in found)


def test_an_index_tells_the_kind_of_overlap():
    index = OverlapIndex()
    index.add(LONG, "sealed")
    index.add("How do I kill a process?", "published")
    assert index.hit("how do I KILL a process") == "published: exact"
    assert (
        index.hit(f"Please continue: {LONG} and so on and on with many other words before it ends") == "sealed: passage"
    )
    assert index.hit("How do I kill a Python process?") is None
    assert index.hit("") is None


def test_a_near_duplicate_without_a_common_passage_is_found():
    numbers = [f"n{n}" for n in range(48)]
    changed = ["other" if n % 12 == 11 else word for n, word in enumerate(numbers)]
    index = OverlapIndex(0.3)
    index.add(" ".join(numbers), "sealed")
    assert index.hit(" ".join(changed)) == "sealed: near-duplicate"


def test_texts_can_be_added_after_a_question():
    index = OverlapIndex()
    assert index.hit(LONG) is None
    index.add(LONG, "sealed")
    assert index.hits([LONG, "other"]) == ["sealed: exact", None]
    index.add("other", "sealed")
    assert index.hits([LONG, "other"]) == ["sealed: exact", "sealed: exact"]
    assert len(index) == 2


def test_no_texts_have_no_overlap():
    assert near_duplicates([], 0.8) == []
    assert OverlapIndex().hits([]) == []
