"""Killed and called again, a run comes to what an undisturbed one does, byte for byte."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import light
import pytest
from light import left_by

from vxhelpers.book import runs
from vxhelpers.io.code_digest import PACKAGE

CALL = (
    "import sys\nfrom pathlib import Path\nimport light\n"
    "from vxhelpers.book.runs import run_chapters\n"
    "pairs = [(target, Path(sys.argv[1])) for target in light.targets(2)]\n"
    "run_chapters(pairs, out=Path(sys.argv[2]))\n"
)


@pytest.mark.slow
def test_killed_at_a_random_moment_and_resumed_it_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chapter = light.write(tmp_path)
    pairs = [(target, chapter) for target in light.targets(2)]
    monkeypatch.setenv("LIGHT_STARTED", str(tmp_path / "undisturbed.txt"))
    runs.run_chapters(pairs, out=tmp_path / "undisturbed")

    started = tmp_path / "killed.txt"
    monkeypatch.setenv("LIGHT_STARTED", str(started))
    folders = [str(PACKAGE.parent), str(Path(light.__file__).parent)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    words = [sys.executable, "-c", CALL, str(chapter), str(tmp_path / "killed")]
    process = subprocess.Popen(words, env=environment)
    end = time.monotonic() + 120
    while process.poll() is None and not started.exists():  # the first cells run
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(random.random())
    process.kill()
    process.wait()
    again = runs.run_chapters(pairs, out=tmp_path / "killed")  # at once: the lock is free
    assert {run.status for run in again} <= {"done", "kept"}
    assert left_by(tmp_path / "killed") == left_by(tmp_path / "undisturbed")
    assert not list((tmp_path / "killed" / "results").glob(".*"))
    assert [run.status for run in runs.run_chapters(pairs, out=tmp_path / "killed")] == ["kept"] * 2
