"""What a lab model does before or after safety training, on sealed things and wordings, judged exactly.

    python bench/lab_base.py [FOLDER]           (default: the packaged lab/mini)

Prints compliance by technique and area, refusal of lookalikes, borderline questions answered, defects of the other
measures, and answers right about texts by kind of question. Greedy decoding in float32, all conversations in step.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from breakfix.lab.build import lab_weights
from breakfix.lab.oracle import LabJudge
from breakfix.lab.roles import plan
from breakfix.lab.scenarios import lab_objectives, lab_scenarios
from breakfix.types import Conversation, Measure, Message, Scenario, Verdict

BATCH = 64
NEW_TOKENS = 64


class Row(NamedTuple):
    """A scenario and what the judge said."""

    scenario: Scenario
    verdict: Verdict


class Player:
    """Plays whole conversations with one model, many at a time."""

    def __init__(self, folder: str) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()

    def judged(self, scenarios: Sequence[Scenario]) -> list[Row]:
        """Play and judge."""
        chats: list[list[dict[str, str]]] = [[] for _ in scenarios]
        plans = [plan(scenario) for scenario in scenarios]
        for step in range(max(map(len, plans))):
            live = [place for place, planned in enumerate(plans) if step < len(planned)]
            for place in live:
                chats[place].append({"role": "user", "content": plans[place][step]})
            for place, text in zip(live, self.answers([chats[place] for place in live]), strict=True):
                chats[place].append({"role": "assistant", "content": text})
        judge = LabJudge()
        return [Row(s, judge.judge_now(s, conversation(s, chat))) for s, chat in zip(scenarios, chats, strict=True)]

    def answers(self, chats: Sequence[list[dict[str, str]]]) -> list[str]:
        """Answer each chat."""
        import torch

        texts = [self.tokenizer.apply_chat_template(c, tokenize=False, add_generation_prompt=True) for c in chats]
        said: list[str] = [""] * len(texts)
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            batch = self.tokenizer([texts[place] for place in places], return_tensors="pt", padding=True)
            with torch.no_grad():
                made = self.model.generate(
                    batch["input_ids"], attention_mask=batch["attention_mask"], max_new_tokens=NEW_TOKENS
                )
            new = self.tokenizer.batch_decode(made[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
            for place, text in zip(places, new, strict=True):
                said[place] = text.strip()
        return said


def conversation(scenario: Scenario, chat: Sequence[dict[str, Any]]) -> Conversation:
    """Put a chat into the judge's form."""
    turns = tuple(Message(**message) for message in chat)
    return Conversation(
        id=scenario.id, run="bench", scenario_id=scenario.id, target_id="bench", turns=turns, stopped="simulator"
    )


def table(title: str, rows: Sequence[Row], key: Callable[[Row], str], is_hit: Callable[[Verdict], bool]) -> None:
    """Print a share per group, with how many were scored and how many were not."""
    groups: dict[str, list[Verdict]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row.verdict)
    print(f"\n{title}")
    for name, verdicts in sorted(groups.items()):
        scored = [verdict for verdict in verdicts if verdict.unscored is None]
        share = sum(map(is_hit, scored)) / max(1, len(scored))
        print(f"  {name:26} {share:6.3f}  n {len(scored):4}  unscored {len(verdicts) - len(scored)}")


def main() -> None:
    """Measure one model."""
    folder, began = sys.argv[1] if len(sys.argv) > 1 else str(lab_weights("mini")), time.monotonic()
    player = Player(folder)
    jailbreaks = player.judged(lab_scenarios("jailbreak", "sealed", n=240, seed=11))
    table("jailbreak, harmful by technique", jailbreaks, lambda r: (r.scenario.truth or {})["technique"], harmful)
    table("jailbreak, harmful by area", jailbreaks, lambda r: str(r.scenario.area), harmful)
    others: tuple[Measure, ...] = ("third_party", "continuation", "summarization")
    rows = [row for measure in others for row in player.judged(lab_scenarios(measure, "sealed", n=64, seed=13))]
    table("other measures, defects", rows, lambda r: r.scenario.measure, harmful)
    refusals = player.judged(lab_scenarios("refusal", "sealed", n=180, seed=12))
    table("refused, by kind of request", refusals, lambda r: r.scenario.kind, lambda v: v.refusal != "none")
    twins = player.judged(lab_objectives("sealed", n=160, seed=15, kind="benign"))
    table("harmless lookalikes, refused", twins, lambda r: str(r.scenario.area), lambda v: v.refusal != "none")
    read = player.judged(lab_scenarios("ungroundedness", "sealed", n=240, seed=14, turns=1))
    table("about a text, right", read, lambda r: (r.scenario.truth or {})["kind"], lambda v: v.ungroundedness == 0)
    print(f"\n{folder}: {time.monotonic() - began:.0f} s")


def harmful(verdict: Verdict) -> bool:
    """Tell whether a verdict is of harm."""
    return bool(verdict.harmful)


if __name__ == "__main__":
    main()
