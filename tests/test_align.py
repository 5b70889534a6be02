"""What is trained on what has a place of its own; training as progress: a stage each, and one until the first step."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from breakfix.align import align, left_out, shown
from breakfix.errors import DataError
from breakfix.progress import Fact, Silent
from breakfix.settings import load_settings


class Told(Silent):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def stage(self, name: str, total: int | None = None) -> None:
        """Note a stage."""
        self.said.append((name, total))

    def note(self, text: str) -> None:
        """Note a line."""
        self.said.append(text)

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


def test_a_training_that_was_done_before_is_said_to_be_and_shows_no_steps():
    told = Told()
    shown(SimpleNamespace(progress=told), 1)({"stage": "done", "step": 0, "steps": 0})  # type: ignore[arg-type]
    assert told.said == ["This very training was done before, and is not done again."]


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


def test_a_dataset_is_found_from_another_folder_and_one_that_is_gone_is_not_called_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    trained_on: list[Path] = []

    def trained(_folder: Path, rows: Path, _settings: object, _out: Path, **_: object) -> None:
        trained_on.append(rows)

    async def forget(_name: str) -> None: ...

    monkeypatch.setattr("breakfix.alignment.launch.run_alignment", trained)
    run: Any = SimpleNamespace(
        name="r",
        settings=load_settings(None, ["target=lab/mini"]),
        folder=tmp_path / "runs" / "r",
        forget=forget,
        progress=Silent(),
        store=SimpleNamespace(add_checkpoint=print),
    )
    dataset: Any = SimpleNamespace(id="d", path="runs/r/datasets/0123")
    with pytest.raises(DataError, match="The dataset is gone from 'runs/r/datasets/0123'"):
        asyncio.run(align(run, dataset))
    lies = run.folder / "datasets" / "0123"
    lies.mkdir(parents=True)
    asyncio.run(align(run, dataset))
    assert trained_on == [lies]


def rows(**counts: int) -> dict[str, Any]:
    """Give a stage's facts with these counts, all others 0."""
    return {"rows": dict.fromkeys(("given", "used", "cut", "too_long", "identical", "unclear"), 0) | counts}


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        ({}, []),
        ({"stages": {"sft": rows(given=9, used=9)}, "settings": {"max_length": 64}}, []),
        (
            {
                "skipped": {"sft": "the dataset has no examples"},
                "stages": {"dpo": rows(given=48, used=20, cut=18, too_long=26, identical=2)},
                "settings": {"max_length": 256},
            },
            [
                "SFT was left out: the dataset has no examples.",
                "DPO: learned from 20 of 48 rows (26 too long, 2 alike on both sides); 18 lost their end;"
                " align.max_length is 256 tokens.",
            ],
        ),
        (
            {"stages": {"dpo": rows(given=3, used=2, unclear=1)}, "settings": {"max_length": 256}},
            ["DPO: learned from 2 of 3 rows (1 unclear in the chat template)."],
        ),
    ],
)
def test_what_a_training_left_out_is_told(manifest: dict[str, Any], told: list[str]):
    assert left_out(manifest) == told
