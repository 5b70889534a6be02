"""The command line: one app, a file a group of commands, and what becomes of every way to end.

Starting it imports nothing heavy; each command imports its loop when it is called. Results go to standard output,
everything else to standard error. Exit codes: 0 done, 1 the gate failed or could not tell, or nothing could be scored,
2 what the user can mend, 130 interrupted.
"""

import errno
import gc
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from typing import TextIO

import typer

from breakfix.cli import (
    attacking,
    comparing,
    cycling,
    doctor,
    harms,
    init,
    judging,
    lab,
    labelling,
    measuring,
    planning,
    runs,
    scenarios,
    showing,
    teaching,
)
from breakfix.errors import BreakfixError, Interrupted

RARE_COLLECTIONS = (200_000, 20, 20)
"""Cycles are few here, and a start makes some 100,000 objects that stay: the default thresholds cost a fifth of it."""
NO_PLUGINS = ("PYDANTIC_DISABLE_PLUGINS", "__all__")
"""Or pydantic searches all installed packages for some that watch its models, and may send home what these hold."""
MENDABLE = 2
INTERRUPTED = 130
BEGINS_ANEW = frozenset({"--fresh"})
"""Flags that a continued command must not repeat."""

app = typer.Typer(
    name="breakfix",
    help=(
        "Find where a language model does harm, fix it by safety post-training, and prove the fix.\n\n"
        "[bold]breakfix demo[/bold] shows the whole cycle on a small packaged model, in minutes, on a CPU. "
        "[bold]breakfix init[/bold] writes a settings file for your own model; "
        "[bold]breakfix run[/bold] takes it through the cycle."
    ),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (
    cycling,
    init,
    doctor,
    lab,
    planning,
    measuring,
    comparing,
    judging,
    labelling,
    attacking,
    teaching,
    showing,
    scenarios,
    harms,
    runs,
):
    group.register(app)


@app.callback(invoke_without_command=True)
def root(
    show_version: bool = typer.Option(False, "--version", help="Print the version and stop.", is_eager=True),
) -> None:
    """Answer the options that need no command."""
    if show_version:
        from breakfix.identity import version

        typer.echo(f"breakfix {version()}")
        raise typer.Exit


def main() -> None:
    """Run the command line on this process's arguments, and exit."""
    gc.set_threshold(*RARE_COLLECTIONS)
    os.environ.setdefault(*NO_PLUGINS)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt_once)
    code = run(sys.argv[1:])
    gc.freeze()  # all is let go of now: to look through it for cycles once more would take longer
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command; gives the exit code. A bug keeps its traceback."""
    try:
        code = app(args=list(arguments), prog_name="breakfix", standalone_mode=False)
    except BreakfixError as error:
        return _refuse(str(error))
    except typer.TyperException as error:
        said = error.format_message().replace("Value error, ", "")
        return _refuse(said) if said else 0
    except (Interrupted, KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except SystemExit as error:  # so typer and rich end where the reader of the output has gone
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        _send_nowhere(sys.stdout)
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return _refuse("The disk is full. Free some space and run the same command again; what was done is kept.")
    if code == INTERRUPTED:
        again = shlex.join(["breakfix", *(each for each in arguments if each not in BEGINS_ANEW)])
        _say(f"Stopped. Nothing is lost. Continue with: {again}")
    return code if isinstance(code, int) else 0


def _interrupt_once(number: int, _frame: object) -> None:
    """Stop at the first Ctrl-C; another would cut short what the first has begun to close."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _refuse(what: str) -> int:
    _say("breakfix: error: " + " ".join(what.split()))
    return MENDABLE


def _say(what: str) -> None:
    try:
        typer.echo(what, err=True)
    except BrokenPipeError:  # the exit code says it still
        _send_nowhere(sys.stderr)


def _send_nowhere(stream: TextIO) -> None:
    """Let what is still to be flushed go without an error, where the reader of a stream has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
