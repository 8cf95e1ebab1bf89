"""The lock of a build folder: one process at a time, and none left behind by a dead one."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from light import HOLDS

from vxhelpers.book.locks import hold
from vxhelpers.errors import RunError
from vxhelpers.io.code_digest import PACKAGE
from vxhelpers.io.files import WriteError


def _holding(out: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(out)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_another_process_is_named_and_its_death_frees_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "build"
    with _holding(out) as other:
        try:
            who = rf"build: another run .*process {other.pid} on {socket.gethostname()}, since "
            with pytest.raises(RunError, match=who), hold(out):
                raise AssertionError
            other.kill()
            other.wait()
            with hold(out), hold(out):  # the dead one's lock is ours, and ours twice
                assert f'"pid": {os.getpid()}' in (out / "run.lock").read_text()
                environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
                words = [sys.executable, "-c", HOLDS, str(out)]
                done = subprocess.run(words, capture_output=True, text=True, env=environment)
                assert f"process {os.getpid()} on" in done.stderr
        finally:
            other.kill()


def test_the_folder_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), hold(tmp_path):
        raise KeyError
    with _holding(tmp_path) as other:
        other.kill()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"cannot write .*file/build.*--out"):  # noqa: SIM117
        with hold(tmp_path / "file" / "build"):
            raise AssertionError
