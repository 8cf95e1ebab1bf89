"""Many chapters run for many targets; unchanged ones are kept, the rest go to processes."""

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from vxhelpers.book import execute, locks, results
from vxhelpers.book.chapters import own_target, parameters_of, read_chapter, read_text
from vxhelpers.book.execute import Failure, Job, Run
from vxhelpers.book.run_targets import Target
from vxhelpers.book.runner import Cell, run_many
from vxhelpers.data import provenance
from vxhelpers.errors import InputError
from vxhelpers.io import cache, code_digest, files
from vxhelpers.io.files import WriteError

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
    code = {c: code_digest.program_digest(text) for c, text in texts.items()}
    material, versions = provenance.material_digest(), provenance.versions()
    jobs = []
    for target, chapter in dict.fromkeys(pairs):
        text = texts[chapter]
        parts: dict[str, Any] = {
            "chapter": text,
            "package": [code[chapter], material],
            "versions": versions,
            "data": execute.data_of(target, shared),
            "weights": weighed(target.weights),
            "parameters": parameters_of(chapter, target, text),
        }
        if "detector" in parts["parameters"]:
            parts["detector"] = weighed(target.detector)
        if target.concepts and "concepts" in parts["parameters"]:
            parts["concepts"] = weighed(target.concepts)
        if recorded[chapter]:
            parts["recorded"] = recorded[chapter]
        jobs.append(Job(target, chapter, text, cache.key(parts), code[chapter], out))
    return jobs


def _recorded(chapter: Path, text: str) -> dict[str, str]:
    """Digests of the recorded studies that a chapter reads: it names them in its text."""
    results = sorted((chapter.parent / "results").glob("*"))
    return {path.name: files.sha256(path) for path in results if path.name in text}


def run_chapters(
    pairs: Sequence[tuple[Target, Path]],
    *,
    out: Path,
    about: Sequence[Target] = (),
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
    about
        Whose results chapters that sum up (targets with ``results``) are about. They run last,
        when the others are through, and on this machine.
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
    first = [pair for pair in pairs if not pair[0].results]
    last = [pair for pair in pairs if pair[0].results]
    jobs, finished = plan_jobs(first, out=out), dict[tuple[Target, Path], Run]()

    def run(jobs: Sequence[Job], runner: Runner | None) -> None:
        with closing(_run(jobs, workers=workers, force=force, runner=runner)) as events:
            for event in events:
                report(event)
                if isinstance(event, Run):
                    if event.failure and event.failure.general:
                        raise WriteError(event.failure.error)
                    finished[event.target, event.chapter] = event

    with locks.hold(out):
        run(jobs, runner)
        try:
            if last:
                results.write_book(about, out)
        except InputError as error:  # nothing was found, or a file is damaged
            for pair in last:
                finished[pair] = execute.unstarted(*pair, str(error))
                report(finished[pair])
        else:
            run(plan_jobs(last, out=out), None)
    return [finished[pair] for pair in pairs]


def _run(
    jobs: Sequence[Job], *, workers: int, force: bool, runner: Runner | None
) -> Generator[Event, None, None]:
    """What is kept, then what is run, as it happens."""
    left = []
    for job in jobs:
        run = None if force else execute.kept(job)
        if run is None:
            left.append(job)
        else:
            yield run
    if runner is None:
        at_once = max(1, min(workers, len(left)))
        threads = max(1, (os.cpu_count() or 1) // at_once)
        left = [replace(job, threads=threads) for job in left]
        runner = partial(run_many, workers=at_once)
    with closing(runner(left)) as events:
        for event in events:
            yield (event.target, event.chapter) if isinstance(event, Job) else event
