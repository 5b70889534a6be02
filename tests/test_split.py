"""Splits: by family, for good."""

from collections import Counter

from breakfix.scenarios.split import deal, split_families, split_of
from talkers import scene


def test_a_family_is_never_divided():
    scenarios = split_families([scene(id=f"s{n}", family=f"f{n % 40}") for n in range(400)])
    assert len({(scenario.family, scenario.split) for scenario in scenarios}) == 40


def test_a_family_s_split_depends_on_nothing_but_its_name():
    assert split_of("f7") == split_families([scene(family="f7")])[0].split
    assert {split_of(f"f{n}") for n in range(50)} == {"train", "dev", "sealed"}


def test_the_proportions_hold():
    counts = Counter(split_of(f"family {n}") for n in range(5000))
    assert 0.17 < counts["train"] / 5000 < 0.23
    assert 0.37 < counts["dev"] / 5000 < 0.43


def test_a_small_group_has_some_in_every_split():
    assert Counter(deal([f"o{n}" for n in range(5)]).values()) == {"sealed": 2, "dev": 2, "train": 1}
    assert set(deal(["a", "b", "c"]).values()) == {"train", "dev", "sealed"}
    assert list(deal(["alone"]).values()) == ["sealed"]
