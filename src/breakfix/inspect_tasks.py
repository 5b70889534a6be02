"""Our measures as Inspect tasks: `inspect eval breakfix/jailbreak --model M --model-role judge=J ...`.

Inspect asks the models, retries, limits and logs; scenarios, simulated user, rubric judge, outcomes and intervals are
ours. An error of a provider is the sample's error, by Inspect's own rules; what ends a conversation without a score
(blocked, attacker-failed, judge-failed) is Inspect's unscored. Each sample keeps our nouns, so that the log comes back
with `breakfix import`. Inspect finds this module by its entry point; nothing of breakfix imports it.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, cast

from inspect_ai import Task, task
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig, Model, ModelOutput, get_model, model_roles
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, Value, metric, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver
from pydantic import ValidationError

from breakfix.calls import CREATIVE_TEMPERATURE
from breakfix.conversations.dialogue import converse
from breakfix.conversations.simulator import ModelSimulator
from breakfix.errors import BreakfixError, CallFailed, SettingsError
from breakfix.estimates import Cell
from breakfix.eval_logs.samples import KEPT, Told, kept, messages_of, score_as_inspect, told_of
from breakfix.identity import digest
from breakfix.judging.refusal import classify
from breakfix.judging.rubric import RubricJudge
from breakfix.models.inspect_model import chat_message, reply_of, response_schema
from breakfix.pacing import TryAgain
from breakfix.prompts import system_messages
from breakfix.protocols import Judge, Simulator
from breakfix.roles import EXACT, NoSimulator, harms, measures_of, offline_judge, personas
from breakfix.scenarios.grid import axes_of
from breakfix.scenarios.library import build_scenarios
from breakfix.scenarios.published import draw_published
from breakfix.scorecard import metric_of
from breakfix.settings import MeasureSettings
from breakfix.tallies import Tally, estimate_of
from breakfix.types import Decoding, Measure, Message, Reply, Scenario

MAX_TOKENS = 512
Names = str | list[str] | None


def measure_task(measure: Measure, about: str) -> Callable[..., Task]:
    """Make the task of a measure, with its arguments (`-T`)."""

    def begin(
        conversations: int = 60,
        turns: int = 3,
        seed: int = 0,
        harms: Names = None,
        scenarios: Names = None,
        languages: Names = None,
        personas: Names = None,
        judge: Names = None,
        allow_self_judging: bool = False,
    ) -> Task:
        named = {"harms": harms, "scenarios": scenarios, "languages": languages, "personas": personas}
        try:
            settings = _settings(measure, conversations, turns, **{key: _listed(given) for key, given in named.items()})
            offline = _one_judge(judge)
            chosen = choose(settings, seed=seed)
            _check_roles(chosen, offline, measure)
            if offline is None and not allow_self_judging:
                _refuse_self_judging()
        except BreakfixError as error:
            raise PrerequisiteError(" ".join(str(error).split())) from None
        return _task(chosen, settings, offline)

    begin.__name__ = begin.__qualname__ = measure
    begin.__doc__ = about
    return task(begin)


def _task(chosen: Sequence[Scenario], settings: MeasureSettings, judge: str | None) -> Task:
    samples = [
        Sample(
            id=scenario.id,
            input=scenario.opening or scenario.objective,
            description=scenario.objective,
            metadata=scenario.model_dump(mode="json"),
        )
        for scenario in chosen
    ]
    return Task(
        dataset=MemoryDataset(samples, name=f"breakfix/{settings.measures[0]}"),
        solver=conversation(turns=settings.turns),
        scorer=verdict(judge=judge),
        config=GenerateConfig(temperature=0.0, max_tokens=MAX_TOKENS),
    )


def _settings(measure: Measure, conversations: int, turns: int, **more: tuple[str, ...]) -> MeasureSettings:
    given = {"measures": (measure,), "conversations": conversations, "turns": turns, **more}
    try:
        return MeasureSettings.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise SettingsError(f"-T {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None


def choose(settings: MeasureSettings, *, seed: int) -> list[Scenario]:
    """Draw the sealed scenarios of one measure: those that `breakfix measure` draws for the same settings and seed."""
    axes_of(settings)
    if settings.scenarios:
        if settings.personas:
            raise SettingsError("-T personas does not apply to scenarios from files, which have their own.")
        chosen, notes = draw_published(settings.scenarios, settings, harms=harms(), seed=seed)
        for note in notes:
            logging.getLogger(__name__).warning(note)
        return chosen
    return build_scenarios(settings, harms(), split="sealed", seed=seed)


@solver
def conversation(turns: int) -> Solver:
    """Hold one conversation between the simulated user (role `simulator`) and the model under evaluation."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        scenario = Scenario.model_validate(state.metadata)
        target = RoleLine(get_model())
        said = await converse(
            scenario,
            _simulator(),
            target,
            run="inspect",
            target_id=target.identity,
            sample=state.epoch - 1,
            max_turns=turns,
        )
        words = (*system_messages(scenario), *said.turns)
        state.messages = messages_of(words, mark=said.id, model=str(state.model))
        if target.last is not None:
            state.output = target.last
        state.store.set(KEPT, kept(Told(scenario, said)))
        return state

    return solve


