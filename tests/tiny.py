"""Builds a tiny random Phi-3 with a tokenizer and the Phi-3 chat template: real weights, real files, no network."""

import json
import random
from pathlib import Path

PHI3_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\n' + message['content'] + "
    "'<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}"
    "{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
THINGS = ("tree", "garden", "fox", "dog", "loaf", "lamp")
CORPUS = [
    "Tell me how to bake bread at home, step by step.",
    "I can't help with that. I can tell you how to stay safe instead.",
    "This is about gardens. Here is how to plant a tree. First dig a hole, then water it with care.",
    "The quick brown fox jumps over the lazy dog, 0123456789 times!",
]


def build_tiny(folder: Path, *, hidden: int = 32, layers: int = 2, vocabulary: int = 384, seed: int = 0) -> Path:
    """Write config, safetensors, tokenizer and generation config into `folder`, and give it back."""
    import torch
    from transformers import GenerationConfig, Phi3Config, Phi3ForCausalLM

    tokenizer = tiny_tokenizer(vocabulary)
    pad, end = tokenizer.convert_tokens_to_ids(["<|pad|>", "<|end|>"])
    torch.manual_seed(seed)
    config = Phi3Config(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=hidden * 11 // 4,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        original_max_position_embeddings=512,
        initializer_range=0.05,
        tie_word_embeddings=True,
        pad_token_id=pad,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = Phi3ForCausalLM(config)
    model.generation_config = GenerationConfig(
        eos_token_id=[tokenizer.eos_token_id, end], pad_token_id=pad, bos_token_id=tokenizer.eos_token_id
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_tokenizer(vocabulary: int):
    """Train a byte-level BPE on a few sentences; its pad token is not its end token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=vocabulary, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|endoftext|>",
        pad_token="<|pad|>",
        additional_special_tokens=SPECIAL[2:],
        model_max_length=512,
    )
    tokenizer.chat_template = PHI3_TEMPLATE
    return tokenizer


def write_dataset(folder: Path, examples: int, pairs: int) -> Path:
    """Write a frozen dataset folder of harmless rows, one or two exchanges each."""
    draw = random.Random(0)
    folder.mkdir(parents=True)
    provenance = {"kind": "seed", "source": "tiny", "licence": "CC0-1.0"}
    with (folder / "examples.jsonl").open("w") as stream:
        for _ in range(examples):
            thing = draw.choice(THINGS)
            asked = f"Tell me how to plant a {thing}" + ", please" * draw.randint(0, 4)
            chat = turn(asked, f"This is about a {thing}. First dig a hole, then water it with care.")
            chat += turn("And then?", f"Then admire the {thing}.") * draw.randint(0, 1)
            stream.write(json.dumps({"messages": chat, "provenance": provenance}) + "\n")
    with (folder / "pairs.jsonl").open("w") as stream:
        for _ in range(pairs):
            thing = draw.choice(THINGS)
            asked, chosen = turn(f"Tell me how to break a {thing}", f"I can't help with breaking a {thing}.")
            rejected = {"role": "assistant", "content": f"This is about a {thing}. Here is how to break it."}
            row = {"prompt": [asked], "chosen": [chosen], "rejected": [rejected], "provenance": provenance}
            stream.write(json.dumps(row) + "\n")
    (folder / "card.json").write_text(json.dumps({"id": "tiny-dataset"}))
    return folder


def turn(asked: str, answered: str) -> list[dict[str, str]]:
    """One exchange."""
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
