"""Where a model is reached and which key may go there (design D13: keys stay home).

OPENAI_API_KEY goes to api.openai.com, or to where OPENAI_BASE_URL points, and nowhere else. Any other host gets the
key that its own settings name (`api_key_env`), else BREAKFIX_API_KEY, else none.
"""

import os
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from breakfix.errors import ModelError
from breakfix.secrecy import filled_query, refuse_secrets
from breakfix.settings import HIDDEN, ModelSettings

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_HOST = "api.openai.com"


class Key(NamedTuple):
    """A secret and the environment variable that it came from. Only the variable is ever shown."""

    secret: str
    variable: str

    def __repr__(self) -> str:
        return f"Key({self.variable})"


class Address(NamedTuple):
    """Where one model is reached."""

    url: str
    """Up to and with /v1, no trailing slash."""
    model: str
    key: Key | None
    headers: dict[str, str]
    sent_query: str = ""
    """The URL's query with what is to be read from the environment; the URL itself only names it."""


def openai_address(name: str, settings: ModelSettings, environ: Mapping[str, str] = os.environ) -> Address:
    """Address `openai/<model>`: OPENAI_BASE_URL or OpenAI itself, unless settings give a `base_url`."""
    model = name.removeprefix("openai/")
    if not model:
        raise ModelError("Model 'openai/' names no model. Write for example: openai/gpt-4o-mini")
    own_url = settings.base_url
    url = _checked(own_url or environ.get("OPENAI_BASE_URL") or OPENAI_URL, name)
    is_openai = own_url is None or urlsplit(url).hostname == OPENAI_HOST
    key = named_key(name, settings, environ)
    if key is None and is_openai:
        key = _key("OPENAI_API_KEY", environ)
    key = key or _key("BREAKFIX_API_KEY", environ)
    if key is None and urlsplit(url).hostname == OPENAI_HOST:
        raise ModelError(f"Model {name!r} needs a key: set OPENAI_API_KEY, or models.{name}.api_key_env.")
    return Address(url, model, key, given_headers(name, settings, environ), filled_query(url, environ))


def host_address(name: str, settings: ModelSettings, environ: Mapping[str, str] = os.environ) -> Address:
    """Address `http(s)://host/v1#<model>`; OPENAI_API_KEY is never taken for it unless its settings name it."""
    url, model = split_host(name)
    url = _checked(settings.base_url or url, name)
    key = named_key(name, settings, environ) or _key("BREAKFIX_API_KEY", environ)
    return Address(url, model, key, given_headers(name, settings, environ), filled_query(url, environ))


def split_host(name: str) -> tuple[str, str]:
    """Give URL and model of `http(s)://host/v1#<model>`. Raises ModelError where either is wrong."""
    url, _, model = name.partition("#")
    refuse_secrets(url)
    if not model:
        raise ModelError(f"Model {name!r} names no model. Write it after a #: {url}#<model>")
    _checked(url, name)
    return url, model


def key_refused(name: str, address: Address, status: int, environ: Mapping[str, str] = os.environ) -> ModelError:
    """Say, for a 401 or 403, which key was sent, and what to do."""
    host = urlsplit(address.url).netloc
    if address.key is not None:
        return ModelError(
            f"{host} refused the key in {address.key.variable} for model {name!r} ({status}). Check that key."
        )
    how = f"name the variable that holds its key in models.{name}.api_key_env, or set BREAKFIX_API_KEY"
    if environ.get("OPENAI_API_KEY"):
        return ModelError(
            f"{host} wants a key for model {name!r} ({status}). OPENAI_API_KEY is set, but was not sent there: it goes "
            f"to OpenAI only. If it belongs to this host, set models.{name}.api_key_env: OPENAI_API_KEY; else {how}."
        )
    return ModelError(f"{host} wants a key for model {name!r} ({status}): {how}.")


def proxy_for(url: str) -> str | None:
    """Give the proxy that the environment sets for a URL; never one for this machine itself."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in ("localhost", "::1") or host.startswith("127.") or proxy_bypass(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and not proxy.startswith(("http://", "https://")):
        scheme, mark, _ = proxy.partition("://")
        if not mark:
            return f"http://{proxy}"
        raise ModelError(f"The environment sets a {scheme} proxy for {host}; only http proxies are supported.")
    return proxy


def named_key(name: str, settings: ModelSettings, environ: Mapping[str, str] = os.environ) -> Key | None:
    """Give the key that a model's settings name; None if they name none. Raises ModelError where it is not set."""
    variable = settings.api_key_env
    if variable is None:
        return None
    key = _key(variable, environ)
    if key is None:
        raise ModelError(f"models.{name}.api_key_env names {variable!r}, which is not set in the environment. Set it.")
    return key


def _key(variable: str, environ: Mapping[str, str]) -> Key | None:
    secret = environ.get(variable, "").strip()
    return Key(secret, variable) if secret else None


def given_headers(name: str, settings: ModelSettings, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Give the headers of a model's settings, with what is to be read from the environment. Raises ModelError."""
    headers: dict[str, str] = {}
    for header, value in settings.headers.items():
        if value == HIDDEN:
            raise ModelError(
                f"models.{name}.headers.{header} was hidden when its run was exported. Give it again: --set"
                f" models.{name}.headers.{header}=env:NAME"
            )
        if value.startswith("env:"):
            variable = value.removeprefix("env:")
            if variable not in environ:
                raise ModelError(f"models.{name}.headers.{header} names {variable!r}, which is not set. Set it.")
            value = environ[variable]
        headers[header] = value
    return headers


def _checked(url: str, name: str) -> str:
    refuse_secrets(url)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ModelError(f"Model {name!r}: {url!r} is not a valid URL.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ModelError(f"Model {name!r}: {url!r} is not a URL of the form http(s)://host/v1.")
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), parts.query, ""))
