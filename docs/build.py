"""Write the parts of the documentation that come from the code: the README's tree and docs/settings.yaml.

Run it as `make docs`. What it writes is committed; tests/test_docs.py says when it is out of date.
"""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from breakfix.cli.init import settings_text

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "breakfix"
README = ROOT / "README.md"
SETTINGS = ROOT / "docs" / "settings.yaml"
BEGIN, END = "<!-- tree: written by make docs -->\n", "<!-- end of tree -->"
WIDEST = 112
FLOORS: Sequence[tuple[str, Sequence[str]]] = (
    (
        "words: everything above is said in them",
        ("types", "estimates", "standings", "protocols", "errors", "settings", "secrecy", "identity", "wording"),
    ),
    (
        "means: models, calls, statistics, storage",
        ("models", "calls", "journal", "budget", "pacing", "prices", "prompts", "packaged", "personas",
         "languages", "prohibited", "progress", "statistics", "tallies", "overlap", "files", "store"),
    ),
    (
        "stages: none imports another",
        ("harms", "scenarios", "conversations", "judging", "scorecard", "compare", "lineup", "breakdowns", "attacks",
         "findings", "curation", "alignment", "report", "lab"),
    ),
    (
        "loops: where the stages meet; begin with cycle.py",
        ("cycle", "measure", "measured", "watching", "comparing", "redteam", "retest", "failures", "curate", "align",
         "reporting", "labels", "corrections", "judges", "judge_alone", "judge_cards", "users", "plan", "forecasts",
         "eval_logs", "itinerary", "project", "roles"),
    ),
    ("faces", ("api", "cli", "inspect_tasks", "__main__")),
)  # fmt: skip


def tree() -> str:
    """Draw the source tree, a line a file, from each file's own first sentence."""
    lines = ["src/breakfix/"]
    for title, rooms in FLOORS:
        lines.append(f"  ── {title} ──")
        lines += [f"  {name:<26}  {sentence}".rstrip() for room in rooms for name, sentence in _files(room)]
    lines.append(
        "  data/                       harms, rubrics, prompts, techniques, personas, recipes, the lab's model"
    )
    return "\n".join(lines)


def _files(room: str) -> Iterator[tuple[str, str]]:
    for path in (SRC / f"{room}.py", *sorted((SRC / room).rglob("*.py"))):
        if path.exists() and path.name != "__init__.py":
            yield path.relative_to(SRC).as_posix(), first_sentence(path)


def first_sentence(path: Path) -> str:
    """Give the first sentence of a file's docstring, cut at a comma or colon where it is too long for a line."""
    words = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split())
    sentence = words.split(". ")[0].rstrip(".")
    for mark in ("; ", ", ", ": "):
        if len(sentence) > WIDEST and mark in sentence:
            sentence = sentence[: sentence.rfind(mark, 0, WIDEST)] if mark in sentence[:WIDEST] else sentence
    return sentence


def readme_with(drawn: str) -> str:
    """Give the README with this tree in its place."""
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}```\n{drawn}\n```\n{rest[rest.index(END) :]}"


def settings() -> str:
    """Give every setting with its meaning, as `breakfix init` writes it."""
    return settings_text(
        Path("docs/settings.yaml"), {"target": "lab/mini", "simulator": "lab/exact", "judge": "lab/exact"}
    )


if __name__ == "__main__":
    README.write_text(readme_with(tree()), encoding="utf-8")
    SETTINGS.write_text(settings(), encoding="utf-8")
