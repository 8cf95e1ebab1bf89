"""The same runs on several machines: Dask workers that share a folder, a chapter at a time each."""

import os
import queue
import socket
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
from vxhelpers.data import provenance
from vxhelpers.errors import RunError, VxError
from vxhelpers.io.files import WriteError

# What workers take from who asks them: folders, and where networks go.
_PASSED = ("VX_CACHE", "VX_DATA", "VX_WEIGHTS", "VX_DEVICE")
_GPUS = Path("/proc/driver/nvidia/gpus")


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
        asked: dict[str, Job] = {}
        futures: list[Any] = []
        try:
            for job in jobs:
                name = f"{job.chapter.stem}-{job.key[:16]}-{job.target.slug}-{topic[-6:]}"
                asked[name] = job
                work = client.submit(
                    _work, replace(job, threads=threads), name, topic, key=name, pure=False
                )
                work.add_done_callback(partial(_put, events, name))
                futures.append(work)
            left = set(asked)
            while left:
                name, told = events.get()
                if name not in left:
                    continue  # a late word of something that has ended
                if isinstance(told, Run):
                    left.discard(name)
                    yield told
                elif isinstance(told, tuple | list):
                    yield Cell(asked[name], *told) if told else asked[name]
                else:
                    left.discard(name)
                    yield execute.failed(asked[name], str(told))
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


def check_workers(client: Any, jobs: Sequence[Job]) -> Mapping[str, Mapping[str, Any]]:
    """See that every worker has what the jobs need, before the work starts.

    Looked at are the build folder (the very same one, writable), the folder that this process is
    in, the data, weights, detectors and concepts, the package's own files, the versions, and that
    a worker does one thing at a time, on a GPU of its own where there are any.

    Returns
    -------
    mapping
        By a worker's address, what it said of itself.

    Raises
    ------
    RunError
        If there is no worker, or one lacks something; the text names both.
    WriteError
        If the build folder cannot be written here.
    """
    out = jobs[0].out
    token = out / f"worker-check-{uuid4().hex[:8]}"
    try:
        token.write_text(token.name, encoding="utf-8")
    except OSError as error:
        raise WriteError(f"cannot write {out}: {error.strerror or error}") from error
    try:
        found: dict[str, Any] = client.run(
            _look, str(token), _needs(jobs), str(jobs[0].folder), on_error="return"
        )
    except Exception as error:
        raise RunError(
            f"the workers of {client.scheduler.address} cannot be asked ({error}); do they have "
            "this very version of vxhelpers?"
        ) from error
    finally:
        token.unlink(missing_ok=True)
    if not found:
        raise RunError(
            f"{client.scheduler.address}: no worker; start one for each GPU with `dask worker "
            f"{client.scheduler.address} --nthreads 1`"
        )
    ours = {"package": provenance.package_digest(), **provenance.versions()}
    wrong = [
        f"worker {address}: {'; '.join(lacks)}"
        for address, said in found.items()
        if (lacks := _lacks(said, ours))
    ]
    if not wrong:
        wrong = _shared_gpus(found)
    if wrong:
        raise RunError("the work was not started:\n" + "\n".join(wrong))
    return found


def _needs(jobs: Sequence[Job]) -> list[str]:
    """Files and folders that the jobs read: the first video of each class stands for the data."""
    from vxhelpers.data.datasets import open_data
    from vxhelpers.data.manifest import find, locate

    needed: dict[str, None] = {}
    opened: dict[tuple[str, str | None], Any] = {}
    for target in dict.fromkeys(job.target for job in jobs):
        for path in (target.weights, target.detector, target.concepts):
            if path is not None and Path(path).exists():
                needed[str(Path(path).absolute())] = None
        if target.dataset.startswith("stage:"):
            continue
        at = (target.dataset, target.root)
        if at not in opened:
            opened[at] = open_data(target.dataset, root=target.root)
            needed[str(find(target.dataset).absolute())] = None
        rows = opened[at].rows("test", target.action)
        needed[str(locate(rows[0], opened[at].root).absolute())] = None
    return list(needed)


def _look(token: str, needed: Sequence[str], folder: str, *, dask_worker: Any) -> dict[str, Any]:
    """On a worker, which Dask hands in: what it is, and what of this it has not got."""
    path = Path(token)
    missing = [name for name in (*needed, folder) if not Path(name).exists()]
    if not path.is_file() or path.read_text(encoding="utf-8") != path.name:
        missing.insert(0, f"{path.parent} (the build folder, which all must share)")
    elif not os.access(path.parent, os.W_OK):
        missing.insert(0, f"leave to write {path.parent}")
    package = provenance.package_digest()
    try:
        cores = tuple(sorted(os.sched_getaffinity(0)))
    except AttributeError:  # not on Linux
        cores = tuple(range(os.cpu_count() or 1))
    return {
        "host": socket.gethostname(),
        "cores": cores,
        "gpus": _visible_gpus(),
        "threads": dask_worker.state.nthreads,
        "missing": missing,
        "versions": {"package": package, **provenance.versions()},
    }


def _visible_gpus() -> tuple[str, ...]:
    """The GPUs that chapters of this process see; none where the machine has none."""
    if not _GPUS.is_dir() or not (there := sorted(_GPUS.iterdir())):
        return ()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return tuple(map(str, range(len(there))))
    return tuple(filter(None, named.split(",")))


def _lacks(said: Any, ours: Mapping[str, str]) -> list[str]:
    """What is wrong with a worker, in words."""
    if isinstance(said, BaseException):
        return [f"{type(said).__name__}: {said}"]
    host = said["host"]
    wrong = [f"{host} has no {name}" for name in said["missing"]]
    for name, version in ours.items():
        theirs = said["versions"].get(name)
        if theirs != version:
            both = "" if name == "package" else f" ({theirs} there, {version} here)"
            text = "other files of vxhelpers" if name == "package" else f"another {name}"
            wrong.append(f"{text} than here{both}")
    if said["threads"] != 1:
        wrong.append(f"{said['threads']} threads; start it with --nthreads 1")
    return wrong


def _shared_gpus(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """GPUs that several workers see: each chapter would take the first one."""
    counted = Counter((said["host"], gpu) for said in found.values() for gpu in said["gpus"])
    return [
        f"host {host}: {count} workers share GPU {gpu}; start each with a CUDA_VISIBLE_DEVICES of "
        "its own"
        for (host, gpu), count in counted.items()
        if count > 1
    ]


def _threads(found: Mapping[str, Mapping[str, Any]]) -> int:
    """Threads of a chapter: the fewest cores that a worker has for itself."""
    sharing = Counter((said["host"], said["cores"]) for said in found.values())
    return max(1, min(len(cores) // count for (_, cores), count in sharing.items()))
