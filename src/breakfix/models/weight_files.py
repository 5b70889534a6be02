"""A folder of transformers weights as files: where it is, whether it is fit for use, and what tells it from another.

Nothing here imports torch, so a rerun that asks no model anything starts in no time. Only safetensors are accepted:
pickled weights can run code when they are read.
"""

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from breakfix.errors import MissingExtra, ModelError
from breakfix.identity import digest, file_digest

IDENTITY_PREFIXES = (
    "added_tokens", "chat_template", "config", "generation_config", "merges", "model", "special_tokens", "spiece",
    "tokenizer", "vocab",
)  # fmt: skip
IDENTITY_SUFFIXES = (".safetensors", ".json", ".jinja", ".model", ".txt")
HUB_FILES = [*(f"*{suffix}" for suffix in IDENTITY_SUFFIXES), "*.py"]
"""What is fetched from the hub: never pickled weights; code is run only where `trust_remote_code` says so."""


def require_training_extra(need: str) -> None:
    """Raise MissingExtra, naming `need`, unless torch and transformers are installed; imports neither."""
    for package in ("torch", "transformers"):
        if find_spec(package) is None:
            raise MissingExtra(package, "train", need)


def find_weights(name: str, source: str, *, is_chat: bool = True) -> Path:
    """Give the local folder of `source`, a folder or a hub name, after checking it. Raises ModelError."""
    folder = Path(source).expanduser()
    if not folder.is_dir():
        folder = _hub_folder(name, source)
    check_weights(name, folder, is_chat=is_chat)
    return folder


def check_weights(name: str, folder: Path, *, is_chat: bool = True) -> None:
    """Refuse a folder without config, safetensors, tokenizer or (for a chat) its template. Raises ModelError."""
    if (folder / "adapter_config.json").exists() and not (folder / "config.json").exists():
        raise ModelError(f"Model {name!r}: {str(folder)!r} holds a LoRA adapter, not a model. Merge it first.")
    if not (folder / "config.json").exists():
        raise ModelError(f"Model {name!r}: {str(folder)!r} has no config.json. Give a transformers folder.")
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"Model {name!r}: {str(folder)!r} has no .safetensors weights (pickled weights are never read). "
            "Save them with model.save_pretrained(folder)."
        )
    if not any((folder / file).exists() for file in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise ModelError(
            f"Model {name!r}: {str(folder)!r} has no tokenizer. Save one: tokenizer.save_pretrained(folder)."
        )
    if is_chat and not has_chat_template(folder):
        raise ModelError(
            f"Model {name!r} has no chat template, so a conversation cannot be put to it. Put the template it was "
            f"trained with into {str(folder / 'chat_template.jinja')!r}, or use the instruction-tuned model."
        )


def has_chat_template(folder: Path) -> bool:
    """Tell whether the folder's tokenizer comes with a chat template."""
    if any((folder / file).exists() for file in ("chat_template.jinja", "chat_template.json")):
        return True
    return bool(read_json(folder / "tokenizer_config.json").get("chat_template"))


def weights_identity(folder: Path) -> str:
    """Hash weights, config, tokenizer and template by name and content; a hub snapshot by its revision."""
    if folder.parent.name == "snapshots":
        return digest("hub", folder.parent.parent.name, folder.name)
    files = (file for file in sorted(folder.iterdir()) if _counts(file))
    return digest("weights", [(file.name, file_digest(file)) for file in files])


def config_dtype(folder: Path) -> str | None:
    """Give the type of numbers that the folder's config says the weights are stored in, if it says."""
    config = read_json(folder / "config.json")
    named = config.get("dtype") or config.get("torch_dtype")
    return str(named) if named else None


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; an absent file is an empty one."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(f"{str(path)!r} is not readable JSON ({type(error).__name__}). Restore that file.") from None
    return cast("dict[str, Any]", tree) if isinstance(tree, dict) else {}


def _counts(file: Path) -> bool:
    return file.is_file() and file.suffix in IDENTITY_SUFFIXES and file.name.startswith(IDENTITY_PREFIXES)


def _hub_folder(name: str, source: str) -> Path:
    if source.count("/") > 1 or source.startswith((".", "/", "~")):
        raise ModelError(f"Model {name!r}: there is no folder {source!r}. Check the path.")
    require_training_extra(f"Model {name!r}")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import snapshot_download  # pyright: ignore[reportUnknownVariableType]
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repository, _, revision = source.partition("@")
    try:
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=HUB_FILES))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"Model {name!r}: no folder {source!r} here, and the hub gave none ({type(error).__name__}). "
            "Check the name, or download it and give its path."
        ) from None
