"""The house rules, checked: layers, sizes, names, cold start, and the README's tree."""

import ast
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "breakfix"
README = ROOT / "README.md"

WORDS = {"errors", "types", "estimates", "standings", "protocols", "settings", "secrecy", "identity", "wording"}
MEANS = {
    "models", "calls", "budget", "pacing", "prices", "journal", "prompts", "languages", "packaged", "personas",
    "statistics",
    "tallies", "overlap", "prohibited", "files",
    "progress", "store",
}  # fmt: skip
STAGES = {
    "harms", "scenarios", "conversations", "judging", "scorecard", "compare", "lineup", "breakdowns",
    "attacks", "findings", "curation",
    "alignment", "report", "lab",
}  # fmt: skip
LOOPS = {
    "project", "roles", "measure", "measured", "comparing", "redteam", "retest", "failures", "curate", "align",
    "cycle", "itinerary", "reporting",
    "plan", "forecasts", "watching", "judges", "judge_alone", "judge_cards", "labels", "corrections", "users",
    "eval_logs",
}  # fmt: skip
FACES = {"cli", "api", "__main__", "inspect_tasks"}
LAYERS = (WORDS, MEANS, STAGES, LOOPS, FACES)
LAYER_OF = {room: layer for layer, rooms in enumerate(LAYERS) for room in rooms}
STRANGERS = 2
"""The layer whose rooms never import each other."""

HEAVY = {
    "torch",
    "transformers",
    "trl",
    "peft",
    "datasets",
    "accelerate",
    "sqlalchemy",
    "scipy",
    "matplotlib",
    "resvg_py",
    "inspect_ai",
}
AT_NEED = HEAVY | {"aiohttp", "numpy", "jinja2", "pydantic", "yaml"}
HOMES = {
    "torch": {"models", "alignment", "lab", "cli"},
    "transformers": {"models", "alignment", "lab"},
    "trl": {"alignment"},
    "peft": {"alignment"},
    "sqlalchemy": {"store"},
    "inspect_ai": {"models", "eval_logs", "inspect_tasks"},  # eval_logs: a log needs the store and the scorecard
    "resvg_py": {"report"},
    "typer": {"cli"},
    "rich": {"cli"},
}
FORBIDDEN = {
    "utils", "util", "helpers", "helper", "common", "misc", "base", "core", "manager", "handler", "orchestrator",
    "engine", "wrapper", "abstract", "impl",
}  # fmt: skip

FILES = sorted(path for path in SRC.rglob("*.py") if path.name != "__init__.py")
NAMES = [path.relative_to(SRC).as_posix() for path in FILES]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def room_of(path: Path) -> str:
    return path.relative_to(SRC).with_suffix("").parts[0]


def modules_imported(tree: ast.AST) -> set[str]:
    return {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}


def packages_imported(tree: ast.AST) -> set[str]:
    plain = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    return {name.split(".")[0] for name in plain | modules_imported(tree)}


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_imports_go_down(path: Path):
    room = room_of(path)
    others = {name.split(".")[1] for name in modules_imported(TREES[path]) if name.startswith("breakfix.")} - {room}
    for other in others:
        are_neighbours = LAYER_OF[room] == LAYER_OF[other] != STRANGERS
        assert are_neighbours or LAYER_OF[other] < LAYER_OF[room], f"{room} must not import {other}"


def at_import(tree: ast.Module) -> set[str]:
    """The modules of the package that importing a file imports: not those inside functions or for types only."""
    waiting: list[ast.stmt] = [
        node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node))
    ]
    return {name for node in waiting if not isinstance(node, ast.FunctionDef) for name in modules_imported(node)}


