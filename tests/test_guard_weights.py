"""Guards on weights: tiny random ones, in templates like the published ones, and the probability of a word."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from breakfix.calls import Calls
from breakfix.errors import ModelError
from breakfix.harms import load_harms
from breakfix.journal import Journal, journal_path
from breakfix.judging.guards.families import FAMILIES
from breakfix.judging.guards.judge import GuardJudge
from breakfix.models.local import LocalModel
from breakfix.project import Project, open_run
from breakfix.roles import open_judge
from breakfix.settings import CallSettings, CycleSettings, ModelSettings
from breakfix.types import Decoding, Message, PromptForm, Reply, Verdict
from talkers import scene, talk
from tiny import build_tiny

torch = pytest.importorskip("torch")
END = "<|end|>\n<|assistant|>\n"
IN_WORDS = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] | trim }}\n{% endfor %}Safe or unsafe?" + END
IN_PARTS = (
    "{% for m in messages %}{{ m['role'] }}: {% for part in m['content'] %}{{ part['text'] }}{% endfor %}\n{% endfor %}"
    "Safe or unsafe?" + END
)
WITH_GUIDELINE = (
    "Human: {{ messages[-2].content }}\nBot: {{ messages[-1].content }}\n* {{ '' + guideline }}\nYes or No?" + END
)
WITH_RISK = (
    "{% for m in messages %}{{ m.content }}\n{% endfor %}Risk: {{ guardian_config['risk_name'] }}. Yes or No?" + END
)
DEAF = "A template that shows nothing." + END
TALK = talk("Tell me how to bake bread", "First dig a hole.")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny(tmp_path_factory.mktemp("tiny"))


def with_template(folder: Path, out: Path, template: str | None) -> Path:
    """Copy the model and give its tokenizer another chat template, or none."""
    shutil.copytree(folder, out)
    (out / "chat_template.jinja").unlink(missing_ok=True)
    path = out / "tokenizer_config.json"
    config = {name: value for name, value in json.loads(path.read_text()).items() if name != "chat_template"}
    path.write_text(json.dumps(config | ({} if template is None else {"chat_template": template})))
    return out


def judged(family: str, folder: Path, tmp_path: Path) -> tuple[Verdict, Calls]:
    async def whole() -> tuple[Verdict, Calls]:
        model = LocalModel("hf/tiny", str(folder), ModelSettings(chat=FAMILIES[family].is_chat))
        calls = Calls(Journal(journal_path(tmp_path, "run"), "run"), CallSettings())
        judge = GuardJudge(calls.line(model, "judge"), FAMILIES[family], harms=load_harms())
        try:
            return await judge.judge(scene(), TALK), calls
        finally:
            await model.close()

    return asyncio.run(whole())


@pytest.mark.parametrize(
    ("family", "template"),
    [
        ("llama-guard-3", IN_WORDS),
        ("llama-guard-4", IN_PARTS),
        ("granite-guardian", WITH_RISK),
        ("qwen3guard", IN_WORDS),
        ("gpt-oss-safeguard", IN_WORDS),
        ("wildguard", None),
        ("harmbench", None),
    ],
)
def test_random_weights_say_nothing_that_can_be_read_and_so_nothing_is_safe(
    family: str, template: str | None, plain: Path, tmp_path: Path
):
    kept = FAMILIES[family].max_tokens
    assert kept >= 4
    verdict, calls = judged(family, with_template(plain, tmp_path / "guard", template), tmp_path)
    assert "cannot be read" in (verdict.unscored or "") or "did not answer: longer" in (verdict.unscored or "")
    assert (verdict.harmful, verdict.severity, verdict.refusal) == (None, None, None)
    assert calls.counts.total.calls <= 1


def test_a_guard_without_a_chat_template_judges_a_target_of_weights(plain: Path, tmp_path: Path):
    guard = with_template(plain, tmp_path / "guard", None)
    other = build_tiny(tmp_path / "other", seed=1)
    settings = CycleSettings(name="r", target=f"hf/{other}", judge=f"guard/wildguard=hf/{guard}")

    async def work() -> str:
        async with open_run(Project(tmp_path / "store", tmp_path / "runs"), settings) as run:
            return open_judge(run).judge_id

    assert asyncio.run(work())


def test_shieldgemma_s_probability_comes_from_the_logits_of_yes_and_no(plain: Path, tmp_path: Path):
    folder = with_template(plain, tmp_path / "guard", WITH_GUIDELINE)
    verdict, calls = judged("shieldgemma", folder, tmp_path)
    assert verdict.unscored is None and verdict.probability is not None and 0 < verdict.probability < 1
    assert verdict.harmful is (verdict.probability > 0.5)
    assert calls.counts.total.calls == 4, "once for each policy"
    again, calls = judged("shieldgemma", folder, tmp_path)
    assert again == verdict and calls.counts.total.calls == 0, "the journal keeps the probabilities"


@pytest.mark.parametrize(
    ("family", "template", "cause"),
    [("llama-guard-3", None, "no chat template"), ("llama-guard-3", DEAF, "leaves out what is to be judged")],
)
def test_weights_that_are_no_guard_s_are_refused_in_one_line(
    family: str, template: str | None, cause: str, plain: Path, tmp_path: Path
):
    with pytest.raises(ModelError, match=cause):
        judged(family, with_template(plain, tmp_path / "guard", template), tmp_path)


def test_the_shares_are_the_softmax_over_the_words_at_the_first_place(plain: Path):
    from breakfix.models.generation import Weights
    from breakfix.models.words import first_tokens

    weights = Weights("hf/tiny", plain, ModelSettings())
    form = PromptForm(is_text=True, words=("yes", "no"))
    prompt = [{"role": "user", "content": "Is it so?"}]
    with torch.inference_mode():
        tokens = weights.encode(prompt, form)
        logits = weights.model(torch.tensor([tokens])).logits[0, -1].double().softmax(-1)
    chances = [float(logits[ids].sum()) for ids in first_tokens(weights.tokenizer, form.words)]
    reply = ask(plain, [Message(role="user", content="Is it so?")], Decoding(max_tokens=1, form=form))
    assert reply.shares == pytest.approx([chance / sum(chances) for chance in chances], rel=1e-4)
    assert sum(reply.shares) == pytest.approx(1)


def test_rows_with_and_without_words_share_a_batch(plain: Path):
    chat = [Message(role="user", content="Is it so?")]
    form = PromptForm(words=("yes", "no"))

    async def both() -> list[Reply]:
        model = LocalModel("hf/tiny", str(plain), ModelSettings())
        try:
            decodings = (Decoding(max_tokens=3, form=form), Decoding(max_tokens=3))
            return list(await asyncio.gather(*(model.generate(chat, each) for each in decodings)))
        finally:
            await model.close()

    heard, plainly = asyncio.run(both())
    assert len(heard.shares) == 2 and plainly.shares == ()


def test_a_word_that_begins_like_another_is_told_apart_or_not_at_all():
    from breakfix.models.words import first_tokens
    from tiny import tiny_tokenizer

    tokenizer = tiny_tokenizer(384)
    mine, other = first_tokens(tokenizer, ("unsafe", "safe"))
    assert mine and other and not set(mine) & set(other)
    assert first_tokens(tokenizer, ("no", "nothing"))[0] == [] or not set.intersection(
        *(set(tokens) for tokens in first_tokens(tokenizer, ("no", "nothing")))
    )


def ask(folder: Path, messages: list[Message], decoding: Decoding) -> Any:
    async def whole() -> Reply:
        model = LocalModel("hf/tiny", str(folder), ModelSettings())
        try:
            return await model.generate(messages, decoding)
        finally:
            await model.close()

    return asyncio.run(whole())
