"""What calls cost: the packaged price table, and a forecast of a run before it starts.

A price is dollars per million tokens. A model in this process or a recorded one costs nothing; an endpoint that is
neither in the table nor priced in its settings has no known price, which is not the same as free. Nor has one of whose
two prices only one is set: the other is the table's, or unknown.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, cast

from breakfix.packaged import read_data
from breakfix.settings import ModelSettings
from breakfix.wording import counted

FREE = ("lab/", "hf/", "replay/", "scripted/")
"""Beginnings of model names that cost nothing."""
MESSAGE_TOKENS = 150
LATENCY_S = 2.0
"""What a message and a call are taken to be in a forecast."""


class Price(NamedTuple):
    """Dollars per million prompt and completion tokens."""

    per_million_in: float
    per_million_out: float

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Price one call in dollars."""
        return (prompt_tokens * self.per_million_in + completion_tokens * self.per_million_out) / 1e6


class Unpriced(NamedTuple):
    """A model whose price is unknown, and which of price_in and price_out its settings lack."""

    model: str
    lacks: tuple[str, ...] = ("price_in", "price_out")


Priced = Price | Unpriced | None


class PriceTable:
    """Model name -> price; a name with a date after a known one (`gpt-4o-2024-08-06`) has that one's price."""

    def __init__(self, prices: dict[str, Price]) -> None:
        self._prices = prices

    @classmethod
    def packaged(cls) -> "PriceTable":
        """Read data/prices.yaml."""
        rows = cast("dict[str, dict[str, float]]", read_data("prices.yaml"))
        return cls({name: Price(row["price_in"], row["price_out"]) for name, row in rows.items()})

    def price_of(self, name: str, settings: ModelSettings) -> Price | None:
        """Give the price of a model: its settings' own, else the table's; None if neither knows the whole of it."""
        known = self._listed(name)
        price_in = settings.price_in if settings.price_in is not None else known and known.per_million_in
        price_out = settings.price_out if settings.price_out is not None else known and known.per_million_out
        return None if price_in is None or price_out is None else Price(price_in, price_out)

    def price_or_lack(self, name: str, settings: ModelSettings) -> Price | Unpriced:
        """Give the price of a model, or what its settings lack for one."""
        lacks = tuple(each for each in ("price_in", "price_out") if getattr(settings, each) is None)
        return self.price_of(name, settings) or Unpriced(name, lacks)

    def _listed(self, name: str) -> Price | None:
        if name.startswith(FREE):
            return Price(0.0, 0.0)
        if not name.startswith("openai/"):
            return None
        model = name.removeprefix("openai/")
        known = [key for key in self._prices if model == key or model.startswith(f"{key}-2")]
        return self._prices[max(known, key=len)] if known else None


class Share(NamedTuple):
    """What one role will be asked in a run: how often, how much, at which price."""

    role: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    price: Priced
    """Not a Price: unknown."""

    @property
    def cost_usd(self) -> float | None:
        """Dollars, if the price is known."""
        if not isinstance(self.price, Price):
            return None
        return self.price.cost(self.prompt_tokens, self.completion_tokens)


class Forecast(NamedTuple):
    """What a run will take, before it starts. An estimate: messages and calls are taken to be of one length."""

    shares: tuple[Share, ...]
    seconds: float
    at_once: int = 1
    """Calls that are made at a time."""
    message_tokens: int = MESSAGE_TOKENS
    latency_s: float = LATENCY_S

    @property
    def calls(self) -> int:
        """Calls of all roles."""
        return sum(share.calls for share in self.shares)

    @property
    def cost_usd(self) -> float | None:
        """Dollars; None if the price of any role is unknown."""
        costs = [share.cost_usd for share in self.shares]
        return None if None in costs else sum(cost for cost in costs if cost is not None)

    def __str__(self) -> str:
        tokens = sum(share.prompt_tokens + share.completion_tokens for share in self.shares)
        cost = f"about ${self.cost_usd:,.2f}" if self.cost_usd is not None else self._unknown()
        asked = f"{counted(self.calls, 'call')}, about {counted(tokens, 'token')} ({self.message_tokens} a message)"
        pace = f"were a call to take {self.latency_s:g} s, {self.at_once:,} at a time"
        return f"{asked}, {cost}, about {_span(self.seconds)} ({pace})"

    def _unknown(self) -> str:
        unknown = [share for share in self.shares if not isinstance(share.price, Price)]
        roles = ", ".join(sorted({share.role for share in unknown}))
        remedy = _remedy(share.price for share in unknown)
        return f"cost unknown for {roles}{f' ({remedy})' if remedy else ''}"


def forecast_dialogues(
    prices: Mapping[str, Priced],
    conversations: int,
    turns: int,
    *,
    concurrency: int,
    message_tokens: int = MESSAGE_TOKENS,
    latency_s: float = LATENCY_S,
) -> Forecast:
    """Estimate simulated conversations of `turns` exchanges; `prices` has the roles that cost calls.

    In turn t each side reads all 2t messages before its own, so prompt tokens grow with the square of the turns. A
    judge reads the whole conversation once.
    """
    read_by_talker = message_tokens * turns * (turns + 1)
    shares: list[Share] = []
    for role, price in prices.items():
        is_judge = role.startswith("judge")
        each = 1 if is_judge else turns
        read = message_tokens * 2 * (turns + 1) if is_judge else read_by_talker
        written = message_tokens * each
        shares.append(Share(role, conversations * each, conversations * read, conversations * written, price))
    calls = sum(share.calls for share in shares)
    at_once = min(concurrency, max(1, conversations))
    return Forecast(tuple(shares), calls * latency_s / at_once, at_once, message_tokens, latency_s)


def _remedy(prices: Iterable[Priced]) -> str:
    """Say which settings would make the prices known, each model once, since roles may share it."""
    by_lack: dict[str, list[str]] = {}
    for model, lacks in dict.fromkeys(price for price in prices if isinstance(price, Unpriced)):
        by_lack.setdefault(" and ".join(lacks), []).append(f"models.{model}")
    settings = (
        f"{models[0]}.{lack}" if len(models) == 1 else f"{lack} of {', '.join(models)}"
        for lack, models in by_lack.items()
    )
    return f"set {'; '.join(settings)}; dollars per million tokens" if by_lack else ""


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
