"""Files written whole: two writers do not meet, and what cannot be written leaves nothing behind."""

import os
import subprocess
import sys
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


def test_a_link_leads_to_the_file_that_is_written(tmp_path: Path):
    for name in ("old", "new"):
        link, file = tmp_path / f"link to {name}", tmp_path / name
        link.symlink_to(file)
        if name == "old":
            file.write_bytes(b"old")
        write_whole(link, b"said")
        assert link.is_symlink() and file.read_bytes() == b"said"
    assert len(list(tmp_path.iterdir())) == 4


def test_a_pipe_or_a_device_takes_what_is_written_as_it_comes(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(pipe.read_bytes)
        write_whole(pipe, b"said")
        assert heard.result(timeout=10) == b"said" and pipe.is_fifo()
    write_whole(Path(os.devnull), b"said")
    assert Path(os.devnull).is_char_device()


def test_standard_output_by_name_stays_what_it_is(tmp_path: Path):
    """It may lead to a file, as here: no draft is made, neither in /dev nor beside that file."""
    code = "from pathlib import Path; from breakfix.files import draft_of\nwith draft_of(Path('/dev/stdout')) as place:"
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, "-c", f"{code}\n    print(place)"], stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "/dev/stdout\n" and len(list(tmp_path.iterdir())) == 1


def test_a_folder_is_refused_before_anything_is_written(tmp_path: Path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(IsADirectoryError, match="taken"), draft_of(tmp_path / "taken"):
        pytest.fail("what is written here would be lost")


def test_a_draft_that_was_not_finished_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    write_whole(path, b"old")
    with pytest.raises(ValueError, match="broken row"), draft_of(path) as draft:
        draft.write_bytes(b"half")
        raise ValueError("broken row")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
