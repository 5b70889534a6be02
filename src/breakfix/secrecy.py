"""What must not be shown: keys and passwords that were written where others will read them.

A secret belongs in the environment (design D13). A model's name is its URL, and stands in every report, so that a URL
with a secret in it is refused before anything is written down; `env:NAME` in its place is filled when it is asked.
"""

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import yaml

from breakfix.errors import ModelError
from breakfix.settings import HIDDEN, CycleSettings

ENV = "env:"
_FIELD = re.compile(r"(?<=[?&])([^=&#\s]+)=([^&#\s'\"]*)")
_SECRET = re.compile(r"(?:key|token|secret|password|passwd|pwd|signature|sig|auth|credentials?|jwt)$|^code$")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


def refuse_secrets(url: str) -> None:
    """Refuse user:password@host, and a key in the query, before anything can show them; the error does not."""
    _, mark, host = url.partition("//")[2].partition("/")[0].rpartition("@")
    if mark:
        raise ModelError(f"Model at {host!r}: a URL must not hold a password. Use api_key_env or headers.")
    for field, value in _FIELD.findall(url):
        if _is_secret(field) and value and not value.startswith(ENV):
            place = url.partition("//")[2].partition("/")[0].partition("?")[0]
            raise ModelError(
                f"Model at {place!r}: a URL must not hold a key. Write {field}={ENV}NAME, the environment variable"
                " that holds it, or use headers."
            )


def refuse_secrets_in(settings: CycleSettings) -> None:
    """Refuse them in any model's name or address. Raises ModelError."""
    for text in _addresses(settings):
        refuse_secrets(text)


def filled_query(url: str, environ: Mapping[str, str] = os.environ) -> str:
    """Give a URL's query with every `env:NAME` read from the environment. Raises ModelError where it is not set."""
    query = urlsplit(url).query
    parts: list[str] = []
    for part in query.split("&") if query else ():
        field, mark, value = part.partition("=")
        if value.startswith(ENV):
            variable = value.removeprefix(ENV)
            if not environ.get(variable, "").strip():
                host = urlsplit(url).netloc
                raise ModelError(f"Model at {host!r}: its URL names {variable!r}, which is not set. Set it.")
            value = quote(environ[variable].strip(), safe="")
        parts.append(f"{field}{mark}{value}")
    return "&".join(parts)


def shown_command(words: Sequence[str]) -> str:
    """Write a command so that it can be typed again, with what headers and keys say hidden: it is kept with its run."""
    shown = [
        f"--set={_shown_setting(word.removeprefix('--set='))}"
        if word.startswith("--set=")
        else _shown_setting(word)
        if before == "--set"
        else word
        for before, word in zip(["", *words], words, strict=False)
    ]
    return shlex.join(_FIELD.sub(lambda found: _shown_field(found[1], found[2]), word) for word in shown)


def without_headers(text: str) -> str:
    """Hide what a header says in a YAML text of settings that others will read, unless it is read from the environment.

    Keys belong in the environment, but a header that holds one works, and a report is passed on.
    """
    tree: dict[str, Any] = yaml.safe_load(text) or {}
    models: dict[str, dict[str, Any]] = tree.get("models") or {}
    known: list[dict[str, str]] = [model.get("headers") or {} for model in models.values()]
    for headers in known:
        headers.update({name: HIDDEN for name, value in headers.items() if not str(value).startswith("env:")})
    is_changed = any(HIDDEN in headers.values() for headers in known)
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True) if is_changed else text


def _addresses(settings: CycleSettings) -> Iterator[str]:
    for role in (settings.target, settings.simulator, settings.judge, settings.attacker, settings.teacher):
        yield from (role or "").split(",")
    for name, model in settings.models.items():
        yield name
        yield model.base_url or ""


def _shown_setting(text: str) -> str:
    key, mark, value = text.partition("=")
    if "api_key_env" in key and _VARIABLE.fullmatch(value):
        return text
    if ".headers." in key and value.startswith(ENV):
        return text
    is_telling = any(word in text for word in ("headers", "api_key_env"))
    return f"{key}{mark}{HIDDEN}" if is_telling else text


def _shown_field(field: str, value: str) -> str:
    return f"{field}={HIDDEN if _is_secret(field) and not value.startswith(ENV) else value}"


def _is_secret(field: str) -> bool:
    return _SECRET.search(re.sub(r"[-_.]", "", field).lower()) is not None
