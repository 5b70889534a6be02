"""Run the command line as `python -m breakfix`.

The installed `breakfix` starts here too: while the command line is loaded there is nothing to close yet, and Ctrl-C
ends the process at once, without the traceback of whatever import it met.
"""

import os
import signal

INTERRUPTED = 130


def main() -> None:
    """Load the command line, run it on this process's arguments, and exit."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # where a shell has it ignored, it stays so
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(INTERRUPTED))
    from breakfix.cli.main import main as run_to_exit

    run_to_exit()


if __name__ == "__main__":
    main()
