"""What the store itself knows of runs, beyond the nouns it keeps for others."""

from typing import Literal

from pydantic import Field

from breakfix.types import Noun, Usage

RunStatus = Literal["running", "interrupted", "failed", "done"]


class RunRecord(Noun):
    """One named run: what it was asked to do, and how far it came."""

    run: str
    status: RunStatus
    command: str
    """The command that began it: what to type again to continue."""
    settings: str
    """The resolved settings, as YAML."""
    target: str | None = None
    target_id: str | None = None
    judge_id: str | None = None
    panels: dict[str, dict[str, str]] = Field(default_factory=dict[str, dict[str, str]])
    """A panel's judge_id -> each member's judge_id -> its name."""
    judges: dict[str, str] = Field(default_factory=dict[str, str])
    """The judge_id of each judge that measured -> the name it was given then."""
    targets: dict[str, str] = Field(default_factory=dict[str, str])
    """The target_id of each target that was measured -> the name it was given then."""
    planned: dict[str, int] = Field(default_factory=dict[str, int])
    """Stage whose measurement has not come to its end -> the conversations that it would hold then."""
    self_judged: str = ""
    """The judge_id of a judge that is the target itself, where the user insisted on that."""
    created: str
    updated: str
    usage: Usage = Usage()
    """What its commands took; one that was killed did not tell."""
    remarks: tuple[str, ...] = ()
    """What its models had to say of how they answer, a line each."""


class RunSummary(Noun):
    """A run with the number of rows it holds, for a list."""

    record: RunRecord
    scenarios: int
    conversations: int
    verdicts: int
    findings: int


class RoundRecord(Noun):
    """One pass of the cycle: which data and which weights it made, and what the gate said."""

    run: str
    round: int
    stage: str
    """The model state after it (round-1, round-2 ...)."""
    dataset_id: str | None = None
    checkpoint_id: str | None = None
    gate: Literal["passed", "failed", "cannot_tell"] | None = None
    done: bool = False


class SealedOpening(Noun):
    """One reading of the sealed split, on the record."""

    run: str
    at: str
    why: str
