"""Parts of post-training: what is trained on, in which order, with which pad token, and LoRA's frozen ground."""

import inspect
import json
import re
import shutil
from pathlib import Path

import pytest

from breakfix.alignment.checkpoints import StagePlan, last_checkpoint, make_ready
from breakfix.alignment.dpo import dpo_config, train_dpo
from breakfix.alignment.preflight import margin_at_start, settle_pad
from breakfix.alignment.recipes import LOSSES, recipe_names, resolve_recipe, set_over
from breakfix.alignment.rows import UNMASKED, order_rows, prepare_examples, prepare_pairs, supervise
from breakfix.alignment.sft import train_sft
from breakfix.alignment.training import finish_weights
from breakfix.errors import SettingsError, TrainingError
from breakfix.models.weight_files import config_dtype
from breakfix.settings import AlignSettings, SftSettings
from breakfix.types import Example, Message, Pair, Provenance
from tiny import PHI3_TEMPLATE, build_tiny, write_dataset

pytest.importorskip("trl", reason="needs the [train] extra")
PROVENANCE = Provenance(kind="seed", source="test", licence="CC0-1.0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def tokenizer(folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def chat(*contents: str) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": content} for i, content in enumerate(contents)]


def example(*contents: str) -> Example:
    return Example(messages=tuple(Message.model_validate(m) for m in chat(*contents)), provenance=PROVENANCE)


def pair(prompt: str, chosen: str, rejected: str) -> Pair:
    def said(text: str) -> tuple[Message]:
        return (Message(role="assistant", content=text),)

    asked = (Message(role="user", content=prompt),)
    return Pair(prompt=asked, chosen=said(chosen), rejected=said(rejected), provenance=PROVENANCE)


def test_only_the_assistants_words_and_what_closes_them_are_trained_on(tokenizer):
    tokens, labels = supervise(tokenizer, chat("Hello, fox.", "I am a dog.", "Really?", "No, a lamp."))
    trained = tokenizer.decode([label for label in labels if label != UNMASKED])
    assert trained == "I am a dog.<|end|>\nNo, a lamp.<|end|>\n<|endoftext|>"
    assert all(label in (token, UNMASKED) for token, label in zip(tokens, labels, strict=True))


def test_the_same_tokens_are_trained_on_as_by_trls_own_phi3_template(tokenizer):
    from trl.chat_template_utils import get_training_chat_template

    turns = chat("Hello, fox.", "I am a dog.", "Really?", "No, a lamp.")
    theirs = tokenizer.apply_chat_template(
        turns, chat_template=get_training_chat_template(tokenizer), return_dict=True, return_assistant_tokens_mask=True
    )
    tokens, labels = supervise(tokenizer, turns)
    assert tokens == theirs["input_ids"]
    assert [int(label != UNMASKED) for label in labels] == theirs["assistant_masks"]


def test_a_template_that_rewrites_earlier_turns_is_refused(tokenizer):
    tokenizer.chat_template = PHI3_TEMPLATE.replace(
        "'<|assistant|>\n' + message['content']",
        "'<|assistant|>\n' + (message['content'] if loop.last else 'something else')",
    )
    with pytest.raises(TrainingError, match="cannot be told apart"):
        prepare_examples(tokenizer, [example("a", "one", "b", "two")] * 3, 100)


def test_what_is_cut_or_left_out_is_counted(tokenizer):
    rows = [
        example("Hello", "garden " * 60),
        example("garden " * 60, "Hello"),
        example("Hello", "dog"),
        example("Hello"),
    ]
    prepared = prepare_examples(tokenizer, rows, 40)
    assert prepared.counts == {"given": 4, "used": 2, "cut": 1, "too_long": 1, "no_answer": 1, "unclear": 0}
    assert [row["length"] for row in prepared.rows] == [40, len(prepared.rows[1]["input_ids"])]
    with pytest.raises(TrainingError, match="None of 1 examples can be trained on: 1 too long"):
        prepare_examples(tokenizer, rows[1:2], 40)


def test_pairs_that_cannot_teach_are_counted_and_left_out(tokenizer):
    rows = [pair("Hello", "dog", "fox"), pair("Hello", "dog", "dog "), pair("garden " * 60, "dog", "fox")]
    prepared = prepare_pairs(tokenizer, rows, 40)
    assert prepared.counts == {"given": 3, "used": 1, "cut": 0, "too_long": 1, "identical": 1, "unclear": 0}
    assert prepared.rows[0]["chosen"] == [{"role": "assistant", "content": "dog"}]