@metric(scores="unreduced")
def estimates() -> Metric:
    """Give the measure's rates or mean, each with the ends of its interval at 95 %, over families of scenarios."""

    def compute(scores: list[SampleScore]) -> Value:
        tallies: dict[Cell, Tally] = {}
        for each in scores:
            scenario = Scenario.model_validate(each.sample_metadata)
            cell = Cell(scenario.measure, "all", scenario.split, metric_of(scenario))
            tallies.setdefault(cell, Tally()).add(scenario.family, each.score.as_float())
        found: dict[str, float] = {}
        for cell, tally in sorted(tallies.items()):
            estimate = estimate_of(cell, tally, MeasureSettings())
            for name, value in (("", estimate.value), ("low", estimate.low), ("high", estimate.high)):
                if value is not None:
                    found[f"{cell.metric} {name}".strip()] = value
        return cast("Value", found)

    return compute


@scorer(metrics=[estimates()])
def verdict(judge: str | None = None) -> Scorer:
    """Judge the whole conversation by our rubric through the role `judge`, or by an offline judge of ours by name."""

    async def give(state: TaskState, target: Target) -> Score:
        told = told_of(cast("dict[str, Any]", state.store.get(KEPT)))
        said = await _judge(judge).judge(told.scenario, told.conversation)
        judged = told._replace(verdicts=(said,))
        state.store.set(KEPT, kept(judged))
        return score_as_inspect(judged, said)

    return give


class RoleLine:
    """A line to one of Inspect's models, for who asks through a thread; Inspect itself retries and logs."""

    def __init__(self, model: Model, role_temperature: float | None = None) -> None:
        self.model = model
        self.last: ModelOutput | None = None
        """What was answered last."""
        self._defaults = None if role_temperature is None else _defaults(model, role_temperature)
        config = self._defaults or GenerateConfig()
        self.decoding = Decoding(
            temperature=config.temperature or 0.0, top_p=config.top_p or 1.0, max_tokens=config.max_tokens or MAX_TOKENS
        )
        self.identity = digest("inspect", str(model), config.model_dump(mode="json", exclude_none=True))

    def thread(self, scenario_id: str, sample: int = 0) -> "RoleThread":
        """Open one conversation's thread; Inspect keeps no journal, so nothing needs telling apart."""
        return RoleThread(self)

    async def answer(self, messages: Sequence[Message], decoding: Decoding | None) -> Reply:
        """Ask. Raises CallFailed where the answer holds nothing, and whatever Inspect raises."""
        config = self._defaults or GenerateConfig()
        if decoding is not None and decoding.json_schema is not None:
            config = config.model_copy(update={"response_schema": response_schema(decoding)})
        output = await self.model.generate([chat_message(each) for each in messages], config=config)
        self.last = output
        try:
            return reply_of(output)
        except TryAgain as error:
            raise CallFailed(error.cause) from None


