"""Every model call goes through here: bounded, retried, limited, counted, priced and journalled.

`Calls` is the one door of a run. `calls.line(model, role)` is a role's line to a model; `line.thread(scenario_id,
sample)` is that party's side of one conversation, whose `ask` answers from the journal where it can. So a dialogue is
plain sequential code that knows nothing of retries, limits or resuming: after a kill it is run again, and every call
that was completed answers from the journal.

The key of a call grows message by message and holds role, scenario, sample, model identity, decoding and how often the
same was asked on this thread; two samples never share an entry, and a rerun in the same order meets the same keys.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import orjson

from breakfix.budget import Budget, Claim, Counts
from breakfix.errors import BudgetSpent, CallFailed, SettingsError
from breakfix.identity import digest
from breakfix.journal import Journal
from breakfix.pacing import Minute, Pace, TryAgain, wait_before
from breakfix.prices import Price, PriceTable
from breakfix.protocols import Model
from breakfix.settings import CallSettings, ModelSettings
from breakfix.types import Decoding, Message, Reply, Role
from breakfix.wording import counted

T = TypeVar("T")
R = TypeVar("R")

GREEDY_ROLES: frozenset[str] = frozenset({"target", "judge"})
CREATIVE_TEMPERATURE = 0.7
MESSAGE_OVERHEAD_TOKENS = 8
SPARE = 4
"""Conversations held for each slot of an endpoint."""
BYTES_PER_TOKEN = 3
"""A cautious guess (English has about 4), used for caps and limits before a call, never for what is reported."""


def default_decoding(role: Role, settings: ModelSettings) -> Decoding:
    """Give a role's decoding: temperature 0 for target and judge, 0.7 for who writes, unless the settings say."""
    temperature = settings.temperature
    if temperature is None:
        temperature = 0.0 if role in GREEDY_ROLES else CREATIVE_TEMPERATURE
    return Decoding(temperature=temperature, top_p=settings.top_p, max_tokens=settings.max_tokens)


class Calls:
    """The one door through which a run's model calls go. `counts` is live."""

    def __init__(self, journal: Journal | None, settings: CallSettings, prices: PriceTable | None = None) -> None:
        self.journal = journal
        self.settings = settings
        self.counts = Counts()
        self.budget = Budget(settings)
        self._prices = prices or PriceTable.packaged()
        self._paces: dict[str, Pace] = {}
        self._minutes: dict[str, Minute | None] = {}
        self._reported: dict[str, set[tuple[str, str | None]]] = {}
        self.remarks: dict[str, None] = {}
        """What models had to say of how they answer, a line each; `tell` heard each once."""
        self.tell: Callable[[str], None] = _nobody

    def line(self, model: Model, role: Role, settings: ModelSettings | None = None) -> "Line":
        """Open a role's line to a model. Raises SettingsError if a cost cap is set and the model has no price."""
        settings = settings or ModelSettings()
        price = self._prices.price_of(model.name, settings)
        if price is None and self.settings.max_cost_usd is not None:
            raise SettingsError(
                f"calls.max_cost_usd cannot be held: {model.name!r} has no known price. "
                f"Set models.{model.name}.price_in and price_out (dollars per million tokens)."
            )
        return Line(self, model, role, settings=settings, price=price)

    @property
    def width(self) -> int:
        """Conversations to hold at a time so that every endpoint is kept busy: the slots of all of them together.

        Several for each slot, served in the order of their asking: while one waits to try a failed call again another
        takes its slot, and all end close together, so that no slot is idle for the length of a late conversation.
        """
        bounded = [pace.most for pace in self._paces.values() if pace.most < 1 << 30]
        return SPARE * max(sum(bounded), self.settings.concurrency)

    @property
    def slowdowns(self) -> int:
        """How often an endpoint was found in trouble and called more slowly."""
        return sum(pace.slowdowns for pace in self._paces.values())

    def mixtures(self) -> list[str]:
        """Say, a line each, which models answered under more than one name or fingerprint: a mix is not one model.

        Without counts, and in order, so that the commands of a run say it alike.
        """
        lines: list[str] = []
        for name, reported in self._reported.items():
            if len(reported) > 1:
                parts = sorted(f"{model}{f' ({mark})' if mark else ''}" for model, mark in reported)
                lines.append(f"{name} answered as {', '.join(parts)}: figures of a mix are not those of one model.")
        return lines

    def pace_of(self, model: Model) -> Pace:
        """Give the pace of the endpoint that a model answers at, shared by all models there."""
        endpoint = str(getattr(model, "endpoint", model.identity))
        if endpoint not in self._paces:
            self._paces[endpoint] = Pace(getattr(model, "parallel", self.settings.concurrency))
        return self._paces[endpoint]

    def minute_of(self, model: Model, settings: ModelSettings) -> Minute | None:
        """Give the limits per minute of a model, shared by its lines; None where it has none."""
        if model.identity not in self._minutes:
            limited = settings.requests_per_minute or settings.tokens_per_minute
            minute = Minute(settings.requests_per_minute, settings.tokens_per_minute) if limited else None
            self._minutes[model.identity] = minute
        return self._minutes[model.identity]

    def note(self, name: str, reply: Reply) -> None:
        """Record under which name and fingerprint a model answered."""
        if reply.model_reported is not None:
            self._reported.setdefault(name, set()).add((reply.model_reported, reply.fingerprint))

    def hear(self, model: Model) -> None:
        """Pass on what a model has remarked and nobody was told yet."""
        for remark in getattr(model, "remarks", ()):
            self.remark(remark)

    def remark(self, text: str) -> None:
        """Keep a line on how a model answers, and tell it once."""
        if text not in self.remarks:
            self.remarks[text] = None
            self.tell(text)


