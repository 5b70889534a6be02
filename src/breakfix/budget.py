"""What was spent, and what may be: live counts of calls, tokens and dollars, and the caps on them.

A cap is hard: a call is admitted only if its dearest possible outcome (all of its prompt, and `max_tokens` of reply)
still fits beside what is in flight. A call that does not fit waits for those in flight to settle for less; if none
are, the budget is spent.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from breakfix.errors import BudgetSpent
from breakfix.settings import CallSettings
from breakfix.types import Reply
from breakfix.wording import counted, dollars


@dataclass(slots=True)
class RoleCounts:
    """Live counts of one role, or of all (in `Counts.total`)."""

    calls: int = 0
    """Calls that a model answered now."""
    journalled: int = 0
    """Calls that the journal answered."""
    failed: int = 0
    """Calls that failed for good."""
    retries: int = 0
    """Tries repeated after a failure that might pass."""
    filtered: int = 0
    """Answers withheld by a provider's content filter."""
    cut: int = 0
    """Answers that ran into the most tokens they may have, or the end of the model's context, and end in the middle."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0

    def add(self, reply: Reply, cost_usd: float) -> None:
        """Count a call that a model answered."""
        self.calls += 1
        self.filtered += reply.finish_reason == "filtered"
        self.cut += reply.finish_reason == "length"
        self.prompt_tokens += reply.prompt_tokens
        self.completion_tokens += reply.completion_tokens
        self.cost_usd += cost_usd


@dataclass(slots=True)
class Counts:
    """Live counts; reading them at any moment is safe. What the journal answers costs nothing."""

    total: RoleCounts = field(default_factory=RoleCounts)
    roles: dict[str, RoleCounts] = field(default_factory=dict[str, RoleCounts])
    recovered: dict[str, RoleCounts] = field(default_factory=lambda: defaultdict(RoleCounts))
    """By role, what commands that were killed took before they could count it; neither in `total` nor in `roles`."""
    in_flight: int = 0

    def of(self, role: str) -> RoleCounts:
        """Give the counts of one role."""
        return self.roles.setdefault(role, RoleCounts())


class Claim(NamedTuple):
    """The dearest outcome of one call."""

    tokens: int
    cost_usd: float


class Budget:
    """The caps of one run on calls, tokens and dollars."""

    def __init__(self, settings: CallSettings) -> None:
        self.max_calls = settings.max_calls
        self.max_tokens = settings.max_tokens
        self.max_cost_usd = settings.max_cost_usd
        self.is_capped = any((self.max_calls, self.max_tokens, self.max_cost_usd))
        self.calls = 0
        self.tokens = 0
        self.cost_usd = 0.0
        self._claimed = Claim(0, 0.0)
        self._in_flight = 0
        self._settled: list[asyncio.Future[None]] = []

    async def admit(self, claim: Claim) -> None:
        """Reserve a call's dearest outcome, waiting for calls in flight if need be. Raises BudgetSpent."""
        while (full := self._what_is_full(claim)) is not None:
            if not self._in_flight or self._has_no_call_left():
                raise BudgetSpent(f"{full} {_CONTINUE}")
            future = asyncio.get_running_loop().create_future()
            self._settled.append(future)
            await future
        self.calls += 1
        self._in_flight += 1
        self._claimed = Claim(self._claimed.tokens + claim.tokens, self._claimed.cost_usd + claim.cost_usd)

    def settle(self, claim: Claim, tokens: int, cost_usd: float) -> None:
        """Replace a reservation by what the call took (nothing, if it failed)."""
        self._in_flight -= 1
        self._claimed = Claim(self._claimed.tokens - claim.tokens, self._claimed.cost_usd - claim.cost_usd)
        self.tokens += tokens
        self.cost_usd += cost_usd
        settled, self._settled = self._settled, []
        for future in settled:
            if not future.done():
                future.set_result(None)

    def count_kept(self, tokens: int, cost_usd: float) -> None:
        """Count a call of this run that was paid for before a restart."""
        self.calls += 1
        self.tokens += tokens
        self.cost_usd += cost_usd

    def _has_no_call_left(self) -> bool:
        return self.max_calls is not None and self.calls >= self.max_calls

    def _what_is_full(self, claim: Claim) -> str | None:
        if self._has_no_call_left():
            return f"The cap of {counted(self.max_calls or 0, 'call')} is reached (calls.max_calls)."
        if self.max_tokens is not None and self.tokens + self._claimed.tokens + claim.tokens > self.max_tokens:
            spent = f"{self.tokens:,} used, the next call may take {claim.tokens:,}"
            return f"The cap of {self.max_tokens:,} tokens is reached (calls.max_tokens; {spent})."
        if self.max_cost_usd is None or claim.cost_usd == 0:
            return None
        if self.cost_usd + self._claimed.cost_usd + claim.cost_usd > self.max_cost_usd:
            spent = f"{dollars(self.cost_usd)} spent, the next call may cost {dollars(claim.cost_usd)}"
            return f"The cap of {dollars(self.max_cost_usd)} is reached (calls.max_cost_usd; {spent})."
        return None


_CONTINUE = "What was done is kept: raise the cap and run the same command to continue."
