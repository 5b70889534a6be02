"""What a report is made from: one frozen value, gathered by the loops, so that the report itself reads no store.

The nouns of types.py come as they are; the few shapes here only say which round or stage they belong to.
"""

from typing import Literal

from breakfix.estimates import Comparison, GateDecision, Scorecard
from breakfix.settings import GateSettings
from breakfix.standings import GroupRow, PublishedTable
from breakfix.types import Checkpoint, Conversation, Dataset, Finding, Noun, Scenario, Usage, Verdict


class AttackSuccess(Noun):
    """How often attacks of one kind succeeded on the target of one stage."""

    stage: str
    by: Literal["technique", "area", "persona"]
    name: str
    tried: int
    """Attacks that were scored."""
    succeeded: int
    unscored: int = 0
    """Attacks beside these that were not scored: neither successes nor safe."""


class Lineage(Noun):
    """How many rows of a dataset a finding led to."""

    finding_id: str
    examples: int
    pairs: int


class RoundResult(Noun):
    """What one round made and showed."""

    round: int
    stage: str
    """The stage of the scorecard that was taken after it: round-1, round-2 ..."""
    comparisons: tuple[Comparison, ...] = ()
    """Against the target as it was at the start."""
    gate: GateDecision | None = None
    dataset: Dataset | None = None
    lineage: tuple[Lineage, ...] = ()
    checkpoint: Checkpoint | None = None
    sft_only: Scorecard | None = None
    """The target after SFT and before DPO, where it was measured."""
    frozen: Scorecard | None = None
    """The target measured again with the user turns of the start, word for word, where the settings ask for it."""
    frozen_comparisons: tuple[Comparison, ...] = ()
    """Of `frozen`, against the target as it was at the start: the user's turns are equal, so the change is its own."""


class Transcript(Noun):
    """An example conversation. Of prohibited harms (design D12) none may be given."""

    scenario: Scenario
    conversation: Conversation
    verdict: Verdict | None = None
    outcome: str | None = None
    finding_id: str | None = None


class ReportData(Noun):
    """Everything that a report shows."""

    run: str
    date: str
    version: str
    """Of breakfix."""
    target: str
    title: str | None = None
    is_lab: bool = False
    """True: the target is a lab model, and the page says that nothing here is about a real one."""
    settings_yaml: str = ""
    gate_settings: GateSettings | None = None
    scorecards: tuple[Scorecard, ...] = ()
    """The target at each stage, in order: base, round-1, round-2 ..."""
    rounds: tuple[RoundResult, ...] = ()
    users: str = ""
    """What comparing these measurements says of the user's turns, in one line."""
    others: tuple[Scorecard, ...] = ()
    """Other targets, measured elsewhere, for Table 1."""
    published: tuple[PublishedTable, ...] = ()
    """What others published of the same measures, to stand beside Table 1 and not to be compared with it."""
    groups: tuple[GroupRow, ...] = ()
    """Every measure by language and by persona where there are several, an estimate for each of `scorecards`."""
    attacks: tuple[AttackSuccess, ...] = ()
    findings: tuple[Finding, ...] = ()
    transcripts: tuple[Transcript, ...] = ()
    prohibited_harms: tuple[str, ...] = ()
    """Ids of the harms of which no transcript is shown, even if one is given."""
    usage: Usage | None = None
    hashes: tuple[tuple[str, str], ...] = ()
    """(What it is, its identity): weights, judge, scenarios, datasets."""
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Method notes of this run, beside those that every report has."""