def test_no_two_files_import_each_other_in_a_circle():
    graph = {
        "breakfix." + path.relative_to(SRC).with_suffix("").as_posix().replace("/", "."): at_import(TREES[path])
        for path in FILES
    }
    done: set[str] = set()

    def walk(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join([*way[way.index(module) :], module])
        if module in done or module not in graph:
            return
        for other in sorted(graph[module]):
            walk(other, (*way, module))
        done.add(module)

    for module in graph:
        walk(module, ())
    assert len(done) == len(FILES)


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_imports_are_absolute_and_heavy_packages_stay_in_their_rooms(path: Path):
    relative = [node for node in ast.walk(TREES[path]) if isinstance(node, ast.ImportFrom) and node.level]
    plain = [name for node in ast.walk(TREES[path]) if isinstance(node, ast.Import) for name in node.names]
    assert not relative and not [name.name for name in plain if name.name.startswith("breakfix")]
    for package in packages_imported(TREES[path]) & set(HOMES):
        assert room_of(path) in HOMES[package], f"{package} is imported in {', '.join(sorted(HOMES[package]))} only"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_files_and_functions_are_small(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, "split this file"
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, f"split {node.name}()"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_names_say_what_a_thing_is(path: Path):
    classes = [node.name for node in ast.walk(TREES[path]) if isinstance(node, ast.ClassDef)]
    words = {word.lower() for name in classes for word in re.findall(r"[A-Z][a-z]+", name)}
    parts = {part for name in path.relative_to(SRC).with_suffix("").parts for part in name.split("_")}
    assert not FORBIDDEN & (words | parts)


def is_broad(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or (
        isinstance(handler.type, ast.Name) and handler.type.id in ("Exception", "BaseException")
    )


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_nothing_is_swallowed_printed_or_left_for_later(path: Path):
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.ExceptHandler) and is_broad(node):
            handed_on = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
            is_raised = any(isinstance(each, ast.Raise) for each in ast.walk(node))
            assert is_raised or node.name in handed_on, "catch what you expect"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", "only the command line speaks, and it uses typer.echo"
        if isinstance(node, ast.Name):
            assert node.id != "NotImplementedError"
    assert not packages_imported(TREES[path]) & {"pickle", "dill", "shelve", "marshal"}
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", path.read_text(encoding="utf-8"))


def test_folders_have_two_files_and_an_empty_init():
    for folder in {path.parent for path in FILES} - {SRC}:
        assert (folder / "__init__.py").read_text() == "", "no re-exports"
        assert len([path for path in FILES if path.parent == folder]) >= 2, (
            f"{folder.name} is one file: make it a module"
        )


def modules_after(code: str) -> set[str]:
    ask = f"import sys\n{code}\nprint(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in said.stdout.split()}


def test_help_starts_without_anything_heavy():
    loaded = modules_after("from breakfix.cli.main import run\nassert run(['--help']) == 0")
    assert not AT_NEED & loaded


def test_help_starts_in_less_than_four_tenths_of_a_second():
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "breakfix", "--help"], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.4, "processor time, so that a busy machine does not matter"


@pytest.mark.parametrize("module", ["breakfix.cycle", "breakfix.api"])
def test_the_loops_import_without_the_extras(module: str):
    assert not HEAVY & modules_after(f"import {module}")


def test_each_source_file_has_its_line_in_the_readme():
    named = set(re.findall(r"[\w/]+\.py", README.read_text(encoding="utf-8")))
    assert set(NAMES) <= named, sorted(set(NAMES) - named)


def test_the_readme_names_no_file_that_is_not_there():
    named = re.findall(r"[\w/]+\.py", README.read_text(encoding="utf-8"))
    gone = [
        name
        for name in named
        if not any((folder / name).exists() for folder in (SRC, ROOT, ROOT / "tests", ROOT / "bench"))
    ]
    assert not gone


def test_each_source_file_has_its_test():
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests").glob("test_*.py")}
    tested = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("test_*.py"))
    for path, name in zip(FILES, NAMES, strict=True):
        if name == "__main__.py":
            continue
        module = "breakfix." + name.removesuffix(".py").replace("/", ".")
        assert path.stem in tests or room_of(path) in tests or module in tested, f"nothing tests {name}"


def test_the_project_names_no_machine():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if path.suffix in {".py", ".md", ".yaml", ".toml", ".txt", ""} and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not re.search(r"/(?:home|root|Users|work)/\w", text), f"{name} holds a path of somebody's machine"
