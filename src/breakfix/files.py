"""Files written whole: a reader sees the old one or the new one, never half of either."""

import secrets
from pathlib import Path


def write_whole(path: Path, body: bytes) -> None:
    """Write a file in one step: where the disk is full, the old one stays as it was. Raises OSError.

    Two that write one file at once each write a draft of their own; the later one stays.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        part.write_bytes(body)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