class Line:
    """A role's line to a model: decoding, price, pace and counts. Made by `Calls.line`."""

    def __init__(self, calls: Calls, model: Model, role: Role, *, settings: ModelSettings, price: Price | None) -> None:
        self.calls = calls
        self.model = model
        self.role = role
        self.settings = settings
        self.price = price
        self.decoding = default_decoding(role, settings)
        self.identity = digest(model.identity, self.decoding, settings.system_prompt)
        """Tells this model, asked in this way, from any other: what a target or judge is known by."""
        self.is_recorded: bool = getattr(model, "is_recorded", False)
        """Whether its answers were given elsewhere, and are only said again."""
        self._pace = calls.pace_of(model)
        self._minute = calls.minute_of(model, settings)
        self._tallies = (calls.counts.total, calls.counts.of(role))
        self._digested: tuple[Decoding, bytes] = (self.decoding, _decoding_bytes(self.decoding))
        self._is_estimated = calls.budget.is_capped or settings.tokens_per_minute is not None

    def thread(self, scenario_id: str, sample: int = 0) -> "CallThread":
        """Begin this role's side of one conversation.

        Equal ids and samples mean equal journal keys: give what else tells two conversations of one role apart (a
        technique, a generation) inside `scenario_id`.
        """
        seed = orjson.dumps((self.role, scenario_id, sample, self.model.identity))
        return CallThread(self, seed)

    def decoding_bytes(self, decoding: Decoding) -> bytes:
        """Digest a decoding, remembering the last one."""
        if decoding is not self._digested[0]:
            self._digested = (decoding, _decoding_bytes(decoding))
        return self._digested[1]

    def with_system(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Put the settings' system prompt first; before the conversation's own, if it has one."""
        prompt = self.settings.system_prompt
        if prompt is None:
            return messages
        if messages and messages[0].role == "system":
            both = Message(role="system", content=f"{prompt}\n\n{messages[0].content}")
            return [both, *messages[1:]]
        return [Message(role="system", content=prompt), *messages]

    def drawn_by(self, key: bytes, decoding: Decoding) -> Decoding:
        """Let a model that samples in this process draw by the call's key: a rerun draws what would have been drawn."""
        if decoding.temperature == 0 or not getattr(self.model, "is_seeded", False):
            return decoding
        return decoding.model_copy(update={"seed": int.from_bytes(key[:4]) & 0x7FFFFFFF})

    async def answer(self, messages: Sequence[Message], decoding: Decoding) -> Reply:
        """Ask the model, trying again as the settings allow. Raises CallFailed, BudgetSpent or ModelError."""
        pace, tries = self._pace, 0
        while True:
            await pace.enter()
            try:
                reply = await self._try(messages, decoding)
            except TryAgain as failure:
                pace.failed(retry_after_s=failure.retry_after_s)
                trouble = failure
            except CallFailed:
                self._count(failed=1)
                raise
            else:
                pace.succeeded()
                return reply
            finally:
                pace.leave()
            tries += 1
            if tries > self.calls.settings.retries:
                self._count(failed=1)
                raise CallFailed(f"{trouble.cause} ({counted(tries, 'try')})") from None
            self._count(retries=1)
            await asyncio.sleep(wait_before(tries, retry_after_s=trouble.retry_after_s))

    def kept(self, reply: Reply, messages: Sequence[Message], decoding: Decoding, key: bytes) -> None:
        """Count what the journal answered; a cap holds for the run, not the process, but not for what another paid."""
        for tally in self._tallies:
            tally.journalled += 1
        journal, budget = self.calls.journal, self.calls.budget
        is_owed = journal is not None and journal.owes(key)
        if (budget.is_capped or is_owed) and not (journal and journal.is_lent(key)):
            tokens, cost_usd = self._used(reply, self._claim(messages, decoding), decoding)
            if budget.is_capped:
                budget.count_kept(tokens, cost_usd)
            if is_owed:
                self.calls.counts.recovered[self.role].add(reply, cost_usd)
        self.calls.note(self.model.name, reply)

    async def _try(self, messages: Sequence[Message], decoding: Decoding) -> Reply:
        calls = self.calls
        expected = self._claim(messages, decoding) if self._is_estimated else _NOTHING
        if calls.budget.is_capped:
            await calls.budget.admit(expected)
        used_tokens, used_usd = 0, 0.0
        try:
            if self._minute is not None:
                await self._minute.admit(expected.tokens)
            calls.counts.in_flight += 1
            try:
                reply = await self.model.generate(messages, decoding)
            finally:
                calls.counts.in_flight -= 1
            used_tokens, used_usd = self._used(reply, expected, decoding)
        finally:
            if calls.budget.is_capped:
                calls.budget.settle(expected, used_tokens, used_usd)
            if self._minute is not None:
                self._minute.settle(expected.tokens, used_tokens)
        self._tally(reply, used_usd)
        return reply

    def _claim(self, messages: Sequence[Message], decoding: Decoding) -> Claim:
        prompt = sum(len(m.content.encode()) // BYTES_PER_TOKEN + MESSAGE_OVERHEAD_TOKENS for m in messages)
        cost = self.price.cost(prompt, decoding.max_tokens) if self.price else 0.0
        return Claim(prompt + decoding.max_tokens, cost)

    def _used(self, reply: Reply, expected: Claim, decoding: Decoding) -> tuple[int, float]:
        """Give the tokens and dollars of a call: as reported, or guessed where a cap needs them."""
        prompt, completion = reply.prompt_tokens, reply.completion_tokens
        if self._is_estimated and not _is_counted(reply):
            prompt = expected.tokens - decoding.max_tokens
            completion = len(reply.text.encode()) // BYTES_PER_TOKEN
        return prompt + completion, self.price.cost(prompt, completion) if self.price else 0.0

    def _tally(self, reply: Reply, cost_usd: float) -> None:
        for tally in self._tallies:
            tally.add(reply, cost_usd)
        if self.price and any(self.price) and reply.finish_reason != "filtered" and not _is_counted(reply):
            told = "its cost is guessed from the length of the texts" if cost_usd else "what it costs is not known"
            self.calls.remark(f"{self.model.name} answers without saying how many tokens that took: {told}.")
        self.calls.note(self.model.name, reply)
        self.calls.hear(self.model)

    def _count(self, *, failed: int = 0, retries: int = 0) -> None:
        for tally in self._tallies:
            tally.failed += failed
            tally.retries += retries


class CallThread:
    """One party's side of one conversation (protocols.Thread). Ask in a fixed order: the keys follow it."""

    def __init__(self, line: Line, seed: bytes) -> None:
        self._line = line
        self._seed = seed
        self._hash = hashlib.blake2b(seed, digest_size=16)
        self._hashed: tuple[Message, ...] = ()
        self._asked: dict[bytes, int] = {}
        self._forks = 0

    async def ask(self, messages: Sequence[Message], decoding: Decoding | None = None) -> Reply:
        """Ask, or answer from the journal. Raises CallFailed after the last retry, BudgetSpent or ModelError."""
        line = self._line
        decoding = decoding or line.decoding
        messages = line.with_system(messages)
        journal = line.calls.journal
        if journal is None:
            return await line.answer(messages, decoding)
        key = self._key(messages, decoding)
        if (kept := journal.get(key)) is not None:
            line.kept(kept, messages, decoding, key)
            return kept
        reply = await line.answer(messages, line.drawn_by(key, decoding))
        journal.put(key, reply)
        await journal.written()
        return reply

    def fork(self) -> "CallThread":
        """Branch here. Forks are numbered in the order they are made, so that equal questions draw anew on each."""
        self._forks += 1
        return CallThread(self._line, self._seed + b"/%d" % self._forks)

    def _key(self, messages: Sequence[Message], decoding: Decoding) -> bytes:
        self._hash_new(messages)
        call = self._hash.copy()
        call.update(self._line.decoding_bytes(decoding))
        key = call.digest()
        occurrence = self._asked.get(key, 0)
        self._asked[key] = occurrence + 1
        if occurrence:
            call.update(b"#%d" % occurrence)
            return call.digest()
        return key

    def _hash_new(self, messages: Sequence[Message]) -> None:
        """Hash the messages after those hashed before; all of them, if an earlier one is no longer the same."""
        known = len(self._hashed)
        if tuple(messages[:known]) != self._hashed:
            self._hash = hashlib.blake2b(self._seed, digest_size=16)
            known = 0
        for message in messages[known:]:
            content = message.content.encode("utf-8", "surrogatepass")
            self._hash.update(b"%s %d:%s" % (message.role.encode(), len(content), content))
        self._hashed = tuple(messages)


async def each(
    items: Iterable[T], work: Callable[[T], Awaitable[R]], *, width: int, staggered: bool = False
) -> list[R]:
    """Do `work` on every item, `width` at a time, and give the results in the order of the items.

    The first exception stops all: what is in flight is cancelled, and the exception is raised as it was. Only where a
    budget is spent, items that were begun are waited for: their calls are paid for, and each ends at its next one.
    `staggered`: the first calls leave before the last items are begun; only for work whose results do not hang on what
    is asked first.
    """
    results: dict[int, R] = {}
    queue = iter(enumerate(items))
    spent: list[BudgetSpent] = []
    is_over = False

    async def worker() -> None:
        nonlocal is_over
        for index, item in queue:
            try:
                results[index] = await work(item)
            except BudgetSpent as error:
                spent.append(error)
                is_over = True
            except BaseException:
                is_over = True
                raise
            if is_over:
                return

    workers: list[asyncio.Task[None]] = []
    try:
        for _ in range(width):
            workers.append(asyncio.create_task(worker()))
            if staggered:
                await asyncio.sleep(0)
                if is_over:
                    break
        await asyncio.gather(*workers)
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    if spent:
        raise spent[0]
    return [results[index] for index in sorted(results)]


def _is_counted(reply: Reply) -> bool:
    """Tell whether the model said how many tokens its answer took."""
    return bool(reply.prompt_tokens or reply.completion_tokens)


def _decoding_bytes(decoding: Decoding) -> bytes:
    return digest(decoding).encode()


def _nobody(remark: str) -> None:
    """Tell nobody."""


_NOTHING = Claim(0, 0.0)
