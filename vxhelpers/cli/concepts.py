"""The commands ``vx concepts``: make concept sets, list them, review them, train the detector."""

import shlex
import signal
import sys
import webbrowser
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from vxhelpers.errors import VxError

if TYPE_CHECKING:
    from vxhelpers.concept_sets.folder import ConceptFolder

console = Console()
app = typer.Typer(
    help="Concept clips: make them from videos, list, review; train the stage's detector.",
    no_args_is_help=True,
)


class Where(StrEnum):
    """Placements of ``vx concepts make``."""

    in_place = "in_place"
    centred = "centred"


class Broken(StrEnum):
    """Controls of ``vx concepts make``."""

    shuffled = "shuffled"
    reversed = "reversed"


@app.command()
def make(
    data: Annotated[str, typer.Option(help="`stage:TASK`, a manifest's name, or a CSV.")],
    action: Annotated[str, typer.Option(help="Class that the concepts are to explain.")],
    objects: Annotated[
        list[str], typer.Option("--object", help="Label of the detector; may be repeated.")
    ],
    root: Annotated[Path | None, typer.Option(help="Folder of a manifest's videos.")] = None,
    detector: Annotated[
        str, typer.Option(help="`stage`, `ground truth`, or a file or name of ultralytics'.")
    ] = "stage",
    out: Annotated[Path | None, typer.Option(help="Folder to write [default: cache].")] = None,
    count: Annotated[int, typer.Option(help="Clips of each object.")] = 30,
    per_video: Annotated[int, typer.Option(help="Of one object from one video at most.")] = 1,
    sets: Annotated[int, typer.Option(help="Random sets, as large each.")] = 10,
    scoring: Annotated[int, typer.Option(help="Clips to set aside to be scored.")] = 30,
    split: Annotated[str, typer.Option(help="Where these are taken from.")] = "test",
    placement: Annotated[
        list[Where] | None, typer.Option(help="One of the two; else both.")
    ] = None,
    control: Annotated[list[Broken] | None, typer.Option(help="One of the two; else both.")] = None,
    random_actions: Annotated[
        list[str] | None,
        typer.Option("--random-action", help="Class that random sets are of; else all."),
    ] = None,
    random_targets: Annotated[
        bool, typer.Option("--random-targets", help="Random sets may hold the objects, too.")
    ] = False,
    others: Annotated[
        str | None, typer.Option(help="Other data that random sets are of, as --data.")
    ] = None,
    others_root: Annotated[Path | None, typer.Option(help="Folder of its videos.")] = None,
    min_frames: Annotated[int, typer.Option(help="Of a clip; shorter tracks are dropped.")] = 12,
    max_frames: Annotated[int, typer.Option(help="Of a clip; the best part is cut out.")] = 64,
    allow_fewer: Annotated[
        bool, typer.Option("--allow-fewer", help="Go on with fewer clips; recorded.")
    ] = False,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out what cannot be read; list it.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of everything drawn.")] = 0,
) -> None:
    """Detect, track and cut out objects of a class's videos: concepts, random sets, controls.

    The same command again finds the folder made before.

    Examples:
    `vx concepts make --data stage:tennis --action "playing tennis" --object racket --object ball` ·
    `vx concepts make --data clips.csv --root clips --action golf --detector yolo11n.pt --object
    person --count 25 --allow-fewer --out golf_concepts`
    """
    from vxhelpers.concept_sets import make
    from vxhelpers.concept_sets.settings import (
        ClipVersions,
        ConceptSetSettings,
        Output,
        RandomSets,
    )
    from vxhelpers.data.datasets import open_data

    actions = tuple(random_actions) if random_actions else None
    settings = ConceptSetSettings(
        count,
        per_video,
        scoring,
        split,
        RandomSets(sets, actions=actions, targets=random_targets),
        ClipVersions(
            tuple(x.value for x in placement or Where),
            tuple(x.value for x in control or Broken),
            min_frames,
            max_frames,
        ),
        allow_fewer,
        skip_unreadable,
    )
    made = make.make(
        open_data(data, root=root),
        action,
        objects,
        detector=detector,
        others=open_data(others, root=others_root) if others else None,
        settings=settings,
        seed=seed,
        output=Output(out, progress=_bar),
    )
    _show(made)
    _say(f"vx concepts review {shlex.quote(str(made.folder))}")


@app.command("list")
def list_(
    folder: Annotated[
        Path | None, typer.Argument(help="Show this folder's sets [default: all of the cache].")
    ] = None,
) -> None:
    """List the concept folders in the cache, or the sets of one folder and how they were found.

    Examples: `vx concepts list` · `vx concepts list golf_concepts`
    """
    from vxhelpers.concept_sets import make
    from vxhelpers.io.cache import default_root

    if folder is not None:
        _show(make.read(folder, skip_unreadable=True))
        return
    home = default_root() / "concepts"
    table = Table(
        "folder", "of", "concepts", "reviewed", title=escape(f"Concept folders in {home}")
    )
    broken = []
    for path in sorted(home.glob("[!.]*/")):
        try:
            found = make.read(path, skip_unreadable=True)
        except VxError as error:
            broken.append(f"{path.name} cannot be used: {error}")
            continue
        known = found.provenance
        names = ", ".join(item.name for item in found.select("concept"))
        what = f"{known.get('action', '')}, {known.get('data', '')}"
        table.add_row(path.name, *map(escape, (what, names, str(found.review))))
    console.print(table)
    for text in broken:
        console.print(text, style="red", markup=False, highlight=False, soft_wrap=True)


