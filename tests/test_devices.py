"""Devices and dtypes: told without torch, and part of what a local model is."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from breakfix.identity import digest
from breakfix.models.devices import device_of, dtype_of
from breakfix.models.local import LocalModel
from breakfix.models.weight_files import weights_identity
from breakfix.settings import ModelSettings
from tiny import build_tiny

torch = pytest.importorskip("torch", reason="needs the [train] extra")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny(tmp_path_factory.mktemp("tiny"))


def stored_in(folder: Path, out: Path, **fields: str | None) -> Path:
    copy = shutil.copytree(folder, out)
    config = json.loads((copy / "config.json").read_text())
    config = {key: value for key, value in (config | fields).items() if value is not None}
    (copy / "config.json").write_text(json.dumps(config))
    return copy


def identity(folder: Path, **fields: str) -> str:
    return LocalModel("hf/x", str(folder), ModelSettings(**fields)).identity  # pyright: ignore[reportArgumentType]


def test_one_model_on_a_cpu_and_in_half_precision_on_a_gpu_is_two(folder: Path, tmp_path: Path):
    halved = stored_in(folder, tmp_path / "halved", dtype="bfloat16")
    on_cpu, on_gpu = identity(halved, device="cpu"), identity(halved, device="cuda")
    assert on_cpu == weights_identity(halved)
    assert on_gpu == digest(weights_identity(halved), "bfloat16") == identity(halved, dtype="bfloat16")
    assert identity(folder, device="cuda") == identity(folder, device="cpu") == weights_identity(folder)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"dtype": "float16"}, "float16"),
        ({"dtype": None, "torch_dtype": "bfloat16"}, "bfloat16"),
        ({"dtype": None}, "float32"),
    ],
)
def test_on_a_gpu_weights_are_used_as_they_are_stored(
    folder: Path, tmp_path: Path, fields: dict[str, str | None], named: str
):
    assert dtype_of(stored_in(folder, tmp_path / "copy", **fields), ModelSettings(device="cuda")) == named


def test_where_the_config_does_not_say_the_weights_do(folder: Path, tmp_path: Path):
    from safetensors.torch import load_file, save_file

    copy = stored_in(folder, tmp_path / "copy", dtype=None)
    (file,) = copy.glob("*.safetensors")
    save_file({name: tensor.bfloat16() for name, tensor in load_file(file).items()}, file)
    assert dtype_of(copy, ModelSettings(device="cuda")) == "bfloat16"


def test_what_auto_is_here_is_what_torch_says():
    assert device_of("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert device_of("cuda:1") == "cuda:1"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a machine with a GPU has to ask torch")
def test_the_identity_is_told_without_torch_where_there_is_no_gpu(folder: Path):
    code = "import sys; from breakfix.models.local import LocalModel; LocalModel('hf/x', sys.argv[1])"
    code += "; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
