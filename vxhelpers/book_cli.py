"""The commands ``vx run``, ``vx book`` and ``vx pair``."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from vxhelpers import pairs, provenance, publish, runs, targets
from vxhelpers.errors import InputError, UnknownNameError

console = Console()
_BOOK = provenance.PACKAGE.parent / "book"

Actions = Annotated[list[str] | None, typer.Option("--action", help="Class; may be repeated.")]
Dataset = Annotated[str | None, typer.Option(help="stage:TASK or the name of a manifest.")]
ManifestFile = Annotated[Path | None, typer.Option(help="Manifest of your own videos (CSV).")]
Root = Annotated[Path | None, typer.Option(help="Folder that the manifest's paths start from.")]
ModelName = Annotated[str | None, typer.Option("--model", help="Entry of the zoo.")]
Weights = Annotated[str | None, typer.Option(help="Weights file, or the name of shipped weights.")]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
Profile = Annotated[str | None, typer.Option(help="standard, or quick for fewer clips.")]
DetectorName = Annotated[
    str | None, typer.Option("--detector", help="Finds objects: stage, weights, or a folder.")
]
Objects = Annotated[
    list[str] | None,
    typer.Option("--object", help="Label of the detector; may be repeated. By default, all found."),
]
Concepts = Annotated[
    Path | None, typer.Option(help="Folder of concept sets. By default, they are made.")
]
Chapters = Annotated[list[str] | None, typer.Option("--chapter", help="Chapter; all unless given.")]
Out = Annotated[Path | None, typer.Option(help="Build folder.", show_default="build")]
Jobs = Annotated[int, typer.Option(min=1, help="Chapters at a time.")]
Force = Annotated[bool, typer.Option("--force", help="Run again what has not changed, too.")]
Sources = Annotated[Path, typer.Option("--book", help="Folder of the chapters' sources.")]


def run(
    action: Actions = None,
    dataset: Dataset = None,
    manifest: ManifestFile = None,
    root: Root = None,
    model: ModelName = None,
    weights: Weights = None,
    seed: Seed = None,
    profile: Profile = None,
    detector: DetectorName = None,
    objects: Objects = None,
    concepts: Concepts = None,
    chapter: Chapters = None,
    out: Out = None,
    jobs: Jobs = 2,
    force: Force = False,
    sources: Sources = _BOOK,
) -> None:
    """Run the chapters for each class; what has not changed since the last time is kept."""
    chosen = _choose(
        sources,
        action,
        dataset,
        manifest,
        root,
        model,
        weights,
        seed,
        profile,
        detector,
        objects,
        concepts,
    )
    told = any((action, dataset, manifest, model, weights))
    plan = _plan(sources, chosen, chapter, theirs=bool(chapter) and told)
    _run(plan, out=out or sources.parent / "build", workers=jobs, force=force)


def book(
    action: Actions = None,
    dataset: Dataset = None,
    manifest: ManifestFile = None,
    root: Root = None,
    model: ModelName = None,
    weights: Weights = None,
    seed: Seed = None,
    profile: Profile = None,
    detector: DetectorName = None,
    objects: Objects = None,
    concepts: Concepts = None,
    out: Out = None,
    jobs: Jobs = 2,
    force: Force = False,
    sources: Sources = _BOOK,
) -> None:
    """Run what is missing, then build the book of all chosen classes as HTML."""
    chosen = _choose(
        sources,
        action,
        dataset,
        manifest,
        root,
        model,
        weights,
        seed,
        profile,
        detector,
        objects,
        concepts,
    )
    out = out or sources.parent / "build"
    plan = _plan(sources, chosen, None)
    done = _run(plan, out=out, workers=jobs, force=force)
    config = sources.parent / "_config.yml"
    with _interruptible(), console.status("building the pages"):
        index, anew = publish.publish(done, book=sources, config=config, out=out)
    console.print("built" if anew else "nothing has changed", style="green", end=": ")
    console.print(str(index.absolute()), markup=False, highlight=False, soft_wrap=True)


def pair(sources: Sources = _BOOK) -> None:
    """Derive the chapters' notebooks from their scripts."""
    scripts = publish.chapter_scripts(sources)
    written = pairs.pair(scripts)
    console.print(f"{len(scripts)} chapters, {len(written)} notebooks written", highlight=False)


