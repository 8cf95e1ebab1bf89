"""The stopwatch: stages add up, and a process leaves its times where it is told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vxhelpers.io import stopwatch
from vxhelpers.io.code_digest import PACKAGE


def test_stages_add_up_also_where_the_body_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopwatch, "_times", {})
    clock = iter([1.0, 3.0, 10.0, 10.5])
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: next(clock))
    with stopwatch.timed("clips"):
        pass
    with pytest.raises(KeyError), stopwatch.timed("clips"):
        raise KeyError
    assert stopwatch.times() == {"clips": (2, 2.5)}


def test_a_process_leaves_its_times_when_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    environment = os.environ | {stopwatch.VARIABLE: str(path)}
    environment["PYTHONPATH"] = str(PACKAGE.parent)
    program = "from vxhelpers.io.stopwatch import timed\nwith timed('a'): pass"
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    count, seconds = json.loads(path.read_text())["a"]
    assert count == 1 and 0 <= seconds < 1
