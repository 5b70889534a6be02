"""One process a run: a lock that the operating system lets go when its holder dies, however it dies."""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from breakfix.errors import StoreError

LOOK_S = 0.05
"""Longer than `is_held` takes to look, which must not be taken for a holder."""


@contextmanager
def hold(path: Path, run: str) -> Generator[None]:
    """Hold the lock of a run. Raises StoreError, without waiting, when another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _take(handle, run)
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


def is_held(path: Path) -> bool:
    """Tell whether a process holds the lock; one that was killed holds none. Two may ask at once."""
    if not path.exists():
        return False
    handle = os.open(path, os.O_RDONLY)
    try:
        return not _is_locked(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def _take(handle: int, run: str) -> None:
    if _is_locked(handle, fcntl.LOCK_EX):
        return
    time.sleep(LOOK_S)
    if _is_locked(handle, fcntl.LOCK_EX):
        return
    holder = os.pread(handle, 20, 0).decode(errors="replace").strip()
    process = f"process {holder}" if holder.isdigit() else "another process"
    raise StoreError(
        f"Run {run!r} is in use by {process}. Wait for it, stop it, or give this one another name with --run."
    )


def _is_locked(handle: int, kind: int) -> bool:
    """Lock the file, if nobody else has; tell whether it is locked now."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
