"""Data sets ready for use: rendered ones and videos on disk behind the same three calls."""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vxhelpers.data.clip import Clip
from vxhelpers.data.manifest import Manifest, Row, find, locate, read, write
from vxhelpers.data.video import read_clip, write_clip
from vxhelpers.errors import InputError, ManifestError, UnknownNameError
from vxhelpers.io.cache import key
from vxhelpers.io.code_digest import own_digest
from vxhelpers.io.files import replacing, sha256
from vxhelpers.io.stopwatch import timed

if TYPE_CHECKING:
    from vxhelpers.data.stage.scene import Scene

Progress = Callable[[Iterable[Any], int], Iterable[Any]]


@dataclass(frozen=True, eq=False)
class DataSet:
    """The clips of a manifest.

    Parameters
    ----------
    name
        As it was opened, for instance ``"stage:tennis"``.
    labels
        Class labels, in order.
    manifest
        The rows.
    digest
        SHA-256 of what decides the clips: the rows, and for rendered data the renderer.
    root
        Folder of the videos; None for rendered data.
    """

    name: str
    labels: tuple[str, ...]
    manifest: Manifest
    digest: str
    root: Path | None = None

    def rows(self, split: str | None = None, label: str | None = None) -> list[Row]:
        """The rows of a split, of a class, of both, or all.

        Raises
        ------
        UnknownNameError
            If there is no such split or label.
        """
        if split is not None and split not in self.manifest.splits:
            raise UnknownNameError("split", split, self.manifest.splits, where=self.name)
        if label is not None and label not in self.labels:
            raise UnknownNameError("class", label, self.labels, where=self.name)
        return [
            row
            for row in self.manifest.rows
            if split in (None, row.split) and label in (None, row.label)
        ]

    def clip(self, row: Row) -> Clip:
        """Decode or render the clip of a row.

        Raises
        ------
        VideoError
            If its video is missing or cannot be read.
        ManifestError
            If its path leaves the root.
        """
        with timed("clips"):
            if self.root is None:
                return _scene(row).clip
            return read_clip(locate(row, self.root), start_s=row.start_s, end_s=row.end_s)

    def scene(self, row: Row) -> "Scene | None":
        """The rendered scene of a row with its ground truth; None for videos on disk."""
        if self.root is not None:
            return None
        with timed("clips"):
            return _scene(row)


def open_data(spec: str | Path, *, root: str | Path | None = None) -> DataSet:
    """Open a data set.

    Parameters
    ----------
    spec
        ``"stage:<task>"`` (rendered in memory when asked for), ``"stage"`` (all its tasks), the
        name of a manifest in ``data_manifests/``, or the path of a CSV.
    root
        Folder that the manifest's paths start from. Unless given: for a CSV the ``root`` its card
        names (from the CSV's own folder), else that folder; for a named manifest the folder of
        that name in the folder that ``VX_DATA`` names.

    Raises
    ------
    UnknownNameError
        If there is no such task or manifest.
    ManifestError
        If the manifest cannot be used, or the root is missing.
    InputError
        If a root is given for rendered data.
    """
    name, _, task = str(spec).partition(":")
    if name == "stage" and root is None:
        from vxhelpers.data import stage

        manifest = stage.manifest(task or None)
        code = own_digest("vxhelpers.data.stage")
        digest = key({"rows": manifest.digest, "renderer": code})
        labels = stage.TASKS[task].labels if task else manifest.labels
        return DataSet(str(spec), labels, manifest, digest)
    if name == "stage" and task:
        raise InputError(f"{spec}: is rendered and has no root; leave it out")
    source = find(spec)
    manifest = read(source)
    if root is not None:
        folder = Path(root)
    elif source == Path(spec):
        folder = source.parent / str(manifest.card.get("root", "."))
    elif os.environ.get("VX_DATA"):
        folder = Path(os.environ["VX_DATA"]) / str(spec)
    else:
        raise ManifestError(
            f"{spec}: where are the videos? Give their folder (root, --root), or name in VX_DATA a "
            f"folder that holds {spec}/"
        )
    if not folder.is_dir():
        raise ManifestError(f"{folder}: no such folder; the videos of {spec} are looked for there")
    return DataSet(str(spec), manifest.labels, manifest, manifest.digest, folder)


