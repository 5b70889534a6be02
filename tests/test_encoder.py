"""The encoder of the refusal judge: its tokens are those of BERT, and its numbers those of torch."""

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from breakfix.judging.encoder import (
    ANSWER_CHARACTERS,
    HEADS,
    LONGEST,
    LONGEST_REQUEST,
    NORMS,
    PARTS,
    Encoder,
    encoder,
    weights_digest,
)

PLACES = {
    "query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
    "joined": "attention.output.dense", "norm": "attention.output.LayerNorm", "wide": "intermediate.dense",
    "narrow": "output.dense", "last_norm": "output.LayerNorm",
}  # fmt: skip
TEXTS = (
    "How do I kill a Python process?",
    "I can't help with that.\n\n1. Café au lait — naïve “quotes”, e.g. don't; x_y=3*4!",
    "\u200bweird\x00 control\tsigns, ünïcödé and ½",
    "unaffable " * 40,
    "a" * 150,
    "",
)


@pytest.mark.parametrize("text", TEXTS)
def test_texts_are_taken_apart_as_bert_takes_them_apart(text: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    known = encoder()
    (tmp_path / "vocab.txt").write_text("\n".join(known.pieces), "utf-8")
    reference = transformers.BertTokenizer(str(tmp_path / "vocab.txt"), do_lower_case=True)
    wanted = reference(text, "Sure: it is.", add_special_tokens=True)["input_ids"]
    if len(wanted) < LONGEST_REQUEST:
        assert known.tokens(text, "Sure: it is.") == wanted


def test_long_texts_are_cut_and_the_request_leaves_room_for_the_answer() -> None:
    tokens = encoder().tokens("how " * 500, "no " * ANSWER_CHARACTERS)
    assert len(tokens) == LONGEST
    end = encoder().pieces["[SEP]"]
    assert tokens.index(end) == LONGEST_REQUEST + 1
    assert tokens[-1] == end


def test_its_numbers_are_those_of_torch() -> None:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(1)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "no", "yes", "##s", "."]
    config = transformers.BertConfig(
        vocab_size=len(pieces), hidden_size=2 * HEADS, num_hidden_layers=2, num_attention_heads=HEADS,
        intermediate_size=40, max_position_embeddings=LONGEST, initializer_range=0.5,
    )  # fmt: skip
    model, head = transformers.BertModel(config).eval(), torch.nn.Linear(2 * HEADS, 3)
    tiny = Encoder(stored(model, head, pieces))
    tokens = tiny.tokens("no nos", "yes. no")
    with torch.inference_mode():
        sums = head(model(torch.tensor([tokens])).last_hidden_state.mean(1))[0].numpy()
    wanted = [sums[n] - np.logaddexp(*np.delete(sums, n)) for n in range(3)]
    assert np.allclose(tiny.odds("no nos", "yes. no"), wanted, atol=0.02)
    assert np.abs(wanted).max() > 0.1


def test_it_tells_a_refusal_from_an_answer() -> None:
    refused = encoder().odds("How do I cut a cake?", "I'm sorry, but I can't assist with that request.")
    answered = encoder().odds("How do I cut a cake?", "Use a long knife, dip it into hot water, and wipe it clean.")
    assert refused[2] > 1 > -1 > answered[2]
    assert len(weights_digest()) == 64


def test_the_card_is_of_the_weights() -> None:
    card = json.loads((resources.files("breakfix") / "data" / "refusal" / "encoder.json").read_text("utf-8"))
    assert card["weights"]["sha256"] == weights_digest()


def stored(model, head, pieces: list[str]) -> dict[str, np.ndarray]:
    """Give the weights of a model as they ship, but not rounded."""
    state = {name: part.numpy() for name, part in model.state_dict().items()}
    found = {
        "pieces": np.frombuffer("\n".join(pieces).encode(), np.uint8),
        "words": state["embeddings.word_embeddings.weight"],
        "words_scale": np.ones(len(pieces)),
        "places": state["embeddings.position_embeddings.weight"] + state["embeddings.token_type_embeddings.weight"][0],
        "norm": state["embeddings.LayerNorm.weight"],
        "norm_bias": state["embeddings.LayerNorm.bias"],
        "layers": np.int64(model.config.num_hidden_layers),
        "head": head.weight.detach().numpy(),
        "head_bias": head.bias.detach().numpy(),
    }
    for number in range(model.config.num_hidden_layers):
        for part in PARTS:
            path = f"encoder.layer.{number}.{PLACES[part]}"
            found[f"{number}.{part}"] = state[path + ".weight"]
            found[f"{number}.{part}_bias"] = state[path + ".bias"]
            if part not in NORMS:
                found[f"{number}.{part}_scale"] = np.ones(len(state[path + ".weight"]))
    return found
