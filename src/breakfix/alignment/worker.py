"""The training process: `accelerate launch -m breakfix.alignment.worker out/job.json`.

It runs the stages of its job in order, each from what the one before left on disk. It ends at once when the process
that started it is gone (its standard input closes), and after saving when it is asked to (a line on its standard
input, or SIGTERM). What went wrong is left as one line in the job's error file; the traceback is in the log.
"""

import gc
import os
import signal
import sys
import threading
import traceback
from pathlib import Path

from breakfix.alignment.checkpoints import Job, StagePlan, is_done, make_ready, write_json
from breakfix.alignment.training import any_stopped
from breakfix.errors import BreakfixError, Interrupted

STOPPED = 143
"""Exit code after SIGTERM, by convention."""


def main(job_file: str) -> int:
    """Run the job of that file; give the exit code."""
    job = Job.model_validate_json(Path(job_file).read_text(encoding="utf-8"))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    threading.Thread(target=_heed_parent, args=(stop,), daemon=True).start()
    try:
        for plan in job.stages:
            _run(plan, job, stop)
    except Interrupted:
        return STOPPED
    except BreakfixError as error:
        write_json(job.error, {"error": str(error)})
        return 1
    except Exception as error:
        traceback.print_exc()
        write_json(job.error, {"error": _telling_line(error)})
        return 1
    return 0


def _run(plan: StagePlan, job: Job, stop: threading.Event) -> None:
    if is_done(plan):
        return
    if any_stopped(stop.is_set):
        raise Interrupted("stopped between two stages")
    if os.environ.get("RANK", "0") == "0":
        make_ready(plan)
    if plan.name == "sft":
        from breakfix.alignment.sft import train_sft

        train_sft(plan, job.settings, job.progress, stop.is_set)
    else:
        from breakfix.alignment.dpo import train_dpo

        train_dpo(plan, job.settings, job.progress, stop.is_set)
    gc.collect()


def _heed_parent(stop: threading.Event) -> None:
    """Stop at a line from the starting process; end when its side closes, for then there is nobody to train for."""
    while os.read(sys.stdin.fileno(), 64):
        stop.set()
    os._exit(STOPPED)


def _telling_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
    if type(error).__name__ in ("OutOfMemoryError", "MemoryError"):
        return f"{line} Lower align.<stage>.batch_size, or set align.gradient_checkpointing=true."
    return line


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
