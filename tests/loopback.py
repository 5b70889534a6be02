"""Starts the loopback endpoint (bench/endpoint.py) in a process of its own, for one test."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

SCRIPT = Path(__file__).parents[1] / "bench" / "endpoint.py"
_open = build_opener(ProxyHandler({})).open


class Loopback:
    """A running endpoint."""

    def __init__(self, port: int, process: subprocess.Popen[str]) -> None:
        self.port = port
        self.process = process
        self.url = f"http://127.0.0.1:{port}/v1"

    def name(self, model: str = "m") -> str:
        """The model name that reaches it."""
        return f"{self.url}#{model}"

    def stats(self) -> dict[str, Any]:
        """Its counts: requests, ok, repeated, peak."""
        with _open(f"{self.url}/stats") as answer:
            return json.load(answer)

    def requests(self) -> list[dict[str, Any]]:
        """The chat requests it got, with headers (lower case) and body; needs record=True."""
        with _open(f"{self.url}/requests") as answer:
            return json.load(answer)

    def set(self, **options: Any) -> None:
        """Change options while it runs."""
        _open(Request(f"{self.url}/set", data=json.dumps(options).encode())).read()

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


@contextmanager
def loopback(**options: Any) -> Iterator[Loopback]:
    """Run an endpoint with the options of bench/endpoint.py's `Options` until the block ends."""
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), json.dumps(options)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        server = Loopback(int(process.stdout.readline()), process)
        try:
            yield server
        finally:
            process.kill()
