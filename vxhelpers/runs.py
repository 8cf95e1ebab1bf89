"""Many chapters run for many targets; unchanged ones are kept, the rest go to processes."""

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from vxhelpers import execution, files, locks, processes, provenance, store
from vxhelpers.chapters import own_target, parameters_of, read_chapter, read_text
from vxhelpers.execution import Failure, Job, Run
from vxhelpers.files import WriteError
from vxhelpers.processes import Cell
from vxhelpers.targets import Target

__all__ = ["Cell", "Failure", "Job", "Run", "own_target", "parameters_of", "read_chapter"]

#: What runs jobs and tells of them as they start, go on and end; one such thing for each way.
Runner = Callable[[Sequence[Job]], Generator[Job | Cell | Run, None, None]]
Event = Run | Cell | tuple[Target, Path]


def plan_jobs(pairs: Sequence[tuple[Target, Path]], *, out: Path) -> list[Job]:
    """What is to be run, each with the key of all that it depends on, read now.

    Raises
    ------
    RunError
        If a chapter has no cell tagged ``parameters``.
    """
    shared = lru_cache(maxsize=None)(provenance.data_digest)  # once for a data set's many classes
    weighed = lru_cache(maxsize=None)(provenance.weights_digest)
    texts = {chapter: read_text(chapter) for _, chapter in pairs}
    recorded = {chapter: _recorded(chapter, text) for chapter, text in texts.items()}
    package, versions = provenance.package_digest(), provenance.versions()
    jobs = []
    for target, chapter in dict.fromkeys(pairs):
        text = texts[chapter]
        parts: dict[str, Any] = {
            "chapter": text,
            "package": package,
            "versions": versions,
            "data": shared(target.dataset, target.root),
            "weights": weighed(target.weights),
            "parameters": parameters_of(chapter, target, text),
        }
        if "detector" in parts["parameters"]:
            parts["detector"] = weighed(target.detector)
        if target.concepts and "concepts" in parts["parameters"]:
            parts["concepts"] = weighed(target.concepts)
        if recorded[chapter]:
            parts["recorded"] = recorded[chapter]
        jobs.append(Job(target, chapter, text, store.key(parts), package, out))
    return jobs


def _recorded(chapter: Path, text: str) -> dict[str, str]:
    """Digests of the recorded studies that a chapter reads: it names them in its text."""
    results = sorted((chapter.parent / "results").glob("*"))
    return {path.name: files.sha256(path) for path in results if path.name in text}


def run_chapters(
    pairs: Sequence[tuple[Target, Path]],
    *,
    out: Path,
    workers: int = 2,
    force: bool = False,
    report: Callable[[Event], None] = lambda event: None,
    runner: Runner | None = None,
) -> list[Run]:
    """Run chapters, each for its target, several at a time, each in a process of its own.

    A notebook appears under ``out/runs/<slug>/`` only when all its cells ran, with a JSON record
    beside it and its results under ``out/results/``; a failed one goes to ``out/failed/<slug>/``.
    An interrupted call leaves the finished ones, and the next call goes on from there.

    Parameters
    ----------
    pairs
        What is explained, and a chapter's script (jupytext percent format).
    out
        The build folder; one call at a time works in it.
    workers
        Chapters at a time; the processor's threads are shared out among them.
    force
        Run again what has not changed, too.
    report
        Called with ``(target, chapter)`` when a chapter starts, with a `Cell` when one of its
        cells does, and with the `Run` when it ends.
    runner
        What runs the jobs that are left; processes of this machine unless told.

    Returns
    -------
    list of Run
        In the order of ``pairs``.

    Raises
    ------
    RunError
        If a chapter has no cell tagged ``parameters``, or another call works in ``out``.
    WriteError
        If nothing can be written: the disk is full, or may not be written to.
    """
    jobs = plan_jobs(pairs, out=out)
    finished: dict[tuple[Target, Path], Run] = {}
    with locks.hold(out):
        left = []
        for job in jobs:
            run = None if force else execution.kept(job)
            if run is None:
                left.append(job)
            else:
                finished[job.target, job.chapter] = run
                report(run)
        if runner is None:
            at_once = max(1, min(workers, len(left)))
            threads = max(1, (os.cpu_count() or 1) // at_once)
            left = [replace(job, threads=threads) for job in left]
            events = processes.run_many(left, workers=at_once)
        else:
            events = runner(left)
        with closing(events):
            for event in events:
                if isinstance(event, Job):
                    report((event.target, event.chapter))
                    continue
                report(event)
                if isinstance(event, Run):
                    if event.failure and event.failure.general:
                        raise WriteError(event.failure.error)
                    finished[event.target, event.chapter] = event
    return [finished[pair] for pair in pairs]
