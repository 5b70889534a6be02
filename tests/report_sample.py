"""A made-up run for the report's tests: two rounds of a lab model, scored and compared by the real code."""

import random

from breakfix.compare import compare, gate
from breakfix.estimates import Score, Scorecard
from breakfix.report.data import AttackSuccess, Lineage, ReportData, RoundResult, Transcript, Usage
from breakfix.scorecard import score, score_of
from breakfix.settings import CycleSettings, GateSettings, MeasureSettings, dump_settings
from breakfix.types import AREAS, Checkpoint, Conversation, Dataset, Finding, Message, Scenario, Verdict

SETTINGS = MeasureSettings(bootstrap=200)
HOSTILE = "</p><script>alert('x')</script><img src=x onerror=alert(1)>"
SECRET = "what the target should never have said"
STAGES = ("base", "round-1", "round-2")
HARM_RATES = {"base": 0.75, "round-1": 0.22, "round-2": 0.03}
TECHNIQUES = (
    "plain_ask",
    "role_play",
    "prefix_injection",
    "fiction",
    "academic_framing",
    "encoding",
    "escalation",
    "persistence",
)


def scenario(measure: str, place: int, *, kind: str = "harmful") -> Scenario:
    area = AREAS[place % 8]
    is_harm = kind == "harmful" and measure != "ungroundedness"
    return Scenario(
        id=f"{measure}-{kind}-{place}", measure=measure, harm=f"{area}_harm" if is_harm else "none", area=area,
        kind=kind, objective="o", family=f"{measure}-{kind}-{place // 2}",
    )  # fmt: skip


def talk(about: Scenario, stage: str, *, said: str = SECRET, **more) -> Conversation:
    turns = (Message(role="user", content=HOSTILE), Message(role="assistant", content=said))
    fields = {"stopped": "turns", **more}
    return Conversation(
        id=f"c-{stage}-{about.id}", run="demo", scenario_id=about.id, target_id="t", stage=stage, turns=turns, **fields
    )


def verdict(about: Conversation, **fields) -> Verdict:
    return Verdict(conversation_id=about.id, judge_id="lab/exact", **fields)


def scores(stage: str, *, harm_rate: float | None = None) -> list[Score]:
    draw, rate = random.Random(stage), HARM_RATES[stage] if harm_rate is None else harm_rate
    found: list[Score] = []
    for measure in ("jailbreak", "third_party", "continuation", "summarization"):
        for place in range(64):
            one = scenario(measure, place)
            said = talk(one, stage, **({"stopped": "filtered"} if draw.random() < 0.02 else {}))
            stays = stage == "round-1" and one.area == "cyber"
            severity = 6 if draw.random() < (0.8 if stays else rate) else 0
            found.append(score_of(one, said, verdict(said, severity=severity, refusal="none" if severity else "full")))
    refused = {"base": (0.02, 0.0, 0.0), "round-1": (0.8, 0.05, 0.03), "round-2": (0.97, 0.08, 0.04)}[stage]
    for kind, chance in zip(("harmful", "benign", "borderline"), refused, strict=True):
        for place in range(48):
            one = scenario("refusal", place, kind=kind)
            said = talk(one, stage)
            found.append(score_of(one, said, verdict(said, refusal="full" if draw.random() < chance else "none")))
    for place in range(48):
        one = scenario("ungroundedness", place, kind="benign")
        said = talk(one, stage)
        found.append(score_of(one, said, verdict(said, ungroundedness=4 if draw.random() < 0.12 else 0)))
    return found


def scorecard(stage: str, *, target: str = "lab/mini", harm_rate: float | None = None) -> Scorecard:
    bare = Scorecard(
        run="demo", stage=stage, target=target, target_id="t-" + stage, judge="lab/exact", judge_id="lab/exact@1",
        scenarios_id="5c3a", date="2025-11-22", estimates=(), outcomes={},
    )  # fmt: skip
    return score(bare, scores(stage, harm_rate=harm_rate), SETTINGS)


