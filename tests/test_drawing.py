import re
from importlib import resources
from xml.etree import ElementTree

import pytest

from breakfix.report.drawing import PAINTS, Drawing, Type, stage_paint, wrapped


def test_a_drawing_is_well_formed_and_escapes_every_word():
    figure = Drawing(100, 50, "a < b & c", '"desc" <script>')
    figure.text(1, 2, "<script>&", Type(has_halo=True, is_strong=True))
    figure.rect((1, 2, 3, 4), paint="s0", tip="<b>")
    figure.whisker(5, 10, 20)
    figure.dot(1, 1, 2, paint="k1", tip="x & y")
    figure.curve([(0, 0), (1, 1)], paint="s2")
    figure.legend(0, 10, [("s0", "Before <>")])
    svg = figure.svg()
    assert "<script>" not in svg
    tree = ElementTree.fromstring(svg)
    assert tree.get("role") == "img"
    assert [child.text for child in tree[:2]] == ["a < b & c", '"desc" <script>']


def test_the_style_sheet_knows_every_colour_in_light_and_dark():
    sheet = resources.files("breakfix").joinpath("data/static/report.css").read_text()
    light, dark = re.findall(r":root(?:\[data-theme=\"dark\"\])? \{([^}]*)\}", sheet)[:2]
    colours = dict(re.findall(r"--(\w+): (#\w+);", light))
    for paint, colour in PAINTS.items():
        assert colours[paint] == colour
        assert f"--{paint}:" in dark
        assert f".fill-{paint} " in sheet


@pytest.mark.parametrize(
    ("stage", "place", "paint"), [("base", 3, "s0"), ("round-2", 0, "s2"), ("round-99", 0, "s5"), ("mine", 1, "s1")]
)
def test_a_stage_keeps_its_colour_wherever_it_stands(stage: str, place: int, paint: str):
    assert stage_paint(stage, place) == paint


def test_labels_break_at_spaces():
    assert wrapped("Political misinformation", 14) == ["Political", "misinformation"]


def test_paper_is_light_whatever_the_screen_is():
    sheet = resources.files("breakfix").joinpath("data/static/report.css").read_text()
    homes = re.findall(r"@media ([^{]*)\{\s*:root[^{]*\{\s*color-scheme: dark", sheet)
    assert len(homes) == sheet.count("  color-scheme: dark;") == 2
    assert all(home.startswith("screen") for home in homes)
