from xml.etree import ElementTree

import pytest

from breakfix.report.data import ReportData
from breakfix.report.figures import figures
from report_sample import sample

DATA = sample()
DRAWN = figures(DATA)
SPACE = "{http://www.w3.org/2000/svg}"


def shapes(name: str, tag: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(DRAWN[name]).iter(SPACE + tag))


@pytest.mark.parametrize("name", ["harm-by-area", "rounds", "attacks", "mixture", "training"])
def test_every_figure_is_well_formed_and_described(name: str):
    tree = ElementTree.fromstring(DRAWN[name])
    title, description = tree[0].text, tree[1].text
    assert title and description and len(description) > 20


def test_harm_by_area_has_a_bar_for_every_area_and_stage():
    bars = [bar for bar in shapes("harm-by-area", "rect") if bar.find(SPACE + "title") is not None]
    assert len(bars) == 9 * 3
    tips = [bar.find(SPACE + "title").text or "" for bar in bars]
    assert all("n = " in tip and "–" in tip for tip in tips)


def test_bars_are_as_high_as_their_rates():
    bars = [bar for bar in shapes("harm-by-area", "rect") if bar.find(SPACE + "title") is not None]
    first = next(one for one in DATA.scorecards[0].estimates if (one.measure, one.harm) == ("harm", "all"))
    assert first.value is not None
    assert float(bars[0].get("height", 0)) == pytest.approx(272 * first.value, abs=0.1)


def test_attacks_are_ordered_by_success_before():
    names = [text.text for text in shapes("attacks", "text") if text.get("font-size") == "13"]
    assert names[0] == "Plain ask" and names[-1] == "Persistence" and len(names) == 8


def test_training_has_a_line_for_every_round_and_curve():
    assert len(shapes("training", "polyline")) == 2 * 3


def test_one_stage_and_nothing_at_all_can_be_drawn():
    single = DATA.model_copy(update={"scorecards": DATA.scorecards[:1], "rounds": (), "attacks": ()})
    assert set(figures(single)) == {"harm-by-area"}
    assert figures(ReportData(run="r", date="d", version="v", target="t")) == {}
