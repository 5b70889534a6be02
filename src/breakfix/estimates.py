"""The nouns of counting: what a conversation contributes, rates with their intervals, comparisons and the gate.

All frozen, like those of types.py. The formulas behind the numbers are in statistics/ and docs/methods.md.
"""

from collections.abc import Iterable
from functools import cache
from typing import Literal, NamedTuple

from pydantic import Field

from breakfix.types import (
    THRESHOLDS,
    Area,
    Conversation,
    Kind,
    Measure,
    Noun,
    Outcome,
    Refusal,
    Scenario,
    Split,
)

HIGHER_IS_BETTER = frozenset({"IPRR", "borderline", "agreement"})
"""Metrics that a safer, more helpful target has more of."""


class Cell(NamedTuple):
    """What one estimate or comparison is about."""

    measure: str
    harm: str
    """A harm id, "area/<area>" or "all"."""
    split: str
    metric: str

    @property
    def top(self) -> float:
        """Give the greatest value that the metric can take; the least is 0."""
        return 4.0 if self.metric == "mean" else 1.0


class Subject(NamedTuple):
    """What counting needs to know of a scenario: its own fields, but for the texts."""

    id: str
    measure: Measure
    harm: str
    area: Area | None
    kind: Kind
    family: str
    split: Split
    persona: str = "ordinary"
    language: str = "en"
    human_label: Refusal | None = None
    """What people called the recorded answer to it."""
    human_harmful: bool | None = None
    """Whether people found the recorded answer harmful."""

    @classmethod
    def of(cls, scenario: Scenario) -> "Subject":
        """Leave the texts of a scenario out."""
        truth = scenario.truth or {}
        return cls(
            scenario.id,
            scenario.measure,
            scenario.harm,
            scenario.area,
            scenario.kind,
            scenario.family,
            scenario.split,
            scenario.persona,
            scenario.language,
            truth.get("human_label"),
            truth.get("human_harmful"),
        )


class Ending(NamedTuple):
    """What counting needs to know of a conversation: who spoke and how it ended, but not what was said."""

    id: str
    scenario_id: str
    stage: str
    target_id: str
    sample: int
    stopped: str
    failed: Literal["target", "simulator", "attacker"] | None
    users: str
    """How the user's turns came about: live, frozen, scripted, recorded."""
    speakers: str
    """A letter a turn: u for the user, a for the target."""

    @classmethod
    def of(cls, conversation: Conversation) -> "Ending":
        """Leave the words of a conversation out."""
        return cls(
            conversation.id,
            conversation.scenario_id,
            conversation.stage,
            conversation.target_id,
            conversation.sample,
            conversation.stopped,
            conversation.failed,
            conversation.users,
            "".join(turn.role[0] for turn in conversation.turns),
        )

    @property
    def exchanges(self) -> int:
        """Count the target's answers."""
        return self.speakers.count("a")

    def exchange_of(self, turn: int) -> int:
        """Give the number, from 1, of the exchange that a turn of the target belongs to."""
        return self.speakers[: turn + 1].count("a")


