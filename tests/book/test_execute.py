"""Execution: the text that was read runs, what it leaves is whole, and nothing is left of half."""

import errno
import json
import os
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import light
import nbformat
import pytest

from vxhelpers.book import execute, results, runner, runs
from vxhelpers.book.execute import Job, Run
from vxhelpers.book.run_targets import Target
from vxhelpers.io.files import WriteError


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setenv("LIGHT_STARTED", str(tmp_path / "started"))
    chapter, (target,) = light.write(tmp_path), light.targets(1)
    (job,) = runs.plan_jobs([(target, chapter)], out=tmp_path / "out")
    return job


def test_the_text_that_was_read_runs_though_it_was_edited(job: Job) -> None:
    job.chapter.write_text("# %%\nsomething else\n")
    cells: list[tuple[int, int]] = []
    run = runner.run_apart(job, on_cell=lambda *cell: cells.append(cell))
    assert run.status == "done", run.failure
    assert run.warning == "light.py was edited while it ran; this is its text from before"
    assert cells == [(1, 4), (2, 4), (3, 4), (4, 4)]
    record = json.loads(job.notebook.with_suffix(".json").read_text())
    assert record == run.record and record["key"] == job.key
    assert record["metrics"] == [{"name": "letters", "value": 7, "low": 0, "high": 9, "n": 1}]
    assert record["clips"]["count"] == 1
    assert 0 < record["startup"] < record["seconds"]
    table = results.read(job.out)
    assert table[["action", "metric", "value"]].values.tolist() == [["class 0", "letters", 7]]
    # and what is kept gets its results back where they are gone
    results.path_of(record, job.out).unlink()
    kept = execute.kept(job)
    assert kept is not None and kept.status == "kept" and len(results.read(job.out)) == 1


def test_what_ran_while_the_package_changed_is_run_again(job: Job) -> None:
    run = runner.run_apart(replace(job, package="other"))
    assert run.status == "done" and run.warning.startswith("the package was changed")
    assert execute.kept(job) is None
    assert not (job.out / "results").exists()


def test_a_cancelled_run_ends_soon_leaves_nothing_and_listened_to_nobody(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHT_WAITS", "600")
    started = Path(job.chapter.parent, "started")
    before = time.monotonic()
    heard: set[str] = set()

    def cancelled() -> bool:
        if started.exists():
            heard.update(light.listening(light.family(os.getpid())))
        return started.exists()

    with socket.create_server(("0.0.0.0", 0)):  # that the check would see one
        assert light.listening([os.getpid()])
    run = runner.run_apart(job, cancelled=cancelled)
    assert not heard, "something listens beyond loopback"
    assert run.failure is not None and "its process died (exit code" in run.failure.error
    assert time.monotonic() - before < 60
    assert not (job.out / "runs").exists() and not (job.out / "results").exists()


def _ran(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let papermill give back a notebook at once."""
    import papermill

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])

    def execute(*_: Any, config: Any, **__: Any) -> Any:
        config.NotebookClient.on_cell_execute(notebook.cells[0], 0)
        return notebook

    monkeypatch.setattr(papermill, "execute_notebook", execute)


@pytest.mark.parametrize("full", ["light.ipynb", ".parquet", "light.json"])
def test_a_full_disk_stops_all_and_leaves_nothing_of_half(
    job: Job, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    _ran(monkeypatch)
    swap = Path.replace

    def replaced(self: Path, target: Path) -> Path:
        if str(target).endswith(full):
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        return swap(self, target)

    monkeypatch.setattr(Path, "replace", replaced)
    with pytest.raises(WriteError, match=r"cannot write .*No space left on device; free some"):
        run = _here
        runs.run_chapters([(job.target, job.chapter)], out=job.out, runner=run)
    assert not list(job.out.rglob(".*"))
    assert execute.kept(job) is None
    monkeypatch.setattr(Path, "replace", swap)
    (done,) = runs.run_chapters([(job.target, job.chapter)], out=job.out, runner=_here)
    assert done.status == "done" and execute.kept(job) is not None


def _here(jobs: Any) -> Any:
    """A runner that executes in this process."""
    for job in jobs:
        yield job
        yield execute.execute(job)


def test_one_full_disk_keeps_the_other_chapters_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Target] = []

    def apart(job: Job, **_: Any) -> Run:
        started.append(job.target)
        return execute.failed(job, "cannot write x: No space left on device", general=True)

    monkeypatch.setattr(runner, "run_apart", apart)
    chapter = light.write(tmp_path)
    pairs = [(target, chapter) for target in light.targets(50)]
    with pytest.raises(WriteError, match="No space left"):
        runs.run_chapters(pairs, out=tmp_path / "out", workers=1)
    assert len(started) < 50


def test_a_process_that_cannot_be_started_is_told(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def apart(job: Job, **_: Any) -> Run:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(runner, "run_apart", apart)
    started, run = list(runner.run_many([job], workers=2))
    assert started is job
    assert isinstance(run, Run) and run.failure is not None
    assert "Cannot allocate memory" in run.failure.error and run.failure.general
