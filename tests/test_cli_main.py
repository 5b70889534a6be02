"""What a command does not do while it starts and ends: look for cycles, or for other packages' plugins."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

START = """
import gc, os, sys
from breakfix.cli.main import main
assert "pydantic" not in sys.modules  # it reads the variable as it is imported, and main sets it
collected = []
gc.callbacks.append(lambda phase, info: collected.append(info["generation"]))
try:
    main()
except SystemExit:
    gc.callbacks.clear()
print(len(collected), os.environ["PYDANTIC_DISABLE_PLUGINS"], file=sys.stderr)
"""


def start(arguments: list[str], **environ: str) -> list[str]:
    """Run a command in a process of its own; gives the collections in it, and the plugins left out."""
    left = {name: value for name, value in os.environ.items() if name != "PYDANTIC_DISABLE_PLUGINS"}
    done = subprocess.run(
        [sys.executable, "-c", START, *arguments], capture_output=True, text=True, check=True, env=left | environ
    )
    return done.stderr.splitlines()[-1].split()


INTERRUPTED_AS_IT_LOADS = """
import os, signal, sys

class OnTheWay:
    def find_spec(self, name, *_):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, OnTheWay())
from breakfix.__main__ import main
main()
"""


@pytest.mark.parametrize("command", [["runs", "list"], ["harms", "list"]])
def test_a_command_that_loads_what_most_do_collects_nothing(command: list[str], tmp_path: Path):
    place = ["--store", str(tmp_path / "store")] if command[0] == "runs" else []
    collections, plugins = start([*command, *place])
    assert (collections, plugins) == ("0", "__all__")


def test_plugins_that_the_user_asks_for_are_theirs_to_have():
    _, plugins = start(["--version"], PYDANTIC_DISABLE_PLUGINS="none-of-them")
    assert plugins == "none-of-them"


def test_ctrl_c_while_the_command_line_is_loaded_ends_without_a_word():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED_AS_IT_LOADS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_mistake_is_told_by_the_exit_code_though_nobody_reads_the_words():
    code = f"{sys.executable} -m breakfix runs list --typo 2>&1 | true; exit ${{PIPESTATUS[0]}}"
    assert subprocess.run(["bash", "-c", code], check=False).returncode == 2
