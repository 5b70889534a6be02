"""What is trained on what has a place of its own; training as progress: a stage each, and one until the first step."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from breakfix.align import align, shown
from breakfix.progress import Fact, Silent
from breakfix.settings import load_settings


class Told(Silent):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def stage(self, name: str, total: int | None = None) -> None:
        """Note a stage."""
        self.said.append((name, total))

    def advance(self, n: int = 1, **facts: Fact) -> None:
        """Note steps."""
        self.said.append(n)


def test_a_training_is_shown_from_the_moment_it_is_launched():
    run: Any = SimpleNamespace(progress=Told())
    tell = shown(run, 2)
    tell({"stage": "loading", "step": 0, "steps": 0})
    assert run.progress.said[0] == ("loading round 2", None)
    for step in (0, 1, 3):
        tell({"stage": "sft", "step": step, "steps": 3, "loss": 0.5})
    assert run.progress.said[2:] == [("sft round 2", 3), 0, 1, 2]


def test_training_on_top_of_another_checkpoint_takes_no_place_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    places: list[str] = []

    def trained(_folder: Path, _dataset: Path, _settings: object, out: Path, **_: object) -> None:
        places.append(out.name)

    async def forget(_name: str) -> None: ...

    monkeypatch.setattr("breakfix.alignment.launch.run_alignment", trained)
    store = SimpleNamespace(add_checkpoint=print)
    settings = load_settings(None, ["target=lab/mini"])
    run: Any = SimpleNamespace(
        name="r", settings=settings, folder=tmp_path, forget=forget, progress=Silent(), store=store
    )
    dataset: Any = SimpleNamespace(id="d", path=str(tmp_path))
    for place in ("a/round-1-01/dpo/weights", "a/round-1-02/dpo/weights", "b/round-1-01/dpo/weights"):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        for name in ("config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"):
            (folder / name).write_text("{}")
        asyncio.run(align(run, dataset, base=f"hf/{folder}", number=2))
    first, other, moved = places
    assert first != other and first == moved
