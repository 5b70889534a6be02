"""A name becomes a Model: `lab/`, `hf/`, `openai/`, `http(s)://host/v1#model`, `inspect/`, `replay/`, `scripted/`.

Nothing is sent and no weights are read here: a wrong name fails at once, a model that is not there when first asked.
"""

import re
from pathlib import Path

from breakfix.errors import ModelError, closest
from breakfix.models.connections import Connections
from breakfix.models.weights import LAB_SIZES, check_size, lab_folder
from breakfix.protocols import Model
from breakfix.settings import CallSettings, ModelSettings

NEAR = 0.7
"""How alike a wrong name and a right one must be for the right one to be suggested."""
FORMS = (
    "lab/mini",
    "hf/<folder or hub name>",
    "openai/<model>",
    "http://host:port/v1#<model>",
    "inspect/<provider>/<name>",
    "replay/<file>[#<model>]",
    "scripted/<file>",
)

KINDS = ("openai", "inspect", "replay", "scripted", "hf")
"""What stands before a name's first slash, beside the lab's and an address."""


def open_model(
    name: str,
    settings: ModelSettings | None = None,
    calls: CallSettings | None = None,
    *,
    connections: Connections | None = None,
) -> Model:
    """Open a model by name. Raises ModelError or DataError in one line, or MissingExtra for local weights."""
    settings = settings or ModelSettings()
    calls = calls or CallSettings()
    if name.startswith(("http://", "https://", "openai/")):
        return _open_endpoint(name, settings, calls, connections=connections)
    kind, _, rest = name.partition("/")
    if not rest:
        raise _unknown(name)
    if kind == "inspect":
        from breakfix.models.inspect_model import InspectModel

        return InspectModel(name, settings, calls)
    if kind == "replay":
        from breakfix.models.replay import ReplayModel

        path, mark, answerer = rest.rpartition("#")
        if mark and not Path(rest).expanduser().exists():
            return ReplayModel(name, _file(path, name), answerer)
        return ReplayModel(name, _file(rest, name))
    if kind == "scripted":
        from breakfix.models.scripted import ScriptedModel, read_script

        return ScriptedModel(name, read_script(_file(rest, name)))
    if kind in ("lab", "hf"):
        return _open_weights(name, kind, rest, settings=settings)
    raise _unknown(name)


def check_name(name: str) -> None:
    """Refuse what is no model's name. Raises ModelError. Nothing is opened: its file, weights or key may come later."""
    kind, _, rest = name.partition("/")
    if name.startswith(("http://", "https://")):
        from breakfix.models.keys import split_host

        split_host(name)
    elif kind == "lab" and rest:
        check_size(rest)
    elif not rest or kind not in KINDS:
        raise _unknown(name)


def _open_endpoint(
    name: str, settings: ModelSettings, calls: CallSettings, *, connections: Connections | None
) -> Model:
    from breakfix.models.endpoint import EndpointModel
    from breakfix.models.keys import host_address, openai_address

    address = (openai_address if name.startswith("openai/") else host_address)(name, settings)
    return EndpointModel(name, address, settings=settings, calls=calls, connections=connections)


def _open_weights(name: str, kind: str, rest: str, *, settings: ModelSettings) -> Model:
    source = str(lab_folder(rest)) if kind == "lab" else rest
    from breakfix.models.local import LocalModel

    return LocalModel(name, source, settings)


def _file(path: str, name: str) -> Path:
    file = Path(path).expanduser()
    if file.is_dir():
        raise ModelError(f"Model {name!r}: {path!r} is a folder. Name one of its files.")
    if not file.is_file():
        here = "" if file.is_absolute() else f" (it is taken from the folder {str(Path.cwd())!r})"
        raise ModelError(f"Model {name!r}: there is no file {path!r}. Check the path{here}.")
    return file


BARE = re.compile(r"gpt-|gpt(?=[3-9])|o\d")
"""How OpenAI's models begin, which many tools take without saying whose they are."""
HOST = re.compile(r"[\w.-]+:\d+/")


def _unknown(name: str) -> ModelError:
    kinds = {form.partition("/")[0]: form for form in (f"{kind}/" for kind in KINDS)}
    near = closest(name, [f"lab/{size}" for size in LAB_SIZES], cutoff=NEAR)
    if not near and (kind := closest(name.partition("/")[0], kinds, cutoff=NEAR)):
        near = kinds[kind]
    if not near and "/" not in name and BARE.match(name):
        near = "openai/" + re.sub(r"^gpt(?=\d)", "gpt-", name)
    if not near and HOST.match(name):
        near = f"http://{name}"
    hint = f"Did you mean {near!r}? " if near else ""
    return ModelError(f"Unknown model {name!r}. {hint}A model is one of: {', '.join(FORMS)}.")
