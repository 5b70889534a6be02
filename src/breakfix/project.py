"""A project folder, and one run in it: store, journal, calls and opened models, for as long as a command lasts.

A run is a named thing. The same settings on the same day find their run again, so that a command that was killed is
simply typed once more. This module knows nothing of stages.
"""

import errno
import re
import sys
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import yaml

from breakfix.calls import Calls
from breakfix.errors import BreakfixError, BudgetSpent, StoreError
from breakfix.files import write_whole
from breakfix.identity import digest
from breakfix.journal import Journal, journal_path
from breakfix.models.connections import Connections
from breakfix.models.open import open_model
from breakfix.progress import Progress, Silent
from breakfix.protocols import Model
from breakfix.secrecy import refuse_secrets_in, shown_command
from breakfix.settings import CallSettings, CycleSettings, ModelSettings, dump_settings
from breakfix.types import Usage
from breakfix.wording import counted, dollars

if TYPE_CHECKING:
    from breakfix.store.records import RunRecord
    from breakfix.store.store import Store


SETTINGS = "settings.yaml"
BASE = "base"
"""The stage of the run's target as it was before anything was trained."""
LONGEST_SLUG = 40
MEASURING = re.compile(r"(?:target|simulator|judge|seed)$|(?:measure|models)[.]")
"""Settings that bear on what was measured."""


class Project(NamedTuple):
    """Where things are kept: the store's folder and the folder of runs."""

    store: Path = Path(".breakfix")
    out: Path = Path("runs")


class Run:
    """One run while it is open: what every loop needs, handed on whole."""

    def __init__(self, name: str, settings: CycleSettings, project: Project, *, store: "Store", calls: Calls) -> None:
        self.name = name
        self.settings = settings
        self.folder = project.out / name
        self.store = store
        self.calls = calls
        self.progress: Progress = Silent()
        calls.tell = lambda text: self.progress.note(text)
        self._models: dict[str, Model] = {}
        self._connections = Connections()
        self._began = time.monotonic()

    def usage(self) -> Usage:
        """Give what this command took so far, and what it found that commands took which were killed."""
        counts, earlier = self.calls.counts, self.calls.counts.recovered
        took = [asdict(each) for each in (counts.total, *earlier.values())]
        whole = {name: sum(each[name] for each in took) for name in took[0]}
        whole["cut"] = counts.of("target").cut + earlier["target"].cut  # a guard's one word is cut by design
        return Usage(**whole, seconds=time.monotonic() - self._began)

    def model(self, name: str, settings: ModelSettings | None = None) -> Model:
        """Open a model once; a second use of the name shares it."""
        if name not in self._models:
            settings = settings or self.settings.model_settings(name)
            self._models[name] = open_model(name, settings, self.settings.calls, connections=self._connections)
        return self._models[name]

    def claim_stage(self, stage: str, target_id: str) -> None:
        """Refuse to put two targets, or one reached in two ways, under one stage: they would count as one. StoreError.

        A stage that nothing was said in yet is anyone's.
        """
        known = next(iter(self.store.conversations(self.name, stage=stage)), None)
        if known is not None and known.target_id != target_id:
            raise StoreError(
                f"Run {self.name!r} holds conversations of another target under stage {stage!r} (other weights, or"
                f" asked in another way). Give this one another --stage, or another --run with --reuse {self.name};"
                " or start a cycle anew with --fresh."
            )

    def remarks(self) -> tuple[str, ...]:
        """Give what the run's models remarked on or were a mix of, in earlier commands or now, each line once."""
        known = self.store.run(self.name).remarks if self.store.is_known(self.name) else ()
        return tuple(dict.fromkeys((*known, *self.calls.remarks, *self.calls.mixtures())))

    def is_checkpoint(self, name: str) -> bool:
        """Tell whether a model's name is the folder of weights that this run trained."""
        if not name.startswith("hf/"):
            return False
        folder = Path(name.removeprefix("hf/")).resolve()
        made = (path for each in self.store.checkpoints(self.name) for path in (each.path, *each.stage_paths.values()))
        return any(folder == place_now(path, self.folder).resolve() for path in made)

    def fixed_target(self) -> str:
        """Name the model that this run is about: its record's, whatever model one command measures as another stage."""
        known = self.store.run(self.name).target if self.store.is_known(self.name) else None
        return known or self.settings.target or ""

    async def forget(self, name: str) -> None:
        """Free one model's weights before the next is loaded."""
        if model := self._models.pop(name, None):
            await model.close()

    async def close(self) -> None:
        """Free every model, and close the connections that they shared."""
        for name in list(self._models):
            await self.forget(name)
        await self._connections.close()


