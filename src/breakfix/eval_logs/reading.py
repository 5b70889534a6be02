"""What an Inspect log (`.eval`, or the older `.json`) holds: our conversations without loss, any other by its messages.

Samples are read one by one, so a log of any length needs little memory. A file that is no log, or was cut short, is
refused in one line; a sample that cannot be read is named.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from zipfile import BadZipFile, ZipFile

import orjson
from pydantic import ValidationError

from breakfix.errors import DataError
from breakfix.eval_logs.foreign import Meaning, Origin, scores_of, told_by
from breakfix.eval_logs.samples import KEPT, Told, need_inspect, told_of
from breakfix.identity import digest
from breakfix.store.records import RunRecord

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample

TARGET = "target"
"""The role under which an auditor's log (Petri) names the model that was audited."""
UNREAD = ("timelines", "model_usage", "role_usage")
EVENTS = ("events", "events_data")
"""What a sample holds beside its conversation, often much the largest part of it; read for an audit only."""


class Opened(NamedTuple):
    """A log whose header has been read."""

    path: Path
    header: "EvalLog"
    record: RunRecord | None


class Found(NamedTuple):
    """One conversation of a log, and a foreign one's scores as rows."""

    told: Told
    scores: tuple[dict[str, Any], ...] = ()


def open_log(path: Path) -> Opened:
    """Read a log's header. Raises MissingExtra, or DataError in one line."""
    need_inspect("To import an Inspect log")
    if not path.is_file():
        raise DataError(f"There is no file {str(path)!r}. Check the path of the Inspect log.")
    if path.suffix not in (".eval", ".json"):
        raise DataError(f"{str(path)!r} is not an Inspect log: its name ends neither in .eval nor in .json.")
    from inspect_ai.log import read_eval_log

    try:
        header = read_eval_log(path, header_only=True)
    except Exception as error:
        raise _unreadable(path, error) from error
    return Opened(path, header, _record(path, header))


def told_in_log(opened: Opened, run: str, meaning: Meaning | None, dropped: Counter[str]) -> Iterator[Found]:
    """Stream a log's conversations as those of a run: ours as they were, others by `meaning`; counts what is dropped.

    Raises DataError: a foreign log without a meaning, one of ours with one, or a sample that cannot be read.
    """
    spec = opened.header.eval
    origin = Origin(run, spec.task, digest("inspect", models_of(opened)[TARGET], spec.model_base_url))
    for sample in samples_in(opened):
        told = _ours(opened.path, sample, run)
        if told is not None:
            _refuse(meaning, opened.path)
            yield Found(told)
            continue
        told = told_by(sample, origin, _needed(meaning, opened.path), dropped)
        if told is not None:
            yield Found(told, tuple(scores_of(sample, told.conversation.id)))


def models_of(opened: Opened) -> dict[str, str]:
    """Give the log's models by role, as Inspect names them; the target is the evaluated one, unless it has a role."""
    spec = opened.header.eval
    played = {TARGET: spec.model}
    for role, models in (spec.model_roles or {}).items():
        first = models[0] if isinstance(models, list) else models
        played[role] = first.model
    return played


def samples_in(opened: Opened) -> "Iterator[EvalSample]":
    """Stream a log's samples, attachments put back in their places. Raises DataError that names the sample."""
    if opened.path.suffix == ".json":
        yield from _all_at_once(opened.path)
        return
    try:
        with ZipFile(opened.path) as archive:
            for name in archive.NameToInfo:
                if name.startswith("samples/") and name.endswith(".json"):
                    yield _sample(archive, name, opened)
    except (BadZipFile, OSError) as error:
        raise _unreadable(opened.path, error) from error


def _sample(archive: ZipFile, name: str, opened: Opened) -> "EvalSample":
    from inspect_ai.log import EvalSample, resolve_sample_attachments

    try:
        body = cast("dict[str, Any]", json.loads(archive.read(name)))
        is_audit = TARGET in (opened.header.eval.model_roles or {}) and KEPT not in body.get("store", {})
        for field in UNREAD if is_audit else (*UNREAD, *EVENTS):
            body.pop(field, None)
        return resolve_sample_attachments(EvalSample.model_validate(body))
    except Exception as error:
        raise DataError(
            f"{str(opened.path)!r}: {name.removeprefix('samples/').removesuffix('.json')!r} cannot be read as a sample "
            f"({type(error).__name__}). The log is damaged; nothing of it that follows was imported."
        ) from error


def _all_at_once(path: Path) -> "Iterator[EvalSample]":
    from inspect_ai.log import read_eval_log

    try:
        samples = read_eval_log(path, resolve_attachments=True).samples
    except Exception as error:
        raise _unreadable(path, error) from error
    yield from samples or ()


def _ours(path: Path, sample: "EvalSample", run: str) -> Told | None:
    found = sample.store.get(KEPT)
    if not isinstance(found, Mapping):
        return None
    try:
        told = told_of(cast("dict[str, Any]", found))
    except (ValidationError, KeyError, TypeError) as error:
        raise DataError(
            f"{str(path)!r}: what breakfix keeps in sample {sample.id!r} cannot be read ({type(error).__name__}). Was "
            "it written by a newer version?"
        ) from None
    return told._replace(conversation=told.conversation.model_copy(update={"run": run}))


def _record(path: Path, header: "EvalLog") -> RunRecord | None:
    body = (header.eval.metadata or {}).get(KEPT)
    try:
        return RunRecord.model_validate(orjson.loads(body)) if isinstance(body, str) else None
    except (ValidationError, ValueError):
        raise DataError(f"{str(path)!r} was written by a newer version of breakfix. Update breakfix.") from None


def _needed(meaning: Meaning | None, path: Path) -> Meaning:
    if meaning is None:
        raise DataError(f"{str(path)!r} was not written by breakfix: say what its samples measure with --measure.")
    return meaning


def _refuse(meaning: Meaning | None, path: Path) -> None:
    if meaning is not None:
        raise DataError(
            f"{str(path)!r} was written by breakfix and says itself what its samples measure, of which split they are"
            " and under which licence. Leave --measure and what goes with it out."
        )


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{str(path)!r} cannot be read as an Inspect log ({type(error).__name__}). Was it cut short, or is it something"
        " else?"
    )
