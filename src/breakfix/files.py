"""Files written whole: a reader sees the old one or the new one, never half of either."""

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, body: bytes) -> None:
    """Write a file in one step: where the disk is full, the old one stays as it was. Raises OSError."""
    with draft_of(path) as draft:
        draft.write_bytes(body)


@contextmanager
def draft_of(path: Path) -> Generator[Path]:
    """Give a place to write a file at that stands at `path` once all went well, and nowhere if not. Raises OSError.

    Two that write one file at once each write a draft of their own; the later one stays.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