@asynccontextmanager
async def open_run(
    project: Project,
    settings: CycleSettings,
    *,
    stage: str = BASE,
    progress: Progress | None = None,
    reuse: str | None = None,
) -> AsyncGenerator[Run]:
    """Open the run that the settings name, for this process alone; what was done is kept whatever happens.

    `stage` is what the work is about. At the base the settings' target is the run's, the model to be fixed; at another
    stage it is that stage's alone, and a run that has a target keeps it.

    Raises StoreError: a store of a newer version, a run that another process holds, no room on the disk, what the run
    trained as its base; ModelError: a key in a model's URL, before it can be written down.
    """
    from breakfix.store.store import Store, check_run_name

    refuse_secrets_in(settings)
    check_run_name(stage, "stage")
    name = settings.name or run_name(settings)
    with Store.open(project.store) as store, store.lock_run(name):
        is_new = not store.is_known(name)
        journal = Journal(journal_path(project.store, name), name, reuse=reuse)
        run = Run(name, settings, project, store=store, calls=Calls(journal, settings.calls))
        run.progress = progress or run.progress
        before = None if is_new else store.run(name)
        held = 0 if is_new else store.count(name)
        try:
            _begin(run, before, stage)
        except StoreError:
            journal.close()
            raise
        status, is_bare = "interrupted", False
        try:
            yield run
            run.progress.done()
            status = "done"
        except BreakfixError as error:
            status = "failed"
            is_bare = not isinstance(error, BudgetSpent) and store.count(name) == held
            raise
        finally:
            run.progress.halt()
            await run.close()
            journal.close()
            usage = run.usage()
            for line in _closing_lines(run, usage, before):
                run.progress.note(line)
            if before and (is_bare or (status == "failed" and not usage.calls)):
                _leave_as_it_was(run, before, usage)
            else:
                store.save_run(name, status=status, usage=usage, remarks=run.remarks())
            if is_new and status == "failed" and not len(journal) and _is_bare(run.folder):
                _leave_nothing(run, journal.path)


def _closing_lines(run: Run, usage: Usage, before: "RunRecord | None") -> Iterator[str]:
    """Say, a line each, what of a command's calls the user should know at its end."""
    if trouble := _trouble(usage, run.calls.slowdowns):
        yield f"Model calls: {trouble}."
    if usage.cost_usd:
        yield _cost(run, usage, before)
    if cut := _cut_answers(run):
        yield cut
    yield from run.calls.mixtures()


def _cost(run: Run, usage: Usage, before: "RunRecord | None") -> str:
    """Say what this command cost, with what a killed one left to count, and what the run cost so far."""
    found = sum(each.calls for each in run.calls.counts.recovered.values())
    among = f" ({counted(found, 'call')} of a command that was killed among them)" if found else ""
    spent = before.usage.cost_usd if before else 0.0
    whole = f", {dollars(spent + usage.cost_usd)} with the earlier commands of this run" if spent else ""
    return f"Model calls{among} cost {dollars(usage.cost_usd)}{whole}."


def _trouble(usage: Usage, slowdowns: int) -> str:
    """Say how many calls did not go as wished; nothing where all did."""
    told = {
        "withheld by a content filter": usage.filtered,
        "failed for good": usage.failed,
        "tried again": usage.retries,
    }
    parts = [f"{n:,} {what}" for what, n in told.items() if n]
    return ", ".join([*parts, f"slowed down {counted(slowdowns, 'time')}"] if slowdowns else parts)


def _cut_answers(run: Run) -> str:
    """Say how many of the target's answers lack their end, which nobody judges; nothing where none does."""
    said = run.calls.counts.of("target")
    if not said.cut:
        return ""
    return (
        f"Of {counted(said.calls, 'answer')} that the target gave now {said.cut:,} broke off at max_tokens, or at the"
        " end of its context: what would have followed is not judged. For longer ones raise models.<name>.max_tokens."
    )


def run_name(settings: CycleSettings) -> str:
    """Name a run after its target, the day and its settings: the same command finds it again the same day.

    How fast calls are made, and under which caps, is no part of the name: it may change before a run is continued.
    """
    told_apart = digest(settings.model_copy(update={"calls": CallSettings()}))[:6]
    slug = _last_words(re.sub(r"[^A-Za-z0-9.]+", "-", settings.target or "run").strip("-."))
    return f"{slug or 'run'}-{datetime.now(UTC).date().isoformat()}-{told_apart}"


