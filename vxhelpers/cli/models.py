"""``vx models``, ``vx train`` and ``vx evaluate``: networks, their weights, their accuracy."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table

from vxhelpers.errors import InputError


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

    from vxhelpers.io.cache import Store
    from vxhelpers.models.training import experiment, modelcard, presets

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


def models() -> None:
    """List the networks of the zoo: input, layers, parameters, shipped weights.

    Example: vx models
    """
    from vxhelpers.models import zoo

    table = Table(title="Networks", title_justify="left")
    for name in ("name", "from", "input (T x H x W)", "parameters", "weights", "layers"):
        table.add_column(name, justify="right" if name == "parameters" else "left")
    for line in zoo.listing():
        size = "?" if line.parameters is None else f"{line.parameters / 1e6:.2f} M"
        listed = (", ".join(line.weights) or "your own", ", ".join(line.layers))
        table.add_row(line.name, line.family, line.input, size, *listed)
    Console().print(table)


def evaluate(
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

    from vxhelpers.data import datasets as sets
    from vxhelpers.models import evaluate, zoo
    from vxhelpers.models.training import experiment

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
    from vxhelpers.models.zoo import default_device

    return str(default_device()) if name == "auto" else name
