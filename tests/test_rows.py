"""Files of rows: every shape that published sets come in, and what is wrong with a file, by row."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from breakfix.errors import DataError
from breakfix.scenarios.rows import rows_of
from breakfix.scenarios.sources import open_sources
from written import lines, table, whole


def read(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in rows_of(path)]


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ([{"a": 1}], [{"a": 1}]),
        (["x", "y"], [{"prompt": "x"}, {"prompt": "y"}]),
        ({"jailbreaks": [{"a": 1}], "parameters": {}}, [{"a": 1}]),
        ({"instructions": ["x"], "inputs": [], "tags": ["t"]}, [{"instruction": "x", "tags": "t"}]),
        (
            {"A": {"One:": ["x", "y"]}},
            [
                {"category": "A", "subcategory": "One", "number": 1, "prompt": "x"},
                {"category": "A", "subcategory": "One", "number": 2, "prompt": "y"},
            ],
        ),
        ([[{"role": "user", "content": "x"}]], [{"messages": [{"role": "user", "content": "x"}]}]),
    ],
)
def test_json_is_read_in_each_of_its_shapes(tmp_path: Path, body: Any, rows: Any):
    assert read(whole(tmp_path / "a.json", body)) == rows


def test_lines_of_json_may_have_a_json_file_s_name(tmp_path: Path):
    assert read(lines(tmp_path / "a.json", {"a": 1}, {"a": 2})) == [{"a": 1}, {"a": 2}]


def test_gzipped_files_are_read_by_the_name_within(tmp_path: Path):
    for name, text in (("a.jsonl.gz", json.dumps({"a": "1"})), ("b.csv.gz", "a\n1\n"), ("c.tsv.gz", "a\tb\n1\t2\n")):
        (tmp_path / name).write_bytes(gzip.compress(text.encode()))
        assert read(tmp_path / name)[0]["a"] == "1"


def test_cells_may_hold_line_ends_and_quotes(tmp_path: Path):
    row = {"a": 'x\n"y"', "b": "z"}
    assert read(table(tmp_path / "a.csv", row)) == [row]


def test_a_row_s_place_is_file_and_number(tmp_path: Path):
    path = table(tmp_path / "a.csv", {"a": "1"}, {"a": "2"})
    assert str(rows_of(path)[1][0]) == f"{path} row 2"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.json", "{", "line 1 is not valid JSON"),
        ("a.json", '{"a": 1}\n{', "line 2 is not valid JSON"),
        ("a.json", "3", "must hold a JSON list"),
        ("a.json", '{"a": 3}', "must hold a JSON list"),
        ("a.json", "[3]", "entry 1 must be a JSON object, not a number"),
        ("a.json", '{"A": {"b": [3]}}', "entry 1 must be a JSON object"),
        ("a.jsonl", '{"a": 1}\n[]', "line 2 must be a JSON object, not a list"),
        ("a.jsonl", '{"a": 1}\n{"a": "half a pair \\ud83d"}', "line 2: .* surrogates not allowed"),
        ("a.json", '[[{"role": "user", "content": "half a pair \\ud83d"}]]', "entry 1: .* surrogates not allowed"),
        ("a.csv", "a,b\n1,2\n1\n", "row 2: 1 cells, but the header has 2"),
        ("a.csv", "a,b\n", "no rows"),
        ("a.csv", 'prompt\nfirst\n"left open\nthird\nfourth\n', "row 2: unexpected end of data"),
    ],
)
def test_what_is_wrong_is_said_by_row(tmp_path: Path, name: str, text: str, expected: str):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=expected):
        rows_of(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.csv", b"\xff\xfe\xfa"),
        ("a.jsonl.gz", b"not gzip"),
        ("a.gz", b"\x1f\x8b\x08"),
        ("b.gz", gzip.compress(b"", mtime=0)[:10] + b"\xff" * 9),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, name: str, body: bytes):
    (tmp_path / name).write_bytes(body)
    with pytest.raises(DataError, match="Cannot read"):
        rows_of(tmp_path / name)


@pytest.mark.parametrize(("coding", "expected"), [("utf-16", "it is UTF-16 text"), ("latin-1", "not UTF-8 text")])
def test_a_file_in_another_coding_says_how_to_save_it(tmp_path: Path, coding: str, expected: str):
    (tmp_path / "a.csv").write_text("prompt\ncaf\xe9\n", encoding=coding)
    with pytest.raises(DataError, match=rf"{expected}.*Save it as UTF-8\.$"):
        rows_of(tmp_path / "a.csv")


def test_a_cell_without_an_end_is_named_by_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("breakfix.scenarios.rows.MAX_CELL", 20)
    (tmp_path / "a.csv").write_text('a,b\n1,2\n1,"never closed' + "x" * 40, encoding="utf-8")
    limit = csv.field_size_limit()
    try:
        with pytest.raises(DataError, match="row 2: field larger"):
            rows_of(tmp_path / "a.csv")
    finally:
        csv.field_size_limit(limit)  # it holds for the whole process


@pytest.mark.parametrize(("cut", "told"), [(";", "';'"), ("\t", r"'\\t'"), ("|", r"'\|'")])
def test_a_table_that_is_cut_otherwise_says_so(tmp_path: Path, cut: str, told: str):
    (tmp_path / "a.csv").write_text(f"prompt{cut}kind\nHello?{cut}benign\n")
    with pytest.raises(DataError, match=f"a.csv is cut by {told}. Save it with commas"):
        list(open_sources(str(tmp_path / "a.csv")))
