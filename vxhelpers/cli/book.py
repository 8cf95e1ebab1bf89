"""The commands ``vx run``, ``vx book`` and ``vx pair``."""

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vxhelpers.book import (
    chapters,
    check_targets,
    locks,
    progress,
    publish,
    run_config,
    run_targets,
    runs,
)
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.io.code_digest import PACKAGE

console = Console()
_BOOK = PACKAGE.parent / "book"

Actions = Annotated[
    list[str] | None,
    typer.Option("--action", "--actions", help="Class; may be repeated. `all` for every class."),
]
Dataset = Annotated[str | None, typer.Option(help="stage:TASK or the name of a manifest.")]
ManifestFile = Annotated[Path | None, typer.Option(help="Manifest of your own videos (CSV).")]
Root = Annotated[Path | None, typer.Option(help="Folder that the manifest's paths start from.")]
ModelNames = Annotated[
    list[str] | None, typer.Option("--model", help="Entry of the zoo; may be repeated.")
]
Weights = Annotated[
    list[str] | None,
    typer.Option(help="Weights file, or name of shipped weights; may be repeated, as --model."),
]
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
Jobs = Annotated[int | None, typer.Option(min=1, help="Chapters at a time here.", show_default="2")]
PlanFile = Annotated[
    Path | None,
    typer.Option("--plan", help="YAML file that says what the flags do; flags go before it."),
]
Scheduler = Annotated[
    str | None, typer.Option(help="Address of a Dask scheduler: run on its workers.")
]
SlurmWords = Annotated[
    str | None,
    typer.Option("--slurm", help="Run on a SLURM cluster, asked for: name=value,name=value."),
]
Force = Annotated[bool, typer.Option("--force", help="Run again what has not changed, too.")]
Sources = Annotated[Path, typer.Option("--book", help="Folder of the chapters' sources.")]


def run(
    action: Actions = None,
    dataset: Dataset = None,
    manifest: ManifestFile = None,
    root: Root = None,
    model: ModelNames = None,
    weights: Weights = None,
    seed: Seed = None,
    profile: Profile = None,
    detector: DetectorName = None,
    objects: Objects = None,
    concepts: Concepts = None,
    chapter: Chapters = None,
    plan: PlanFile = None,
    scheduler: Scheduler = None,
    slurm: SlurmWords = None,
    out: Out = None,
    jobs: Jobs = None,
    force: Force = False,
    sources: Sources = _BOOK,
) -> None:
    """Run the chapters for each class; what has not changed since the last time is kept.

    Examples: `vx run --action running --chapter gradcam` ·
    `vx run --action all --dataset stage:kth --model stage_c3d --model stage_r3d` ·
    `vx run --plan plan.yml --slurm queue=gpu,workers=8`
    """
    asked = run_config.Plan(
        **_said(locals()),
        chapters=tuple(chapter or ()),
        scheduler=scheduler,
        slurm=None if slurm is None else run_config.slurm_from(slurm),
    )
    asked = asked if plan is None else asked.over(run_config.read_plan(plan))
    told = any((asked.actions, asked.dataset, asked.manifest, asked.models, asked.weights))
    folder = Path(asked.out or sources.parent / "build")
    chosen = _choose(sources, asked)
    pairs_ = _pairs(sources, asked, chosen, out=folder, theirs=bool(asked.chapters) and told)
    _run(pairs_, asked, chosen, out=folder)


def book(
    action: Actions = None,
    dataset: Dataset = None,
    manifest: ManifestFile = None,
    root: Root = None,
    model: ModelNames = None,
    weights: Weights = None,
    seed: Seed = None,
    profile: Profile = None,
    detector: DetectorName = None,
    objects: Objects = None,
    concepts: Concepts = None,
    plan: PlanFile = None,
    out: Out = None,
    jobs: Jobs = None,
    force: Force = False,
    sources: Sources = _BOOK,
) -> None:
    """Run what is missing, then build the book of all chosen classes as HTML."""
    asked = run_config.Plan(**_said(locals()))
    asked = asked if plan is None else asked.over(run_config.read_plan(plan))
    if asked.chapters:
        raise InputError("a book holds all chapters: take `chapters` out of the plan, or `vx run`")
    folder = Path(asked.out or sources.parent / "build")
    chosen = _choose(sources, asked)
    done = _run(_pairs(sources, asked, chosen, out=folder), asked, chosen, out=folder)
    config = sources.parent / "_config.yml"
    with _interruptible(), console.status("building the pages"), locks.hold(folder):
        index, anew = publish.publish(done, book=sources, config=config, out=folder)
    console.print("built" if anew else "nothing has changed", style="green", end=": ")
    console.print(str(index.absolute()), markup=False, highlight=False, soft_wrap=True)


def _said(flags: Mapping[str, Any]) -> dict[str, Any]:
    """What the flags that `run` and `book` share say, under a plan's names."""
    names = flags["action"] or []
    paths = {name: flags[name] for name in ("manifest", "root", "concepts", "out")}
    return {
        "actions": "all" if names == ["all"] else tuple(names),
        "models": tuple(flags["model"] or ()),
        "weights": tuple(flags["weights"] or ()),
        "objects": tuple(flags["objects"] or ()),
        **{name: None if path is None else str(path) for name, path in paths.items()},
        **{name: flags[name] for name in ("dataset", "seed", "profile", "detector", "jobs")},
        "force": flags["force"] or None,
    }


