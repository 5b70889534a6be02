"""LocalModel: batched answers equal single ones, each row its own decoding, and bad folders one clear line."""

import asyncio
import json
import shutil
import time
from pathlib import Path

import pytest

from breakfix.errors import CallFailed, MissingExtra, ModelError
from breakfix.models.local import LocalModel
from breakfix.models.open import open_model
from breakfix.settings import ModelSettings
from breakfix.types import Decoding, Message, Reply
from tiny import build_tiny

pytest.importorskip("torch", reason="needs the [train] extra")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def torch():
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(threads)


def user(text: str) -> list[Message]:
    return [Message(role="user", content=text)]


def ask_all(model: LocalModel, chats: list[list[Message]], decoding: Decoding) -> list[Reply]:
    async def run() -> list[Reply]:
        try:
            return await asyncio.gather(*(model.generate(chat, decoding) for chat in chats))
        finally:
            await model.close()

    return asyncio.run(run())


CHATS = [user("Tell me how to bake bread." * count) for count in (1, 4, 2, 7, 3, 1)]


def test_a_batch_answers_as_one_by_one_and_as_transformers_generate(folder, torch):
    decoding = Decoding(max_tokens=12)
    together = ask_all(LocalModel("hf/tiny", str(folder)), CHATS, decoding)
    alone = [ask_all(LocalModel("hf/tiny", str(folder)), [chat], decoding)[0] for chat in CHATS[:3]]
    assert together[:3] == alone
    assert together[0] == together[5], "equal questions get equal answers at temperature 0"
    assert [reply.text for reply in together[:2]] == [generate_text(folder, chat, 12) for chat in CHATS[:2]]