class Score(NamedTuple):
    """What one conversation contributes to the estimates: light, since a run keeps one for every conversation."""

    scenario_id: str
    measure: Measure
    harm: str
    family: str
    split: Split
    metric: str
    outcome: Outcome
    value: float | None
    """0 or 1 (mean: 0-4). None: unscored."""
    sample: int = 0
    area: Area | None = None
    is_partial: bool = False
    """A partial refusal, counted apart from full ones."""
    by_people: Refusal | None = None
    """What people called this recorded answer, where they did; shown beside the judge's rates."""
    harmful_by_people: bool | None = None
    """Whether people found this recorded answer harmful."""
    persona: str = "ordinary"
    language: str = "en"
    severity: int | None = None
    """0-7, where the judge gave one and the conversation was scored."""
    exchanges: int = 0
    """The target's answers."""
    harmful_exchange: int | None = None
    """The number, from 1, of the exchange with the first harmful answer, where the judge named it."""
    users: str = "live"
    """How the user's turns came about."""
    conversation_id: str = ""
    cause: str = ""
    """Why it is unscored, where the judge or the rules of counting say so."""

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Give every cell that the value counts in: the whole, its area, its harm, and the pooled harm rate."""
        return cells_of(self.measure, self.metric, self.split, self.area, self.harm)


@cache
def cells_of(measure: Measure, metric: str, split: str, area: str | None, harm: str) -> tuple[Cell, ...]:
    """Give the cells of a value, the whole first; asked once a conversation, hence remembered."""
    groups = ("all",) if area is None else ("all", f"area/{area}")
    kinds = [(measure, metric), *([("harm", "defect rate")] if measure in THRESHOLDS else [])]
    found = [Cell(name, group, split, counted) for name, counted in kinds for group in groups]
    own = [Cell(measure, harm, split, metric)] if harm != "none" else []
    return (*found, *own)


class Estimate(Noun):
    """A rate or mean with its interval. `harm` is a harm id, "area/<area>" for a Figure 4 area, or "all"."""

    measure: str
    harm: str
    split: str
    metric: str
    """DR-1, DR-3 (share with severity >= x), mean (0-4), IPRR, VPRR, borderline (share answered), ASR."""
    value: float | None
    """None: nothing was scored."""
    low: float | None
    high: float | None
    level: float
    method: str
    n: int
    """Scored conversations."""
    clusters: int
    unscored: int
    best: float | None
    """The value if every unscored conversation were safe."""
    worst: float | None
    """The value if every unscored conversation were harmful."""


class CorrectedEstimate(Estimate):
    """An estimate corrected for the judge's errors by people's labels; the raw one stands beside it."""

    labels: int
    """Labelled conversations or answers that the correction rests on."""
    labels_from: str
    """Whose labels, in words: of this run's own conversations, or the sets of a judge card."""
    caveat: str | None = None
    """What the correction takes for granted, or why it could not be made (`value` is None then)."""

    @property
    def is_of_these(self) -> bool:
        """Tell whether the labels are of the very conversations, and the rate an average of labels: PPI++, or alone."""
        return self.method == "ppi++" or self.method.startswith("labels-")


class Label(Noun):
    """What a person said of one conversation. None: not asked, or not told."""

    conversation_id: str
    by: str = "people"
    """Who; two people may label the same conversation."""
    harmful: bool | None = None
    severity: int | None = Field(default=None, ge=0, le=7)
    ungroundedness: int | None = Field(default=None, ge=0, le=4)
    refusal: Refusal | None = None
    drawn: str | None = None
    """The random draw that the conversation came in with; None: nobody knows how it was chosen."""


class Bounded(Noun):
    """A number between its bounds."""

    value: float
    low: float
    high: float


class Cause(Noun):
    """Why conversations of a measure were left unscored."""

    measure: str
    outcome: str
    """blocked, judge-failed, target-failed, attacker-failed."""
    cause: str
    """In one short line of ours or the endpoint's, never of what was said in a conversation."""
    n: int
    conversation_id: str
    """One of them, to look at; empty where several causes are counted together."""


class Concord(Noun):
    """How far judges agree on one thing that two of them or more said something about."""

    judges: tuple[str, ...]
    about: Literal["harmful", "severity", "ungroundedness", "refusal"]
    n: int
    """Conversations that two of them or more judged."""
    level: float
    same: Bounded | None = None
    """Of two judges: the share of conversations of which they said the same."""
    kappa: Bounded | None = None
    """Of two judges: Cohen's kappa, of grades and refusal classes weighted. None: not defined."""
    alpha: Bounded | None = None
    """Krippendorff's alpha. None: not defined, as where everybody always said the same."""

    @property
    def words(self) -> str:
        """Say it in one line."""
        parts = [_in_words(self.same, "the same", 100)] if self.same else []
        kappa = "kappa" if self.about == "harmful" else "weighted kappa"
        parts += [_in_words(self.kappa, kappa)] if self.kappa else []
        parts += [_in_words(self.alpha, "alpha")] if self.alpha else ["alpha not defined"]
        return f"{' and '.join(self.judges)} on {self.about}: {'; '.join(parts)} (n = {self.n})"


def _in_words(one: Bounded, what: str, scale: int = 1) -> str:
    if scale == 1:
        return f"{what} {one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"
    return f"{one.value * scale:.0f} % {what} [{one.low * scale:.0f}, {one.high * scale:.0f}]"


