"""Documentation is held to the code: every command and setting, every link, every line that a reader may type."""

import re
import runpy
import shlex
import tomllib
from pathlib import Path

import pytest
import typer.main
import yaml

from breakfix.cli.main import app
from breakfix.settings import CycleSettings, load_settings
from breakfix.types import AREAS, MEASURES, OUTCOMES

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))

GROUP = typer.main.get_command(app)


def commands() -> dict[str, object]:
    found: dict[str, object] = {}
    for name, command in GROUP.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", {})
        found |= {f"{name} {sub}": each for sub, each in inner.items()} if inner else {name: command}
    return found


COMMANDS = commands()
BUILD = runpy.run_path(str(ROOT / "docs" / "build.py"))


def lines_to_type(path: Path) -> list[str]:
    """The command lines in the code blocks of a page, or in the comments of a settings file."""
    text = path.read_text(encoding="utf-8")
    blocks = (
        re.findall(r"```\w*\n(.*?)```", text, flags=re.DOTALL) if path.suffix == ".md" else [text.replace("#", " ")]
    )
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [re.sub(r" +(\(|# ).*$", "", line) for line in lines if re.match(r"breakfix [a-z]", line)]


TYPED = [(page.relative_to(ROOT).as_posix(), line) for page in [*PAGES, *CONFIGS] for line in lines_to_type(page)]


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_is_in_the_guide(words: str):
    assert f"breakfix {words}" in GUIDE


@pytest.mark.parametrize(("page", "line"), TYPED, ids=[f"{page}: {line}" for page, line in TYPED])
def test_every_command_line_in_the_documentation_would_be_understood(page: str, line: str):
    words = shlex.split(line)[1:]
    name = " ".join(words[:2]) if " ".join(words[:2]) in COMMANDS else words[0]
    assert name in COMMANDS, f"{page} has a command that is not there: {line}"
    options = {option for each in COMMANDS[name].params for option in each.opts}  # type: ignore[attr-defined]
    used = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert used <= options | {"--help", "-h"}, f"{page}: {sorted(used - options)}"


def test_every_setting_is_documented_as_init_writes_it():
    assert BUILD["SETTINGS"].read_text(encoding="utf-8") == BUILD["settings"](), "run: make docs"
    assert "(settings.yaml)" in GUIDE


def test_every_group_of_settings_is_in_the_guide():
    groups = [name for name, field in CycleSettings.model_fields.items() if hasattr(field.annotation, "model_fields")]
    assert len(groups) > 5
    for group in [*groups, "models"]:
        assert f"`{group}`" in GUIDE or f"### {group}" in GUIDE


def test_the_tree_of_the_readme_is_what_make_docs_writes():
    assert BUILD["README"].read_text(encoding="utf-8") == BUILD["readme_with"](BUILD["tree"]()), "run: make docs"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_somewhere(page: Path):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            heads = re.findall(r"^#+ +(.+)$", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}, link


@pytest.mark.parametrize("word", [*MEASURES, *OUTCOMES, *(area.replace("_", " ") for area in AREAS)])
def test_the_glossary_and_guide_know_every_word(word: str):
    assert word in " ".join(GLOSSARY.split())


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_settings_file_loads_and_says_how_to_launch_it(path: Path):
    settings = load_settings(path)
    assert settings.target
    head = path.read_text(encoding="utf-8").split("\n\n")[0]
    assert re.search(r"^#.*\bbreakfix (run|demo|measure) ?", head, flags=re.MULTILINE)


def test_the_demo_in_configs_is_the_packaged_one():
    assert yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text()) == yaml.safe_load(
        (ROOT / "src" / "breakfix" / "data" / "demo.yaml").read_text()
    )


def test_every_job_of_the_makefile_is_told_by_make_help():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    jobs = set(re.findall(r"^([a-z]+):", text, flags=re.MULTILINE))
    told = set(re.findall(r"^#   make (\w+)", text, flags=re.MULTILINE))
    assert {"demo", "test", "check", "bench", "docs"} <= told <= jobs


def test_every_pinned_version_is_exact_and_every_requirement_is_pinned():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needs = [*project["dependencies"], *(each for extra in project["optional-dependencies"].values() for each in extra)]
    names = {re.split(r"[\[<>=!~ ]", need)[0].lower() for need in needs}
    assert names <= pinned, names - pinned
