"""Errors: what the user can mend, apart from what is a bug.

A `BreakfixError` is one clear line (what, where, what to do) and exit code 2. Anything else keeps its traceback.
Error texts name the value at fault, never harmful text and never a secret.
"""

import difflib
import errno
from collections.abc import Collection

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Errors that say that the disk, or the share of one user, is full."""


class BreakfixError(Exception):
    """Say in one line what the user can mend; the command exits with 2."""


class SettingsError(BreakfixError):
    """A settings file or a `--set` is wrong."""


class DataError(BreakfixError):
    """A data file is missing, broken or empty; the text names the file and the row."""


class ModelError(BreakfixError):
    """A model cannot be opened or refuses every call (wrong key, unknown name, unreachable endpoint)."""


class MissingExtra(BreakfixError):
    """A part of breakfix needs packages that are not installed."""

    def __init__(self, package: str, extra: str, need: str) -> None:
        super().__init__(
            f"{need} needs {package!r}, which is not installed. Install it: pip install 'breakfix[{extra}]'"
        )


class BrokenExtra(BreakfixError):
    """A package of an extra is installed, but cannot be imported."""

    def __init__(self, package: str, extra: str, error: Exception) -> None:
        why = " ".join(str(error).split())[:200] or "no reason given"
        super().__init__(
            f"{package!r} is installed, but cannot be imported ({type(error).__name__}: {why})."
            f" Install it anew: pip install --force-reinstall {package}, or in a new environment 'breakfix[{extra}]'."
        )


class StoreError(BreakfixError):
    """The store cannot be used: newer version, locked run, disk full."""


class BudgetSpent(BreakfixError):
    """A cap on calls, tokens or cost is reached; what was done is kept."""


class TrainingError(BreakfixError):
    """Training cannot start or did not end well."""


class Interrupted(Exception):
    """Ctrl-C or SIGTERM: nothing is lost; the same command continues. Exit code 130."""


class CallFailed(Exception):
    """One model call failed for good after its retries: the conversation records it as the cause.

    Not a `BreakfixError`: an isolated failure is data (target-failed, judge-failed), not a reason to stop.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


def unreadable(error: Exception) -> str:
    """Say why a file cannot be read, and of one that is not UTF-8 text what to do; ends without a full stop."""
    if not isinstance(error, UnicodeDecodeError):
        return str(getattr(error, "strerror", None) or error)
    if error.object[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "it is UTF-16 text. Save it as UTF-8"
    return "it is not UTF-8 text. Save it as UTF-8"


def unwritable(error: OSError, otherwise: str) -> str:
    """Say why a file cannot be written, and the remedy: room where there is none, or `otherwise` another place."""
    is_room_at_fault = error.errno in NO_ROOM or error.errno is None  # None: several files, each with its own cause
    remedy = f"Free some space or {otherwise}" if is_room_at_fault else otherwise[0].upper() + otherwise[1:]
    return f"{error.strerror or 'not all files could be written'}. {remedy}."


def closest(name: str, known: Collection[str], *, cutoff: float = 0.6) -> str | None:
    """Give the known name that is most like one, if it is like it enough (0 to 1: as difflib has it)."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)


def nearest(name: str, known: Collection[str]) -> str:
    """Say which known name was probably meant, or list them all: how an error text ends."""
    near = closest(name, known, cutoff=0.4)
    return f"Did you mean {near!r}?" if near else f"Known: {', '.join(sorted(known))}."


def nearest_of_few(name: str, known: Collection[str]) -> str:
    """Say which known name was probably meant, if one is near, and list all: they are few enough to be read."""
    near = closest(name, known)
    hint = f"Did you mean {near!r}? " if near else ""
    return f"{hint}Known: {', '.join(known)}."
