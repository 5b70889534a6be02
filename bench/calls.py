"""How fast conversations are driven, and what a kill costs: breakfix beside a bare aiohttp loop, and Inspect.

    make bench                                  (or: python bench/calls.py --jobs base,scale,faults,kill)

Everything runs on one core together with a loopback endpoint of fixed latency (bench/endpoint.py, a process of its
own). A conversation is 5 turns of a simulator, 5 answers of the target and one verdict: 11 calls. The base job is 200
conversations at 200 ms and concurrency 50, the scale job 2,000 at 50 ms and 200; `faults` answers 5 % of the base job
with 429 or 500; `kill` ends it with SIGKILL half-way and runs it again. Journalling is on.

`aiohttp` is the floor: the same requests from a plain loop that keeps nothing. `calls` is breakfix's own door of calls
under the same loop (bench/dialogue_loop.py). `measure` is the real command, start-up, store and scorecard included.
`others` is CPU time that the rest of the machine took on that core: where it is more than a few per cent of the wall
time, run again on a quieter machine.
"""

import argparse
import compileall
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import ProxyHandler, build_opener

import breakfix

HERE = Path(__file__).parent
CALLS_EACH = 11
PYTHON = sys.executable
_open = build_opener(ProxyHandler({})).open


class Job(NamedTuple):
    """One load: how many conversations, how slow an endpoint, how many calls at once."""

    conversations: int
    latency_ms: float
    concurrency: int
    fail_rate: float = 0.0

    @property
    def ideal_s(self) -> float:
        """The time that the latency alone takes."""
        return self.conversations * CALLS_EACH * self.latency_ms / 1000 / self.concurrency


JOBS = {
    "base": Job(200, 200, 50),
    "scale": Job(2000, 50, 200),
    "faults": Job(200, 200, 50, fail_rate=0.05),
    "kill": Job(200, 200, 50),
}


class Row(NamedTuple):
    """What one run took."""

    wall_s: float
    cpu_s: float
    rss_mb: float
    first_s: float
    others_s: float
    requests: int
    ok: int


class Server(NamedTuple):
    """The running endpoint."""

    url: str

    def stats(self) -> dict[str, Any]:
        """Ask it what it served."""
        with _open(f"{self.url}/stats") as answer:
            return json.load(answer)


Command = Callable[[Server, Job, Path], list[str]]


def aiohttp_loop(server: Server, job: Job, folder: Path) -> list[str]:
    return [PYTHON, str(HERE / "dialogue_loop.py"), "aiohttp", server.url, str(job.conversations), str(job.concurrency)]


def calls_loop(server: Server, job: Job, folder: Path) -> list[str]:
    script = str(HERE / "dialogue_loop.py")
    counts = [str(job.conversations), str(job.concurrency)]
    return [PYTHON, script, "breakfix", server.url, *counts, str(folder / "journal-bench.db")]