def dependence(rows: Sequence[Row], training: Sequence[Row], *, name: str = "test") -> str:
    """Say why an accuracy on these rows is worth less than their number: videos they share.

    Parameters
    ----------
    rows
        The rows that are scored.
    training
        The rows of the training split of the same data set.
    name
        Of the split, for the text.

    Returns
    -------
    str
        Sentences with the numbers; empty where every row is a video of its own that the training
        split does not have. Videos are told apart by their hash, where known, else their path.
    """
    videos = [row.sha256 or row.path for row in rows]
    trained = {row.sha256 or row.path for row in training}
    shared = sum(video in trained for video in videos)
    text = []
    if (count := len(set(videos))) < len(rows):
        windows = f"{count} videos" if count > 1 else "one video"
        text.append(
            f"The {len(rows)} {name} clips are windows of {windows}, so they are not independent, "
            "and the true interval is wider than the one given."
        )
    if shared:
        text.append(
            f"{shared} of the {len(rows)} {name} clips come from videos with other windows in the "
            "training split: the accuracy tells how well a network trained there recognises these "
            "very videos, and little about the actions in new ones."
        )
    return " ".join(text)


def render_stage(
    folder: str | Path,
    *,
    task: str | None = None,
    split: str | None = None,
    count: int | None = None,
    seed: int = 0,
    size: int = 112,
    progress: Progress | None = None,
) -> Manifest:
    """Write scenes of the stage to files, for use outside this package.

    Every clip becomes a lossless video ``<task>/<split>/<index>.mkv``, its instance ids
    ``.ids.npz`` (array ``ids``, ``(T, H, W)`` uint8) and ``.json``: the objects' ids, their boxes
    (half-open ``x0, y0, x1, y1`` in pixels a frame, null where not visible) and what was planted.
    ``stage.csv`` with the videos' hashes comes last, so that it never lists what is not there.

    Parameters
    ----------
    folder
        Where to write.
    task, split
        One of each; all when None.
    count
        At most so many clips a task and split.
    seed, size
        As in ``stage.render``.
    progress
        Wraps the loop over the rows: takes an iterable and its length.

    Returns
    -------
    Manifest
        As written.
    """
    from vxhelpers.data import stage

    if count is not None and count < 1:
        raise InputError(f"count must be at least 1, not {count}")
    folder = Path(folder)
    listed = stage.manifest(task)
    if split is not None and split not in listed.splits:
        raise UnknownNameError("split", split, listed.splits, where=listed.name)
    rows = [
        row
        for row in listed.rows
        if split in (None, row.split) and (count is None or int(row.clip_id[-5:]) < count)
    ]
    written = []
    for row in progress(rows, len(rows)) if progress else rows:
        scene = _scene(row, seed=seed, size=size)
        video = folder / row.path
        write_clip(scene.clip, video)
        with replacing(video.with_suffix(".ids.npz")) as path, path.open("wb") as file:
            np.savez_compressed(file, ids=scene.ids)
        with replacing(video.with_suffix(".json")) as path:
            path.write_text(json.dumps(_truth(scene)) + "\n", encoding="utf-8")
        written.append(replace(row, sha256=sha256(video)))
    card = {**listed.card, "seed": seed, "size": size}
    manifest = Manifest(listed.name, tuple(written), card, folder / "stage.csv")
    write(manifest, folder / "stage.csv")
    return manifest


def _scene(row: Row, *, seed: int = 0, size: int = 112) -> "Scene":
    """Render the scene that a row of the stage's manifest names: ``<task>/<split>/<index>``."""
    from vxhelpers.data.stage import render

    task, split, index = row.clip_id.split("/")
    return render(task, split, int(index), seed=seed, size=size)


def _truth(scene: "Scene") -> dict[str, object]:
    """What was planted in a scene, as JSON."""
    boxes = {
        name: [None if np.isnan(box).any() else box.tolist() for box in track]
        for name, track in scene.boxes.items()
    }
    planted = scene.planted
    return {
        "label": scene.label,
        "subject": scene.subject,
        "scenario": scene.scenario,
        "fps": scene.clip.fps,
        "planted": {"kind": planted.kind, "decides": list(planted.decides), "note": planted.note},
        "objects": {name: list(ids) for name, ids in scene.objects.items()},
        "boxes": boxes,
    }
