"""Results on standard output: one JSON object for programs, tables for people."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from breakfix.wording import counted

if TYPE_CHECKING:
    from pathlib import Path

    from breakfix.estimates import Comparison, Estimate, GateDecision, Scorecard

SCHEMA = "breakfix/1"
"""Names the form of `--json`; it changes when a field is renamed or goes."""
CANNOT_TELL = 1
"""The exit code of what decides nothing: a gate that cannot tell, a measurement in which nothing could be scored."""
GATE_EXIT = {"passed": 0, "failed": 1, "cannot_tell": CANNOT_TELL}


def print_json(body: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output."""
    import orjson

    typer.echo(orjson.dumps({"schema": SCHEMA, **body}, default=_plain, option=orjson.OPT_INDENT_2).decode())


def warn_of_text(file: "Path", said: str = "what was said or asked") -> None:
    """Say beside a file that is written that it holds harmful text (design D12)."""
    typer.echo(f"{file} holds {said} word for word, harmful text too. Handle it with care.", err=True)


def result_of(card: "Scorecard", paths: Mapping[str, "Path"], **more: object) -> dict[str, Any]:
    """Give the JSON object of a scorecard: run, identities, date, paths, estimates, outcomes."""
    body = card.model_dump(mode="json")
    first = {key: body[key] for key in ("run", "stage", "target", "target_id", "judge", "judge_id", "users", "date")}
    files = {name: str(path) for name, path in paths.items()}
    return {
        **first,
        "paths": files,
        "estimates": body["estimates"],
        "outcomes": body["outcomes"],
        "unheld": body["unheld"],
        "causes": body["causes"],
        "judge_line": body["judge_line"],
        "agreement": body["agreement"],
        "self_judged": body["self_judged"],
        "corrected": body["corrected"],
        **more,
    }


def show_scorecard(card: "Scorecard") -> None:
    """Print a scorecard as a table, whole measures and the areas of all harm, and how its conversations ended."""
    from breakfix.estimates import alone_in_harm

    head = ("measure", "of", "metric", "value", "interval", "n", "unscored", "bounds")
    title = f"{card.target} · {card.stage} · judged by {card.judge} · users: {card.users or 'unknown'}"
    alone = alone_in_harm(card.outcomes)
    shown = [each for each in card.estimates if _is_whole(each, alone) or _is_pooled_area(each)]
    shown.sort(key=lambda each: bool(alone) and each.harm != "all")  # the rows of pooled areas follow their whole
    show_table(title, head, [_estimate_row(each) for each in shown])
    _say_alone(alone)
    if left := len([each for each in card.estimates if each.harm != "all" and not _is_pooled_area(each)]):
        typer.echo(
            f"{counted(left, 'more rate')}, of each measure's areas and harms: in scorecard.json and with --json.\n"
        )
    if card.judge_line:
        typer.echo(f"{card.judge_line}\n")
    show_judges(card)
    if card.corrected:
        show_corrected(card)
    ended = [(measure, _counts(counts)) for measure, counts in card.outcomes.items()]
    show_table("How conversations ended", ("measure", "outcomes"), ended)


def _is_whole(each: "Estimate | Comparison", alone: str | None) -> bool:
    """Tell whether it is a whole measure's row that no other row repeats."""
    return each.harm == "all" and not (alone and each.measure == "harm")


def _say_alone(alone: str | None) -> None:
    if alone:
        typer.echo(f"Of the harm measures {alone} alone was run: its rate is the harm rate, too.\n")


def _is_pooled_area(each: "Estimate | Comparison") -> bool:
    """Tell whether it is an area's rate over all measures of harm: of one measure alone it often rests on a few."""
    return each.measure == "harm" and each.harm.startswith("area/")


def show_judges(card: "Scorecard") -> None:
    """Say how far the judges of a panel agree, and whether the target judged itself."""
    if card.self_judged_line:
        typer.echo(f"{card.self_judged_line}\n")
    if card.agreement:
        typer.echo("The judges agree with each other so far:")
        for one in card.agreement:
            typer.echo(f"  {one.words}")
        typer.echo("")


