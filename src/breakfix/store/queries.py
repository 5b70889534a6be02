"""The questions that store/endings.py asks of the tables."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select

from breakfix.estimates import Ending
from breakfix.store.tables import conversations, scenarios, verdicts

Query = Select[*tuple[Any, ...]]


def stages_in(run: str, purpose: str) -> Query:
    """Ask for the stages of a run: one column."""
    return select(conversations.c.stage).where(*_at(run, purpose)).distinct()


def endings_in(run: str, purpose: str, *, stage: str, judge_id: str | None) -> Query:
    """Ask for the fields of an ending and a verdict's body, in the order of the conversations' ids."""
    fields = [conversations.c[name] for name in Ending._fields]
    query = select(*fields, verdicts.c.body).select_from(_judged(judge_id))
    return query.where(*_at(run, purpose), conversations.c.stage == stage).order_by(conversations.c.id)


def conversations_in(run: str, judge_id: str | None, *where: ColumnElement[bool]) -> Query:
    """Ask for the bodies of conversations and of their verdicts, in the order of the conversations' ids."""
    query = select(conversations.c.body, verdicts.c.body).select_from(_judged(judge_id))
    return query.where(conversations.c.run == run, *where).order_by(conversations.c.id)


def verdicts_in(run: str, judge_ids: Collection[str], *, stage: str) -> Query:
    """Ask for conversation, scenario, judge and verdict's body of a stage, in the order of the conversations' ids."""
    of_it = and_(verdicts.c.run == conversations.c.run, verdicts.c.conversation_id == conversations.c.id)
    query = select(conversations.c.id, conversations.c.scenario_id, verdicts.c.judge_id, verdicts.c.body)
    query = query.select_from(conversations.join(verdicts, and_(of_it, verdicts.c.judge_id.in_(judge_ids))))
    return query.where(*_at(run, "benchmark"), conversations.c.stage == stage).order_by(conversations.c.id)


def failures_in(run: str, purpose: str, *, stage: str) -> Query:
    """Ask for the ids of failed conversations and what each says of its failure: texts that were said stay unread."""
    words = func.json_extract(conversations.c.body, "$.failure")
    query = select(conversations.c.id, words).where(*_at(run, purpose), conversations.c.stage == stage)
    return query.where(conversations.c.failed.is_not(None))


def is_attack() -> ColumnElement[bool]:
    """Say that a conversation is the red team's."""
    return conversations.c.purpose == "redteam"


def is_among(ids: Collection[str]) -> ColumnElement[bool]:
    """Say that a conversation has one of these ids."""
    return conversations.c.id.in_(ids)


def scenarios_in(run: str, ids: Collection[str]) -> Query:
    """Ask for the bodies of a few scenarios: one column."""
    return select(scenarios.c.body).where(scenarios.c.run == run, scenarios.c.id.in_(ids))


def _judged(judge_id: str | None) -> Any:
    of_it = and_(
        verdicts.c.run == conversations.c.run,
        verdicts.c.conversation_id == conversations.c.id,
        verdicts.c.judge_id == (judge_id or ""),
    )
    return conversations.outerjoin(verdicts, of_it)


def _at(run: str, purpose: str) -> tuple[ColumnElement[bool], ...]:
    return conversations.c.run == run, conversations.c.purpose == purpose