def test_rows_are_laid_out_once_an_epoch_with_like_lengths_together():
    rows = [{"n": n, "length": (n * 37) % 101} for n in range(100)]
    laid = order_rows(rows, batch=10, epochs=1.5, seed=1)
    assert sorted(row["n"] for row in laid[:100]) == list(range(100)) and len(laid) == 150
    assert laid == order_rows(rows, batch=10, epochs=1.5, seed=1) != order_rows(rows, batch=10, epochs=1.5, seed=2)

    def padding(order: list[dict]) -> int:
        batches = [[row["length"] for row in order[i : i + 10]] for i in range(0, 100, 10)]
        return sum(max(lengths) * 10 - sum(lengths) for lengths in batches)

    assert padding(laid) < 0.4 * padding(rows)


def test_a_pad_token_that_ends_answers_is_replaced_by_a_spare_one_or_refused(folder, tokenizer):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    assert settle_pad(tokenizer, model) is False
    tokenizer.pad_token = "<|end|>"
    assert settle_pad(tokenizer, model) is True
    assert tokenizer.pad_token == "<|pad|>"
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    with pytest.raises(TrainingError, match="pad token of its own"):
        settle_pad(tokenizer, model)


def test_a_replaced_pad_token_is_saved_with_the_weights(folder, tokenizer, tmp_path):
    tokenizer.pad_token = "<|user|>"
    plan = plan_of("sft", folder, tmp_path, Path("unused"))
    finish_weights(shutil.copytree(folder, tmp_path / "raw"), plan, AlignSettings(), tokenizer)
    saved = json.loads((plan.weights / "generation_config.json").read_text())
    assert saved["pad_token_id"] == tokenizer.pad_token_id
    assert json.loads((plan.weights / "tokenizer_config.json").read_text())["pad_token"] == "<|user|>"


def plan_of(name: str, parent: Path, home: Path, rows: Path) -> StagePlan:
    plan = StagePlan(name=name, key="key", rows=rows, parent=parent, folder=home / name)
    make_ready(plan)
    return plan


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def lora(folder, tmp_path_factory):
    """SFT then DPO with a fresh adapter each, run here rather than in a process of its own."""
    home = tmp_path_factory.mktemp("lora")
    dataset = write_dataset(home / "dataset", 16, 8)
    settings = AlignSettings.model_validate(
        {"method": "lora", "lora": {"r": 4}, "sft": {"learning_rate": 1e-2, "batch_size": 4}, "dpo": {"batch_size": 4}}
    )
    sft = plan_of("sft", folder, home, dataset / "examples.jsonl")
    train_sft(sft, settings, home / "progress.jsonl", never)
    dpo = plan_of("dpo", sft.weights, home, dataset / "pairs.jsonl")
    train_dpo(dpo, settings, home / "progress.jsonl", never)
    return sft, dpo


def tensors(folder: Path) -> dict:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def test_lora_moves_the_linear_layers_and_nothing_else(folder, lora):
    for before, after in ((folder, lora[0].weights), (lora[0].weights, lora[1].weights)):
        old, new = tensors(before), tensors(after)
        assert old.keys() == new.keys(), "merged: a plain model without adapter"
        moved = {name for name in old if not old[name].equal(new[name])}
        assert moved == {name for name in old if "proj" in name}


def test_a_new_adapter_starts_dpo_at_its_reference(lora):
    assert json.loads((lora[1].folder / "done.json").read_text())["margin_at_start"] == 0


def test_a_training_that_diverges_ends_with_the_remedy(folder, tmp_path):
    dataset = write_dataset(tmp_path / "dataset", 16, 0)
    settings = AlignSettings.model_validate({"sft": {"learning_rate": 1e30, "batch_size": 4}})
    plan = plan_of("sft", folder, tmp_path, dataset / "examples.jsonl")
    with pytest.raises(TrainingError, match=r"SFT diverged at step \d+.*Lower align.sft.learning_rate"):
        train_sft(plan, settings, tmp_path / "progress.jsonl", never)


