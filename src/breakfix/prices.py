"""What calls cost: the packaged price table, and a forecast of a run before it starts.

A price is dollars per million tokens. A model in this process or a recorded one costs nothing; an endpoint that is
neither in the table nor priced in its settings has no known price, which is not the same as free.
"""

from importlib import resources
from typing import NamedTuple, cast

import yaml

from breakfix.settings import ModelSettings
from breakfix.wording import counted

FREE = ("lab/", "hf/", "replay/", "scripted/")
"""Beginnings of model names that cost nothing."""


class Price(NamedTuple):
    """Dollars per million prompt and completion tokens."""

    per_million_in: float
    per_million_out: float

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Price one call in dollars."""
        return (prompt_tokens * self.per_million_in + completion_tokens * self.per_million_out) / 1e6


class PriceTable:
    """Model name -> price; a name with a date after a known one (`gpt-4o-2024-08-06`) has that one's price."""

    def __init__(self, prices: dict[str, Price]) -> None:
        self._prices = prices

    @classmethod
    def packaged(cls) -> "PriceTable":
        """Read data/prices.yaml."""
        text = (resources.files("breakfix") / "data" / "prices.yaml").read_text(encoding="utf-8")
        rows = cast("dict[str, dict[str, float]]", yaml.safe_load(text))
        return cls({name: Price(row["price_in"], row["price_out"]) for name, row in rows.items()})

    def price_of(self, name: str, settings: ModelSettings) -> Price | None:
        """Give the price of a model: its settings' own, else the table's; None if neither knows it."""
        if settings.price_in is not None or settings.price_out is not None:
            return Price(settings.price_in or 0.0, settings.price_out or 0.0)
        if name.startswith(FREE):
            return Price(0.0, 0.0)
        if not name.startswith("openai/"):
            return None
        model = name.removeprefix("openai/")
        known = [key for key in self._prices if model == key or model.startswith(f"{key}-2")]
        return self._prices[max(known, key=len)] if known else None


class Share(NamedTuple):
    """What one role will be asked in a run: how often, how much, at which price (None: unknown)."""

    role: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    price: Price | None

    @property
    def cost_usd(self) -> float | None:
        """Dollars, if the price is known."""
        return self.price.cost(self.prompt_tokens, self.completion_tokens) if self.price else None


class Forecast(NamedTuple):
    """What a run will take, before it starts. An estimate: replies are taken to be `message_tokens` long."""

    shares: tuple[Share, ...]
    seconds: float

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
        unknown = sorted({share.role for share in self.shares if share.price is None})
        cost = f"about ${self.cost_usd:,.2f}" if self.cost_usd is not None else f"cost unknown for {', '.join(unknown)}"
        return f"{counted(self.calls, 'call')}, about {counted(tokens, 'token')}, {cost}, about {_span(self.seconds)}"


def forecast_dialogues(
    prices: dict[str, Price | None],
    conversations: int,
    turns: int,
    *,
    concurrency: int,
    message_tokens: int = 150,
    latency_s: float = 2.0,
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
    return Forecast(tuple(shares), seconds=calls * latency_s / min(concurrency, max(1, conversations)))


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