def measure(server: Server, job: Job, folder: Path) -> list[str]:
    roles = [word for role in ("target", "simulator", "judge") for word in (f"--{role}", f"{server.url}#{role}")]
    size = ["--conversations", str(job.conversations // 2), "--turns", "5", "--concurrency", str(job.concurrency)]
    places = ["--run", "bench", "--store", str(folder / "store"), "--out", str(folder / "runs")]
    return [PYTHON, "-m", "breakfix", "measure", *roles, "--measures", "jailbreak,refusal", *size, *places]


def inspect(server: Server, job: Job, folder: Path) -> list[str]:
    limits = [f"--max-connections={job.concurrency}", f"--max-samples={job.concurrency}", "--display=none"]
    roles = [f"--model-role={role}=openai-api/bench/m" for role in ("simulator", "target", "grader")]
    size = ["-T", f"conversations={job.conversations}", f"--log-dir={folder}"]
    task = os.path.relpath(HERE / "inspect_task.py")
    return [PYTHON, "-m", "inspect_ai", "eval", task, "--model=openai-api/bench/m", *roles, *limits, *size]


TOOLS: dict[str, Command] = {"aiohttp": aiohttp_loop, "calls": calls_loop, "measure": measure, "inspect": inspect}


@contextmanager
def endpoint(job: Job) -> Iterator[Server]:
    """Run the endpoint of one job until the block ends."""
    options = json.dumps({"latency_ms": job.latency_ms, "fail_rate": job.fail_rate})
    with subprocess.Popen([PYTHON, str(HERE / "endpoint.py"), options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(f"http://127.0.0.1:{int(process.stdout.readline())}/v1")
        finally:
            process.kill()


def launch(command: Sequence[str], server: Server, log: Path) -> subprocess.Popen[bytes]:
    """Start a tool; what it prints goes to a log."""
    keys = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "BREAKFIX_API_KEY")
    environ = {name: value for name, value in os.environ.items() if name not in keys}
    environ |= {"BENCH_API_KEY": "none", "BENCH_BASE_URL": server.url}
    with log.open("ab") as stream:
        return subprocess.Popen(command, stdout=stream, stderr=stream, env=environ)


def run(tool: str, job: Job, folder: Path) -> Row:
    """Run one tool on one job and measure it."""
    log = folder / "log.txt"
    with endpoint(job) as server:
        core_before, start = core_s(), time.time()
        process = launch(TOOLS[tool](server, job, folder), server, log)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.time() - start
        core = core_s() - core_before
        stats = server.stats()
    if status != 0:
        sys.exit(f"{tool} failed; the end of what it printed:\n{log.read_text()[-2000:]}")
    cpu = usage.ru_utime + usage.ru_stime
    others = max(0.0, core - cpu - stats["cpu_s"])
    return Row(wall, cpu, usage.ru_maxrss / 1024, stats["first_s"] - start, others, stats["requests"], stats["ok"])


def repeated_after_kill(tool: str, job: Job, folder: Path) -> tuple[int, int]:
    """Kill half-way, run again; give the requests before the kill and those repeated after it."""
    calls = job.conversations * CALLS_EACH
    with endpoint(job) as server:
        command = TOOLS[tool](server, job, folder)
        process = launch(command, server, folder / "log.txt")
        while server.stats()["requests"] < calls // 2:
            if process.poll() is not None:
                sys.exit(f"{tool} ended before it could be killed:\n{(folder / 'log.txt').read_text()[-2000:]}")
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(2 * job.latency_ms / 1000)
        before = server.stats()["requests"]
        launch(command, server, folder / "log.txt").wait()
        return before, server.stats()["requests"] - calls


def compile_package() -> None:
    """Compile the package as an installed one is: where Python keeps no bytecode, each start would compile it anew."""
    compileall.compile_dir(Path(breakfix.__file__).parent, quiet=2)


def core_s() -> float:
    """Give the busy seconds so far of the core that this runs on; 0 where the system does not say."""
    (core,) = os.sched_getaffinity(0)
    try:
        lines = Path("/proc/stat").read_text().splitlines()
    except OSError:
        return 0.0
    user, nice, system, _idle, _wait, irq, softirq, steal, *_ = (
        int(field) for field in next(line for line in lines if line.startswith(f"cpu{core} ")).split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def show(tool: str, job: Job, row: Row) -> None:
    calls = job.conversations * CALLS_EACH
    print(
        f"  {tool:8} {row.wall_s:7.2f} {row.wall_s / job.ideal_s:7.2f} {1000 * row.cpu_s / calls:9.2f} "
        f"{row.rss_mb:6.0f} {row.first_s:8.2f} {row.requests:9,} {row.ok:9,} {row.others_s:7.1f}",
        flush=True,
    )


def bench(name: str, tools: Sequence[str]) -> None:
    """Run one job with every tool and print its rows."""
    job = JOBS[name]
    faults = f", {job.fail_rate:.0%} answered 429 or 500" if job.fail_rate else ""
    print(
        f"\n{name}: {job.conversations:,} conversations of {CALLS_EACH} calls, {job.latency_ms:g} ms, "
        f"concurrency {job.concurrency}{faults}; ideal {job.ideal_s:.1f} s"
    )
    if name == "kill":
        for tool in (tool for tool in tools if tool in ("calls", "measure")):
            with tempfile.TemporaryDirectory() as folder:
                before, repeated = repeated_after_kill(tool, job, Path(folder))
            print(f"  {tool:8} killed after {before:,} calls; repeated {repeated} of them", flush=True)
        return
    print("  tool      wall s x ideal  CPU ms/c     MB  first s  requests        ok  others")
    for tool in tools:
        with tempfile.TemporaryDirectory() as folder:
            show(tool, job, run(tool, job, Path(folder)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", default="base,scale,faults,kill")
    parser.add_argument("--tools", default="aiohttp,calls,measure,inspect")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    chosen = parser.parse_args()
    os.sched_setaffinity(0, {chosen.core})
    compile_package()
    tools = chosen.tools.split(",")
    if "inspect" in tools and not (find_spec("inspect_ai") and find_spec("openai")):
        tools.remove("inspect")
        print("Inspect, or its OpenAI client, is not installed: left out (pip install inspect-ai openai).")
    for name in chosen.jobs.split(","):
        bench(name, tools)


if __name__ == "__main__":
    main()
