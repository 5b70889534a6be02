"""The store's versions: a new file is made at the newest, an older one is brought up whole, a newer one is refused.

Add a step to `STEPS` when the tables change: STEPS[n] lists the statements that lead from version n to n + 1.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection, inspect, select, text, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.schema import CreateIndex, CreateTable

from breakfix.errors import StoreError
from breakfix.identity import version
from breakfix.store import tables

STEPS: Mapping[int, Sequence[str]] = {
    1: (
        "CREATE TABLE IF NOT EXISTS labels (run TEXT NOT NULL, conversation_id TEXT NOT NULL, by TEXT NOT NULL,"
        " body TEXT NOT NULL, PRIMARY KEY (run, conversation_id, by))",
    ),
    2: (
        "ALTER TABLE conversations ADD COLUMN target_id TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE conversations ADD COLUMN sample INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE conversations ADD COLUMN stopped TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE conversations ADD COLUMN failed TEXT",
        "ALTER TABLE conversations ADD COLUMN users TEXT NOT NULL DEFAULT 'live'",
        "ALTER TABLE conversations ADD COLUMN speakers TEXT NOT NULL DEFAULT ''",
        "UPDATE conversations SET target_id = json_extract(body, '$.target_id'),"
        " sample = coalesce(json_extract(body, '$.sample'), 0), stopped = json_extract(body, '$.stopped'),"
        " failed = json_extract(body, '$.failed'), users = coalesce(json_extract(body, '$.users'), 'live'),"
        " speakers = coalesce((SELECT group_concat(substr(json_extract(value, '$.role'), 1, 1), '')"
        " FROM json_each(body, '$.turns')), '')",
        "DROP INDEX IF EXISTS conversations_stage",
        "CREATE INDEX conversations_endings ON conversations (run, stage, purpose, id, scenario_id, target_id, sample,"
        " stopped, failed, users, speakers)",
    ),
}


def prepare(connection: Connection, path: Path, steps: Mapping[int, Sequence[str]] = STEPS) -> None:
    """Bring the tables to version `tables.SCHEMA`. Raises StoreError on a newer file, or another program's."""
    found = _version(connection)
    if found is None:
        if foreign := _foreign_table(connection):
            raise StoreError(
                f"{str(path)!r} is a database, but no store of breakfix: its table {foreign!r} is none of a store's."
                " Give another folder with --store."
            )
        _create(connection)
        return
    if found > tables.SCHEMA:
        raise StoreError(
            f"The store {str(path)!r} was written by a newer breakfix (schema {found}; breakfix {version()} "
            f"reads up to {tables.SCHEMA}). Upgrade breakfix, or give another folder with --store."
        )
    if found < tables.SCHEMA:
        _bring_up(connection, steps)


def _bring_up(connection: Connection, steps: Mapping[int, Sequence[str]]) -> None:
    """Take all steps or none, in one transaction that the driver would not begin for `ALTER` by itself."""
    connection.execute(text("BEGIN IMMEDIATE"))
    found = _version(connection)  # anew: another process may have brought the file up before this one's turn came
    for step in range(tables.SCHEMA if found is None else found, tables.SCHEMA):
        for statement in steps[step]:
            connection.execute(text(statement))
    schema = update(tables.meta).where(tables.meta.c.key == "schema")
    connection.execute(schema.values(value=str(tables.SCHEMA)))


def _version(connection: Connection) -> int | None:
    if not set(tables.meta.columns.keys()) <= _columns(connection, tables.meta.name):
        return None
    value = connection.execute(select(tables.meta.c.value).where(tables.meta.c.key == "schema")).scalar()
    return None if value is None else int(value)


def _foreign_table(connection: Connection) -> str | None:
    """Name a table that no store has, or not with such columns: the file is another program's."""
    ours = {name: set(table.columns.keys()) for name, table in tables.metadata.tables.items()}
    names = inspect(connection).get_table_names()
    return next((name for name in names if ours.get(name) != _columns(connection, name)), None)


def _columns(connection: Connection, table: str) -> set[str]:
    seen = inspect(connection)
    return {column["name"] for column in seen.get_columns(table)} if seen.has_table(table) else set()


def _create(connection: Connection) -> None:
    """Create what is missing, in a form that two processes may run at once."""
    for table in tables.metadata.sorted_tables:
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))
    rows = [{"key": "schema", "value": str(tables.SCHEMA)}, {"key": "made_by", "value": version()}]
    connection.execute(insert(tables.meta).on_conflict_do_nothing(), rows)
