"""Several training processes: what one of them hears, all do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from breakfix.alignment.training import any_stopped

pytest.importorskip("torch", reason="the extra [train] is not installed")
PROCESS = """
import sys
from torch import distributed
from breakfix.alignment.training import any_stopped
rank = int(sys.argv[1])
distributed.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=rank, world_size=2)
said = [any_stopped(lambda: False), any_stopped(lambda: rank == 1)]
print(*said)
distributed.destroy_process_group()
"""


def test_all_processes_stop_where_one_was_told(tmp_path: Path):
    environ = {**os.environ, "WORLD_SIZE": "2", "GLOO_SOCKET_IFNAME": "lo"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(rank), str(tmp_path / "meet")], env=environ, stdout=subprocess.PIPE
        )
        for rank in range(2)
    ]
    assert [process.communicate(timeout=60)[0].split() for process in started] == [[b"False", b"True"]] * 2


@pytest.mark.parametrize("is_told", [True, False])
def test_one_process_asks_itself(is_told: bool):
    assert any_stopped(lambda: is_told) is is_told
