"""`breakfix doctor`: what is installed, what is missing, which models answer, and the remedy for each."""

import asyncio
import importlib
import importlib.util
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from breakfix.cli.options import BEGIN, OUT, STORE, Json, OutFolder, Overrides, SettingsFile, StoreFolder, read_settings
from breakfix.wording import counted

if TYPE_CHECKING:
    from breakfix.settings import CycleSettings
    from breakfix.types import Reply

LEAST_PYTHON = (3, 11)
LEAST_FREE_GB = 2.0
ANSWER_WITHIN_S = 30.0
EXTRAS = {
    "train": ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "safetensors"),
    "parquet": ("pyarrow",),
    "inspect": ("inspect_ai",),
}
ADDS = {
    "train": "local weights and training",
    "parquet": "runs export --format parquet",
    "inspect": "models of Inspect's providers, and no Inspect logs",
}
LOOK_AT_ENDPOINT = "Look whether the endpoint is up, and what it is doing."
MARKS = {"ok": "✓", "optional": "·", "problem": "✗"}


class Finding(NamedTuple):
    """What was looked at, how it is, and what to do about it."""

    what: str
    state: Literal["ok", "optional", "problem"]
    detail: str
    remedy: str = ""


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("doctor", rich_help_panel=BEGIN)(doctor)


def doctor(
    settings: SettingsFile = None,
    overrides: Overrides = None,
    model: Annotated[list[str] | None, typer.Option("--model", "-m", metavar="MODEL", help="Ask it too.")] = None,
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
    as_json: Json = False,
) -> None:
    """Look at versions, extras, GPU, disk, store and models, and name the remedy for what is missing.

    Each model of the settings is asked for one word.

    Example: breakfix doctor -c breakfix.yaml
    """
    whole = read_settings(settings, overrides, {})
    names = list(dict.fromkeys([*_models(whole), *(model or ())]))
    answers = [_answer(name, whole) for name in names]
    found = [_python(), *map(_extra, EXTRAS), _gpu(), _disk(out), _store(store), *answers]
    if settings is not None:
        from breakfix.roles import lacks

        found += [Finding(f"settings {settings}", "problem", line) for line in lacks(whole)]
    if as_json:
        from breakfix.cli.results import print_json

        print_json({"findings": [finding._asdict() for finding in found]})
    else:
        for finding in found:
            typer.echo(f"{MARKS[finding.state]} {finding.what}: {finding.detail}")
            if finding.remedy:
                typer.echo(f"    → {finding.remedy}")
    if any(finding.state == "problem" for finding in found):
        raise typer.Exit(2)


def _python() -> Finding:
    from breakfix.identity import version

    detail = f"breakfix {version()}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    if sys.version_info < LEAST_PYTHON:
        return Finding("version", "problem", detail, "Install Python 3.11 or later.")
    return Finding("version", "ok", detail)


def _extra(extra: str) -> Finding:
    packages = EXTRAS[extra]
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        detail = f"without {', '.join(missing)}: no {ADDS[extra]}"
        return Finding(f"extra [{extra}]", "optional", detail, f"pip install 'breakfix[{extra}]'")
    return Finding(f"extra [{extra}]", "ok", ", ".join(map(_with_version, packages)))


def _with_version(package: str) -> str:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return f"{package} (no version known)"


def _gpu() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding("GPU", "optional", "not looked for: that needs torch")
    from breakfix.errors import BrokenExtra
    from breakfix.models.devices import load_torch

    try:
        cuda: Any = load_torch().cuda
    except BrokenExtra as error:
        return Finding("GPU", "problem", "not looked for", str(error))
    if not cuda.is_available():
        return Finding("GPU", "optional", "none: local weights run on the CPU, which is enough for the lab")
    cards = [cuda.get_device_properties(number) for number in range(cuda.device_count())]
    return Finding("GPU", "ok", ", ".join(f"{card.name}, {card.total_memory / 1e9:.0f} GB" for card in cards))


def _disk(out: Path) -> Finding:
    there = next(folder for folder in (out.resolve(), *out.resolve().parents) if folder.exists())
    free = shutil.disk_usage(there).free / 1e9
    if free < LEAST_FREE_GB:
        return Finding("disk", "problem", f"{free:.1f} GB free", "Free some space, or give another folder with --out.")
    return Finding("disk", "ok", f"{free:.1f} GB free")


