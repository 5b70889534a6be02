"""Roles: settings of a model that nobody plays are remarked on, and those of any that somebody plays are not."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from breakfix.errors import SettingsError
from breakfix.roles import open_attacker, open_target, open_teacher, unused_models
from breakfix.settings import ModelSettings, load_settings
from commands import inside
from fake_model import FakeModel

KEY = "api_key_env=MYKEY"


@pytest.mark.parametrize(
    ("name", "said"),
    [("openai/gpt4o", "Did you mean 'openai/gpt-4o'?"), ("xyz", "Known: hf/guard, http://h/v1#t, openai/gpt-4o.")],
)
def test_settings_of_a_model_that_nobody_plays_are_remarked_on(name: str, said: str):
    roles = ["target=http://h/v1#t", "simulator=openai/gpt-4o", "judge=guard/llama-guard-3=hf/guard,refusal"]
    (line,) = unused_models(load_settings(None, [*roles, f"models.{name}.{KEY}"]))
    assert line.startswith(f"Settings of models.{name} are not used") and said in line


@pytest.mark.parametrize("role", ["target", "simulator", "judge", "attacker", "teacher"])
def test_nothing_is_said_of_a_model_that_plays_a_role(role: str):
    assert (
        unused_models(load_settings(None, ["target=hf/t", f"{role}=openai/gpt-4.1", f"models.openai/gpt-4.1.{KEY}"]))
        == []
    )


def test_the_model_that_a_checkpoint_was_trained_from_is_used():
    settings = load_settings(None, ["target=hf/made", f"models.hf/first.{KEY}"])
    assert unused_models(settings) and unused_models(settings, "hf/first") == []


def test_a_judge_of_a_panel_is_used():
    assert unused_models(load_settings(None, ["judge=a/b,c/d", f"models.a/b.{KEY}", f"models.c/d.{KEY}"])) == []


def test_the_remark_stands_before_what_a_command_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    place = ("--store", str(tmp_path / "store"), "--out", str(tmp_path / "runs"))
    words = ("-t", "lab/mini", "--measures", "refusal", "-n", "1", "--set", f"models.lab/mni.{KEY}")
    said = inside(capsys, "measure", *words, *place)
    assert said.returncode == 0 and "Did you mean 'lab/mini'?" in said.stderr


@pytest.mark.parametrize(("target", "prompt"), [("hf/made", "Be kind."), ("hf/another", None)])
def test_a_checkpoint_that_is_named_on_the_line_is_asked_as_the_target_it_came_from(target: str, prompt: str | None):
    asked: list[ModelSettings] = []

    def line(_model: object, _role: str, settings: ModelSettings) -> object:
        asked.append(settings)
        return SimpleNamespace(identity="i", decoding="d")

    def is_checkpoint(name: str) -> bool:
        return name == "hf/made"

    run: Any = SimpleNamespace(
        settings=load_settings(None, [f"target={target}", "judge=refusal", "models.hf/first.system_prompt=Be kind."]),
        is_checkpoint=is_checkpoint,
        fixed_target=lambda: "hf/first",
        model=FakeModel,
        calls=SimpleNamespace(line=line),
    )
    open_target(run)
    assert [settings.system_prompt for settings in asked] == [prompt]


@pytest.mark.parametrize(("role", "open_role"), [("teacher", open_teacher), ("attacker", open_attacker)])
def test_a_role_of_the_lab_is_refused_at_once_where_the_scenarios_are_not_the_lab_s(role: str, open_role: Any):
    chosen = [f"{role}=lab/exact", "target=hf/t", "simulator=hf/s"]
    run: Any = SimpleNamespace(settings=load_settings(None, [*chosen, "judge=embedded"]))
    with pytest.raises(SettingsError, match=f"lab's own scenarios only. Name a model with --{role}"):
        open_role(run)
    run.settings = load_settings(None, [*chosen, "judge=lab/exact"])
    assert open_role(run)
