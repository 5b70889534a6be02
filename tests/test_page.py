import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import orjson
import pytest

from breakfix.report.data import ReportData
from breakfix.report.drawing import Drawing
from breakfix.report.figures import figures
from breakfix.report.page import as_json, html, markdown, png, write_report
from breakfix.report.published import load_published
from breakfix.settings import ReportSettings
from report_sample import HOSTILE, SECRET, sample

DATA, SETTINGS = sample(), ReportSettings()
PAGE = html(DATA, figures(DATA), SETTINGS)


class Reader(HTMLParser):
    """Collects tags, and the text inside and outside of veils."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.depth = 0
        self.veiled, self.plain = "", ""

    def handle_starttag(self, tag, attrs):
        fields = dict(attrs)
        self.tags.append((tag, fields))
        if tag == "div" and (self.depth or fields.get("class") == "veil"):
            self.depth += 1

    def handle_endtag(self, tag):
        if tag == "div" and self.depth:
            self.depth -= 1

    def handle_data(self, data):
        if self.depth:
            self.veiled += data
        else:
            self.plain += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def test_the_page_asks_nothing_of_the_network():
    reader = read(PAGE)
    assert not {"link", "img", "iframe", "object", "embed"} & {tag for tag, _ in reader.tags}
    loads = [value for _, fields in reader.tags for name, value in fields.items() if name in ("src", "href", "action")]
    assert loads == ["#main"]
    assert set(re.findall(r"https?://[^\s\"'<]+", PAGE)) <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in PAGE and "url(" not in PAGE


def test_the_policy_allows_only_the_shipped_script_and_style():
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', PAGE)
    assert policy is not None and "default-src 'none'" in policy[1]
    for tag in ("script", "style"):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", PAGE, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy[1]
    assert not re.search(r"<[^>]+ (style|on\w+)=", PAGE)


def test_hostile_output_stays_text():
    reader = read(PAGE)
    assert sum(tag == "script" for tag, _ in reader.tags) == 1
    assert HOSTILE not in PAGE and HOSTILE in reader.veiled


def test_transcripts_are_hidden_until_clicked():
    reader = read(PAGE)
    assert SECRET in reader.veiled and SECRET not in reader.plain
    veils = [fields for tag, fields in reader.tags if tag == "div" and "veil" in (fields.get("class") or "")]
    buttons = [fields for tag, fields in reader.tags if tag == "button" and fields.get("class") == "reveal"]
    assert len(veils) == 3 and all(veil["class"] == "veil" and veil["aria-hidden"] == "true" for veil in veils)
    assert [button["aria-controls"] for button in buttons] == [veil["id"] for veil in veils]


def test_only_so_many_transcripts_are_shown_and_prohibited_ones_never():
    assert SECRET not in html(DATA, {}, ReportSettings(transcripts=0))
    harms = tuple(one.scenario.harm for one in DATA.transcripts)
    guarded = DATA.model_copy(update={"prohibited_harms": harms})
    assert SECRET not in html(guarded, {}, SETTINGS)
    assert orjson.loads(as_json(guarded))["transcripts"] == []


def test_markdown_and_json_hold_numbers_and_no_transcripts():
    text, tree = markdown(DATA, figures(DATA), SETTINGS), orjson.loads(as_json(DATA))
    assert SECRET not in text and "alert" not in text and SECRET not in as_json(DATA)
    assert "![Harm by area](figures/harm-by-area.svg)" in text and "| Violence |" in text
    assert tree["schema"] == "breakfix/report/1" and len(tree["scorecards"]) == 3 and len(tree["headline"]) == 2


def test_markdown_tables_cannot_be_broken_by_a_name():
    data = DATA.model_copy(update={"hashes": (("a | b", "<img> `x`"),)})
    assert "| a \\| b | \\<img\\> \\`x\\` |" in markdown(data, {}, SETTINGS)


def test_markdown_tables_are_whole():
    lines = markdown(DATA, {}, SETTINGS).splitlines()
    rules = [place for place, line in enumerate(lines) if line.startswith("| ---") or line.startswith("|  ---")]
    assert len(rules) == 15
    for place in rules:
        columns = lines[place].count("|")
        assert (
            len(re.findall(r"(?<!\\)\|", lines[place - 1]))
            == columns
            == len(re.findall(r"(?<!\\)\|", lines[place + 1]))
        )


def test_only_the_formats_asked_for_are_written(tmp_path: Path):
    written = write_report(DATA, tmp_path, SETTINGS)
    assert written[0] == tmp_path / "report.html"
    assert {path.suffix for path in written} == {".html", ".md", ".json", ".svg", ".png"}
    assert all(path.stat().st_size > 500 for path in written)
    few = write_report(DATA, tmp_path / "few", ReportSettings(formats=("md",)))
    assert [path.name for path in few] == ["report.md"]


def test_a_report_of_nothing_and_of_one_measurement_can_be_written(tmp_path: Path):
    bare = ReportData(run="r", date="d", version="v", target="<b>t</b>")
    single = DATA.model_copy(update={"scorecards": DATA.scorecards[:1], "rounds": (), "attacks": (), "findings": ()})
    assert "&lt;b&gt;t" in html(bare, {}, SETTINGS)
    assert write_report(single, tmp_path, SETTINGS)


@pytest.mark.parametrize("words", ["Before", "0–4 ≤ ✓ →"])
def test_png_text_is_drawn_by_the_packaged_font(words: str):
    with_words, without = Drawing(80, 20, "t", "d"), Drawing(80, 20, "t", "d")
    with_words.text(4, 14, words)
    first, second = png(with_words.svg()), png(without.svg())
    assert first.startswith(b"\x89PNG") and len(first) > len(second) + 100


def test_published_numbers_stand_beside_marked_as_not_to_be_compared(tmp_path: Path):
    data = sample().model_copy(update={"published": load_published()})
    page = html(data, {}, ReportSettings())
    assert 'id="published-phi3-table-1"' in page and "As published by others" in page
    assert "not comparable with the columns above without the same judge" in page
    assert "Table 1 of the phi-3 technical report (published)" in markdown(data, {}, ReportSettings())
    assert "As published by others" not in html(sample(), {}, ReportSettings())


def test_where_no_round_came_after_nothing_is_called_before():
    first = {name: [one for one in getattr(DATA, name) if one.stage == "base"] for name in ("scorecards", "attacks")}
    said = [one for one in DATA.transcripts if one.conversation.stage == "base"]
    alone = DATA.model_copy(update={**first, "rounds": (), "transcripts": tuple(said)})
    assert 'facts">Before' in PAGE
    page = html(alone, figures(alone), ReportSettings())
    assert alone.transcripts and "Attacked" in page and "At a glance" in page
    assert not any(words in page for words in ('facts">Before', "Before</text>", "Before and after</caption>"))


def test_on_paper_a_round_and_a_small_p_are_not_broken_nor_what_is_hidden_announced():
    assert '<th scope="col">Round\u00a01</th>' in PAGE and "<td>Round\u00a02" in PAGE and "&lt;\u00a00.001" in PAGE
    printed = PAGE.partition("@media print")[2].partition("</style>")[0]
    assert ".examples:not(:has(.veil.open))" in printed and '<section class="examples">' in PAGE


def test_that_attacks_after_a_round_are_on_seen_scenarios_stands_under_their_figure():
    caption = next(words for words in re.findall(r"<figcaption>(.*?)</figcaption>", PAGE) if "By technique" in words)
    assert "never with a benchmark rate" in caption and "seen ones" in caption