def _store(folder: Path) -> Finding:
    from breakfix.errors import StoreError
    from breakfix.store.store import Store

    if not (folder / "store.db").exists():
        return Finding("store", "ok", f"none in {folder} yet; the first run makes it")
    try:
        with Store.open(folder) as store:
            return Finding("store", "ok", f"{folder}, {counted(len(store.runs()), 'run')}")
    except StoreError as error:
        return Finding("store", "problem", str(error))


def _models(settings: "CycleSettings") -> list[str]:
    from breakfix.judges import OFFLINE, judge_names
    from breakfix.roles import FROZEN, describe

    played = describe(settings)
    judges = judge_names(played["judge"]) if played["judge"] else ()
    named = [name for role, name in played.items() if name and role != "judge" and not name.startswith(FROZEN)]
    return [name for name in dict.fromkeys((*named, *judges)) if name not in OFFLINE]


def _answer(name: str, settings: "CycleSettings") -> Finding:
    """Ask a model for one word; of recorded answers, count them."""
    from breakfix.errors import BreakfixError, CallFailed
    from breakfix.judges import OFFLINE
    from breakfix.pacing import TryAgain
    from breakfix.roles import offline_judge, offline_near

    if name in OFFLINE:
        offline_judge(name)
        return Finding(f"judge {name}", "ok", "judges offline and asks no model")
    if near := offline_near(name):
        return Finding(f"model {name}", "problem", f"unknown. Did you mean {near!r}?")
    try:
        said = asyncio.run(asyncio.wait_for(_ask(name, settings), ANSWER_WITHIN_S))
    except (BreakfixError, CallFailed) as error:
        return Finding(f"model {name}", "problem", str(error))
    except TryAgain as error:
        remedy = "Check the URL and that it is up." if error.cause.startswith("cannot connect") else LOOK_AT_ENDPOINT
        return Finding(f"model {name}", "problem", str(error), remedy)
    except TimeoutError:
        remedy = LOOK_AT_ENDPOINT
        return Finding(f"model {name}", "problem", f"no answer within {ANSWER_WITHIN_S:.0f} s", remedy)
    return Finding(f"model {name}", "ok", said)


async def _ask(name: str, settings: "CycleSettings") -> str:
    import time

    from breakfix.errors import CallFailed
    from breakfix.judging.guards.families import split_guard, try_question
    from breakfix.models.open import open_model
    from breakfix.models.replay import ReplayModel
    from breakfix.types import Decoding, Message

    began, is_guard = time.monotonic(), False
    asked, decoding, is_chat = (Message(role="user", content="Say: ready"),), Decoding(max_tokens=8), True
    if guard := split_guard(name):
        (family, name), is_guard = guard, True
        question = try_question(family)
        asked, is_chat = question.messages, family.is_chat
        decoding = Decoding(max_tokens=8, form=question.form)
    known = settings.model_settings(name)
    model = open_model(name, known if is_chat else known.model_copy(update={"chat": False}), settings.calls)
    try:
        if isinstance(model, ReplayModel):
            return counted(len(model), "recorded answer")
        reply = await model.generate(asked, decoding)
        if _is_cut(reply) and not is_guard:  # one that reasons first needs its own room
            reply = await model.generate(asked, Decoding(max_tokens=known.max_tokens))
    finally:
        await model.close()
    if not reply.text.strip() and not reply.shares:
        raise CallFailed(_why_silent(name, reply, known.max_tokens))
    return f"answered in {time.monotonic() - began:.1f} s"


def _is_cut(reply: "Reply") -> bool:
    return not reply.text.strip() and reply.finish_reason == "length"


def _why_silent(name: str, reply: "Reply", most: int) -> str:
    """Say why a reply without text is no sign of health, and what to do."""
    if _is_cut(reply):
        return (
            f"spent all its {most:,} tokens before it said anything, as models that reason first may."
            f" Raise models.{name}.max_tokens."
        )
    said = f"answered, but with no text (finish reason {reply.finish_reason!r})"
    return f"{said}. Look at what the endpoint serves: its chat template, its filter, its limits."
