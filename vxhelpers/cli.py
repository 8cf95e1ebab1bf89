"""The command line ``vx``: thin commands over the package, errors in red without a traceback."""

import shlex
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.progress import track
from rich.table import Table
from typer.core import TyperGroup

from vxhelpers import book_cli, concepts_cli, evidence_cli, results_cli
from vxhelpers.errors import InputError, VxError


class _Group(TyperGroup):
    """A group of commands that shows an error of ours as one red text and exits with 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except VxError as error:
            text = f"error: {error}"
            Console(stderr=True).print(
                text, style="red", markup=False, highlight=False, soft_wrap=True
            )
            raise typer.Exit(1) from error


app = typer.Typer(
    name="vx",
    cls=_Group,
    help="Explain what video action-recognition networks look at.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
data = typer.Typer(
    help="List, scan, verify and render the data that manifests describe.", no_args_is_help=True
)
app.add_typer(data, name="data")
app.add_typer(concepts_cli.app, name="concepts")
for command in (book_cli.run, book_cli.book, book_cli.pair, evidence_cli.evidence):
    app.command()(command)
app.command()(results_cli.results)
app.command()(results_cli.plan)


@app.callback()
def main() -> None:
    """Explain what video action-recognition networks look at."""


class Split(StrEnum):
    """How ``vx data scan`` divides the clips."""

    video = "video"
    time = "time"


def _bar(title: str) -> Any:
    """A progress bar over an iterable of known length, on stderr."""

    def bar(items: Iterable[Any], total: int) -> Iterable[Any]:
        return track(items, description=title, total=total, console=Console(stderr=True))

    return bar


def _counts(rows: Iterable[Any], title: str) -> Table:
    """Clips by class and split."""
    rows = list(rows)
    splits = list(dict.fromkeys(row.split for row in rows))
    table = Table("class", *map(escape, splits), title=escape(title))
    for label in sorted({row.label for row in rows}):
        cells = [sum(r.label == label and r.split == split for r in rows) for split in splits]
        table.add_row(escape(label), *map(str, cells))
    return table


@data.command("list")
def data_list(
    name: Annotated[str | None, typer.Argument(help="Show this data set's card in full.")] = None,
) -> None:
    """List the data sets that have a manifest, or show the card of one.

    Examples: `vx data list` · `vx data list kth`
    """
    import yaml

    from vxhelpers import manifest

    console = Console()
    if name is not None:
        card = manifest.read_card(name)
        text = yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=console.width - 2)
        console.print(text, markup=False, highlight=False)
        return
    table = Table("name", "what", "classes", "clips", "licence", title="Data sets")
    for known in manifest.names():
        card = manifest.read_card(known)
        clips = ", ".join(f"{count} {split}" for split, count in card.get("counts", {}).items())
        classes = str(len(card.get("labels", [])))
        about = (
            str(card.get("title", "")),
            classes,
            clips or "vx data scan",
            str(card.get("licence", "")),
        )
        table.add_row(known, *about)
    console.print(table)


@data.command("scan")
def data_scan(
    folder: Annotated[Path, typer.Argument(help="Holds `<class>/<video>`, or see --labels.")],
    to: Annotated[
        Path | None,
        typer.Option("--out", "--to", help="Manifest to write [default: FOLDER/manifest.csv]."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the data set [default: FOLDER's].")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="CSV with columns path,label; paths from FOLDER.")
    ] = None,
    windows: Annotated[int | None, typer.Option(help="Clips a video.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Length of a clip.")] = None,
    split: Annotated[
        Split, typer.Option(help="Whole videos, or earlier and later clips of each.")
    ] = Split.video,
    val: Annotated[float, typer.Option(help="Share for validation.")] = 0.15,
    test: Annotated[float, typer.Option(help="Share for test.")] = 0.25,
    seed: Annotated[int, typer.Option(help="Of the drawing.")] = 0,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out what cannot be read; list it.")
    ] = False,
) -> None:
    """Make a manifest of your own videos.

    Examples:
    `vx data scan my_videos` ·
    `vx data scan my_videos --windows 6 --seconds 1.5 --split time` ·
    `vx data scan footage --labels labels.csv --out footage.csv`
    """
    from vxhelpers import manifest, scan

    target = to or folder / "manifest.csv"
    found = scan.scan(
        folder,
        name=name,
        labels=labels,
        windows=windows,
        seconds=seconds,
        split=split.value,
        val=val,
        test=test,
        seed=seed,
        skip_unreadable=skip_unreadable,
        progress=_bar("scan"),
    )
    scan.write_beside(found, target, folder)
    left_out = found.card["left_out"]
    console = Console()
    console.print(_counts(manifest.read(target).rows, f"{len(found.rows)} clips in {target}"))
    for path, why in left_out["unreadable"].items():
        console.print(f"left out {path}: {why}", style="yellow", markup=False, highlight=False)
    if left_out["not_listed"]:
        console.print(
            escape(f"{left_out['not_listed']} videos are not in {labels}"), style="yellow"
        )
    if others := left_out["other_endings"]:
        text = ", ".join(
            f"{count} {ending or 'without an ending'}" for ending, count in others.items()
        )
        console.print(f"left out, no videos by their ending: {text}", style="yellow", markup=False)


@data.command("verify")
def data_verify(
    name: Annotated[str, typer.Argument(help="Name of a manifest, or path of a CSV.")],
    root: Annotated[Path, typer.Option(help="Folder of the videos.")],
) -> None:
    """Check every clip of a manifest: there, readable, no duplicate, long enough, unchanged.

    Exits with 1 when there is a problem.

    Examples: `vx data verify kth --root ~/kth` · `vx data verify clips/manifest.csv --root clips`
    """
    from vxhelpers import manifest, scan

    known = manifest.read(name)
    problems = scan.verify(known, root, progress=_bar("verify"))
    console = Console()
    bad = len({problem.clip_id for problem in problems})
    if problems:
        table = Table("clip", "path", "problem", "detail", title=escape(f"{name}: rows to look at"))
        for problem in problems:
            table.add_row(
                *map(escape, (problem.clip_id, problem.path, problem.kind, problem.detail))
            )
        console.print(table)
    console.print(f"{len(known.rows) - bad} of {len(known.rows)} clips are usable")
    raise typer.Exit(1 if problems else 0)


@data.command("render")
def data_render(
    to: Annotated[Path, typer.Argument(help="Folder to write to.")],
    task: Annotated[str | None, typer.Option(help="One task [default: all].")] = None,
    split: Annotated[str | None, typer.Option(help="One split [default: all].")] = None,
    count: Annotated[int | None, typer.Option(help="At most so many of each.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another data set.")] = 0,
    size: Annotated[int, typer.Option(help="Height and width in pixels.")] = 112,
) -> None:
    """Write rendered clips with their ground truth: lossless videos, id masks, boxes, manifest.

    Examples: `vx data render rendered --task tennis --split test --count 20` ·
    `vx data render rendered --task motion --size 224`
    """
    from vxhelpers.data import render_stage

    made = render_stage(
        to, task=task, split=split, count=count, seed=seed, size=size, progress=_bar("render")
    )
    Console().print(_counts(made.rows, f"{len(made.rows)} clips in {made.source}"))


@app.command("train")
def train(
    model: Annotated[str, typer.Option(help="Entry of the zoo, such as `stage_r3d`.")],
    data: Annotated[str, typer.Option(help="`stage:TASK`, a manifest's name, or a CSV.")],
    out: Annotated[Path, typer.Option(help="Weights to write (.safetensors); card beside it.")],
    root: Annotated[Path | None, typer.Option(help="Folder of a manifest's videos.")] = None,
    preset: Annotated[str, typer.Option(help="Recipe: quick, stce or swin.")] = "quick",
    epochs: Annotated[int | None, typer.Option(help="Instead of the preset's.")] = None,
    batch: Annotated[int | None, typer.Option(help="Instead of the preset's.")] = None,
    lr: Annotated[float | None, typer.Option(help="Instead of the preset's.")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other value of the preset."),
    ] = None,
    clips: Annotated[int | None, typer.Option(help="Training clips of a stage task.")] = None,
    labels: Annotated[str | None, typer.Option(help="Classes, by commas [default: all].")] = None,
    init: Annotated[
        str | None, typer.Option(help="Start from a weights file, a shipped task, or `published`.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of initial weights, order, augmentation.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, ... or auto.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="Of torch; also workers that load.")] = None,
    checkpoints: Annotated[
        Path | None, typer.Option(help="Folder to keep them in [default: beside OUT, removed].")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on where a killed run stopped.")] = True,
    half: Annotated[bool, typer.Option(help="Write float16, else float32.")] = True,
) -> None:
    """Train a network and write its weights with a model card.

    A killed run goes on from its last epoch when the same command is given again.

    Examples: `vx train --model stage_r3d --data stage:motion --out r3d.safetensors` ·
    `vx train --model stage_c3d --data stage:kth --out c3d.safetensors --preset stce` ·
    `vx train --model stage_r3d --data stage:kth --out r3d.safetensors --set flip=true` ·
    `vx train --model stage_r3d --data clips/manifest.csv --out mine.safetensors --init kth`
    """
    import torch

    from vxhelpers import experiment, modelcard, presets
    from vxhelpers.store import Store

    values = dict(_assignment(text) for text in change or ())
    named = {"epochs": epochs, "batch": batch, "lr": lr}
    values |= {name: str(value) for name, value in named.items() if value is not None}
    recipe = presets.override(presets.preset(preset), values)
    if threads is not None:
        torch.set_num_threads(max(1, threads))
    card = experiment.train_model(
        model,
        data,
        out,
        preset=recipe,
        clips=clips,
        seed=seed,
        root=root,
        labels=tuple(map(str.strip, labels.split(","))) if labels else None,
        init=init,
        half=half,
        device=_device(device),
        workers=threads or torch.get_num_threads(),
        store=Store(),
        checkpoint_dir=checkpoints,
        resume=resume,
        command=shlex.join(["vx", *sys.argv[1:]]),
    )
    Console().print(Markdown(modelcard.card_markdown(card)))


@app.command("models")
def models() -> None:
    """List the networks of the zoo: input, layers, parameters, shipped weights.

    Example: vx models
    """
    from vxhelpers import zoo

    table = Table(title="Networks", title_justify="left")
    for name in ("name", "from", "input (T x H x W)", "parameters", "weights", "layers"):
        table.add_column(name, justify="right" if name == "parameters" else "left")
    for line in zoo.listing():
        size = "?" if line.parameters is None else f"{line.parameters / 1e6:.2f} M"
        listed = (", ".join(line.weights) or "your own", ", ".join(line.layers))
        table.add_row(line.name, line.family, line.input, size, *listed)
    Console().print(table)


@app.command("evaluate")
def evaluate_(
    model: Annotated[str, typer.Option(help="Entry of the zoo, such as `stage_r3d`.")],
    data: Annotated[str, typer.Option(help="`stage:TASK`, a manifest's name, or a CSV.")],
    weights: Annotated[
        str | None, typer.Option(help="File or shipped task [default: published].")
    ] = None,
    split: Annotated[str, typer.Option(help="Which clips.")] = "test",
    root: Annotated[Path | None, typer.Option(help="Folder of a manifest's videos.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many clips, evenly taken.")] = None,
    batch: Annotated[int, typer.Option(help="Clips a forward pass.")] = 16,
    seed: Annotated[int, typer.Option(help="Of the shuffled clips.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, ... or auto.")] = "auto",
) -> None:
    """Say how good a network is, and whether it needs motion: the causal check and confusions.

    Examples: `vx evaluate --model stage_r3d --weights motion --data stage:motion` ·
    `vx evaluate --model stage_r3d --weights mine.safetensors --data clips/manifest.csv`
    """
    import numpy as np

    from vxhelpers import data as sets
    from vxhelpers import evaluate, experiment, zoo

    loaded = zoo.load(model, weights=weights, device=_device(device))
    clips, classes = experiment.clips_of(
        sets.open_data(data, root=root), split, labels=loaded.labels, limit=limit
    )
    check = evaluate.causal_check(
        loaded, clips, classes, rng=np.random.default_rng(seed), batch=batch, progress=True
    )
    scores = Table("clips", "accuracy", "95 % Wilson", "n", "chance", "majority")
    for name, score in check.accuracy.items():
        interval = f"{score.low:.3f} to {score.high:.3f}"
        figures = (f"{value:.3f}" for value in (score.chance, score.majority))
        scores.add_row(name, f"{score.value:.3f}", interval, str(score.n), *figures)
    console = Console()
    console.print(scores)
    for name in ("normal", "reversed"):
        table = Table("label", *map(escape, loaded.labels), title=f"label by prediction, {name}")
        for label, counts in zip(loaded.labels, check.tables[name].tolist(), strict=True):
            table.add_row(escape(label), *map(str, counts))
        console.print(table)


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set {text}: NAME=VALUE is needed, such as --set flip=true")
    return name.strip().replace("-", "_"), value.strip()


def _device(name: str) -> str:
    from vxhelpers.devices import default_device

    return str(default_device()) if name == "auto" else name


if __name__ == "__main__":
    sys.exit(app())
