"""Files written whole: a reader sees the old one or the new one, never half of either."""

import errno
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

STREAMS = (Path("/dev"), Path("/dev/fd"))
"""Where streams have names. /dev/stdout may lead to a file, whose place must not be taken from whoever writes it."""


def write_whole(path: Path, body: bytes) -> None:
    """Write a file in one step: where the disk is full, the old one stays as it was. Raises OSError."""
    with draft_of(path) as draft:
        draft.write_bytes(body)


@contextmanager
def draft_of(path: Path) -> Generator[Path]:
    """Give a place to write a file at that stands at `path` once all went well, and nowhere if not. Raises OSError.

    Two that write one file at once each write a draft of their own; the later one stays. What is a link leads to the
    file that is written. A device or a pipe (/dev/stdout) cannot be drafted, and takes what is written as it comes.
    """
    place = path.resolve()
    if place.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.parent in STREAMS or (place.exists() and not place.is_file()):
        yield path
        return
    draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    try:
        yield draft
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)
