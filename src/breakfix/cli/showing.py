"""`breakfix show`: one conversation or one finding, what is harmful in it blurred unless it is asked for.

What belongs to a prohibited harm is never shown.
"""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from breakfix.cli.options import LOOK, OUT, STORE, Json, OutFolder, RunName, StoreFolder

if TYPE_CHECKING:
    from breakfix.store.store import Store
    from breakfix.types import Conversation, Finding, Scenario, Verdict


CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters but for the tab and the end of a line."""
SHOWN = 3
"""Conversations shown of a finding, unless more are asked for."""


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("show", rich_help_panel=LOOK)(show)


def show(
    what: Annotated[str, typer.Argument(metavar="ID", help="A conversation's or a finding's id, or how it begins.")],
    run: RunName = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show harmful text as it was said.")] = False,
    most: Annotated[
        int, typer.Option("-n", "--conversations", min=1, help="Of a finding: so many of its conversations.")
    ] = SHOWN,
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
    as_json: Json = False,
) -> None:
    """Show one conversation or finding. Harmful text is blurred unless --reveal.

    Example: breakfix show 3f9a --run demo
    """
    from breakfix.cli.session import Place, resume, stored
    from breakfix.errors import DataError

    name = resume(Place(store, out, run)).run or ""
    with stored(store) as opened:
        found = [each for each in opened.findings(name) if each.id.startswith(what)]
        named = opened.conversation_ids(name, what)
        if len(found) + len(named) != 1:
            raise DataError(_none_or_many(name, what, [each.id for each in found] + named))
        finding = found[0] if found else None
        ids = named or list(finding.conversation_ids if finding else ())[:most]
        said = [each for each in (opened.conversation(name, one) for one in ids) if each is not None]
        shown = [_plain(opened, each, reveal=reveal) for each in said]
    if as_json:
        from breakfix.cli.results import print_json

        print_json({"run": name, "finding": finding, "conversations": shown})
        return
    if finding is not None:
        _say_finding(finding)
    for each in shown:
        _say_conversation(each)
    if finding is not None and (left := len(finding.conversation_ids) - len(shown)) > 0:
        typer.echo(f"{left} more of this finding; -n {len(finding.conversation_ids)} shows all.", err=True)
    if any(each["is_blurred"] for each in shown):
        typer.echo("Harmful text is blurred; --reveal shows it, that of prohibited harms excepted.", err=True)


def _none_or_many(run: str, what: str, ids: "list[str]") -> str:
    if not ids:
        return f"Nothing in run {run!r} has an id that begins with {what!r}. Ids: breakfix findings, or runs export."
    few = ", ".join(each[:12] for each in ids[:5]) + (" ..." if len(ids) > 5 else "")
    return f"{len(ids)} ids in run {run!r} begin with {what!r}: {few}. Give more of the one that is meant."


def _plain(store: "Store", said: "Conversation", *, reveal: bool) -> dict[str, object]:
    """Give a conversation as it may be shown, with what every judge said of it."""
    scenario = next((each for each in store.scenarios(said.run) if each.id == said.scenario_id), None)
    verdicts = list(store.verdicts(said.run, conversation_id=said.id))
    is_blurred = is_kept_from_view(scenario, verdicts, reveal=reveal)
    turns = [
        {"role": turn.role, "content": blurred(turn.content) if is_blurred else turn.content} for turn in said.turns
    ]
    hidden = {"evidence", "reason", "claims"} if is_blurred else set[str]()
    members = {judge_id: name for panel in store.run(said.run).panels.values() for judge_id, name in panel.items()}
    return {
        "id": said.id,
        "stage": said.stage,
        "harm": scenario.harm if scenario else None,
        "measure": scenario.measure if scenario else None,
        "technique": said.technique,
        "stopped": said.stopped,
        "turns": turns,
        "is_blurred": is_blurred,
        "verdicts": [
            {"judge": members.get(each.judge_id), **each.model_dump(mode="json", exclude=hidden)} for each in verdicts
        ],
    }


def is_kept_from_view(scenario: "Scenario | None", verdicts: "list[Verdict]", *, reveal: bool) -> bool:
    """Tell whether a conversation is blurred: it may hold harm and was not asked for, or its harm is prohibited."""
    from breakfix.harms import load_harms

    harm = load_harms().get(scenario.harm) if scenario else None
    if harm is not None and harm.prohibited:
        return True
    if reveal:
        return False
    is_asked_for = scenario is None or scenario.kind == "harmful"
    return is_asked_for or not verdicts or not all(map(_saw_no_harm, verdicts))


def _saw_no_harm(verdict: "Verdict") -> bool:
    return verdict.unscored is None and not verdict.harmful and not verdict.severity


def visible(text: str) -> str:
    """Put a mark in place of control characters: what a model said must not steer the terminal that shows it."""
    return CONTROL.sub("\ufffd", text)


def blurred(text: str) -> str:
    """Say only how long a text is."""
    return f"▒▒▒▒▒▒▒▒ ({len(text.split())} words)" if text else ""


def _say_finding(finding: "Finding") -> None:
    typer.echo(f"Finding {finding.id}: {finding.behaviour}, {finding.harm}, by {finding.technique} ({finding.state})")
    rate = f"{finding.succeeded} of {finding.tried} ({finding.rate:.2f}, {finding.low:.2f} to {finding.high:.2f})"
    grade = f"mean severity {finding.severity:.1f}" if finding.is_rated else "severity not rated by the judge"
    typer.echo(f"  rank {finding.rank}, round {finding.round}, {rate}, {grade}\n")


def _claim_line(claim: dict[str, object]) -> str:
    """Write one claim with what was found of it, and the words of the source that say so."""
    source = f' (source: "{claim["quote"]}")' if claim["quote"] else ""
    return f"{str(claim['finding']).replace('_', ' ')}: {claim['text']}{source}"


def _say_conversation(said: dict[str, object]) -> None:
    from breakfix.identity import short

    head = ("stage", "measure", "harm", "technique", "stopped")
    typer.echo(f"Conversation {said['id']}  " + "  ".join(f"{name} {said[name]}" for name in head if said[name]))
    turns: list[dict[str, str]] = said["turns"]  # pyright: ignore[reportAssignmentType]
    for turn in turns:
        typer.secho(f"  {turn['role']}", bold=True)
        typer.echo("    " + visible(turn["content"]).replace("\n", "\n    "))
    verdicts: list[dict[str, object]] = said["verdicts"]  # pyright: ignore[reportAssignmentType]
    for verdict in verdicts:
        told = {"judge", "judge_id", "conversation_id", "claims"}
        facts = (f"{name} {value}" for name, value in verdict.items() if value is not None and name not in told)
        name = f"{verdict['judge']} " if verdict["judge"] else ""
        typer.echo(f"  judge {name}{short(str(verdict['judge_id']))}: " + visible("  ".join(facts)))
        claims: list[dict[str, object]] = verdict.get("claims") or []  # pyright: ignore[reportAssignmentType]
        for claim in claims:
            typer.echo(f"    {visible(_claim_line(claim))}")
    typer.echo("")
