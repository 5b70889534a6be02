"""`breakfix scenarios`: the published sets there are, and what one of them holds; the text only if it is asked for."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from breakfix.cli.options import LOOK, MEASURING, Json
from breakfix.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from breakfix.scenarios.published import Reading
    from breakfix.scenarios.sets import PublishedSet
    from breakfix.types import Scenario

CUT = 60
"""Characters of a harmless text that are shown without --reveal."""


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("scenarios", rich_help_panel=LOOK)(scenarios)


def scenarios(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A set, a file, a folder, or hub:ORG/NAME.")
    ] = None,
    measure: Annotated[
        str | None, typer.Option("--measure", metavar="M", help="Only this measure.", rich_help_panel=MEASURING)
    ] = None,
    show: Annotated[int, typer.Option("--show", metavar="N", min=0, help="Show the first N scenarios too.")] = 0,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show harmful text as it was published.")] = False,
    as_json: Json = False,
) -> None:
    """List the published sets, or count what one holds: by measure, kind, harm and language, and what was left out.

    Example: breakfix scenarios xstest --measure refusal --show 5
    """
    if name is None:
        _list(as_json=as_json)
        return
    from breakfix.harms import load_harms
    from breakfix.scenarios.published import read_set

    readings = {one: read_set(name, one, harms=load_harms()) for one in _measures(measure)}
    held = {one: found for one, found in readings.items() if found.scenarios or measure}
    bodies = {one: _body(found, show=show, reveal=reveal) for one, found in held.items()}
    if as_json:
        from breakfix.cli.results import print_json

        print_json({"set": name, "measures": bodies})
        return
    for note in dict.fromkeys(note for found in held.values() for note in found.notes):
        typer.echo(note, err=True)
    for one, body in bodies.items():
        _say(f"{name}, {one}", body)
    if not held:
        typer.echo(f"{name} holds no scenario.")


def _measures(measure: str | None) -> "tuple[Any, ...]":
    from breakfix.types import MEASURES

    if measure is not None and measure not in MEASURES:
        raise typer.BadParameter(f"unknown measure {measure!r}; known: {', '.join(MEASURES)}")
    return MEASURES if measure is None else (measure,)


def _list(*, as_json: bool) -> None:
    from breakfix.scenarios.sets import GROUPS, load_sets

    bodies = [_entry(known) for known in load_sets().values()]
    if as_json:
        from breakfix.cli.results import print_json

        print_json({"sets": bodies, "groups": {name: list(names) for name, names in GROUPS.items()}})
        return
    from breakfix.cli.results import show_table

    head = ("set", "measures", "languages", "rows", "of", "licence", "where")
    rows = [
        (one["name"], ", ".join(one["measures"]), ", ".join(one["languages"]), _number(one["rows"]),
         _number(one["published_rows"]), one["licence"] + ("" if one["redistributable"] else " *"), one["where"])
        for one in bodies
    ]  # fmt: skip
    show_table("Published sets", head, rows)
    typer.echo("rows: of the files that are here. of: of the whole published set. *: may not be passed on.")
    for name, names in GROUPS.items():
        typer.echo(f"{name}: {', '.join(names)}")


def _entry(known: "PublishedSet") -> dict[str, Any]:
    from breakfix.scenarios.rows import rows_of
    from breakfix.scenarios.sources import files_of

    files = files_of(known)
    fields = {"name", "title", "source", "measures", "languages", "licence", "redistributable", "note"}
    return {
        **known.model_dump(mode="json", include=fields),
        "rows": sum(len(rows_of(path)) for path in files) if files else None,
        "published_rows": known.rows,
        "files": [str(path) for path in files],
        "hub": known.hub.name if known.hub else None,
        "where": _where(known, len(files)),
    }


def _where(known: "PublishedSet", files: int) -> str:
    if files:
        return f"here, {files} file{'s' if files > 1 else ''}"
    return f"hub:{known.hub.name}" if known.hub else f"not here ({known.source})"


def _body(found: "Reading", *, show: int, reveal: bool) -> dict[str, Any]:
    told = found.scenarios
    return {
        "rows": found.rows,
        "scenarios": len(told),
        "families": len({one.family for one in told}),
        "kinds": _counted(one.kind for one in told),
        "harms": _counted(_about(one) for one in told),
        "languages": _counted(one.language for one in told),
        "user_turns": _counted(str(1 + len(one.script)) for one in told),
        "licences": sorted({one.licence for one in told}),
        "left_out": dict(found.left_out),
        "shown": [_shown(one, reveal=reveal) for one in told[:show]],
    }


def _about(one: "Scenario") -> str:
    return one.harm if one.harm != "none" else f"area/{one.area}" if one.area else "none"


def _counted(values: "Iterable[str]") -> dict[str, int]:
    return dict(Counter(values).most_common())


def _shown(one: "Scenario", *, reveal: bool) -> dict[str, str]:
    from breakfix.cli.showing import blurred, is_kept_from_view

    text = " ".join((one.opening or one.objective).split())
    if is_kept_from_view(one, [], reveal=reveal) and (one.kind == "harmful" or reveal):
        text = blurred(text)
    elif not reveal and len(text) > CUT:
        text = f"{text[:CUT]} ..."
    return {"id": one.id, "kind": one.kind, "family": one.family, "text": text}


def _say(title: str, body: dict[str, Any]) -> None:
    from breakfix.cli.showing import visible

    typer.secho(title, bold=True)
    rows, scenarios = counted(body["rows"], "row"), counted(body["scenarios"], "scenario")
    typer.echo(f"  {rows}, {scenarios}, {counted(body['families'], 'family')}")
    for name in ("kinds", "harms", "languages", "user_turns", "left_out"):
        counts: dict[str, int] = body[name]
        if counts:
            typer.echo(f"  {name.replace('_', ' ')}: " + ", ".join(f"{key} {count}" for key, count in counts.items()))
    typer.echo(f"  licence: {', '.join(body['licences']) or '–'}")
    for one in body["shown"]:
        typer.echo(f"    {one['id']}  {one['kind']}\n      {visible(one['text'])}")


def _number(value: int | None) -> str:
    return "–" if value is None else str(value)
