"""``vx data``: list, scan, verify and render the data that manifests describe."""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

app = typer.Typer(
    help="List, scan, verify and render the data that manifests describe.", no_args_is_help=True
)


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


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(help="Show this data set's card in full.")] = None,
) -> None:
    """List the data sets that have a manifest, or show the card of one.

    Examples: `vx data list` · `vx data list kth`
    """
    import yaml

    from vxhelpers.data import manifest

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


@app.command("scan")
def scan(
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
    from vxhelpers.data import manifest, scan

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


@app.command("verify")
def verify(
    name: Annotated[str, typer.Argument(help="Name of a manifest, or path of a CSV.")],
    root: Annotated[Path, typer.Option(help="Folder of the videos.")],
) -> None:
    """Check every clip of a manifest: there, readable, no duplicate, long enough, unchanged.

    Exits with 1 when there is a problem.

    Examples: `vx data verify kth --root ~/kth` · `vx data verify clips/manifest.csv --root clips`
    """
    from vxhelpers.data import manifest, verify

    known = manifest.read(name)
    problems = verify.verify(known, root, progress=_bar("verify"))
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


@app.command("render")
def render(
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
    from vxhelpers.data.datasets import render_stage

    made = render_stage(
        to, task=task, split=split, count=count, seed=seed, size=size, progress=_bar("render")
    )
    Console().print(_counts(made.rows, f"{len(made.rows)} clips in {made.source}"))
