"""Workers of a cluster checked before any chapter runs: versions, data, folders, GPUs."""

import os
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from vxhelpers.book.execute import Job
from vxhelpers.data import provenance
from vxhelpers.errors import RunError
from vxhelpers.io.files import WriteError

_GPUS = Path("/proc/driver/nvidia/gpus")


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