def show_corrected(card: "Scorecard") -> None:
    """Print raw rates of whole measures beside those corrected for the judge's errors, and what each rests on."""
    from breakfix.estimates import alone_in_harm
    from breakfix.report.corrected_tables import people_of, reading

    every = [(raw, one) for raw in card.estimates for one in card.find_corrected(raw)]
    alone = alone_in_harm(card.outcomes)
    pairs = [(raw, one) for raw, one in every if _is_whole(raw, alone)]
    rows = [
        (raw.measure, _of(raw.harm), raw.metric, _with_bounds(raw), _with_bounds(one), _by_people(card, raw),
         one.method, reading(one, card.find_corrected(raw), people=people_of(card, raw)), one.labels_from)
        for raw, one in pairs
    ]  # fmt: skip
    head = ("measure", "of", "metric", "raw", "corrected", "people, all", "method", "read as", "labels")
    show_table("Corrected for the judge's errors", head, rows)
    for caveat in dict.fromkeys(one.caveat for _, one in pairs if one.caveat):
        of = dict.fromkeys(raw.metric for raw, one in pairs if one.caveat == caveat)
        typer.echo(f"{', '.join(of)}: {caveat}")
    if left := sum(raw.harm != "all" for raw, _ in every):
        typer.echo(f"{left} more, of single areas: in the report and with --json.")
    typer.echo("")


def show_comparisons(comparisons: Sequence["Comparison"], title: str) -> None:
    """Print whole measures and the areas of the pooled harm rate, before and after."""
    from breakfix.estimates import alone_in_harm

    head = ("measure", "of", "metric", "before", "after", "difference", "interval", "p (adjusted)", "n", "verdict")
    alone = alone_in_harm(each.measure for each in comparisons)
    rows = [
        (each.measure, _of(each.harm), each.metric, number(each.before), number(each.after), number(each.difference),
         between(each.low, each.high), chance(each.p_adjusted), str(each.n), each.reading)
        for each in comparisons
        if _is_whole(each, alone) or _is_pooled_area(each)
    ]  # fmt: skip
    show_table(title, head, rows)
    _say_alone(alone)
    _say_undecided([each for each in comparisons if _is_whole(each, alone) or _is_pooled_area(each)])


def _say_undecided(shown: Sequence["Comparison"]) -> None:
    """Say why a difference whose interval leaves out 0 is not told yet: the test is exact, and adjusted for many."""
    clear = [each for each in shown if each.low is not None and each.high is not None and each.low * each.high > 0]
    told = [
        f"{' '.join((each.measure, *(() if each.harm == 'all' else (_of(each.harm),)), each.metric))}"
        f" {chance(each.p)} alone, {chance(each.p_adjusted)} adjusted"
        for each in clear
        if each.verdict == "cannot_tell"
    ]
    if told:
        typer.echo(
            "Cannot tell though the interval leaves out 0: verdicts go by the exact test's p, adjusted (Holm) for all"
            f" that are tested beside it: {'; '.join(told)}.\n"
        )


def show_gate(gate: "GateDecision", of: str) -> None:
    """Print what the gate decided, rule by rule."""
    rows = [(rule.rule, rule.verdict.replace("_", " "), rule.detail) for rule in gate.rules]
    show_table(f"Gate, {of}: {gate.verdict.replace('_', ' ')}", ("rule", "verdict", "detail"), rows)


def show_table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; away from a terminal it is as wide as it needs to be."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=200, color_system=None)
    console.print(Text(title, style="bold"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in head:
        table.add_column(Text(name))
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def number(value: float | None, digits: int = 2) -> str:
    """Write a number, or a dash for none."""
    return "–" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def chance(p: float | None) -> str:
    """Write a p-value: one too small for four places is not nought."""
    return "< 0.0001" if p is not None and p < 0.0001 else number(p, 4)


def between(low: float | None, high: float | None) -> str:
    """Write an interval."""
    return "–" if low is None or high is None else f"{number(low)} to {number(high)}"


def _estimate_row(each: "Estimate") -> tuple[str, ...]:
    best, worst = each.best or 0.0, each.worst or 0.0
    bounds = between(min(best, worst), max(best, worst)) if each.unscored else ""
    interval = between(each.low, each.high)
    value = number(each.value)
    return (each.measure, _of(each.harm), each.metric, value, interval, str(each.n), str(each.unscored or ""), bounds)


def _with_bounds(each: "Estimate | None") -> str:
    return "–" if each is None or each.value is None else f"{number(each.value)} [{between(each.low, each.high)}]"


def _by_people(card: "Scorecard", raw: "Estimate") -> str:
    """Write what people said of every answer, where all were labelled: what the corrected rate should come to."""
    return _with_bounds(card.find(raw.measure, metric=f"{raw.metric}-people") if raw.harm == "all" else None)


def _counts(counts: Mapping[str, int]) -> str:
    return "  ".join(f"{name} {count}" for name, count in counts.items() if count)


def _of(harm: str) -> str:
    return harm.removeprefix("area/").replace("_", " ")


def _plain(value: object) -> object:
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if dump else str(value)
