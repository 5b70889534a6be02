"""`breakfix init`: a commented settings file, written from the settings' own documentation so that it cannot drift."""

import ast
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from breakfix.cli.options import BEGIN

if TYPE_CHECKING:
    from breakfix.settings import Settings

Documented = Mapping[str, tuple[str, Mapping[str, str]]]
"""Class -> its first line, and the documentation of its fields."""

SET_ASIDE = frozenset({"align"})
"""Groups whose values a recipe gives: all their lines are comments, for what is set goes over the recipe."""
ROLES = ("target", "simulator", "judge")
HEADER = """\
# Settings of breakfix. {use}
# Every line may go: what is not set has the value shown. To set a line that begins with '# ', take these two
# characters away, and those before the group's name above it. An unknown name is refused with the nearest known one.
# Secrets are never settings: `api_key_env` names the environment variable that holds a key.
"""
MODELS_EXAMPLE = """\
# models:                            # how to reach a model, by its name
#   "http://localhost:8000/v1#my-model":
"""


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("init", rich_help_panel=BEGIN)(init)


def init(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")] = Path("breakfix.yaml"),
    target: Annotated[str, typer.Option("--target", "-t", metavar="MODEL", help="The model to fix.")] = "lab/mini",
    simulator: Annotated[str | None, typer.Option("--simulator", metavar="MODEL", help="Plays the user.")] = None,
    judge: Annotated[str | None, typer.Option("--judge", "-j", metavar="JUDGE", help="Judges the answers.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a commented settings file.

    Example: breakfix init my-model.yaml --target hf/models/my-model --simulator openai/gpt-4o --judge openai/gpt-4o
    """
    from breakfix.errors import SettingsError
    from breakfix.files import write_whole

    if path.exists() and not force:
        raise SettingsError(f"{str(path)!r} is there already. Choose another name, or add --force to write over it.")
    _check(target, simulator, judge)
    in_the_lab = target.startswith("lab/")
    others = {"simulator": simulator, "judge": judge}
    roles = {"target": target} | {role: name or ("lab/exact" if in_the_lab else None) for role, name in others.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, settings_text(path, roles).encode())
    except OSError as error:
        raise SettingsError(f"Cannot write {str(path)!r}: {error.strerror}. Choose another place.") from None
    steps = (f"breakfix run {path}",) if is_trainable(target) else stages_of(path)
    *first, last = f"breakfix doctor -c {path}", *steps
    typer.echo(f"Wrote {path}. Look through it, then: {', '.join(first)}, and {last}")
    from breakfix.roles import lacks
    from breakfix.settings import load_settings

    for line in lacks(load_settings(path)):
        typer.echo(f"Still to be mended in it: {line}", err=True)


def _check(target: str, simulator: str | None, judge: str | None) -> None:
    """Refuse names that no command could open. Raises ModelError or SettingsError."""
    from breakfix.roles import check_role

    check_role("target", target)
    if simulator:
        check_role("simulator", simulator)
    if judge:
        check_role("judge", judge)


def is_trainable(target: str) -> bool:
    """Tell whether a target has weights here, which the whole cycle needs: a lab model or a transformers folder."""
    return target.startswith(("lab/", "hf/"))


def stages_of(path: Path) -> tuple[str, str, str]:
    """Give the commands for a model that only answers: the stages that need no weights."""
    return f"breakfix measure -c {path}", f"breakfix redteam -c {path}", "breakfix report"


def settings_text(path: Path, roles: Mapping[str, str | None]) -> str:
    """Write every setting with its meaning and its value where it is not set."""
    from breakfix.settings import CycleSettings

    target = roles.get("target") or "lab/"
    use = (
        f"Take a model through the cycle with:  breakfix run {path}"
        if is_trainable(target)
        else f"This target only answers, so it cannot be trained here:  {', then '.join(stages_of(path))}"
    )
    return "".join([HEADER.format(use=use), "\n", *_group(CycleSettings(), documented(), roles)])


def documented() -> Documented:
    """Read what the settings' classes say of themselves and of their fields."""
    from breakfix import settings

    classes = [node for node in ast.parse(inspect.getsource(settings)).body if isinstance(node, ast.ClassDef)]
    return {node.name: ((ast.get_docstring(node) or "").splitlines()[0], dict(_fields(node))) for node in classes}


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            said = after.value if isinstance(after, ast.Expr) else None
            text = said.value if isinstance(said, ast.Constant) else ""
            yield field.target.id, " ".join(str(text).split())


def _group(
    group: "Settings", words: Documented, roles: Mapping[str, str | None], *, indent: str = "", aside: bool = False
) -> Iterator[str]:
    from breakfix.settings import Settings

    _, fields = words[type(group).__name__]
    for name in type(group).model_fields:
        value = getattr(group, name)
        if name == "models" and not indent:
            yield from _models(words)
        elif isinstance(value, Settings):
            is_aside = aside or name in SET_ASIDE
            yield f"\n{'# ' if is_aside else ''}{indent}{name}:{_note(words[type(value).__name__][0])}\n"
            yield from _group(value, words, {}, indent=indent + "  ", aside=is_aside)
        else:
            chosen = roles.get(name) or value
            is_aside = aside or chosen is None
            yield f"{'# ' if is_aside else ''}{indent}{name}: {_yaml(chosen)}{_note(fields.get(name, ''))}\n"


def _models(words: Documented) -> Iterator[str]:
    from breakfix.settings import ModelSettings

    yield MODELS_EXAMPLE
    fields = words["ModelSettings"][1]
    for name in ModelSettings.model_fields:
        value = getattr(ModelSettings(), name)
        yield f"#     {name}: {_yaml(value)}{_note(fields.get(name, ''))}\n"


def _note(text: str) -> str:
    return f"  # {text.replace('None:', 'null:')}" if text else ""


def _yaml(value: object) -> str:
    import yaml

    plain = list(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    text = yaml.safe_dump(plain, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.removesuffix("\n...\n").strip()