def _choose(
    sources: Path,
    action: list[str] | None,
    dataset: str | None,
    manifest: Path | None,
    root: Path | None,
    model: str | None,
    weights: str | None,
    seed: int | None,
    profile: str | None,
    detector: str | None,
    objects: list[str] | None,
    concepts: Path | None,
) -> list[targets.Target]:
    if dataset is not None and manifest is not None:
        raise InputError("--dataset and --manifest both name the data; give one of them")
    if profile not in (None, *targets.PROFILES):
        raise UnknownNameError("profile", str(profile), targets.PROFILES)
    if model is not None:
        from vxhelpers import zoo

        if model not in zoo.names():
            raise UnknownNameError("model", model, zoo.names(), where="the zoo")
    chosen = targets.choose(
        targets.read_table(sources / "_book.yml"),
        actions=action or (),
        dataset=str(manifest) if manifest else dataset,
        root=str(root) if root else None,
        model=model,
        weights=weights,
        seed=seed,
        profile=profile,
        detector=detector,
        objects=objects,
        concepts=str(concepts) if concepts else None,
    )
    targets.check(chosen)
    return chosen


def _plan(
    sources: Path,
    chosen: Sequence[targets.Target],
    names: Sequence[str] | None,
    *,
    theirs: bool = False,
) -> list[tuple[targets.Target, Path]]:
    """What to run: each chapter for each class; those that the book holds once, for their own.

    With ``theirs``, those too are run for the chosen classes.
    """
    scripts = {script.stem: script for script in publish.chapter_scripts(sources)}
    for name in names or ():
        if name not in scripts:
            raise UnknownNameError("chapter", name, scripts, where=str(sources / "_toc.yml"))
    wanted = [scripts[name] for name in dict.fromkeys(names or scripts)]
    single = set() if theirs else publish.once(sources)
    seed, profile = chosen[0].seed, chosen[0].profile
    return [
        *((target, path) for target in chosen for path in wanted if path.stem not in single),
        *(
            (runs.own_target(path, seed=seed, profile=profile), path)
            for path in wanted
            if path.stem in single
        ),
    ]


@contextmanager
def _interruptible() -> Iterator[None]:
    """End cleanly on Ctrl-C and on a polite kill, and say how to go on."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        console.print("interrupted; the same command goes on with the chapters that are left")
        raise typer.Exit(130) from interrupt
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(plan: Sequence[tuple[targets.Target, Path]], **options: Any) -> list[runs.Run]:
    """Run with a line a chapter; raise `typer.Exit` after a table of failures if there are any."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with _interruptible(), Progress(*columns, console=console, transient=True) as progress:
        tasks: dict[tuple[targets.Target, Path], Any] = {}

        def report(event: runs.Run | tuple[targets.Target, Path]) -> None:
            if isinstance(event, tuple):
                target, chapter = event
                tasks[event] = progress.add_task(escape(f"{target.action}: {chapter.stem}"))
                return
            if (task := tasks.get((event.target, event.chapter))) is not None:
                progress.remove_task(task)
            if event.status != "kept":
                cost = f" {event.record['seconds']:.0f} s" if event.record else ""
                text = f"{event.status}{cost}  {event.target.action}: {event.chapter.stem}"
                console.print(text, markup=False, highlight=False, soft_wrap=True)

        done = runs.run_chapters(plan, report=report, **options)
    kept = sum(run.status == "kept" for run in done)
    console.print(f"{len(done)} chapters: {kept} kept, {len(done) - kept} run", highlight=False)
    if failed := [run for run in done if run.failure]:
        console.print(_failures(failed))
        raise typer.Exit(1)
    return done


def _failures(failed: Sequence[runs.Run]) -> Table:
    table = Table(title="failed; nothing of these is published", title_style="red", show_lines=True)
    for column in ("class", "chapter", "cell", "error", "notebook"):
        table.add_column(column, overflow="fold")
    for run in failed:
        failure = run.failure
        assert failure is not None
        words = (run.target.action, run.chapter.stem, failure.cell, failure.error)
        table.add_row(*map(Text, (*words, str(failure.notebook or "none"))))
    return table
