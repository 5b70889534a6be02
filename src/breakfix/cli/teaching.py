"""`breakfix curate`, `breakfix align` and `breakfix export`: from findings to data, and to weights."""

import secrets
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from breakfix.cli.options import (
    CYCLE,
    OUT,
    STORE,
    AllowSelfJudging,
    Attacker,
    Concurrency,
    Json,
    Judge,
    OutFolder,
    Overrides,
    Round,
    RunName,
    Seed,
    SettingsFile,
    Stage,
    StoreFolder,
    Target,
    Teacher,
    listed,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from breakfix.cli.session import Given, Place
    from breakfix.project import Run
    from breakfix.types import Checkpoint, Dataset


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command("curate", rich_help_panel=CYCLE)(curate)
    app.command("align", rich_help_panel=CYCLE)(align)
    app.command("export", rich_help_panel=CYCLE)(export)


def curate(
    target: Target = None,
    teacher: Teacher = None,
    attacker: Attacker = None,
    judge: Judge = None,
    allow_self_judging: AllowSelfJudging = None,
    sources: Annotated[
        str | None, typer.Option("--sources", metavar="A,B", help="Own or published data files to mix in.")
    ] = None,
    stage: Stage = "base",
    number: Round = 1,
    concurrency: Concurrency = None,
    seed: Seed = None,
    settings: SettingsFile = None,
    overrides: Overrides = None,
    run: RunName = None,
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
    as_json: Json = False,
) -> None:
    """Turn a run's open findings into a frozen dataset, with data of your own where you give it.

    Where a finding has fewer failing conversations than curate.examples_per_finding, the same is tried on the target
    again, on scenarios of the train split: two tries for each that is missing. It says how many before it begins.

    Rows that overlap sealed scenarios or published evaluation prompts are refused, and counted.

    Example: breakfix curate --run mine --teacher openai/gpt-4o --sources my-safety-data.jsonl
    """
    from breakfix.cli.results import print_json, show_table
    from breakfix.cli.session import Given, Place, in_run, settle

    options = {
        "target": target,
        "teacher": teacher,
        "attacker": attacker,
        "judge": judge,
        "allow_self_judging": allow_self_judging,
        "curate.sources": listed(sources),
        "calls.concurrency": concurrency,
        "seed": seed,
    }
    given = Given(settings, overrides, options)
    place = _place_of_lessons(Place(store, out, run), given)
    whole = settle(place, given)
    from breakfix.curate import curate as make

    async def work(opened: "Run") -> "Dataset":
        findings = opened.store.findings(opened.name, state="open")
        return await make(opened, findings, target=target, stage=stage, number=number)

    dataset = in_run(whole, place, work, stage=stage)
    if as_json:
        print_json({"run": place.run, "dataset": dataset})
        return
    rows = [("examples", str(dataset.examples)), ("pairs", str(dataset.pairs))]
    rows += [(f"  {kind}", str(count)) for kind, count in dataset.mixture.items()]
    rows += [(f"  dropped: {why}", str(count)) for why, count in dataset.dropped.items()]
    show_table(f"Dataset {dataset.id[:8]}", ("rows", "number"), rows)
    typer.echo(f"Licences: {', '.join(dataset.licences)}. It lies in {dataset.path}")


def _place_of_lessons(place: "Place", given: "Given") -> "Place":
    """Name the run that is curated; a new one where data of one's own is given. Raises StoreError for no such run."""
    from breakfix.cli.session import resume, settle
    from breakfix.errors import StoreError
    from breakfix.project import run_name

    try:
        return resume(place)
    except StoreError:
        whole = settle(place, given)
        if not (whole.curate.sources and whole.target):
            raise
        return place._replace(run=place.run or run_name(whole))


def align(
    dataset: Annotated[
        Path | None, typer.Option("--dataset", metavar="FOLDER", help="A frozen one; default: the run's newest.")
    ] = None,
    target: Target = None,
    base: Annotated[
        str | None, typer.Option("--base", metavar="MODEL", help="Train these weights; default: the target's.")
    ] = None,
    recipe: Annotated[str | None, typer.Option("--recipe", help="mini, small or medium.")] = None,
    number: Round = 1,
    settings: SettingsFile = None,
    overrides: Overrides = None,
    run: RunName = None,
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
    as_json: Json = False,
) -> None:
    """Post-train a model on a frozen dataset: SFT, then DPO.

    Example: breakfix align --run mine --dataset runs/mine/datasets/3f9a0c12 --recipe small
    """
    from breakfix.cli.results import print_json
    from breakfix.cli.session import Given, Place, in_run, resume, settle

    place = Place(store, out, run) if run else resume(Place(store, out, run))
    whole = settle(place, Given(settings, overrides, {"target": target, "align.recipe": recipe}))
    from breakfix.align import align as train

    async def work(opened: "Run") -> "tuple[Checkpoint, str]":
        learnt = _dataset(opened, dataset)
        opened.progress.note(_plan(opened, base, learnt.id))
        made = await train(opened, learnt, base=base, number=number)
        return made, _judge_of(opened)

    made, judge = in_run(whole, place, work, stage=f"round-{number}")
    if as_json:
        print_json({"run": place.run, "checkpoint": made})
        return
    typer.echo(f"Checkpoint {made.id[:8]} ({', then '.join(made.stages)}, {made.seconds:.0f} s) lies in {made.path}")
    how = ["--run", place.run or "", "-t", f"hf/{made.path}", "--stage", f"round-{number}"]
    typer.echo(f"Measure it: {shlex.join(['breakfix', 'measure', *how, *(['--judge', judge] if judge else [])])}")


def _plan(opened: "Run", base: str | None, dataset: str) -> str:
    """Say what will be trained, and how: a run keeps its settings, those of earlier commands too."""
    from breakfix.alignment.recipes import resolve_recipe, set_over

    settings = opened.settings
    how = resolve_recipe(settings.align)
    steps = [name.upper() for name, stage in (("sft", how.sft), ("dpo", how.dpo)) if stage.enabled]
    named = settings.target if settings.target != opened.fixed_target() else None
    which = f"{base} (--base)" if base else f"{named} (--target)" if named else ""
    which = which or f"{settings.target} (the run's target; others: --base MODEL)"
    line = f"Training {which} on dataset {dataset[:8]}: {', then '.join(steps)}, recipe {how.recipe}, {how.method}"
    own = ", ".join(set_over(settings.align))
    return f"{line}, with {own}." if own else f"{line}."


def _judge_of(opened: "Run") -> str:
    """Name the judge that measured the run, or else the settings': the same one must judge what was trained."""
    from breakfix.measured import judge_name
    from breakfix.roles import role_name

    record = opened.store.run(opened.name)
    return judge_name(opened) if record.judge_id in record.judges else role_name(opened.settings, "judge") or ""


def export(
    to: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that is not there yet.")],
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", metavar="ID", help="Default: the run's newest.")
    ] = None,
    run: RunName = None,
    store: StoreFolder = STORE,
    out: OutFolder = OUT,
    as_json: Json = False,
) -> None:
    """Copy a checkpoint's merged weights to a folder that transformers, or any server, loads.

    Example: breakfix export my-safer-model --run mine
    """
    from breakfix.cli.results import print_json
    from breakfix.cli.session import Place, resume, stored
    from breakfix.errors import DataError, StoreError
    from breakfix.project import place_now

    name = resume(Place(store, out, run)).run or ""
    with stored(store) as opened:
        chosen = _checkpoint(opened.checkpoints(name), name, checkpoint)
    source = place_now(chosen.path, out / name)
    if not (source / "config.json").exists():
        raise StoreError(f"The weights of checkpoint {chosen.id[:8]} are gone from {str(source)!r}. Align anew.")
    if to.exists():
        raise DataError(f"{str(to)!r} is there already. Name a folder that is not.")
    _copy_whole(source, to)
    if as_json:
        print_json({"run": name, "checkpoint": chosen, "path": str(to)})
        return
    typer.echo(f"Checkpoint {chosen.id[:8]} of {name} lies in {to}. Use it as hf/{to}")


