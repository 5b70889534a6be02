"""What words mean: the vectors that ship, and the numbers that a text's mean vector gives."""

from importlib import resources

import numpy as np

from breakfix.judging.embedded import weights
from breakfix.judging.senses import ASKED, Senses, read_senses
from breakfix.judging.weighing import Line


def sense(text: str) -> np.ndarray:
    reader = weights().reader
    return reader.sense(reader.batch([text]))[0]


def test_the_vectors_are_small_whole_numbers_of_plain_words():
    path = resources.files("breakfix") / "data" / "embedded" / "senses.npz"
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        assert stored["vectors"].dtype == np.int8
    words, vectors = read_senses()
    assert len(vectors) == len(words) + 1 == len(set(words)) + 1
    assert not vectors[0].any()
    assert vectors.shape[1] < 128


def test_words_of_one_meaning_are_nearer_than_others():
    assert sense("pistol") @ sense("gun") > 0.5
    assert sense("pistol") @ sense("gun") > sense("pistol") @ sense("butter") + 0.3


def test_a_text_without_a_known_word_has_no_direction():
    assert not sense("").any()
    assert not sense("日本語 123 ?!").any()


def test_the_numbers_are_both_vectors_their_products_and_what_the_lines_say():
    line = Line(np.zeros(2, np.float32), np.ones(2, np.float32), np.array([1.0, 0.0], np.float32), 0.5)
    senses = Senses(("a",), np.zeros((2, 2), np.float32), (line,) * len(ASKED))
    asked = np.array([[1.0, 0.0], [0.0, 0.0]], np.float32)
    given = np.array([[0.6, 0.8], [0.0, 1.0]], np.float32)
    found = senses.numbers(asked, given)
    assert found.shape == (2, len(senses.names))
    named = dict(zip(senses.names, found[0].tolist(), strict=True))
    assert np.isclose(named["sense alike"], 0.6)
    assert np.isclose(named["both sense 0"], 2.4)
    assert np.isclose(named["answer sense danger"], 1.1)
    assert np.isclose(named["request sense danger"], 1.5)


def test_a_request_that_is_not_there_is_not_called_dangerous_or_harmless():
    line = Line(np.zeros(1, np.float32), np.ones(1, np.float32), np.ones(1, np.float32), 0.5)
    senses = Senses((), np.zeros((1, 1), np.float32), (line,) * len(ASKED))
    nothing = np.zeros((1, 1), np.float32)
    found = dict(zip(senses.names, senses.numbers(nothing, nothing)[0].tolist(), strict=True))
    assert found["request sense danger"] == 0
    assert found["answer sense danger"] == 0.5
