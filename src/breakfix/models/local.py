"""A model on this machine's disk: transformers weights, read on the first question, asked in batches.

Questions wait in a queue until no more come in (dialogues run in lock-step), are sorted by length and answered in
batches of about equal size by one worker thread. Equal questions in equal order give equal batches, and so equal
answers. Prompts that do not fit the model's context fail by name; nothing is cut silently.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from breakfix.errors import CallFailed, ModelError
from breakfix.identity import digest, seed_of
from breakfix.models.answers import schema_request
from breakfix.models.devices import dtype_of
from breakfix.models.weight_files import find_weights, require_training_extra, weights_identity
from breakfix.settings import ModelSettings
from breakfix.types import Decoding, Message, Reply

if TYPE_CHECKING:
    from breakfix.models.generation import Answer, Prompt, Weights

QUIET_S = 0.02
"""A batch that is not full starts when nothing has come in for this long: the time in which a reply is journalled."""
WAVES = 4
"""Batches' worth of questions that may wait at once, so that there are like lengths to sort."""


class _Question(NamedTuple):
    messages: list[dict[str, str]]
    decoding: Decoding
    seed: int
    answer: "asyncio.Future[Reply]"


class LocalModel:
    """Transformers weights on disk as a Model (protocols.Model). `source` is a folder or a hub name."""

    is_seeded = True
    """Draws by `Decoding.seed`."""

    def __init__(self, name: str, source: str, settings: ModelSettings | None = None) -> None:
        settings = settings or ModelSettings()
        require_training_extra(f"Model {name!r}")
        self.name = name
        self.folder = find_weights(name, source, is_chat=settings.chat)
        self.identity = _identity(self.folder, settings)
        self.parallel = settings.batch_size * WAVES
        self._settings = settings
        self._weights: Weights | None = None
        self._waiting: list[_Question] = []
        self._asked: Counter[str] = Counter()
        self._draining: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="weights")
        self._stop = threading.Event()

    async def generate(self, messages: Sequence[Message], decoding: Decoding) -> Reply:
        """Answer once. Raises CallFailed (too long, or refused by the template) or ModelError (cannot be loaded).

        At a temperature above 0 the draw is seeded by the decoding; without a seed there, by the question and how often
        it was asked before.
        """
        chat = [{"role": message.role, "content": message.content} for message in messages]
        if decoding.json_schema is not None and chat:
            chat[-1]["content"] += schema_request(decoding)
        answer = asyncio.get_running_loop().create_future()
        seed = self._seed(chat, decoding) if decoding.temperature > 0 else 0
        self._waiting.append(_Question(chat, decoding, seed, answer))
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain())
        return await answer

    async def close(self) -> None:
        """Stop what is being generated and free the weights."""
        self._stop.set()
        if self._draining is not None:
            self._draining.cancel()
            await asyncio.gather(self._draining, return_exceptions=True)
        for question in self._waiting:
            question.answer.cancel()
        self._waiting.clear()
        await asyncio.to_thread(self._thread.shutdown)
        self._weights = None

    def _seed(self, chat: list[dict[str, str]], decoding: Decoding) -> int:
        if decoding.seed is not None:
            return decoding.seed
        question = digest(self.identity, chat, decoding)
        self._asked[question] += 1
        return seed_of(question, self._asked[question])

    async def _drain(self) -> None:
        while self._waiting:
            await self._settle()
            wave = [question for question in self._waiting if not question.answer.done()]
            self._waiting.clear()
            if wave:
                await self._answer_wave(wave)

    async def _settle(self) -> None:
        """Wait until enough questions for a batch are there, or no more come in."""
        seen = 0
        while seen < len(self._waiting) < self._settings.batch_size:
            seen = len(self._waiting)
            await asyncio.sleep(QUIET_S)

    async def _answer_wave(self, wave: list[_Question]) -> None:
        loop = asyncio.get_running_loop()
        try:
            prompts = await loop.run_in_executor(self._thread, self._encode, wave)
            ready: list[tuple[_Question, Prompt]] = []
            for question, prompt in zip(wave, prompts, strict=True):
                if isinstance(prompt, CallFailed):
                    _fail(question, prompt)
                else:
                    ready.append((question, prompt))
            ready.sort(key=lambda pair: (-len(pair[1].tokens), pair[1].tokens, pair[1].seed))
            for batch in _even(ready, self._settings.batch_size):
                answers = await loop.run_in_executor(self._thread, self._generate, [prompt for _, prompt in batch])
                _resolve(batch, answers)
        except asyncio.CancelledError:
            for question in wave:
                question.answer.cancel()
            raise
        except Exception as error:  # whoever waits for an answer gets the cause; nobody waits for ever
            for question in wave:
                _fail(question, error)

    def _encode(self, wave: list[_Question]) -> list["Prompt | CallFailed"]:
        """Encode in the worker thread, loading the weights on the first call."""
        if self._weights is None:
            from breakfix.models.generation import Weights

            self._weights = Weights(self.name, self.folder, self._settings)
        return [_prompt(self._weights, question) for question in wave]

    def _generate(self, prompts: list["Prompt"]) -> list["Answer"]:
        if self._weights is None or self._stop.is_set():
            raise ModelError(f"Model {self.name!r} was closed while it was being asked.")
        return self._weights.answer(prompts, self._stop.is_set)


def _identity(folder: Path, settings: ModelSettings) -> str:
    """Hash the weights and the numbers that they are used in, since another dtype answers otherwise.

    "auto" counts as what it is here: on a GPU as what the weights are stored in. Where that is float32, as always on a
    CPU, the hash is the weights' alone, which is also what a checkpoint of them is called.
    """
    if settings.identity:
        return digest("identity", settings.identity)
    weights, dtype = weights_identity(folder), dtype_of(folder, settings)
    return weights if settings.dtype == "auto" and dtype == "float32" else digest(weights, dtype)


def _prompt(weights: "Weights", question: _Question) -> "Prompt | CallFailed":
    from jinja2 import TemplateError

    from breakfix.models.generation import Prompt

    try:
        tokens = weights.encode(question.messages, question.decoding.form)
    except TemplateError as error:
        roles = "-".join(message["role"] for message in question.messages)
        return CallFailed(f"the chat template refuses the roles {roles} ({type(error).__name__})")
    if weights.context is not None and len(tokens) >= weights.context:
        return CallFailed(f"longer than the model's context: {len(tokens)} tokens, {weights.context} at most")
    decoding = question.decoding
    words = decoding.form.words if decoding.form else ()
    return Prompt(tokens, decoding.max_tokens, decoding.temperature, decoding.top_p, question.seed, words)


def _even(pairs: list[tuple[_Question, "Prompt"]], at_most: int) -> list[list[tuple[_Question, "Prompt"]]]:
    """Cut into batches of about equal size, none above `at_most`."""
    batches = -(-len(pairs) // at_most)
    return [pairs[len(pairs) * i // batches : len(pairs) * (i + 1) // batches] for i in range(batches)]


def _resolve(batch: list[tuple[_Question, "Prompt"]], answers: list["Answer"]) -> None:
    for (question, prompt), answer in zip(batch, answers, strict=True):
        if question.answer.done():
            continue
        question.answer.set_result(
            Reply(
                text=answer.text,
                finish_reason="stop" if answer.is_ended else "length",
                prompt_tokens=len(prompt.tokens),
                completion_tokens=answer.tokens,
                shares=answer.shares,
            )
        )


def _fail(question: _Question, error: BaseException) -> None:
    if not question.answer.done():
        question.answer.set_exception(error)
