"""How conversations ended and what the judge said of them, read without what was said in them.

A long run's conversations are hundreds of megabytes of text, of which counting needs a few words each: they are in an
index of their own (store/tables.py), so the text is never touched. Whole ones are read only where they are shown.
Everything streams.
"""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, cast

from breakfix.estimates import Ending, Subject
from breakfix.types import Conversation, Scenario, Verdict

if TYPE_CHECKING:
    from breakfix.store.queries import Query
    from breakfix.store.store import Store

Judged = tuple[Ending, Verdict | None]
Whole = tuple[Conversation, Verdict | None]


def stages(store: "Store", run: str, *, purpose: str = "benchmark") -> list[str]:
    """List the stages that a run holds conversations of, in alphabetical order."""
    from breakfix.store.queries import stages_in

    return sorted(stage for (stage,) in store.rows(stages_in(run, purpose)))


def subjects(store: "Store", run: str, *, split: str | None = None) -> Iterator[Subject]:
    """Stream what counting needs of the scenarios, in the order of their ids."""
    return map(Subject.of, store.scenarios(run, split=split))


def judged(
    store: "Store", run: str, judge_id: str | None, *, stage: str, purpose: str = "benchmark"
) -> Iterator[Judged]:
    """Stream the endings of a stage in the order of their ids, each with the verdict of one judge, if there is one."""
    from breakfix.store.queries import endings_in

    for *fields, body in store.rows(endings_in(run, purpose, stage=stage, judge_id=judge_id)):
        yield Ending(*fields), None if body is None else Verdict.model_validate_json(body)


def verdict_bodies(
    store: "Store", run: str, judge_ids: Collection[str], *, stage: str
) -> Iterator[tuple[str, str, str, str]]:
    """Stream what several judges said of a stage: conversation, scenario, judge, and the verdict as JSON, unread.

    In the order of the conversations' ids, so that the verdicts of one follow each other.
    """
    from breakfix.store.queries import verdicts_in

    for row in store.rows(verdicts_in(run, judge_ids, stage=stage)):
        yield cast("tuple[str, str, str, str]", row)


def failures(store: "Store", run: str, *, stage: str, purpose: str = "benchmark") -> dict[str, str]:
    """Give what the failed conversations of a stage say of their failure, by id."""
    from breakfix.store.queries import failures_in

    return {id_: words for id_, words in store.rows(failures_in(run, purpose, stage=stage)) if words}


def attacks(store: "Store", run: str, judge_id: str | None) -> Iterator[Whole]:
    """Stream the red team's conversations whole, each with the verdict of one judge, if there is one."""
    from breakfix.store.queries import conversations_in, is_attack

    return _whole(store, conversations_in(run, judge_id, is_attack()))


def conversations_of(store: "Store", run: str, judge_id: str | None, ids: Collection[str]) -> dict[str, Whole]:
    """Read a few conversations whole, by id, each with the verdict of one judge, if there is one."""
    from breakfix.store.queries import conversations_in, is_among

    return {said.id: (said, verdict) for said, verdict in _whole(store, conversations_in(run, judge_id, is_among(ids)))}


def scenarios_of(store: "Store", run: str, ids: Collection[str]) -> dict[str, Scenario]:
    """Read a few scenarios whole, by id."""
    from breakfix.store.queries import scenarios_in

    found = (Scenario.model_validate_json(body) for (body,) in store.rows(scenarios_in(run, ids)))
    return {scenario.id: scenario for scenario in found}


def _whole(store: "Store", query: "Query") -> Iterator[Whole]:
    for said, verdict in store.rows(query):
        found = None if verdict is None else Verdict.model_validate_json(verdict)
        yield Conversation.model_validate_json(said), found
