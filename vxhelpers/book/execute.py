"""One chapter executed by papermill in this process, and what is left of it on disk."""

import errno
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from vxhelpers.book import results
from vxhelpers.book.chapters import parameters_of, read_chapter
from vxhelpers.book.run_targets import Target
from vxhelpers.data import provenance
from vxhelpers.io import code_digest, files, stopwatch
from vxhelpers.io.code_digest import PACKAGE


@dataclass(frozen=True)
class Job:
    """One chapter to be run for one target.

    Parameters
    ----------
    target, chapter
        What is explained, and the chapter's script.
    text
        What the script held when the key was made: this is what runs, whatever it holds by then.
    key
        Of all that the run depends on.
    package
        Digest of the code that the chapter comes to, which the key was made from.
    out
        The build folder.
    threads
        Threads of the processor that its kernel may use.
    environment
        Variables to be set for the kernel, for a process that was started elsewhere.
    folder
        Folder that it runs in; the one of the process that runs it unless told.
    """

    target: Target
    chapter: Path
    text: str
    key: str
    package: str
    out: Path
    threads: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None

    @property
    def notebook(self) -> Path:
        """Where the executed notebook goes; its record lies beside it."""
        return self.out / "runs" / self.target.slug / f"{self.chapter.stem}.ipynb"

    @property
    def log(self) -> Path:
        """What the kernel's process itself says, beside its cells."""
        return self.out / "logs" / f"{self.target.slug}_{self.chapter.stem}.log"


@dataclass(frozen=True)
class Failure:
    """What went wrong in a chapter: the cell (its number and the line) and the error.

    ``general`` says that the same would happen to every other chapter: nothing can be written.
    """

    cell: str
    error: str
    notebook: Path | None
    general: bool = False