def _last_words(slug: str) -> str:
    """Cut a long slug from the left, where a word begins if any does."""
    if len(slug) <= LONGEST_SLUG:
        return slug
    _, _, whole = slug[-LONGEST_SLUG - 1 :].partition("-")
    return (whole or slug[-LONGEST_SLUG:]).lstrip("-.")


def place_now(recorded: str, run_folder: Path) -> Path:
    """Give where a dataset or checkpoint lies: in its run's folder, wherever that was moved since, or as recorded."""
    parts = Path(recorded).parts
    own = (run_folder.joinpath(*parts[n:]) for n, part in enumerate(parts) if part in ("datasets", "checkpoints"))
    return next((path for path in own if path.exists()), Path(recorded))


def changes_of(before: str, after: str) -> list[str]:
    """Name what differs between two YAML texts of settings and bears on what a run has measured, old and new.

    To name what plays in the lab anyway changes nothing.
    """
    early, late = (dict(_flat(yaml.safe_load(text) or {})) for text in (before, after))
    if str(early.get("target")).startswith("lab/"):
        early |= {role: "lab/exact" for role in ("simulator", "judge") if role in early and early[role] is None}
        late |= {role: "lab/exact" for role in ("simulator", "judge") if role in late and late[role] is None}
    changed = [key for key in late if key in early and early[key] != late[key] and MEASURING.match(key)]
    return [f"{key}: {early[key]} before, {late[key]} now" for key in changed]


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(cast("dict[str, Any]", value), f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _is_bare(folder: Path) -> bool:
    return [path.name for path in folder.iterdir()] == [SETTINGS]


def _leave_nothing(run: Run, journal: Path) -> None:
    """Take back a new run that was refused before anything was asked or made: a mistyped command leaves no run."""
    run.store.forget_run(run.name)
    for path in [*journal.parent.glob(f"{journal.name}*"), run.folder / SETTINGS]:
        path.unlink()
    run.folder.rmdir()


def _leave_as_it_was(run: Run, before: "RunRecord", usage: Usage) -> None:
    """Keep state, target, judge and settings of a run that a command was refused on before it said or judged anything.

    An endpoint that does not know the model's name refuses at its first call; what that took counts all the same.
    """
    kept = before.model_dump(include={"status", "settings", "command", "target", "target_id", "judge_id", "planned"})
    took = before.usage.plus(usage) if usage.calls else before.usage
    now = run.store.run(run.name)
    run.store.put_run(now.model_copy(update={**kept, "usage": took, "remarks": run.remarks()}))
    if before.settings:
        write_whole(run.folder / SETTINGS, before.settings.encode())
        return
    is_bare = _is_bare(run.folder)
    (run.folder / SETTINGS).unlink(missing_ok=True)  # it had none: its findings or its log came from elsewhere
    if is_bare:
        run.folder.rmdir()


def _kept(run: Run, before: "RunRecord | None", stage: str) -> CycleSettings:
    """Give the settings as the run keeps them. Raises StoreError for a checkpoint of this run as its base."""
    target = run.settings.target or ""
    if stage == BASE and run.is_checkpoint(target):
        raise StoreError(
            f"{target!r} was trained in run {run.name!r}, and {BASE!r} is the model that it was trained from."
            " Give it a stage of its own, as in --stage round-1."
        )
    own = before.target if before and stage != BASE else None
    return run.settings.model_copy(update={"target": own}) if own else run.settings


def _changed(text: str, before: "RunRecord") -> list[str]:
    """Name what differs from the run's settings before; the first judge of a run is no other one."""
    changed = changes_of(before.settings, text)
    return [one for one in changed if before.judge_id or not one.startswith("judge: None ")]


def _begin(run: Run, before: "RunRecord | None", stage: str) -> None:
    kept = _kept(run, before, stage)
    text = dump_settings(kept)
    if before is not None and (changed := _changed(text, before)):
        run.progress.note(
            f"Run {run.name} was begun with other settings ({'; '.join(changed)}). What it holds stays and counts on;"
            " for a measurement apart, give another --run."
        )
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        write_whole(run.folder / SETTINGS, text.encode())
    except OSError as error:
        remedy = "Free some space" if error.errno == errno.ENOSPC else "Give another place with --out"
        raise StoreError(f"Cannot write to {str(run.folder)!r}: {error.strerror}. {remedy}.") from None
    command = shown_command(["breakfix", *sys.argv[1:]])
    run.store.save_run(
        run.name,
        status="running",
        settings=text,
        command=command,
        target=kept.target or "",
    )
