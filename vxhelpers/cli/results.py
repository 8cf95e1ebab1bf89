"""The commands ``vx results`` and ``vx plan``: what runs found, and what many would cost."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vxhelpers.book import publish, timing
from vxhelpers.book import results as stored
from vxhelpers.errors import UnknownNameError
from vxhelpers.io.code_digest import PACKAGE
from vxhelpers.io.files import replacing

_BOOK = PACKAGE.parent / "book"
_BUILD = PACKAGE.parent / "build"

Out = Annotated[Path, typer.Option(help="Build folder.", show_default="build")]


def results(
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Compare this number; may be repeated. `all` for every one."),
    ] = None,
    by: Annotated[str, typer.Option(help="What the columns tell apart.")] = "model",
    action: Annotated[list[str] | None, typer.Option(help="Only this class.")] = None,
    chapter: Annotated[list[str] | None, typer.Option(help="Only this chapter.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write all rows and columns here.")] = None,
    every: Annotated[
        bool, typer.Option("--every", help="Also what later runs have replaced.")
    ] = False,
    out: Out = _BUILD,
) -> None:
    """List the runs of a build folder, or compare the numbers that their chapters noted.

    Examples: `vx results` · `vx results --metric accuracy` · `vx results --metric all --by action`
    """
    console = Console()
    table = stored.read(out, every=every)
    for column, names in (("action", action), ("chapter", chapter)):
        known = list(map(str, table[column].unique()))
        for name in names or ():
            if name not in known:
                raise UnknownNameError(
                    "class" if column == "action" else column, name, known, where=str(out)
                )
        if names:
            table = table[table[column].isin(names)]
    if csv is not None:
        with replacing(csv) as temporary:
            table.to_csv(temporary, index=False)
        console.print(f"{len(table)} rows written to {csv}", highlight=False, markup=False)
        return
    if metric:
        wide = stored.compare(table, metrics=() if metric == ["all"] else metric, by=by)
        _show(console, wide, f"metrics by {by}")
        return
    counted = table.groupby("key", sort=False)["metric"].count()
    runs = table.drop_duplicates("key").set_index("key", drop=False)
    listed = runs[["action", "dataset", "model", "weights", "chapter", "profile"]].assign(
        seconds=[f"{s:.0f}" for s in runs["seconds"]],
        MiB=runs["peak_mib"],
        metrics=counted,
        finished=runs["finished"].str.slice(0, 16).str.replace("T", " "),
    )
    settings = ["action", "dataset", "model", "weights", "profile"]
    shared = [name for name in settings if listed[name].nunique(dropna=False) == 1]
    said = [f"{len(listed)} runs", *(str(listed[name].iloc[0]) for name in shared if len(listed))]
    columns = listed.drop(columns=shared).rename(columns={"action": "class"})
    _show(console, columns, ", ".join(text for text in said if text != "None"))


def _show(console: Console, frame: Any, title: str) -> None:
    """A pandas table on the terminal; names from data are shown literally."""
    table = Table(title=Text(title))
    for column in frame.columns:
        table.add_column(Text(str(column)), overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(Text("" if cell is None or cell != cell else str(cell)) for cell in row))
    console.print(table)


def plan(
    classes: Annotated[int, typer.Option(min=1, help="Classes of the collection.")] = 400,
    gpus: Annotated[
        list[int] | None, typer.Option(min=1, help="Workers, one GPU each; may be repeated.")
    ] = None,
    faster: Annotated[
        float,
        typer.Option(help="The analysis, that is networks and the rest, is so many times as fast."),
    ] = 1.0,
    profile: Annotated[str, typer.Option(help="Of the runs that were measured.")] = "standard",
    out: Out = _BUILD,
    book: Annotated[Path, typer.Option(help="Folder of the chapters' sources.")] = _BOOK,
) -> None:
    """Say what many classes would take on many GPUs, from what finished runs have cost.

    By default the 400 classes of Kinetics-400, on 1, 8 and 64 GPUs. The model is simple: classes
    cost what the measured ones did, and workers wait for nothing that they share. Examples:
    `vx plan` · `vx plan --classes 101 --gpus 4 --faster 10` · `vx plan --profile quick`
    """
    console = Console()
    known = timing.records(out)
    held_once, found = publish.once(book), timing.measured(known, profile=profile)
    chapters = [chapter for chapter in found if chapter.name not in held_once]
    single = [chapter for chapter in found if chapter.name in held_once]
    _print_costs(console, chapters + single)
    hardware = sorted({str(record["hardware"]) for record in known})
    console.print(Text(f"Measured on {'; '.join(hardware)}."))
    title = f"{classes} classes, {len(chapters)} chapters each"
    table = Table(title=Text(title + (f", and {len(single)} once" if single else "")))
    for name in ("GPUs", "time", "busy", "startup", "clips", "analysis", "bottleneck"):
        table.add_column(name, justify="left" if name == "bottleneck" else "right")
    for workers in gpus or (1, 8, 64):
        told = timing.forecast(chapters, classes=classes, workers=workers, single=single,
                              faster=faster)  # fmt: skip
        shares = [f"{told.shares[stage]:.0%}" for stage in ("startup", "clips", "analysis")]
        hours = f"{told.seconds / 3600:.1f} h"
        table.add_row(str(workers), hours, f"{told.busy:.0%}", *shares, told.bottleneck)
    console.print(table)


def _print_costs(console: Console, chapters: list[timing.Chapter]) -> None:
    table = Table(title=Text("seconds a chapter, medians"))
    for name in ("chapter", "startup", "clips", "analysis", "all"):
        table.add_column(name, justify="left" if name == "chapter" else "right")
    for chapter in chapters:
        stages = (chapter.startup, chapter.clips, chapter.analysis, chapter.seconds)
        table.add_row(Text(chapter.name), *(f"{stage:.1f}" for stage in stages))
    console.print(table)
