"""A model that tests hand in where an endpoint would be, and what they ask it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from breakfix.calls import Calls, Line
from breakfix.journal import Journal, journal_path
from breakfix.pacing import TryAgain
from breakfix.settings import CallSettings
from breakfix.types import Decoding, Message, Reply

Answerer = Callable[[Sequence[Message], Decoding], Awaitable[Reply]]


class FakeModel:
    """Answers with a numbered reply, or as the function it is given does, and remembers what it was asked."""

    def __init__(self, answerer: Answerer | None = None, name: str = "fake", parallel: int | None = 50) -> None:
        self.name = name
        self.identity = f"identity of {name}"
        self.parallel = parallel
        self.asked: list[tuple[Sequence[Message], Decoding]] = []
        self._answerer = answerer

    async def generate(self, messages: Sequence[Message], decoding: Decoding) -> Reply:
        self.asked.append((list(messages), decoding))
        if self._answerer is not None:
            return await self._answerer(messages, decoding)
        return Reply(text=f"reply {len(self.asked)}", prompt_tokens=10, completion_tokens=5)

    async def close(self) -> None:
        """Nothing to free."""


def user(text: str) -> Message:
    return Message(role="user", content=text)


def assistant(text: str) -> Message:
    return Message(role="assistant", content=text)


def failing(times: int, **trouble: float) -> Answerer:
    """Fail so many times, then answer."""
    left = [times]

    async def answer(messages: Sequence[Message], decoding: Decoding) -> Reply:
        left[0] -= 1
        if left[0] >= 0:
            raise TryAgain("HTTP 500", **trouble)
        return Reply(text="at last")

    return answer


def calls_of(tmp_path: Path, **settings: object) -> Calls:
    return Calls(Journal(journal_path(tmp_path, "run"), "run"), CallSettings.model_validate(settings))


def texts(*replies: Reply) -> list[str]:
    return [reply.text for reply in replies]


def ask_many(line: Line, times: int) -> list[Reply | BaseException]:
    """Ask in so many conversations at once; give replies and exceptions."""

    async def ask() -> list[Reply | BaseException]:
        asked = (line.thread(str(number)).ask([user("a")]) for number in range(times))
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(ask())
