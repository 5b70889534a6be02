"""Data files: forms, licences, broken lines by number, and the published sets."""

import gzip
import json
import os
from pathlib import Path

import pytest

from breakfix.curation.sources import read_rows
from breakfix.errors import DataError

published = pytest.mark.skipif(
    not os.environ.get("BREAKFIX_DATA"), reason="the published sets are found by BREAKFIX_DATA, which is not set"
)


def written(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_own_rows_carry_their_licence_and_line(tmp_path):
    lines = [
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "licence": "CC0-1.0"},
        {"prompt": "a", "chosen": "b", "rejected": "c"},
    ]
    rows = read_rows(written(tmp_path, "own.jsonl", "\n\n".join(map(json.dumps, lines))))
    assert rows.examples[0].provenance.licence == "CC0-1.0"
    assert rows.pairs[0].provenance.licence == "unstated"
    assert rows.pairs[0].provenance.source == "own.jsonl:3"
    assert read_rows(str(tmp_path / "own.jsonl"), licence="MIT").pairs[0].provenance.licence == "MIT"


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("a.jsonl", '{"prompt": "a", "chosen": "b", "rejected": "c"}\n{"prompt": ', "line 2: not valid JSON"),
        ("a.jsonl", '{"messages": []}', "line 1: 'messages' must hold"),
        ("a.jsonl", '{"prompt": "a", "chosen": "b", "rejected": "c"}\n{"prompt": "a"}', "line 2: the field 'chosen'"),
        ("a.jsonl", '{"text": "a"}', "line 1: no known form"),
        ("a.jsonl", "[1]", "line 1: not an object"),
        ("a.jsonl", "", "no rows"),
        ("a.json", "[{]", "line 1: not valid JSON"),
        ("a.csv", "prompt,response,is_safe\na,b,True\na,b\n", "line 3: not 3 columns"),
        ("a.csv", "prompt,response,is_safe\na,b,perhaps\n", "line 2: the safety label"),
        ("a.txt", "a", "not of a kind"),
    ],
)
def test_a_broken_file_is_one_clear_line_that_names_the_place(tmp_path, name, text, fault):
    with pytest.raises(DataError) as error:
        read_rows(written(tmp_path, name, text))
    assert fault in str(error.value) and "\n" not in str(error.value)


def test_a_cell_without_an_end_is_named_by_its_line(tmp_path):
    text = "prompt,response,is_safe\na,b,True\na,b," + "c" * ((1 << 24) + 1)
    with pytest.raises(DataError, match="line 3: field larger"):
        read_rows(written(tmp_path, "a.csv", text))


def test_a_missing_file_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(DataError, match=r"No data file 'nowhere\.jsonl'"):
        read_rows("nowhere.jsonl", root=tmp_path)


def test_a_broken_archive_is_named(tmp_path):
    for body in (b"not gzip", gzip.compress(b"")[:10] + b"\xff" * 9):
        (tmp_path / "a.jsonl.gz").write_bytes(body)
        with pytest.raises(DataError, match="Cannot read"):
            read_rows(str(tmp_path / "a.jsonl.gz"))


def test_judged_answers_become_examples_and_pairs_by_prompt(tmp_path):
    table = "prompt,response,is_safe\nask,no,True\nask,yes,False\nask,sure,False\nrob,yes,False\nbake,heat,True\n"
    rows = read_rows(written(tmp_path, "beavertails.csv", table))
    assert [row.messages[1].content for row in rows.examples] == ["no", "heat"]
    assert [(row.chosen[0].content, row.rejected[0].content) for row in rows.pairs] == [("no", "yes"), ("no", "sure")]
    assert rows.dropped == {"unsafe answer without a safe one": 1}
    assert {row.provenance.licence for row in rows.examples} == {"CC-BY-NC-4.0"}


def test_a_label_of_one_is_unsafe_where_the_column_is_called_label(tmp_path):
    rows = read_rows(written(tmp_path, "mini.csv", "question,answer,label\nask,no,0\nask,yes,1\n"))
    assert (rows.pairs[0].chosen[0].content, rows.pairs[0].rejected[0].content) == ("no", "yes")


def test_compressed_files_and_empty_messages(tmp_path):
    body = '{"messages": [{"role": "user", "content": " "}, {"role": "assistant", "content": "b"}]}\n'
    with gzip.open(tmp_path / "own.jsonl.gz", "wt") as stream:
        stream.write(body + body.replace('" "', '"a"'))
    rows = read_rows("own.jsonl.gz", root=tmp_path)
    assert len(rows.examples) == 1 and rows.dropped == {"empty message": 1}


@published
@pytest.mark.parametrize(
    ("name", "pairs", "examples", "licence"),
    [
        ("hh-rlhf", 1152, 0, "MIT"),
        ("pku-saferlhf-mini", 206, 862, "CC-BY-NC-4.0"),
        ("safety-tuned-llamas", 0, 2483, "CC-BY-NC-4.0"),
        ("llama-factory-dpo-demo", 300, 0, "unstated"),
    ],
)
def test_published_sets_are_read_whole(name, pairs, examples, licence):
    rows = read_rows(name)
    assert (len(rows.pairs), len(rows.examples)) == (pairs, examples)
    assert {row.provenance.licence for row in (*rows.pairs, *rows.examples)} == {licence}
    assert all(row.prompt[-1].role == "user" for row in rows.pairs)