def _checkpoint(made: "Sequence[Checkpoint]", run: str, prefix: str | None) -> "Checkpoint":
    """Give the newest checkpoint, or the one whose id begins so. Raises StoreError where none does, or several do."""
    from breakfix.errors import StoreError

    fitting = [each for each in made if each.id.startswith(prefix or "")]
    if not fitting:
        raise StoreError(f"Run {run!r} has no such checkpoint. Make one: breakfix align --run {run}")
    ids = list(dict.fromkeys(each.id for each in fitting))
    if prefix is not None and prefix not in ids and len(ids) > 1:
        told = ", ".join(each[: len(prefix) + 8] for each in ids)
        raise StoreError(
            f"Run {run!r} has several checkpoints that begin with {prefix!r}: {told}. Give more of the one."
        )
    return next((each for each in fitting if each.id == prefix), fitting[-1])


def _copy_whole(source: Path, to: Path) -> None:
    """Copy a folder; under its own name it appears whole or not at all. Raises DataError where there is no room."""
    from breakfix.errors import DataError, unwritable

    part = to.with_name(f".{to.name}.{secrets.token_hex(4)}.part")
    try:
        shutil.copytree(source, part, copy_function=shutil.copyfile)  # modes by the umask: weights come as 600
        part.rename(to)
    except OSError as error:
        raise DataError(f"Cannot write {str(to)!r}: {unwritable(error, 'name another folder')}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _dataset(opened: "Run", folder: Path | None) -> "Dataset":
    from breakfix.curation.freeze import read_dataset
    from breakfix.errors import StoreError

    if folder is not None:
        # The next command may be given in another folder.
        dataset = read_dataset(folder).model_copy(update={"path": str(folder.absolute())})
        opened.store.add_dataset(opened.name, dataset)
        return dataset
    known = opened.store.datasets(opened.name)
    if not known:
        raise StoreError(f"Run {opened.name!r} has no dataset. Give --dataset FOLDER, or make one: breakfix curate")
    return known[-1]
