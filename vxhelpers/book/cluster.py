"""The same runs on several machines: Dask workers that share a folder, a chapter at a time each."""

import os
import queue
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from vxhelpers.book import execute, runner
from vxhelpers.book.execute import Job, Run
from vxhelpers.book.run_config import Slurm
from vxhelpers.book.runner import Cell
from vxhelpers.book.runs import Runner
from vxhelpers.book.workers import check_workers
from vxhelpers.errors import RunError, VxError

# What workers take from who asks them: folders, and where networks go.
_PASSED = ("VX_CACHE", "VX_DATA", "VX_WEIGHTS", "VX_DEVICE")


def on_scheduler(address: str, *, timeout: float = 10) -> Runner:
    """Run on the workers of a Dask scheduler that is there already.

    Parameters
    ----------
    address
        For instance ``tcp://10.0.0.1:8786``. Certificates of a ``tls://`` one are taken from
        Dask's own configuration.
    timeout
        Seconds to wait for an answer.

    Returns
    -------
    Runner
        For :func:`vxhelpers.book.runs.run_chapters`. It raises RunError where no scheduler answers,
        has no worker, or a worker lacks what the chapters need; all before a chapter starts.
    """
    return partial(run_on, connect=partial(_client, address, timeout))


def on_slurm(asked: Slurm, *, wait: float = 3600) -> Runner:
    """Run on workers that are jobs of a SLURM cluster; those that die are replaced.

    The scheduler runs in this process, which the workers must reach by the network. All that they
    say to each other is encrypted, with certificates made for this run and kept in the build
    folder while it lasts; dashboards listen on the loopback address.

    Parameters
    ----------
    asked
        What to ask for.
    wait
        Seconds to wait for the first worker.

    Returns
    -------
    Runner
        For :func:`vxhelpers.book.runs.run_chapters`; RunError as for :func:`on_scheduler`.
    """

    def run(jobs: Sequence[Job]) -> Generator[Job | Cell | Run, None, None]:
        if jobs:
            yield from run_on(jobs, connect=partial(_slurm_client, asked, jobs[0].out, wait))

    return run


@contextmanager
def _client(address: str, timeout: float) -> Iterator[Any]:
    from distributed import Client

    try:
        client = Client(address, timeout=timeout)  # type: ignore[no-untyped-call]
    except Exception as error:  # also what some other server answers
        raise RunError(
            f"{address}: no Dask scheduler answers there ({type(error).__name__}); start one with "
            "`dask scheduler`, or name another address (--scheduler)"
        ) from error
    try:
        yield client
    finally:
        client.close(timeout=5)  # type: ignore[no-untyped-call]


@contextmanager
def _slurm_client(asked: Slurm, out: Path, wait: float) -> Iterator[Any]:
    from dask_jobqueue.slurm import SLURMCluster
    from distributed import Client

    private, logs = "127.0.0.1:0", (out / "logs").absolute()
    logs.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {"dashboard_address": private}
    try:
        made = SLURMCluster(
            cores=1,  # of Dask's: one chapter at a time
            processes=1,
            job_cpu=asked.cores,
            memory=asked.memory.replace(" ", ""),
            walltime=asked.walltime,
            queue=asked.queue,
            account=asked.account,
            interface=asked.interface,
            job_extra_directives=[f"--gres=gpu:{asked.gpus}"] if asked.gpus else [],
            worker_extra_args=["--dashboard-address", private],
            security=True,
            protocol="tls://",
            shared_temp_directory=str(logs),  # for certificates, deleted with the cluster
            log_directory=str(logs),
            scheduler_options=options,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise RunError(f"slurm: {error}") from error
    with made as cluster, Client(cluster) as client:  # type: ignore[no-untyped-call]
        cluster.adapt(minimum_jobs=asked.workers, maximum_jobs=asked.workers)
        try:
            client.wait_for_workers(1, timeout=wait)
        except TimeoutError as error:
            raise RunError(
                f"slurm: no worker started within {wait:.0f} s; see `squeue`, and {logs} for what "
                "the jobs said"
            ) from error
        yield client


def run_on(
    jobs: Sequence[Job], *, connect: Callable[[], AbstractContextManager[Any]]
) -> Generator[Job | Cell | Run, None, None]:
    """Run jobs on the workers of a cluster, none lost and none twice in the results.

    The work of a worker that dies is done again by another, up to four times. What a worker finds
    done already, with the same key, it keeps. Closing the iterator, and the death of this
    process, ends what is running.

    Parameters
    ----------
    jobs
        What to run.
    connect
        Opens a Dask client; called only where there is something to run.

    Yields
    ------
    Job, Cell or Run
        As it happens.

    Raises
    ------
    RunError
        If a worker cannot do the work; the text names the worker and what it lacks.
    """
    if not jobs:
        return
    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    passed = {name: str(Path(path).absolute()) for name, path in passed.items()}
    here = Path.cwd()
    jobs = [replace(job, out=job.out.absolute(), environment=passed, folder=here) for job in jobs]
    with connect() as client:
        facts = check_workers(client, jobs)
        threads = _threads(facts)
        topic, events = f"vx-{uuid4().hex}", queue.SimpleQueue[Any]()
        client.subscribe_topic(topic, lambda event: events.put(event[1]))
        requested: dict[str, Job] = {}
        futures: list[Any] = []
        try:
            for job in jobs:
                name = f"{job.chapter.stem}-{job.key[:16]}-{job.target.slug}-{topic[-6:]}"
                requested[name] = job
                work = client.submit(
                    _work, replace(job, threads=threads), name, topic, key=name, pure=False
                )
                work.add_done_callback(partial(_put, events, name))
                futures.append(work)
            left = set(requested)
            while left:
                name, told = events.get()
                if name not in left:
                    continue  # a late word of something that has ended
                if isinstance(told, Run):
                    left.discard(name)
                    yield told
                elif isinstance(told, tuple | list):
                    yield Cell(requested[name], *told) if told else requested[name]
                else:
                    left.discard(name)
                    yield execute.failed(requested[name], str(told))
        finally:
            client.unsubscribe_topic(topic)
            client.cancel(futures, force=True)


def _put(events: "queue.SimpleQueue[Any]", name: str, future: Any) -> None:
    """The end of a piece of work, as an event: its run, or in words why there is none."""
    try:
        events.put((name, future.result()))
    except BaseException as error:  # asyncio's CancelledError is no Exception
        kind = type(error).__name__
        text = str(error) if isinstance(error, VxError) else f"{kind}: {error}"
        if kind == "KilledWorker":
            text = f"four workers died while they ran it: {error}"
        events.put((name, text))


def _work(job: Job, name: str, topic: str) -> Run:
    """On a worker: run one chapter in a process of its own, telling of its cells."""
    from distributed import get_worker

    worker = get_worker()
    done = execute.kept(job)  # by a worker that died before it could tell
    if done is not None:
        return replace(done, status="done")
    worker.log_event(topic, (name, ()))
    return runner.run_apart(
        job,
        on_cell=lambda number, total: worker.log_event(topic, (name, (number, total))),
        cancelled=lambda: _is_released(worker, name),
    )


def _is_released(worker: Any, name: str) -> bool:
    """Whether nobody waits for this work any more: who asked for it has left, or wants no more."""
    state = worker.state.tasks.get(name)
    return state is None or state.state not in ("executing", "long-running")


def _threads(found: Mapping[str, Mapping[str, Any]]) -> int:
    """Threads of a chapter: the fewest cores that a worker has for itself."""
    sharing = Counter((said["host"], said["cores"]) for said in found.values())
    return max(1, min(len(cores) // count for (_, cores), count in sharing.items()))
