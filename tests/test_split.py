"""Splits: by family, for good."""

from collections import Counter

from breakfix.scenarios.split import deal


def test_a_group_s_splits_depend_on_its_names_alone():
    names = [f"f{n}" for n in range(9)]
    assert deal(names) == deal(names[::-1])


def test_the_proportions_hold():
    counts = Counter(deal([f"family {n}" for n in range(500)]).values())
    assert counts == {"train": 100, "dev": 200, "sealed": 200}


def test_a_small_group_has_some_in_every_split():
    assert Counter(deal([f"o{n}" for n in range(5)]).values()) == {"sealed": 2, "dev": 2, "train": 1}
    assert set(deal(["a", "b", "c"]).values()) == {"train", "dev", "sealed"}
    assert list(deal(["alone"]).values()) == ["sealed"]