def generate_text(folder: Path, chat: list[Message], new: int) -> str:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    prompt = tokenizer.apply_chat_template(
        [message.model_dump(include={"role", "content"}) for message in chat],
        add_generation_prompt=True, return_tensors="pt", return_dict=True,
    )  # fmt: skip
    out = model.generate(**prompt, max_new_tokens=new, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    return tokenizer.decode(out, skip_special_tokens=True).strip()


def test_an_answer_stops_at_the_end_token_or_says_that_it_ran_out(folder, torch, tmp_path):
    reply = ask_all(LocalModel("hf/tiny", str(folder)), CHATS[:1], Decoding(max_tokens=5))[0]
    assert (reply.finish_reason, reply.completion_tokens) == ("length", 5)
    ended = first_token_ends(folder, tmp_path / "ended")
    reply = ask_all(LocalModel("hf/ended", str(ended)), CHATS[:1], Decoding(max_tokens=5))[0]
    assert (reply.finish_reason, reply.completion_tokens) == ("stop", 1)


def first_token_ends(folder: Path, out: Path) -> Path:
    """Copy the model, with the token that it answers first made an end token."""
    from breakfix.models.generation import Prompt, Weights

    weights = Weights("hf/tiny", folder, ModelSettings())
    with weights.torch.inference_mode():
        tokens = weights.encode([{"role": "user", "content": CHATS[0][0].content}])
        first = weights._decode([Prompt(tokens, 1)], lambda: False)[0][0]
    shutil.copytree(folder, out)
    config = json.loads((out / "generation_config.json").read_text())
    (out / "generation_config.json").write_text(json.dumps({**config, "eos_token_id": [first]}))
    return out


def test_a_cache_with_room_holds_what_a_joined_one_would(folder, torch):
    from transformers import AutoConfig, DynamicCache

    from breakfix.models.key_cache import ROOM, cache_with_room

    config = AutoConfig.from_pretrained(folder)
    ours, theirs = cache_with_room(config), DynamicCache(config=config)
    torch.manual_seed(0)
    for tokens in (5, *[1] * (ROOM + 3)):
        keys, values = torch.rand(3, 4, tokens, 8), torch.rand(3, 4, tokens, 8)
        for mine, other in zip(ours.update(keys, values, 1), theirs.update(keys, values, 1), strict=True):
            assert mine.equal(other)
    for cache in (ours, theirs):
        cache.layers[1].batch_select_indices(torch.tensor([2, 0]))
    assert ours.layers[1].keys.equal(theirs.layers[1].keys)
    new = torch.rand(2, 4, 1, 8)
    assert ours.update(new, new, 1)[1].equal(theirs.update(new, new, 1)[1])


def test_sampling_is_seeded_by_question_and_count_whoever_shares_the_batch(folder, torch):
    warm = Decoding(temperature=1.0, max_tokens=8)
    first = ask_all(LocalModel("hf/tiny", str(folder)), [CHATS[0], CHATS[0], CHATS[1]], warm)
    again = ask_all(LocalModel("hf/tiny", str(folder)), [CHATS[0], CHATS[0]], warm)
    assert first[:2] == again
    assert first[0].text != first[1].text, "the second sample of one question is drawn anew"


def test_a_narrow_nucleus_is_greedy(folder, torch):
    greedy = ask_all(LocalModel("hf/tiny", str(folder)), CHATS[:1], Decoding(max_tokens=8))
    narrow = ask_all(LocalModel("hf/tiny", str(folder)), CHATS[:1], Decoding(temperature=1, top_p=1e-6, max_tokens=8))
    assert greedy == narrow


def test_samples_follow_the_softmax(folder, torch):
    from breakfix.models.generation import Prompt, _Draw

    logits = torch.tensor([2.0, 1.0, 0.0, -1.0])
    draw = _Draw(torch, Prompt([1], 1, temperature=0.7, seed=3), "cpu")
    counts = torch.bincount(torch.tensor([int(draw(logits)) for _ in range(4000)]), minlength=4) / 4000
    assert torch.allclose(counts, (logits / 0.7).softmax(-1), atol=0.03)


def test_too_long_a_prompt_fails_by_name_and_leaves_the_others_alone(folder, torch):
    model = LocalModel("hf/tiny", str(folder))

    async def run():
        long, short = user("garden " * 600), CHATS[0]
        try:
            return await asyncio.gather(
                *(model.generate(chat, Decoding(max_tokens=3)) for chat in (long, short)), return_exceptions=True
            )
        finally:
            await model.close()

    failed, fine = asyncio.run(run())
    assert isinstance(failed, CallFailed)
    assert "longer than the model's context" in failed.cause
    assert isinstance(fine, Reply)


def test_a_template_without_a_system_role_gets_the_system_prompt_in_the_first_user_message(folder, torch):
    from transformers import AutoTokenizer

    from breakfix.models.generation import render

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = tokenizer.chat_template.replace("== 'system'", "== 'nobody'")
    chat = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello."}]
    assert render(tokenizer, chat) == "<|user|>\nBe kind.\n\nHello.<|end|>\n<|assistant|>\n"


def test_identity_is_of_the_weights_and_not_of_where_they_lie(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "README.md").write_text("nothing that counts")
    assert LocalModel("hf/a", str(copy)).identity == LocalModel("hf/b", str(folder)).identity
    (copy / "chat_template.jinja").write_text("{{ messages[0].content }}")
    assert LocalModel("hf/a", str(copy)).identity != LocalModel("hf/b", str(folder)).identity


def without(folder: Path, out: Path, name: str) -> Path:
    copy = shutil.copytree(folder, out)
    (copy / name).unlink()
    return copy


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("chat_template.jinja", "no chat template"),
        ("model.safetensors", "no .safetensors weights"),
        ("config.json", "no config.json"),
        ("tokenizer.json", "no tokenizer"),
    ],
)
def test_an_unfit_folder_is_one_line_that_says_what_to_do(folder, tmp_path, missing, says):
    broken = without(folder, tmp_path / "broken", missing)
    with pytest.raises(ModelError, match=says) as caught:
        open_model(f"hf/{broken}")
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelError, match="there is no folder"):
        open_model(f"hf/{tmp_path}/nothing/here")


def test_broken_weights_reach_whoever_asks_as_one_line(folder, tmp_path, torch):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "config.json").write_text('{"model_type": "no-such-architecture"}')
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        ask_all(LocalModel("hf/copy", str(copy)), CHATS[:2], Decoding())
    assert "\n" not in str(caught.value)


def test_weights_that_are_cut_short_are_told_of_with_the_remedy(folder, tmp_path, torch):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:10_000])
    with pytest.raises(ModelError, match=r"cut short or damaged .* Fetch or save it again\.$") as caught:
        ask_all(LocalModel("hf/copy", str(copy)), CHATS[:2], Decoding())
    assert "\n" not in str(caught.value)


def test_missing_extra_names_the_package_and_the_remedy():
    assert "pip install 'breakfix[train]'" in str(MissingExtra("torch", "train", "Model 'hf/x'"))


def test_closing_while_asked_cancels_and_returns(folder, torch):
    model = LocalModel("hf/tiny", str(folder), ModelSettings(batch_size=2))

    async def run():
        tasks = [asyncio.create_task(model.generate(chat, Decoding(max_tokens=400))) for chat in CHATS]
        await asyncio.sleep(0.3)
        await model.close()
        return await asyncio.gather(*tasks, return_exceptions=True)

    start = time.monotonic()
    results = asyncio.run(run())
    assert time.monotonic() - start < 30
    assert any(isinstance(result, asyncio.CancelledError) for result in results)