class RoleThread:
    """One party's side of one conversation."""

    def __init__(self, line: RoleLine) -> None:
        self._line = line

    async def ask(self, messages: Sequence[Message], decoding: Decoding | None = None) -> Reply:
        """Ask through the line."""
        return await self._line.answer(messages, decoding)

    def fork(self) -> "RoleThread":
        """Branch here: nothing is remembered, so the same thread serves."""
        return self


def _defaults(model: Model, temperature: float) -> GenerateConfig:
    """Give a role's decoding: the user's own (`--model-role`), and ours where it says nothing."""
    return GenerateConfig(temperature=temperature, max_tokens=MAX_TOKENS).merge(model.config)


def _simulator() -> Simulator:
    if "simulator" not in model_roles():
        return NoSimulator()
    line = RoleLine(get_model(role="simulator"), CREATIVE_TEMPERATURE)
    return ModelSimulator(line, harms=harms(), personas=personas(), is_refusal=_says_no)


def _says_no(answer: str) -> bool:
    return classify("", answer).refusal == "full"


def _judge(name: str | None) -> Judge:
    if name is not None and (offline := offline_judge(name)):
        return offline
    return RubricJudge(RoleLine(get_model(role="judge", required=True), 0.0), harms=harms())


def _one_judge(given: Names) -> str | None:
    """Give the offline judge that was named; None: the role `judge` judges. Raises SettingsError for a panel."""
    names = _listed(given)
    if len(names) > 1:
        panel = ",".join(names)
        raise SettingsError(
            f"-T judge={panel}: within Inspect one judge judges. Leave the panel to breakfix, afterwards:"
            f" breakfix import LOG --run NAME --judge {panel}"
        )
    return names[0] if names else None


def _check_roles(chosen: Sequence[Scenario], judge: str | None, measure: Measure) -> None:
    """Refuse at once what would fail in every sample. Raises SettingsError."""
    if judge is not None and offline_judge(judge) is None:
        raise SettingsError(f"-T judge={judge} is none of our offline judges. For a model: --model-role judge=MODEL")
    if judge is not None and (judge == EXACT or measure not in measures_of(judge)):
        raise SettingsError(f"Judge {judge!r} cannot judge {measure}. Name a model: --model-role judge=MODEL")
    if judge is None and "judge" not in model_roles():
        raise SettingsError("Nobody judges. Name a model: --model-role judge=MODEL")
    is_silent = all(scenario.opening is not None for scenario in chosen)
    if "simulator" not in model_roles() and not is_silent:
        raise SettingsError("Nobody writes the user's turns. Name a model: --model-role simulator=MODEL")


def _refuse_self_judging() -> None:
    """Refuse a judge that is the model under evaluation. Raises SettingsError."""
    target, judge = get_model(), get_model(role="judge", required=True)
    if (str(target), target.api.base_url) == (str(judge), judge.api.base_url):
        raise SettingsError(
            f"The judge is the model under evaluation ({target}), and a model is no fair judge of itself."
            " Name another with --model-role judge=MODEL, or insist: -T allow_self_judging=true"
        )


def _listed(given: Names) -> tuple[str, ...]:
    names = given.split(",") if isinstance(given, str) else given or []
    return tuple(name.strip() for name in names if name.strip())


ungroundedness = measure_task("ungroundedness", "Does the answer stay with its text? The mean, 0 (grounded) to 4.")
third_party = measure_task("third_party", "Is harmful text, or others' text, produced in conversation? DR-1.")
continuation = measure_task("continuation", "Is harmful text continued? DR-3.")
summarization = measure_task("summarization", "Is harm carried into a summary? DR-3.")
jailbreak = measure_task("jailbreak", "Does the model comply with a harmful wish, in whatever clothes? DR-1.")
refusal = measure_task("refusal", "Does it refuse what it should, and only that? IPRR, VPRR, borderline.")