def round_result(number: int) -> RoundResult:
    stage = f"round-{number}"
    card, changes = scorecard(stage), compare(scores("base"), scores(stage), SETTINGS)
    steps = range(0, 130, 10)
    return RoundResult(
        round=number,
        stage=stage,
        comparisons=tuple(changes),
        gate=gate(card, changes, GateSettings()),
        dataset=Dataset(
            id=f"{number}f3a9c71", path="datasets/x", examples=2000 - 700 * (number - 1), pairs=420,
            licences=("Apache-2.0",),
            mixture={"seed": 1100 - 500 * (number - 1), "repair": 400 + 90 * number, "contrast": 410, "retention": 260},
            dropped={"near_duplicate": 31, "overlaps_sealed": 4},
        ),
        lineage=(Lineage(finding_id=f"finding{number}0", examples=24, pairs=24),),
        checkpoint=Checkpoint(
            id="c", path="p", parent_id="p", dataset_id="d", settings_id="s", stages=("sft", "dpo"),
            curves={
                "sft": tuple({"step": float(step), "loss": 2.2 / (1 + step / 20) + 0.1 / number} for step in steps),
                "dpo": tuple({"step": float(step), "loss": 0.7 - step / 300, "margin": step / 25} for step in steps),
            },
        ),
        sft_only=scorecard(stage, harm_rate=HARM_RATES[stage] * 1.6),
    )  # fmt: skip


def transcripts() -> tuple[Transcript, ...]:
    found: list[Transcript] = []
    for place, stage in enumerate(STAGES):
        one = scenario("jailbreak", place)
        said = talk(one, stage, technique=TECHNIQUES[place])
        judged = verdict(said, severity=6 - 3 * place, first_harmful_turn=1, reason=f"{HOSTILE} was answered")
        found.append(Transcript(scenario=one, conversation=said, verdict=judged, outcome="harmful"))
    return tuple(found)


def findings() -> tuple[Finding, ...]:
    return tuple(
        Finding(
            id=f"finding{round_}{place}", run="demo", round=round_, harm=f"{AREAS[place]}_harm", area=AREAS[place],
            behaviour="complied", technique=TECHNIQUES[place], state="verified" if place % 3 else "open",
            conversation_ids=("c",), tried=20, succeeded=18 - place, rate=(18 - place) / 20, low=0.5, high=0.95,
            severity=6.0 - place / 4, rank=place + 1,
        )
        for round_ in (1, 2)
        for place in range(4)
    )  # fmt: skip


def sample() -> ReportData:
    """Make the whole run."""
    tried = {"base": (0.9, 0.4), "round-1": (0.3, 0.1), "round-2": (0.06, 0.02)}
    return ReportData(
        run="demo",
        date="2025-11-22",
        version="0.1.0",
        target="lab/mini",
        is_lab=True,
        settings_yaml=dump_settings(CycleSettings(target="lab/mini")),
        gate_settings=GateSettings(),
        scorecards=tuple(scorecard(stage) for stage in STAGES),
        rounds=(round_result(1), round_result(2)),
        others=(scorecard("base", target="lab/small", harm_rate=0.6),),
        attacks=tuple(
            AttackSuccess(
                stage=stage, by="technique", name=name, tried=40, succeeded=round(40 * max(0.0, top - step * place / 4))
            )
            for stage, (top, step) in tried.items()
            for place, name in enumerate(TECHNIQUES)
        )
        + tuple(
            AttackSuccess(stage=stage, by="area", name=area, tried=40, succeeded=place)
            for stage in STAGES
            for place, area in enumerate(AREAS)
        ),
        findings=findings(),
        transcripts=transcripts(),
        usage=Usage(
            calls=14203,
            journalled=311,
            retries=12,
            filtered=3,
            cut=41,
            prompt_tokens=1_240_331,
            completion_tokens=402_118,
            seconds=312.4,
        ),
        hashes=(("Base weights", "9f2c41d07a35b6e8"), ("Judge", "lab/exact@1"), ("Scenarios", "5c3a")),
        warnings=("Two replies came from a model of another fingerprint.",),
    )
