"""Clip sets: clips rendered or decoded once, to the geometry of the network that they are for."""

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from vxhelpers.data.clip import Clip, Frames
from vxhelpers.data.sampling import Size, sample_frames, view
from vxhelpers.errors import InputError, UnknownNameError, VideoError, VxError
from vxhelpers.io.cache import Store
from vxhelpers.io.code_digest import own_digest
from vxhelpers.models.training.clip_set import ClipSet

if TYPE_CHECKING:
    from vxhelpers.data.manifest import Row
    from vxhelpers.models.zoo import Entry

_T = TypeVar("_T")
IN_MEMORY = 4 * 2**30  # bytes of frames; larger sets are mapped from a temporary file


class Geometry(NamedTuple):
    """What is kept of each clip: so many frames around its middle, resized, little cropped."""

    frames: int
    span: int
    resize: Size
    crop: Size | None

    @classmethod
    def of(cls, entry: "Entry", *, reach: int = 1) -> "Geometry":
        """Room for the entry's view, ``reach`` windows long, with the border it crops away."""
        span = (entry.frames - 1) * entry.stride + 1
        crop: Size | None = None
        if isinstance(entry.resize, int):
            height, width = (entry.crop,) * 2 if isinstance(entry.crop, int) else entry.crop
            # In steps of 2 a side, so that the centre of what is kept rounds to the true centre.
            height += max(entry.resize - height, 0) // 4 * 4
            width += max(entry.resize - width, 0) // 4 * 4
            crop = height, width
        return cls(reach * span, span, entry.resize, crop)

    def keep(self, clip: Clip) -> tuple[Frames, int]:
        """The clip's ``(frames, H, W, 3)`` pixels and how many of the frames are its own."""
        length = min(len(clip), self.frames)
        if length < self.span:  # shorter than the network's window: what sampling does then
            index, length = sample_frames(clip, frames=self.span), self.span
        else:
            index = (len(clip) - length) // 2 + np.arange(length)
        index = np.pad(index, (0, self.frames - len(index)), mode="edge")
        window = Clip(clip.frames[index], clip.fps, clip.source)
        pixels = view(window, frames=self.frames, resize=self.resize, crop=self.crop)
        return pixels, length


class Footage(Protocol):
    """What :class:`vxhelpers.data.datasets.DataSet` offers."""

    @property
    def digest(self) -> str: ...
    def clip(self, row: "Row") -> Clip: ...


def from_stage(
    task: str,
    split: str,
    entry: "Entry",
    *,
    count: int | None = None,
    seed: int = 0,
    size: int = 112,
    workers: int = 1,
    store: Store | None = None,
    progress: bool = False,
) -> ClipSet:
    """Render clips of a stage task; any number of them, the standard size unless told.

    Parameters
    ----------
    task, split
        A name of ``stage.TASKS`` and one of its splits.
    entry
        The network that the set is for: its frames, resize and crop.
    count
        Clips: index 0 to ``count - 1`` of the split.
    seed, size
        As in ``stage.render``.
    workers
        Processes that render; 1 renders here.
    store
        In whose folder the set is kept for the next run; None keeps it in memory alone.
    progress
        Show a bar.
    """
    from vxhelpers.data import stage

    if task not in stage.TASKS:
        raise UnknownNameError("task", task, stage.TASKS, where="the stage")
    spec = stage.TASKS[task]
    if split not in spec.sizes:
        raise UnknownNameError("split", split, spec.sizes, where=f"stage:{task}")
    count = spec.sizes[split] if count is None else count
    if count < 1:
        raise InputError(f"stage:{task}: {count} clips of split {split!r}: ask for 1 or more")
    geometry = Geometry.of(entry)
    parts = {
        "set": f"stage:{task}/{split}",
        "count": count,
        "seed": seed,
        "size": size,
        "geometry": list(geometry),
        "renderer": own_digest("vxhelpers.data.stage"),
    }
    scenes = _Scenes(task, split, count, seed, size, geometry)

    def render_all() -> dict[str, Any]:
        loader = DataLoader(
            scenes,
            batch_size=None,
            num_workers=workers if workers > 1 and count >= 64 else 0,
            collate_fn=_as_it_is,
            worker_init_fn=_one_thread,
            generator=torch.Generator(),  # else it draws from the global one
        )
        return _gather(loader, count, bar=f"render {task}/{split}" if progress else "")

    found = store.get_or_compute(parts, render_all) if store else render_all()
    return _clip_set(found, spec.labels)


