"""Files written whole: two writers do not meet, and what cannot be written leaves nothing behind."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from breakfix.files import draft_of, write_whole


def test_several_writers_of_one_file_do_not_meet(tmp_path: Path):
    path, bodies = tmp_path / "report.html", [bytes([letter]) * 200_000 for letter in b"abcd"]
    with ThreadPoolExecutor(len(bodies)) as pool:
        for _ in range(10):
            list(pool.map(lambda body: write_whole(path, body), bodies))
    assert path.read_bytes() in bodies
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_put_in_place_is_taken_away_again(tmp_path: Path):
    path = tmp_path / "taken"
    path.mkdir()
    with pytest.raises(OSError, match="taken"):
        write_whole(path, b"x")
    assert list(tmp_path.iterdir()) == [path]


def test_a_draft_that_was_not_finished_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    write_whole(path, b"old")
    with pytest.raises(ValueError, match="broken row"), draft_of(path) as draft:
        draft.write_bytes(b"half")
        raise ValueError("broken row")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
