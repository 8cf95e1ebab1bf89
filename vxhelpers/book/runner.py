"""A chapter in a process of its own, which ends with the one that started it; several at a time."""

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from vxhelpers.book.execute import Job, Run, execute, failed
from vxhelpers.io.code_digest import PACKAGE

_PROGRAM = "from vxhelpers.book.runner import child; child()"
_PATIENCE = 10  # seconds that a process gets to end by itself


@dataclass(frozen=True)
class Cell:
    """A code cell of a chapter starts: its number, from 1, and how many there are."""

    job: Job
    number: int
    total: int


def run_apart(
    job: Job,
    *,
    on_cell: Callable[[int, int], None] = lambda number, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Run:
    """Run one chapter in a process of its own, and wait for its end.

    Parameters
    ----------
    job
        What to run.
    on_cell
        Called with the number of a code cell, and how many there are, as it starts.
    cancelled
        Asked five times a second; once it says True, the process is ended, and its kernel with it.
    """
    path = filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path)}
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            cwd=job.folder,
        )
    assert process.stdin is not None and process.stdout is not None
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process, cancelled, done), daemon=True)
    watcher.start()
    run: Run | None = None
    try:
        with suppress(BrokenPipeError):
            pickle.dump(job, process.stdin)
            process.stdin.flush()
        with suppress(EOFError, pickle.UnpicklingError):
            while run is None:
                told = pickle.load(process.stdout)
                if isinstance(told, Run):
                    run = told
                else:
                    on_cell(*told)
    finally:
        done.set()
        with suppress(BrokenPipeError):
            process.stdin.close()  # the end of it ends the process
        _end(process)
        process.stdout.close()
        watcher.join()
    text = f"its process died (exit code {process.returncode}); see {job.log}"
    return run or failed(job, text)


def _watch(
    process: subprocess.Popen[bytes], cancelled: Callable[[], bool], done: threading.Event
) -> None:
    """End a process once its run is cancelled."""
    while not done.wait(0.2):
        if cancelled():
            process.terminate()
            _end(process)
            return


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a process, and bring it about where it does not come."""
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def child() -> None:
    """In the process of its own: read the job, run it, tell of its cells and at last of the run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started us decides, and ends us by SIGTERM
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what else is printed goes to the log
    job: Job = pickle.load(sys.stdin.buffer)
    end_with_starter()

    def tell(what: object) -> None:
        pickle.dump(what, pipe)
        pipe.flush()

    try:
        run = execute(job, lambda number, total: tell((number, total)))
    except Exception as error:
        run = failed(job, f"{type(error).__name__}: {error} (see {job.log})")
    tell(run)


def end_with_starter() -> None:
    """End this process when the one that holds its input open is gone, however that one ended."""

    def watch() -> None:
        with suppress(OSError, ValueError):
            while os.read(0, 1024):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def run_many(jobs: Sequence[Job], *, workers: int) -> Generator[Job | Cell | Run, None, None]:
    """Run chapters, several at a time, each in a process of its own.

    Closing the iterator ends what is running.

    Parameters
    ----------
    jobs
        What to run, in this order.
    workers
        Chapters at a time.

    Yields
    ------
    Job, Cell or Run
        As it happens: a chapter starts, one of its cells starts, it has ended.
    """
    events: queue.SimpleQueue[Job | Cell | Run] = queue.SimpleQueue()
    stop = threading.Event()

    def one(job: Job) -> None:
        if stop.is_set():
            return
        events.put(job)
        try:
            run = run_apart(
                job,
                on_cell=lambda number, total: events.put(Cell(job, number, total)),
                cancelled=stop.is_set,
            )
        except Exception as error:  # of starting it: it must be told, or we wait for ever
            run = failed(job, f"{type(error).__name__}: {error}", general=True)
        events.put(run)

    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        try:
            for job in jobs:
                pool.submit(one, job)
            left = len(jobs)
            while left:
                event = events.get()
                left -= isinstance(event, Run)
                yield event
        finally:
            stop.set()
