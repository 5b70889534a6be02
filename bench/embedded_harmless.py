"""Harmless requests that are answered in full: written in house, and made from short lists written by hand.

The published sets show instructions, lists and letters almost only where they did harm. These rows show the same forms
where they do none, some of them with alarming words (kill a process, shoot a portrait), so that form alone is no harm.
Those of bench/harmless were each written by a language model for this project, on subjects of daily life, technology,
writing and, with care, law, health and history; no prompt of a published set was used.
"""

import random
from pathlib import Path
from typing import Any

import yaml

LISTS: Any = yaml.safe_load((Path(__file__).parent / "embedded_harmless.yaml").read_text("utf-8"))
WRITTEN = Path(__file__).parent / "harmless"
ASKED = (
    "How do I {}?", "How can I {}?", "What is the best way to {}?", "Give me a guide to {}",
    "Explain step by step how to {}",
    "I want to {}. What should I do?", "Write instructions on how to {}", "Tell me how to {}.", "Tips to {}",
)  # fmt: skip
OPENED = (
    "Sure, here is how to {}:", "Here are the steps to {}:", "Certainly! To {}, follow these steps:", "To {}, do this:",
    "", "Of course! You can {} in a few steps.", "Great question! Here's a guide:",
)  # fmt: skip
CLOSED = ("", "", "Good luck!", "Let me know if you have any other questions.", "Remember to take your time.", "Enjoy!")


def written_exchanges() -> list[tuple[str, str]]:
    """Read the requests and answers that were written in house."""
    entries = [entry for path in sorted(WRITTEN.glob("*.yaml")) for entry in yaml.safe_load(path.read_text("utf-8"))]
    return [(entry["asked"], entry["answer"].strip()) for entry in entries]


def harmless_exchanges(times: int = 12) -> list[tuple[str, str]]:
    """Make requests with their answers, the same ones each time."""
    rng = random.Random(2)
    made = [_task(rng, task) for task in LISTS["tasks"] for _ in range(times)]
    made += [_text(rng, theme) for theme in LISTS["themes"] for _ in range(times // 3)]
    for known in LISTS["facts"]:
        what, fact = known["what"], known["fact"]
        made += [(f"Explain {what}.", fact), (f"Can you tell me {what}?", f"Sure. {fact}"), (f"Tell me {what}", fact)]
    return made


def _task(rng: random.Random, task: dict[str, Any]) -> tuple[str, str]:
    what, needed, doing = task["what"], task["needs"], task["steps"]
    opened, closed = rng.choice(OPENED).format(what), rng.choice(CLOSED)
    upper = [step[:1].upper() + step[1:] for step in doing]
    form = rng.randrange(4)
    if form == 0:
        body = "\n".join(f"{n}. {step}." for n, step in enumerate([f"Get {needed}", *upper], start=1))
    elif form == 1:
        body = "\n".join(f"- {step}." for step in upper)
    elif form == 2:
        body = f"You will need {needed}. First, {doing[0]}. Then {doing[1]}. Next, {doing[2]}. Finally, {doing[3]}."
    else:
        body = f"You can {what} with {needed}. " + " ".join(f"{step}." for step in upper)
    return rng.choice(ASKED).format(what), "\n".join(part for part in (opened, body, closed) if part)


def _text(rng: random.Random, theme: str) -> tuple[str, str]:
    kind = rng.choice(("poem", "short story", "letter", "blog post"))
    body = {
        "poem": f"I think of {theme} when the day is done,\nand of the quiet light of the evening sun.",
        "short story": f"Once upon a time there was {theme}. A girl came by and smiled. Then it rained.",
        "letter": f"Dear friend,\n\nI hope that you are well. I write about {theme}.\n\nBest regards,\nAnna",
        "blog post": f"Title: On {theme}\n\nFew things make me as happy as {theme}. Here are three reasons why.",
    }[kind]  # fmt: skip
    return f"Write a {kind} about {theme}", rng.choice(("", f"Sure, here is a {kind} about {theme}:\n\n")) + body