def pair(sources: Sources = _BOOK) -> None:
    """Derive the notebooks of chapters and live pages from their scripts."""
    scripts = [*publish.chapter_scripts(sources), *sorted(sources.glob("live/*.py"))]
    written = chapters.pair(scripts)
    console.print(f"{len(scripts)} scripts, {len(written)} notebooks written", highlight=False)


def _choose(sources: Path, asked: run_config.Plan) -> list[run_targets.Target]:
    """The targets of a plan: each class with each network, checked."""
    if asked.dataset is not None and asked.manifest is not None:
        raise InputError("--dataset and --manifest both name the data; give one of them")
    if asked.profile not in (None, *run_targets.PROFILES):
        raise UnknownNameError("profile", str(asked.profile), run_targets.PROFILES)
    if asked.models:
        from vxhelpers.models import zoo

        for model in asked.models:
            if model not in zoo.names():
                raise UnknownNameError("model", model, zoo.names(), where="the zoo")
    table = run_targets.read_table(sources / "_book.yml")
    by_network = [
        run_targets.choose(
            table,
            actions=asked.actions,
            dataset=asked.manifest or asked.dataset,
            root=asked.root,
            model=model,
            weights=weights,
            seed=asked.seed,
            profile=asked.profile,
            detector=asked.detector,
            objects=asked.objects or None,
            concepts=asked.concepts,
        )
        for model, weights in asked.networks()
    ]
    chosen = [target for one_class in zip(*by_network, strict=True) for target in one_class]
    chosen = list(dict.fromkeys(chosen))
    check_targets.check(chosen)
    return chosen


def _pairs(
    sources: Path,
    asked: run_config.Plan,
    chosen: Sequence[run_targets.Target],
    *,
    out: Path,
    theirs: bool = False,
) -> list[tuple[run_targets.Target, Path]]:
    """What to run: each chapter for each class; those that the book holds once, for their own.

    With ``theirs``, those too are run for the chosen classes. Chapters that sum up come last.
    """
    scripts = {script.stem: script for script in publish.chapter_scripts(sources)}
    for name in asked.chapters:
        if name not in scripts:
            raise UnknownNameError("chapter", name, scripts, where=str(sources / "_toc.yml"))
    wanted = [scripts[name] for name in dict.fromkeys(asked.chapters or scripts)]
    last = publish.summaries(sources)
    single = set() if theirs else publish.once(sources) - last
    seed, profile = chosen[0].seed, chosen[0].profile
    summary = run_targets.summary_of(chosen, out / "metrics.parquet")
    return [
        *((target, path) for target in chosen for path in wanted if path.stem not in single | last),
        *(
            (runs.own_target(path, seed=seed, profile=profile), path)
            for path in wanted
            if path.stem in single
        ),
        *((summary, path) for path in wanted if path.stem in last),
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


def _run(
    wanted: Sequence[tuple[run_targets.Target, Path]],
    asked: run_config.Plan,
    chosen: Sequence[run_targets.Target],
    *,
    out: Path,
) -> list[runs.Run]:
    """Run and show how it goes on; raise `typer.Exit` after a table of failures, if any."""
    workers = asked.slurm.workers if asked.slurm else asked.jobs or 2
    with _interruptible(), progress.shown(console, wanted, out=out, workers=workers) as report:
        done = runs.run_chapters(
            wanted,
            out=out,
            about=chosen,
            workers=workers,
            force=bool(asked.force),
            report=report,
            runner=_runner(asked),
        )
    kept = sum(run.status == "kept" for run in done)
    console.print(f"{len(done)} chapters: {kept} kept, {len(done) - kept} run", highlight=False)
    if failed := [run for run in done if run.failure]:
        console.print(_failures(failed))
        raise typer.Exit(1)
    return done


def _runner(asked: run_config.Plan) -> runs.Runner | None:
    """What runs the chapters, where that is not this machine alone."""
    if asked.scheduler is not None and asked.slurm is not None:
        raise InputError("--scheduler and --slurm both name the cluster; give one of them")
    if asked.scheduler is None and asked.slurm is None:
        return None
    wanted = "distributed" if asked.slurm is None else "dask_jobqueue"
    if find_spec(wanted) is None:
        raise InputError(f"{wanted} is not installed, which runs on several machines need")
    from vxhelpers.book import cluster

    if asked.slurm is not None:
        return cluster.on_slurm(asked.slurm)
    return cluster.on_scheduler(str(asked.scheduler))


def _failures(failed: Sequence[runs.Run]) -> Table:
    table = Table(title="failed; nothing of these is published", title_style="red", show_lines=True)
    for column in ("class", "chapter", "cell", "error", "notebook"):
        table.add_column(column, overflow="fold")
    for run in failed:
        failure = run.failure
        assert failure is not None
        words = (run.target.label, run.chapter.stem, failure.cell, failure.error)
        table.add_row(*map(Text, (*words, str(failure.notebook or "none"))))
    return table