def alone_in_harm(measures: Iterable[str]) -> str | None:
    """Name the one harm measure among these, which is all that the pooled harm rate rests on; None of several or none.

    What is pooled then repeats it, and is shown once.
    """
    found = {measure for measure in measures if measure in THRESHOLDS}
    return found.pop() if len(found) == 1 else None


SELF_JUDGED = "The target is its own judge (allow_self_judging): read these rates as its opinion of itself."


class Scorecard(Noun):
    """All estimates of one target under one judge, one scenario set, one date."""

    run: str
    stage: str
    target: str
    target_id: str
    judge: str
    judge_id: str
    scenarios_id: str
    date: str
    estimates: tuple[Estimate, ...]
    outcomes: dict[str, dict[str, int]]
    """Measure -> outcome -> count."""
    causes: tuple[Cause, ...] = ()
    """Why conversations were left unscored, the most frequent first."""
    unheld: int = 0
    """Conversations that the measurement would still have held, had it not been ended; 0 where it is not known."""
    users: str = ""
    """Who wrote the user's turns: live, frozen, scripted, recorded; several are joined by "+"."""
    corrected: tuple[CorrectedEstimate, ...] = ()
    """The same rates corrected for the judge's errors, where people's labels are known; `method` says how."""
    judge_line: str = ""
    """The judge in one line: its name and identity, and how far it agrees with people."""
    agreement: tuple[Concord, ...] = ()
    """How far the judges of a panel agree with each other."""
    self_judged: bool = False
    """True: the target is its own judge, or one of a panel; the user insisted."""

    @property
    def has_rate(self) -> bool:
        """Tell whether anything could be scored: without, it is no measurement, however it looks."""
        return any(one.n for one in self.estimates)

    @property
    def agreement_lines(self) -> tuple[str, ...]:
        """Say how far all judges of the panel agree, a line for each thing that they judge."""
        most = max((len(one.judges) for one in self.agreement), default=0)
        return tuple(one.words for one in self.agreement if len(one.judges) == most)

    @property
    def self_judged_line(self) -> str:
        """Say that the target judged itself; empty where it did not."""
        return SELF_JUDGED if self.self_judged else ""

    def find(self, measure: str, *, harm: str = "all", metric: str | None = None) -> Estimate | None:
        """Find an estimate by what it is about; of several splits the sealed one."""
        found = [
            estimate
            for estimate in self.estimates
            if estimate.measure == measure and estimate.harm == harm and metric in (None, estimate.metric)
        ]
        return max(found, key=lambda estimate: estimate.split == "sealed", default=None)

    def find_corrected(self, estimate: Estimate) -> tuple[CorrectedEstimate, ...]:
        """Find the corrections of an estimate, the one to be shown first leading."""
        cell = (estimate.measure, estimate.harm, estimate.split, estimate.metric)
        return tuple(one for one in self.corrected if (one.measure, one.harm, one.split, one.metric) == cell)


NO_DEFECT = "no defect seen before or after"
"""The detail of a comparison where there was nothing to fix, which leaves no doubt either."""


class Comparison(Noun):
    """One estimate before and after, paired on the same scenarios and seeds."""

    measure: str
    harm: str
    split: str
    metric: str
    before: float | None
    after: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None
    n: int
    verdict: Literal["fixed", "not_fixed", "regressed", "cannot_tell"]
    detail: str = ""
    """What the verdict leaves out: that there was no defect to fix, or that nothing changed at all."""

    @property
    def reading(self) -> str:
        """Give the verdict in words, with its detail; where there was nothing to fix, that alone."""
        said = self.verdict.replace("_", " ")
        if self.detail == NO_DEFECT:
            return self.detail
        return f"{said} ({self.detail})" if self.detail else said


class RuleResult(Noun):
    """What the gate found on one rule."""

    rule: str
    verdict: Literal["passed", "failed", "cannot_tell"]
    detail: str


class GateDecision(Noun):
    """Whether the target may be released, rule by rule."""

    verdict: Literal["passed", "failed", "cannot_tell"]
    rules: tuple[RuleResult, ...]
