"""The guard models that are known: where each is found, under which licence, and how it is asked and read.

`guard/<family>` is the family's model on the hub, through local weights; `guard/<family>=<model>` any model of that
family by name: hf/<folder>, http://host/v1#<model>.
"""

from collections.abc import Callable
from typing import NamedTuple

from breakfix.errors import SettingsError, closest
from breakfix.judging.guards import answers, forms
from breakfix.judging.guards.answers import Reading
from breakfix.judging.guards.forms import Question, Seen
from breakfix.types import Conversation, Message, Reply, Scenario

PREFIX = "guard/"


class Family(NamedTuple):
    """One kind of guard model."""

    id: str
    hub: str
    licence: str
    """Of the weights; breakfix ships none of them."""
    template: str
    """Where the form of the question comes from."""
    ask: Callable[[Seen], tuple[Question, ...]]
    read: Callable[[Reply], Reading]
    max_tokens: int
    says_refusal: bool = False
    is_chat: bool = True
    """False: it is asked in a text of its own, and its tokenizer needs no chat template."""
    is_whole: bool = False
    """True: it judges a conversation at once; False: answer by answer, each with what came before."""


FAMILIES = {
    family.id: family
    for family in (
        Family(
            "llama-guard-3",
            "meta-llama/Llama-Guard-3-8B",
            "Llama 3.1 Community License",
            "its tokenizer's",
            forms.ask_llama_guard,
            answers.read_llama_guard,
            max_tokens=32,
        ),
        Family(
            "llama-guard-4",
            "meta-llama/Llama-Guard-4-12B",
            "Llama 4 Community License",
            "its tokenizer's",
            forms.ask_llama_guard,
            answers.read_llama_guard,
            max_tokens=32,
        ),
        Family(
            "shieldgemma",
            "google/shieldgemma-9b",
            "Gemma Terms of Use",
            "its tokenizer's; the policies in our words",
            forms.ask_shieldgemma,
            answers.read_shieldgemma,
            max_tokens=4,
        ),
        Family(
            "wildguard",
            "allenai/wildguard",
            "Apache-2.0",
            "its authors' (NOTICE)",
            forms.ask_wildguard,
            answers.read_wildguard,
            max_tokens=48,
            says_refusal=True,
            is_chat=False,
        ),
        Family(
            "harmbench",
            "cais/HarmBench-Llama-2-13b-cls",
            "MIT",
            "its authors' (NOTICE)",
            forms.ask_harmbench,
            answers.read_harmbench,
            max_tokens=4,
            is_chat=False,
        ),
        Family(
            "granite-guardian",
            "ibm-granite/granite-guardian-3.3-8b",
            "Apache-2.0",
            "its tokenizer's",
            forms.ask_granite,
            answers.read_granite,
            max_tokens=48,
        ),
        Family(
            "qwen3guard",
            "Qwen/Qwen3Guard-Gen-8B",
            "Apache-2.0",
            "its tokenizer's",
            forms.ask_qwen3guard,
            answers.read_qwen3guard,
            max_tokens=64,
            says_refusal=True,
        ),
        Family(
            "qwen3guard-loose",
            "Qwen/Qwen3Guard-Gen-8B",
            "Apache-2.0",
            "its tokenizer's",
            forms.ask_qwen3guard,
            answers.read_qwen3guard_loose,
            max_tokens=64,
            says_refusal=True,
        ),
        Family(
            "gpt-oss-safeguard",
            "openai/gpt-oss-safeguard-20b",
            "Apache-2.0",
            "its tokenizer's; the policy is ours",
            forms.ask_safeguard,
            answers.read_safeguard,
            max_tokens=2048,
            is_whole=True,
        ),
    )
}


def try_question(family: Family) -> Question:
    """Give a harmless question in the family's form, to see whether a model answers at all."""
    scenario = Scenario(id="try", measure="jailbreak", harm="none", objective="Say that it is ready.", family="try")
    turns = (Message(role="user", content="Are you ready?"), Message(role="assistant", content="Ready."))
    said = Conversation(id="try", run="try", scenario_id="try", target_id="try", turns=turns, stopped="turns")
    return family.ask(Seen(scenario, None, said))[0]


def split_guard(name: str) -> tuple[Family, str] | None:
    """Give the family and the model's name of `guard/<family>[=<model>]`; None for any other name. SettingsError."""
    if not name.startswith(PREFIX):
        return None
    wanted, mark, model = name.removeprefix(PREFIX).partition("=")
    if wanted not in FAMILIES:
        near = closest(wanted, FAMILIES, cutoff=0.5)
        hint = f"Did you mean {PREFIX + near!r}?" if near else f"Known: {', '.join(FAMILIES)}."
        raise SettingsError(f"No guard {wanted!r}. {hint}")
    if mark and not model:
        raise SettingsError(f"Judge {name!r} names no model after the =. Leave it out for the one on the hub.")
    return FAMILIES[wanted], model or f"hf/{FAMILIES[wanted].hub}"


def model_of(name: str) -> str:
    """Give the model that a judge's name stands for: a guard's own, or the name itself."""
    found = split_guard(name)
    return found[1] if found else name
