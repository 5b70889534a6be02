"""Runs the command line as a user does: a process of its own in a folder, with scripted people where none are live."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from breakfix.cli.main import run

REFUSED = "breakfix: error: "
HARMLESS = {"reason": "fine", "severity": 0, "refusal": "none", "first_harmful_answer": 0, "evidence": ""}
SCRIPTS = {
    "target": "- {reply: 'Here is a general answer, without anything harmful in it.'}",
    "simulator": "- {reply: [Tell me about it, Go on, 'Thank you, that is all']}",
    "judge": f"- {{reply: '{json.dumps(HARMLESS)}'}}",
}
KEYS = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "BREAKFIX_API_KEY", "BREAKFIX_DATA", "BREAKFIX_HOME")


def write_scripts(folder: Path) -> Path:
    """Write a scripted target, simulator and judge into a folder, and give it back."""
    for name, rules in SCRIPTS.items():
        (folder / f"{name}.yaml").write_text(rules + "\n")
    return folder


def roles(**named: str) -> list[str]:
    """Name who plays: scripted, unless another model is given."""
    everyone = {name: f"scripted/{name}.yaml" for name in SCRIPTS} | named
    return [word for name, model in everyone.items() for word in (f"--{name}", model)]


def environment(**more: str) -> dict[str, str]:
    """Give this process's environment without its keys and data."""
    return {name: value for name, value in os.environ.items() if name not in KEYS} | more


def start(folder: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    """Start a command; `more` goes into its environment."""
    words = [sys.executable, "-m", "breakfix", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(words, cwd=folder, env=environment(**more), text=True, **pipes)


def breakfix(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    process = start(folder, *arguments, **more)
    out, errors = process.communicate(timeout=180)
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


def inside(capsys: pytest.CaptureFixture[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command within this process and in its folder: quicker, where nothing needs to be killed."""
    capsys.readouterr()
    code = run(arguments)
    said = capsys.readouterr()
    return subprocess.CompletedProcess(arguments, code, said.out, said.err)


def refusal(said: subprocess.CompletedProcess[str]) -> str:
    """Give the one line with which a command refused; fails where it ended otherwise, or said more than that."""
    lines = said.stderr.strip().splitlines()
    assert said.returncode == 2, said.stderr
    assert [line for line in lines if line.startswith(REFUSED)] == lines[-1:], said.stderr
    assert "Traceback" not in said.stderr
    return lines[-1].removeprefix(REFUSED)