def from_footage(
    data: Footage,
    rows: Sequence["Row"],
    entry: "Entry",
    *,
    names: tuple[str, ...],
    reach: int = 1,
    workers: int = 2,
    progress: bool = False,
) -> ClipSet:
    """Decode rows of a data set, all of them or none.

    Parameters
    ----------
    data, rows
        An open data set and the rows to take.
    entry
        The network that the set is for: its frames, stride, resize and crop.
    names
        Class labels, in the model's order.
    reach
        Keep so many network windows around each clip's middle, for windows at random in training.
    workers
        Decoding threads.
    progress
        Show a bar.

    Raises
    ------
    UnknownNameError
        If a row has a label that is not in ``names``.
    VideoError
        If videos cannot be read: lists them all.
    """
    for row in rows:
        if row.label not in names:
            raise UnknownNameError("label", row.label, names, where=f"clip {row.clip_id!r}")
    job = partial(_decoded, data, Geometry.of(entry, reach=reach))
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(workers)
        stack.callback(pool.shutdown, cancel_futures=True)
        found = _gather(pool.map(job, rows), len(rows), bar="decode" if progress else "")
    return _clip_set(found, names)


class _Kept(NamedTuple):
    frames: Frames
    length: int
    label: str
    source: str


@dataclass(frozen=True)
class _Scenes(Dataset[_Kept]):
    """Scenes of a split, rendered when asked for, in whichever process."""

    task: str
    split: str
    count: int
    seed: int
    size: int
    geometry: Geometry

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> _Kept:
        from vxhelpers.data.stage import render

        frames = self.geometry.frames
        scene = render(self.task, self.split, index, seed=self.seed, size=self.size, frames=frames)
        return _Kept(*self.geometry.keep(scene.clip), scene.label, scene.clip.source)


def _as_it_is(kept: Any) -> Any:
    return kept


def _one_thread(_: int) -> None:
    """OpenCV's threads do not survive a fork; torch's loader takes care of its own."""
    import cv2

    cv2.setNumThreads(0)


def _decoded(data: Footage, geometry: Geometry, row: "Row") -> "_Kept | VxError":
    try:
        return _Kept(*geometry.keep(data.clip(row)), row.label, row.clip_id)
    except VxError as error:
        return error


def _gather(jobs: Iterable["_Kept | VxError"], n: int, *, bar: str) -> dict[str, Any]:
    """Put what the jobs give into arrays; large ones into a mapped file without a name."""
    frames, lengths = np.empty(0, np.uint8), np.zeros(n, np.int64)
    labels: list[str] = []
    sources: list[str] = []
    failures: list[VxError] = []
    for i, kept in enumerate(_counted(jobs, n, bar)):
        if isinstance(kept, VxError):
            failures.append(kept)
            continue
        if not labels:
            frames = _allocate((n, *kept.frames.shape))
        if kept.frames.shape != frames.shape[1:]:
            raise InputError(
                f"{kept.source}: {kept.frames.shape} where the clips before had "
                f"{frames.shape[1:]}: the model's entry needs a fixed resize or crop"
            )
        frames[i], lengths[i] = kept.frames, kept.length
        labels.append(kept.label)
        sources.append(kept.source)
    if failures:
        listed = "\n".join(f"- {error}" for error in failures[:10])
        more = f"\n- and {len(failures) - 10} more" if len(failures) > 10 else ""
        raise VideoError(
            f"{len(failures)} of {n} clips cannot be read:\n{listed}{more}\n"
            "repair them or take their rows out of the manifest (vx data verify lists them)"
        )
    return {"frames": frames, "lengths": lengths, "labels": labels, "sources": sources}


def _clip_set(found: Mapping[str, Any], names: tuple[str, ...]) -> ClipSet:
    labels = np.array([names.index(label) for label in found["labels"]], np.int64)
    return ClipSet(found["frames"], labels, names, found["lengths"], tuple(found["sources"]))


def _allocate(shape: tuple[int, ...]) -> Frames:
    if math.prod(shape) <= IN_MEMORY:
        return np.empty(shape, np.uint8)
    with TemporaryFile() as file:  # the mapping keeps it until it is dropped itself
        return np.memmap(file, np.uint8, "w+", shape=shape)


def _counted(jobs: Iterable[_T], n: int, text: str) -> Iterable[_T]:
    if not text:
        return jobs
    from tqdm import tqdm

    return tqdm(jobs, total=n, desc=text, unit="clip", mininterval=0.5)
