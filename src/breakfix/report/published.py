"""Numbers that others published, from data files with their source, to stand beside ours and never among them."""

from collections.abc import Iterable
from functools import cache

from breakfix.packaged import data_file, parse_yaml, yaml_files
from breakfix.standings import PublishedTable


@cache
def load_published() -> tuple[PublishedTable, ...]:
    """Read every packaged table."""
    files = yaml_files(data_file("published"))
    return tuple(PublishedTable.model_validate(parse_yaml(each.read_text(encoding="utf-8"))) for each in files)


def published_about(measures: Iterable[tuple[str, str]]) -> tuple[PublishedTable, ...]:
    """Give the tables that speak of any of these measures and metrics."""
    wanted = set(measures)
    return tuple(table for table in load_published() if wanted & {(row.measure, row.metric) for row in table.rows})