@app.command()
def review(
    folder: Annotated[Path, typer.Argument(help="Made here, or with <concept>/<video> in it.")],
    concept: Annotated[
        list[str] | None, typer.Option(help="Look at this one only; may be repeated.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Look at the clips of the random sets, too.")
    ] = False,
    reviewer: Annotated[
        str | None, typer.Option(help="Your name [default: the account's].")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page, or only say where it is.")] = True,
    port: Annotated[int, typer.Option(help="0: one that is free.", min=0, max=65535)] = 0,
) -> None:
    """Accept or reject clips on a page in the browser; Ctrl-C ends it, and nothing is lost.

    Decisions go to `review.csv` in the folder, each at once. A decision about a clip holds for all
    that show the same track. The page is served to this machine alone.

    Keys: A accept, R reject, S skip, U undo, space pause, arrows back and forth.

    Examples: `vx concepts review golf_concepts` ·
    `vx concepts review my_clips --reviewer Anna --no-browser --port 8123`
    """
    from vxhelpers.live.review_desk import Desk
    from vxhelpers.live.review_server import serving

    desk = Desk(folder, concepts=concept, everything=everything, reviewer=reviewer)
    stop = Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with serving(desk, port=port) as address:
            _say(f"{desk.title}: {desk.counts()}")
            _say(f"{address}  (Ctrl-C ends)")
            if browser and not webbrowser.open(address):
                _say("no browser could be started: open the address in one on this machine")
            while not stop.wait(0.5):
                pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    _say(str(desk.counts()))


@app.command("train-detector")
def train_detector(
    out: Annotated[Path, typer.Option(help="Weights to write (.safetensors); card beside it.")],
    images: Annotated[int, typer.Option(help="Training pictures.")] = 8000,
    epochs: Annotated[int, typer.Option(help="Times that each is seen.")] = 8,
    image_size: Annotated[int, typer.Option(help="Of the input, in pixels.")] = 224,
    seed: Annotated[int, typer.Option(help="Of weights, frames, order, augmentation.")] = 0,
    threads: Annotated[int | None, typer.Option(help="Of torch.")] = None,
) -> None:
    """Train the small detector of the stage on rendered scenes, and measure it on other ones.

    Example: `vx concepts train-detector --out stage.safetensors`
    """
    from vxhelpers.concept_sets import detector_training

    card = detector_training.train_detector(
        out,
        images=images,
        epochs=epochs,
        image_size=image_size,
        seed=seed,
        threads=threads,
        command=shlex.join(["vx", *sys.argv[1:]]),
    )
    test = card["test"]
    title = f"{test['frames']} frames of {test['clips']} test clips, at {test['confidence']}"
    table = Table("label", "boxes", "precision", "recall", "AP50", "IoU", title=escape(title))
    for label, row in test["labels"].items():
        figures = (row[name] for name in ("precision", "recall", "ap50", "iou"))
        cells = ("none" if x is None else f"{x:.3f}" for x in figures)
        table.add_row(escape(label), str(row["true"]), *cells)
    console.print(table)


def _bar(items: Iterable[Any], total: int) -> Iterable[Any]:
    return track(items, description="clips", total=total, console=Console(stderr=True))


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _show(folder: "ConceptFolder") -> None:
    """How the clips of a folder were found, its sets, and what a person decided about them."""
    if folder.provenance:
        console.print(_found(folder.provenance))
        for tally in folder.provenance["found"].values():
            for clip_id, why in tally["unreadable"].items():
                console.print(f"left out {clip_id}: {why}", style="yellow", markup=False)
    console.print(_sets(folder))
    _say(str(folder.review))
    for reason, number in Counter(folder.left_out.values()).items():
        _say(f"left out {number}: {reason}")


def _found(record: Mapping[str, Any]) -> Table:
    """How many tracks were found, kept and dropped."""
    title = f"{record['action']}, {record['data']}, detector {record['detector']}"
    names = ("label", "videos", "with it", "tracks", "kept", "dropped", "clips")
    table = Table(*names, title=escape(title))
    requested, got = record["asked"], record["got"]
    for part, tally in record["found"].items():
        for label, seen in tally["labels"].items():
            dropped = ", ".join(f"{n} {reason}" for reason, n in seen["dropped"].items()) or "none"
            figures = (str(seen[name]) for name in ("videos", "with", "found", "kept"))
            chance = part == "random"
            name = f"{label} (random)" if chance else label
            clips = "" if chance else f"{got[label]} of {requested[label]}"
            table.add_row(*map(escape, (name, *figures, dropped, clips)))
    return table


def _sets(folder: "ConceptFolder") -> Table:
    table = Table("concept", "role", "clips", title=escape(str(folder.folder)))
    random: dict[str, list[int]] = {}
    for item in folder.sets.values():
        if item.concept.role == "random":
            kind = f"random {item.concept.kind}"
            name = f"{kind} centred" if item.concept.placement == "centred" else kind
            random.setdefault(name, []).append(len(item))
        else:
            table.add_row(escape(item.name), item.concept.role, str(len(item)))
    for name, sizes in random.items():
        of = " or ".join(map(str, sorted(set(sizes))))
        table.add_row(f"{name}, {len(sizes)} sets", "random", f"{of} each")
    return table
