"""Chapters run by papermill for one action class after another; unchanged ones are kept."""

import ast
import json
import multiprocessing
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Literal

from vxhelpers import files, provenance, store
from vxhelpers.errors import RunError
from vxhelpers.targets import Target


@dataclass(frozen=True)
class Failure:
    """What went wrong in a chapter: the cell (its number and first line) and the error."""

    cell: str
    error: str
    notebook: Path | None


@dataclass(frozen=True)
class Run:
    """One chapter for one class, after the attempt to run it.

    ``status`` is ``"kept"`` when nothing it depends on had changed; ``record`` is the provenance
    written beside the notebook; ``failure`` is None unless ``status`` is ``"failed"``.
    """

    target: Target
    chapter: Path
    notebook: Path
    status: Literal["done", "kept", "failed"]
    record: Mapping[str, Any] = field(default_factory=dict)
    failure: Failure | None = None


def target_key(target: Target) -> str:
    """Key of all that a run depends on beside its chapter and parameters: code, data, versions."""
    return store.key(
        {
            "package": provenance.package_digest(),
            "data": provenance.data_digest(target.dataset, target.root),
            "weights": provenance.weights_digest(target.weights),
            "versions": provenance.versions(),
        }
    )


def parameters_of(chapter: Path, target: Target) -> dict[str, Any]:
    """The target's values for the names that the chapter's parameters cell gives a value.

    Raises
    ------
    RunError
        If the chapter has no such cell.
    """
    names = {
        node.id
        for node in ast.walk(ast.parse(_parameters_cell(chapter)))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    values = {name: value for name, value in asdict(target).items() if name in names}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def own_target(chapter: Path, *, seed: int, profile: str) -> Target:
    """The target that a chapter names itself, in its parameters cell.

    For chapters that a book holds once, whatever its classes: the data that they are about is
    their own; seed and profile are those of the book.

    Raises
    ------
    RunError
        If the chapter has no such cell, or it names no action, data set and model, as literals.
    """
    values: dict[str, Any] = {}
    for node in ast.parse(_parameters_cell(chapter)).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            with suppress(ValueError):
                values[node.targets[0].id] = ast.literal_eval(node.value)
    known = {name: value for name, value in values.items() if name in Target.__dataclass_fields__}
    try:
        return Target(**known | {"seed": seed, "profile": profile})
    except TypeError as error:
        raise RunError(
            f"{chapter}: is held once in the book, so its parameters cell must name an action, a "
            f"dataset and a model ({error})"
        ) from error


def run_chapters(
    jobs: Sequence[tuple[Target, Path]],
    *,
    out: Path,
    workers: int = 2,
    force: bool = False,
    report: Callable[[Run | tuple[Target, Path]], None] = lambda event: None,
) -> list[Run]:
    """Run chapters, each for its target, several at a time, each in a process of its own.

    A notebook appears under ``out/runs/<slug>/`` only when all its cells ran, with a JSON record
    beside it; a failed one goes to ``out/failed/<slug>/``. An interrupted call leaves the finished
    ones, and the next call goes on from there.

    Parameters
    ----------
    jobs
        Pairs of what is explained and a chapter's script (jupytext percent format).
    out
        The build folder.
    workers
        Chapters at a time; the processor's threads are shared out among them.
    force
        Run again what has not changed, too.
    report
        Called with ``(target, chapter)`` when a chapter starts and with the `Run` when it ends.

    Returns
    -------
    list of Run
        In the order of ``jobs``.

    Raises
    ------
    RunError
        If a chapter has no cell tagged ``parameters``.
    """
    finished: dict[tuple[Target, Path], Run] = {}
    queue: list[tuple[Target, Path, str]] = []
    common = {target: target_key(target) for target, _ in jobs}
    for target, chapter in dict.fromkeys(jobs):
        key = _key(target, chapter, common[target])
        kept = None if force else _kept(target, chapter, key, out)
        if kept is None:
            queue.append((target, chapter, key))
        else:
            finished[target, chapter] = kept
            report(kept)
    threads = max(1, (os.cpu_count() or 1) // max(1, min(workers, len(queue))))
    context = multiprocessing.get_context("spawn")
    running: dict[Connection, tuple[SpawnProcess, Target, Path]] = {}
    try:
        while queue or running:
            while queue and len(running) < max(1, workers):
                target, chapter, key = queue.pop(0)
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(
                    target=_work, args=(theirs, target, chapter, key, out, threads)
                )
                process.start()
                theirs.close()
                running[ours] = (process, target, chapter)
                report((target, chapter))
            ready = wait(list(running))
            for pipe in [pipe for pipe in running if pipe in ready]:
                process, target, chapter = running.pop(pipe)
                try:
                    run: Run = pipe.recv()
                except EOFError:
                    process.join()
                    run = _failed(
                        target,
                        chapter,
                        f"its process died (exit code {process.exitcode}); see {out / 'logs'}",
                    )
                process.join()
                finished[target, chapter] = run
                report(run)
    finally:
        for left, _, _ in running.values():
            left.terminate()
        for left, _, _ in running.values():
            left.join(timeout=10)
            if left.is_alive():
                left.kill()
    return [finished[job] for job in jobs]


def _key(target: Target, chapter: Path, common: str) -> str:
    """Key of one run: what all chapters of its target share, its own text, values and studies."""
    text = chapter.read_text(encoding="utf-8")
    parts: dict[str, Any] = {"chapter": text, "common": common}
    parts["parameters"] = parameters_of(chapter, target)
    if "detector" in parts["parameters"]:
        parts["detector"] = provenance.weights_digest(target.detector)
    if target.concepts and "concepts" in parts["parameters"]:
        parts["concepts"] = provenance.weights_digest(target.concepts)
    results = sorted((chapter.parent / "results").glob("*"))
    recorded = {path.name: files.sha256(path) for path in results if path.name in text}
    if recorded:  # studies that the chapter reads, by name
        parts["recorded"] = recorded
    return store.key(parts)


def _notebook(target: Target, chapter: Path, out: Path) -> Path:
    return out / "runs" / target.slug / f"{chapter.stem}.ipynb"


def _kept(target: Target, chapter: Path, key: str, out: Path) -> Run | None:
    """The finished run of this key, or None where there is none or its files were changed."""
    notebook = _notebook(target, chapter, out)
    try:
        record = json.loads(notebook.with_suffix(".json").read_text(encoding="utf-8"))
        if record["key"] == key and record["sha256"] == files.sha256(notebook):
            return Run(target, chapter, notebook, "kept", record)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _failed(target: Target, chapter: Path, error: str) -> Run:
    return Run(target, chapter, Path(), "failed", {}, Failure("", error, None))


def _work(
    pipe: Connection, target: Target, chapter: Path, key: str, out: Path, threads: int
) -> None:
    """In the child process: run one chapter and send its `Run`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides, and ends us by SIGTERM
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    log = out / "logs" / f"{target.slug}_{chapter.stem}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:  # what the kernel process itself says, beside its cells
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        run = _execute(target, chapter, key, out, threads)
    except Exception as error:
        run = _failed(target, chapter, f"{type(error).__name__}: {error} (see {out / 'logs'})")
    pipe.send(run)
    pipe.close()


def _end_with_parent() -> None:
    """Stop this process when the one that started it is gone, however that one ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def read_chapter(chapter: Path) -> Any:
    """Read a chapter's script as a notebook; it must have a cell tagged ``parameters``.

    Raises
    ------
    RunError
        If it has none.
    """
    import jupytext

    notebook = jupytext.read(chapter, fmt="py:percent")
    if not any("parameters" in cell.metadata.get("tags", ()) for cell in notebook.cells):
        raise RunError(
            f'{chapter}: no cell is tagged "parameters"; start one with '
            '`# %% tags=["parameters"]` and give action, dataset, root, model, weights, seed and '
            "profile their default values there"
        )
    return notebook


def _parameters_cell(chapter: Path) -> str:
    cells = read_chapter(chapter).cells
    return str(next(c.source for c in cells if "parameters" in c.metadata.get("tags", ())))


@contextmanager
def _kernel_environment(threads: int) -> Iterator[tuple[Path, dict[str, Any]]]:
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
            "JUPYTER_PATH": folder,
            "JUPYTER_RUNTIME_DIR": folder,
            "IPYTHONDIR": folder,
            "TQDM_DISABLE": "1",
            "VX_PROGRESS": "0",
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": os.pathsep.join([str(provenance.PACKAGE.parent), *path]),
        }
        # Sockets in the file system, one place a kernel: TCP ports of parallel kernels can collide.
        ipc = {"transport": "ipc", "ip": str(Path(folder, "kernel"))}
        yield Path(folder), {"KernelManager": {} if sys.platform == "win32" else ipc}


def _execute(target: Target, chapter: Path, key: str, out: Path, threads: int) -> Run:
    """Run one chapter and write its notebook and record, or keep the failed notebook apart."""
    import nbformat
    import papermill
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    source = read_chapter(chapter)
    notebook = _notebook(target, chapter, out)
    started = time.perf_counter()
    with _kernel_environment(threads) as (folder, options):
        temporary = folder / notebook.name
        try:
            executed = papermill.execute_notebook(
                source,
                temporary,
                parameters=parameters_of(chapter, target),
                kernel_name="python3",
                progress_bar=False,
                config=Config(options),
                record_timing=False,
            )
        except Exception as error:
            broken = out / "failed" / target.slug / notebook.name
            if temporary.exists():
                with files.replacing(broken) as beside:
                    shutil.copyfile(temporary, beside)
            cell, text = "", f"{type(error).__name__}: {error}"
            if isinstance(error, PapermillExecutionError):
                cell, text = _failing_line(error), f"{error.ename}: {error.evalue}"
            failure = Failure(cell, text, broken if temporary.exists() else None)
            return Run(target, chapter, notebook, "failed", {}, failure)
    for part in (executed, *executed.cells):
        part.metadata.pop("papermill", None)  # times and paths of this machine
    with files.replacing(notebook) as beside:
        beside.write_text(str(nbformat.writes(executed)), encoding="utf-8")  # type: ignore[no-untyped-call]
    record = {
        "key": key,
        "sha256": files.sha256(notebook),
        "chapter": chapter.stem,
        "parameters": parameters_of(chapter, target),
        "data": provenance.data_digest(target.dataset, target.root),
        "weights": provenance.weights_digest(target.weights),
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        "hardware": provenance.hardware(),
        "threads": threads,
        "seconds": round(time.perf_counter() - started, 2),
        "peak_mib": _peak_mib(),
    }
    with files.replacing(notebook.with_suffix(".json")) as beside:
        beside.write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")
    return Run(target, chapter, notebook, "done", record)


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
