# pyright: basic
"""Which device local weights run on and in which numbers: the same weights answer otherwise in another dtype.

A CPU answers in float32 and a GPU in what the weights are stored in, unless the settings say otherwise.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from breakfix.errors import BrokenExtra
from breakfix.models.weight_files import config_dtype
from breakfix.settings import ModelSettings

ENVIRONMENT = {"HF_HUB_DISABLE_TELEMETRY": "1", "OMP_WAIT_POLICY": "PASSIVE"}
"""Set before torch is loaded. Threads that spin while they wait made training 6 times slower on busy cores."""
GPU_FILES = ("/dev/nvidiactl", "/dev/nvhost-ctrl", "/dev/nvmap", "/dev/kfd", "/dev/dxg")
"""Without any of these a Linux machine has no GPU that torch could use, and torch need not be loaded to be asked."""
DTYPE_OF_TAG = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""What a safetensors header calls a floating type -> what torch does."""


def load_torch() -> Any:
    """Import torch with the environment that it wants. Raises BrokenExtra where it is there, but cannot be imported."""
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    try:
        import torch
    except Exception as error:  # a half-installed package fails in any way: ImportError, OSError, AttributeError ...
        raise BrokenExtra("torch", "train", error) from error
    return torch


def device_of(wanted: str) -> str:
    """Say which device "auto" is here; any other name is itself. Loads torch only where there may be a GPU."""
    if wanted != "auto":
        return wanted
    if sys.platform == "darwin" or (sys.platform == "linux" and not any(map(os.path.exists, GPU_FILES))):
        return "cpu"
    return "cuda" if load_torch().cuda.is_available() else "cpu"


def dtype_of(folder: Path, settings: ModelSettings) -> str:
    """Name the numbers that the weights in `folder` are used in; "auto" is float32 on a CPU, else as stored."""
    if settings.dtype != "auto":
        return settings.dtype
    if device_of(settings.device) == "cpu":
        return "float32"
    return config_dtype(folder) or _first_dtype(folder)


def _first_dtype(folder: Path) -> str:
    """Read the type of the first floating tensor off the header of the first weights file, as transformers does."""
    with min(folder.glob("*.safetensors")).open("rb") as file:
        header: dict[str, Any] = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    tags = (entry.get("dtype") for name, entry in header.items() if name != "__metadata__")
    return next((DTYPE_OF_TAG[tag] for tag in tags if tag in DTYPE_OF_TAG), "float32")