@dataclass(frozen=True)
class Run:
    """One chapter for one class, after the attempt to run it.

    ``status`` is ``"kept"`` when nothing it depends on had changed; ``record`` is the provenance
    written beside the notebook; ``failure`` is None unless ``status`` is ``"failed"``; ``warning``
    tells of what was changed while it ran.
    """

    target: Target
    chapter: Path
    notebook: Path
    status: Literal["done", "kept", "failed"]
    record: Mapping[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    warning: str = ""


def data_of(
    target: Target, digest: Callable[[str, str | None], str] = provenance.data_digest
) -> str:
    """Digest of the data that a chapter reads: of its data set, or of what other chapters found."""
    if target.results:
        return files.sha256(Path(target.results))
    return digest(target.dataset, target.root)


def kept(job: Job) -> Run | None:
    """The finished run of this key, or None where there is none or its files were changed.

    Its results are written again where they are missing.
    """
    try:
        record = json.loads(job.notebook.with_suffix(".json").read_text(encoding="utf-8"))
        if record["key"] != job.key or record["sha256"] != files.sha256(job.notebook):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not results.path_of(record, job.out).is_file():
        results.write(record, job.target, job.out)
    return Run(job.target, job.chapter, job.notebook, "kept", record)


def failed(job: Job, error: str, *, general: bool = False) -> Run:
    """The run of a chapter that did not come to its cells, or not to its files."""
    return unstarted(job.target, job.chapter, error, general=general)


def unstarted(target: Target, chapter: Path, error: str, *, general: bool = False) -> Run:
    """The run of a chapter of which not even the key can be known."""
    return Run(target, chapter, Path(), "failed", {}, Failure("", error, None, general))


def execute(job: Job, on_cell: Callable[[int, int], None] = lambda cell, total: None) -> Run:
    """Run one chapter and write its notebook, results and record, in this order.

    They are written only when all cells ran; a failed notebook goes to ``out/failed/``. The record
    counts: what is interrupted before it is written is as if it had not run.

    Parameters
    ----------
    job
        What to run.
    on_cell
        Called with the number of a code cell, from 1, and how many there are, as it starts.
    """
    started = time.perf_counter()
    try:
        return _execute(job, on_cell, started)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
        general = full or isinstance(error, files.WriteError)
        text = str(error) if isinstance(error, files.WriteError) else f"cannot write: {error}"
        return failed(job, text if general else f"{type(error).__name__}: {error}", general=general)


def _execute(job: Job, on_cell: Callable[[int, int], None], started: float) -> Run:
    import nbformat
    import papermill
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    target, chapter, notebook = job.target, job.chapter, job.notebook
    source = read_chapter(chapter, job.text)
    code = [cell for cell in source.cells if cell.cell_type == "code" and cell.source.strip()]
    total = len(code) + 1  # the injected parameters
    starts: list[float] = []

    def note(cell: Any, cell_index: int) -> None:
        starts.append(time.perf_counter() - started)
        on_cell(len(starts), total)

    with _kernel_environment(job) as (folder, options):
        temporary = folder / notebook.name
        try:
            executed = papermill.execute_notebook(
                source,
                temporary,
                parameters=parameters_of(chapter, target, job.text),
                kernel_name="python3",
                progress_bar=False,
                config=Config(options | {"NotebookClient": {"on_cell_execute": note}}),
                record_timing=False,
            )
        except PapermillExecutionError as error:
            text = f"{error.ename}: {error.evalue}"
            return _failed_in(job, _failing_line(error), text, temporary)
        except OSError:
            raise
        except Exception as error:
            return _failed_in(job, "", f"{type(error).__name__}: {error}", temporary)
        times = _times(folder)
    for number, cell in enumerate(executed.cells):
        cell["id"] = f"{chapter.stem}-{number}"  # else they are drawn at random
    for part in (executed, *executed.cells):
        part.metadata.pop("papermill", None)  # times and paths of this machine
    text = str(nbformat.writes(executed))  # type: ignore[no-untyped-call]
    count, seconds = times.get("clips", (None, None))
    warning = _changed(job)
    record = {
        "key": "" if warning.startswith("the package") else job.key,
        "sha256": "",
        "chapter": chapter.stem,
        "parameters": parameters_of(chapter, target, job.text),
        "data": data_of(target),
        "weights": provenance.weights_digest(target.weights),
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        "hardware": provenance.hardware(),
        "threads": job.threads,
        "seconds": round(time.perf_counter() - started, 2),
        "startup": round(starts[min(3, len(starts) - 1)], 2),
        "clips": {"count": count, "seconds": None if seconds is None else round(seconds, 3)},
        "peak_mib": _peak_mib(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "metrics": results.noted(executed),
    }
    with files.replacing(notebook) as beside:
        beside.write_text(text, encoding="utf-8")
        record["sha256"] = files.sha256(beside)
    if record["key"]:
        results.write(record, target, job.out)
    with files.replacing(notebook.with_suffix(".json")) as beside:
        beside.write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")
    return Run(target, chapter, notebook, "done", record, None, warning)


def _failed_in(job: Job, cell: str, error: str, executed: Path) -> Run:
    """A failed run, with its notebook kept apart as far as it came."""
    broken = None
    if executed.exists():
        broken = job.out / "failed" / job.target.slug / job.notebook.name
        with files.replacing(broken) as beside:
            shutil.copyfile(executed, beside)
    return Run(job.target, job.chapter, job.notebook, "failed", {}, Failure(cell, error, broken))


def _changed(job: Job) -> str:
    """What was changed while a chapter ran: its text, or the package that it computed with."""
    if code_digest.program_digest(job.text) != job.package:
        return "the package was changed while this ran; the next call runs it again"
    try:
        if job.chapter.read_text(encoding="utf-8") == job.text:
            return ""
    except OSError:
        pass
    return f"{job.chapter.name} was edited while it ran; this is its text from before"


@contextmanager
def _kernel_environment(job: Job) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Environment and options of a kernel of this very Python that leaves the home folder alone."""
    with tempfile.TemporaryDirectory(prefix="vx-") as folder:
        spec = Path(folder, "kernels", "python3", "kernel.json")
        spec.parent.mkdir(parents=True)
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec.write_text(
            json.dumps({"argv": command, "display_name": "Python 3", "language": "python"})
        )
        path = filter(None, [os.environ.get("PYTHONPATH")])
        os.environ |= {
            **job.environment,
            "JUPYTER_PATH": folder,
            "JUPYTER_RUNTIME_DIR": folder,
            "IPYTHONDIR": folder,
            "TQDM_DISABLE": "1",
            "VX_PROGRESS": "0",
            stopwatch.VARIABLE: str(Path(folder, "times.json")),
            "OMP_NUM_THREADS": str(job.threads),
            "MKL_NUM_THREADS": str(job.threads),
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), *path]),
        }
        # Sockets in the file system, one place a kernel: TCP ports of parallel kernels can collide.
        ipc = {"transport": "ipc", "ip": str(Path(folder, "kernel"))}
        yield Path(folder), {"KernelManager": {} if sys.platform == "win32" else ipc}


def _times(folder: Path) -> dict[str, tuple[int, float]]:
    """What the kernel's stopwatch left when it ended; nothing where it was cut short."""
    try:
        found: dict[str, tuple[int, float]] = json.loads((folder / "times.json").read_text())
        return found
    except (OSError, ValueError):
        return {}


def _failing_line(error: Any) -> str:
    """The cell's number and the line of it that raised, else its first line."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
    marked = re.search(r"^-+> \d+ (.*)$", plain, re.MULTILINE)
    first = next((line for line in error.source.splitlines() if line.strip()), "")
    return f"[{error.exec_count}] {(marked[1] if marked else first).strip()}"


def _peak_mib() -> int | None:
    """Largest resident memory of the kernel, the only child that this process waited for."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)
