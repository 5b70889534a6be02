"""`breakfix label`: people's labels of a run's conversations, drawn at random and brought back in."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from breakfix.cli.options import CYCLE, OUT, STORE, StoreFolder
from breakfix.wording import counted

if TYPE_CHECKING:
    from breakfix.labels import Brought


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("label", rich_help_panel=CYCLE)(label)


def label(
    run: Annotated[str, typer.Argument(metavar="RUN")],
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="JSONL of labels to bring in.")] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", metavar="N", min=1, help="Draw so many conversations to be labelled.")
    ] = None,
    to: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where the drawn ones go.")] = None,
    stage: Annotated[str, typer.Option("--stage", help="Of which stage to draw.")] = "base",
    seed: Annotated[int, typer.Option("--seed", help="Seed of the draw.")] = 0,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who labelled, where a row does not say.")] = "people",
    store: StoreFolder = STORE,
    runs: Annotated[Path, typer.Option("--runs", metavar="FOLDER", help="Holds a folder for each run.")] = OUT,
) -> None:
    """Draw a random sample of conversations for people to label, or bring their labels in; rates are then corrected.

    A row has conversation_id and one or more of harmful (true, false), severity (0-7), ungroundedness (0-4), refusal
    (full, partial, none). The same conversation may be labelled by several people.

    Example: breakfix label first --sample 100 --out to-label.jsonl, and then: breakfix label first to-label.jsonl
    """
    from breakfix.cli.results import warn_of_text
    from breakfix.cli.session import Place, looking
    from breakfix.labels import ALLOWED, bring_labels, draw_sample

    if (file is None) == (sample is None):
        raise typer.BadParameter("give a FILE of labels to bring in, or --sample N with --out FILE")
    with looking(Place(store, runs, run)) as opened:
        if file is not None:
            _show(bring_labels(opened, file, by=by), run)
            return
        if to is None:
            raise typer.BadParameter("name the file that the sample goes to: --out FILE")
        drawn = draw_sample(opened, sample or 1, to, stage=stage, seed=seed)
    typer.echo(f"{drawn.rows} of {counted(drawn.of, 'conversation')} drawn at random and written to {to}")
    if drawn.prohibited:
        typer.echo(f"{drawn.prohibited} of prohibited harms are never shown and were not drawn.", err=True)
    typer.echo(f"Fill in what is null, a row at a time from the top, then: breakfix label {run} {to}", err=True)
    typer.echo(f"Allowed: {'; '.join(f'{name} {values}' for name, values in ALLOWED.items())}.", err=True)
    warn_of_text(to)


def _show(brought: "Brought", run: str) -> None:
    """Say what came in, what it replaced, and where several people disagree and what is made of it."""
    waiting = f"; {counted(brought.unlabelled, 'row')} still to be labelled" if brought.unlabelled else ""
    labelled = f"{counted(brought.labels, 'label')} of {counted(brought.conversations, 'conversation')}"
    typer.echo(f"{labelled} brought in{waiting}.")
    if brought.replaced:
        typer.echo(
            f"{counted(brought.replaced, 'label')} known before under the same name said something else and gave way:"
            " if another person labelled, name them with --by NAME and bring both files in again."
        )
    people = brought.concord
    if people.shared:
        typer.echo(
            f"{counted(people.labellers, 'labeller')}; they disagree on {len(people.divided):,} of"
            f" {counted(len(people.shared), 'conversation')} that several labelled: the majority is taken, a tie as the"
            " graver (harmful, the higher grade, the fuller refusal)."
        )
    elif people.labellers > 1:
        typer.echo(f"{people.labellers:,} labellers; no conversation was labelled by two.")
    if brought.labels:
        typer.echo(f"Corrected rates: breakfix report --run {run}")
