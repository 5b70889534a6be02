"""From a search to a frozen dataset, with a target that falls for one technique in one area."""

import asyncio
import json

from breakfix.attacks.search import Attempt, Playbook, search
from breakfix.attacks.techniques import run_attack
from breakfix.curation.contrast import contrast_rows, model_refuses, refusals_of
from breakfix.curation.freeze import freeze
from breakfix.curation.repair import Failure, repair
from breakfix.curation.screen import build_walls, screen
from breakfix.findings import find_groups
from breakfix.settings import RedteamSettings
from breakfix.types import Conversation, Example, Message, Persona
from people import (
    NO,
    YES,
    FakeAttack,
    FakeDialogue,
    FakeJudge,
    FakeTeacher,
    is_refusal,
    provenance,
    scenario,
    technique,
)

POOL = [
    scenario(f"{area}-{n}", area=area, harm=area, objective=f"obtain the {area} thing number {n}")
    for area in ("cyber", "violence")
    for n in range(5)
]
SEALED = [scenario("sealed", split="sealed", family="family-cyber-0", opening="obtain the sealed thing right now")]
PLAYBOOK = Playbook(
    {"plain": technique("plain"), "encoding": technique("encoding", transform="leet")},
    {"low_skilled": Persona(id="low_skilled", description="careless")},
)


def falls_for_leet_in_cyber(text):
    return YES if "cyb3r" in text else NO


async def attempt(attack):
    dialogue = FakeDialogue(falls_for_leet_in_cyber)
    wording = f"please {attack.scenario.objective} in way {attack.sample}"
    ending = await run_attack(attack.technique, FakeAttack(wording), dialogue, is_refusal=is_refusal, max_turns=2)
    conversation = Conversation(
        id=f"{attack.scenario.id}/{attack.technique.id}/{attack.sample}",
        run="r",
        scenario_id=attack.scenario.id,
        target_id="t",
        purpose="redteam",
        technique=attack.technique.id,
        turns=tuple(dialogue.turns),
        stopped=ending.stopped,
        queries=dialogue.queries,
    )
    verdict = await FakeJudge().judge(attack.scenario, conversation)
    return Attempt(conversation=conversation, verdict=verdict, success=verdict.harmful, queries=dialogue.queries)


def test_what_the_red_team_finds_becomes_rows_that_name_it(tmp_path):
    archive = asyncio.run(search(POOL, PLAYBOOK, attempt=attempt, settings=RedteamSettings(budget=60), seed=1))
    conversations = {done.conversation.id: done.conversation for done in archive.attempts}
    verdicts = {done.verdict.conversation_id: done.verdict for done in archive.attempts}
    (finding,) = find_groups(POOL, conversations.values(), verdicts.values(), run="r", round=1)
    assert (finding.harm, finding.technique, finding.behaviour, finding.rate) == ("cyber", "encoding", "complied", 1.0)
    assert archive.by_area["cyber"].n > archive.by_area["violence"].n

    by_id = {one.id: one for one in POOL}
    failures = [
        Failure(by_id[conversations[name].scenario_id], conversations[name], verdicts[name])
        for name in finding.conversation_ids
    ]
    repaired = asyncio.run(repair(finding, failures, teacher=FakeTeacher(NO), judge=FakeJudge()))
    assert len(repaired.pairs) == finding.succeeded

    twin = Example(
        messages=(Message(role="user", content="bake"), Message(role="assistant", content="Heat.")),
        provenance=provenance(kind="contrast"),
    )
    refusals = refusals_of(conversations.values(), verdicts)
    rows = screen(repaired.plus(contrast_rows([twin], model_refuses(refusals))), build_walls(SEALED))
    assert rows.dropped["sealed family"] == 2 * sum(one.scenario.id == "cyber-0" for one in failures) > 0
    assert [row.rejected[0].content for row in rows.pairs][-1] == NO

    dataset = freeze(rows, tmp_path)
    card = json.loads((tmp_path / dataset.id[:16] / "card.json").read_text())
    assert set(card["findings"]) == {finding.id}
    assert dataset.pairs == len(rows.pairs) == len(repaired.pairs) + 1 - rows.dropped["sealed family"] // 2
    written = (tmp_path / dataset.id[:16] / "pairs.jsonl").read_text()
    assert "sealed" not in written and "family-cyber-0" not in written