class Tampered:
    """A trainer whose reference is another model than its policy."""

    def __init__(self, folder: Path, other: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from trl.trainer.dpo_trainer import DataCollatorForPreference

        tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model, self.ref_model = (AutoModelForCausalLM.from_pretrained(path) for path in (folder, other))
        self.data_collator = DataCollatorForPreference(pad_token_id=tokenizer.pad_token_id)
        ids = [tokenizer(text)["input_ids"] for text in ("Hello, fox.", "I am a dog.", "No, a lamp.")]
        self.train_dataset = [dict(zip(("prompt_ids", "chosen_ids", "rejected_ids"), ids, strict=True))]


def test_a_wrong_reference_is_caught_before_the_first_step(folder, tmp_path):
    other = build_tiny(tmp_path / "other", seed=1)
    assert margin_at_start(Tampered(folder, folder)) == 0
    with pytest.raises(TrainingError, match="another model than its own start"):
        margin_at_start(Tampered(folder, other))


def test_weights_are_saved_in_the_dtype_they_came_in(folder, tmp_path):
    from transformers import AutoModelForCausalLM

    half = tmp_path / "half"
    AutoModelForCausalLM.from_pretrained(folder, dtype="bfloat16").save_pretrained(half)
    plan = plan_of("sft", half, tmp_path, Path("unused"))
    finish_weights(shutil.copytree(folder, tmp_path / "raw"), plan, AlignSettings())
    assert config_dtype(plan.weights) == "bfloat16"
    assert {str(value.dtype) for value in tensors(plan.weights).values()} == {"torch.bfloat16"}


def test_losses_and_weights_must_match(folder, tmp_path):
    settings = AlignSettings.model_validate({"dpo": {"loss": ["sigmoid"], "loss_weights": [1.0, 1.0]}})
    with pytest.raises(TrainingError, match="one weight a loss"):
        dpo_config(plan_of("dpo", folder, tmp_path, Path("unused")), settings, 8)


def test_a_half_written_training_checkpoint_is_passed_over(tmp_path):
    plan = plan_of("sft", tmp_path, tmp_path, Path("unused"))
    for step, state in ((4, '{"global_step": 4}'), (8, '{"global_st'), (12, None)):
        folder = plan.trainer / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        if state:
            (folder / "trainer_state.json").write_text(state)
    assert last_checkpoint(plan) == plan.trainer / "checkpoint-4"


def test_a_stage_begun_with_another_key_is_begun_anew(tmp_path):
    plan = plan_of("sft", tmp_path, tmp_path, Path("unused"))
    (plan.folder / "old").touch()
    make_ready(plan)
    assert (plan.folder / "old").exists()
    make_ready(plan.model_copy(update={"key": "another"}))
    assert not (plan.folder / "old").exists()


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_valid_and_what_is_set_goes_over_it(name):
    settings = resolve_recipe(AlignSettings(recipe=name))
    assert settings == resolve_recipe(settings)
    changed = resolve_recipe(AlignSettings(recipe=name, sft=SftSettings(epochs=7)))
    assert changed.sft == settings.sft.model_copy(update={"epochs": 7})
    assert changed.dpo == settings.dpo


def test_what_is_set_over_a_recipe_is_named_and_what_repeats_it_is_not():
    said = {"recipe": "mini", "max_length": 384, "sft": {"epochs": 2}, "dpo": {"loss": ["ipo"], "loss_weights": [1]}}
    assert set_over(AlignSettings.model_validate(said)) == [
        "align.sft.epochs=2.0",
        'align.dpo.loss=["ipo"]',
        "align.dpo.loss_weights=[1.0]",
    ]
    assert set_over(AlignSettings()) == []


def test_an_unknown_recipe_names_the_nearest():
    assert {"mini", "small", "medium"} <= set(recipe_names())
    with pytest.raises(SettingsError, match="Did you mean 'medium'"):
        resolve_recipe(AlignSettings(recipe="medum"))


@pytest.mark.parametrize(
    ("dpo", "expected"),
    [
        ({"loss": ["ipo"]}, "names 1 loss and align.dpo.loss_weights 2"),
        ({"loss": ["sigmiod", "sft"]}, "Unknown loss 'sigmiod'.*Did you mean 'sigmoid'"),
    ],
)
def test_losses_that_cannot_be_trained_are_refused_before_sft_begins(dpo, expected):
    with pytest.raises(SettingsError, match=expected):
        resolve_recipe(AlignSettings.model_validate({"dpo": dpo}))
    assert not resolve_recipe(AlignSettings.model_validate({"dpo": {**dpo, "enabled": False}})).dpo.enabled


def test_the_losses_are_those_of_trl():
    trainer = inspect.getsource(pytest.importorskip("trl.trainer.dpo_trainer"))
    assert set(re.findall(r'loss_type == "(\w+)"', trainer)) == set(LOSSES)
