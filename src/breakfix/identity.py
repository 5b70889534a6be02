"""Content hashes, seeds and versions: how a thing is told from another.

Equal inputs give equal identities on every machine; nothing here reads a clock or the process's random state.
"""

import hashlib
import re
from importlib import metadata
from pathlib import Path

import orjson

DIGEST_BYTES = 16
HEX = re.compile("[0-9a-f]+")


def digest(*parts: object) -> str:
    """Hash JSON-like parts (dicts in any key order, pydantic models by their fields) to 32 hex digits."""
    body = orjson.dumps(parts, default=_plain, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return hashlib.blake2b(body, digest_size=DIGEST_BYTES).hexdigest()


def short(identity: str, digits: int = 8) -> str:
    """Shorten an identity for people to its first hex digits; one that is a name (lab/exact) stays whole."""
    return identity[:digits] if HEX.fullmatch(identity) else identity


def seed_of(*parts: object) -> int:
    """Derive a 31-bit seed from parts; equal parts give equal seeds."""
    return int(digest(*parts)[:8], 16) & 0x7FFFFFFF


def file_digest(path: Path) -> str:
    """Hash one file's bytes, in pieces, so that a weights file never has to fit in memory."""
    hasher = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            hasher.update(piece)
    return hasher.hexdigest()


def version() -> str:
    """Give the installed version of breakfix."""
    return metadata.version("breakfix")


def _plain(value: object) -> object:
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return list(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    raise TypeError(f"cannot hash a {type(value).__name__}")
