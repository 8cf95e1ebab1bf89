"""The clips that a chapter explains, as the network sees them, with what is known of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vxhelpers.data.clip import Clip, Frames
from vxhelpers.data.datasets import DataSet
from vxhelpers.data.manifest import Row
from vxhelpers.data.motion import moving
from vxhelpers.data.sampling import Size, prepare_mask, view
from vxhelpers.errors import InputError
from vxhelpers.models.probe import class_indices
from vxhelpers.models.zoo import Model

DISPLAY = 192  # pixels that a shown frame has at least


@dataclass(frozen=True, eq=False)
class Samples:
    """Clips of a data set in one network's geometry.

    Parameters
    ----------
    rows, clips
        The manifest's rows and their clips.
    labels
        ``(N,)`` int64, indices into the model's labels.
    pixels
        ``(N, T, h, w, 3)`` uint8: the network's view, ``scale`` times as fine, to look at.
    masks
        Object name to ``(N, T, H, W)`` bool at the network's resolution: the stage's ground truth,
        or for other videos ``moving`` alone (see :func:`vxhelpers.data.motion.moving`). An object
        that a scene lacks has an empty mask there.
    decides
        Names of the objects that carry the evidence (on planted tasks) or could (elsewhere).
    fps
        Frames a second of ``pixels``, for each clip.
    scale
        Pixels shown for one pixel of the network's input.
    """

    rows: tuple[Row, ...]
    clips: tuple[Clip, ...]
    labels: npt.NDArray[np.int64]
    pixels: Frames
    masks: Mapping[str, npt.NDArray[np.bool_]]
    decides: tuple[str, ...]
    fps: tuple[float, ...]
    scale: int

    def __len__(self) -> int:
        return len(self.rows)

    def outlines(self, index: int, *names: str) -> dict[str, npt.NDArray[np.bool_]]:
        """Masks of one clip at the resolution of ``pixels``, those that are not empty."""
        chosen = {name: self.masks[name][index] for name in names or self.decides}
        return {
            name: mask.repeat(self.scale, axis=1).repeat(self.scale, axis=2)
            for name, mask in chosen.items()
            if mask.any()
        }


def draw(
    data: DataSet,
    *,
    split: str = "test",
    label: str | None = None,
    limit: int | None = None,
    rng: np.random.Generator,
) -> list[Row]:
    """Draw rows of a split at random without replacement, in the manifest's order.

    Parameters
    ----------
    label
        Only rows of this class; all classes unless told.
    limit
        At most so many; all of them unless told.

    Raises
    ------
    InputError
        If there is no such row.
    UnknownNameError
        If there is no such split or class.
    """
    rows = data.rows(split, label)
    if not rows:
        what = f"class {label!r}" if label else "clips"
        raise InputError(f"{data.name}: no {what} in split {split!r}")
    if limit is not None and limit < len(rows):
        rows = [rows[i] for i in sorted(rng.choice(len(rows), limit, replace=False))]
    return rows


def class_of(model: Model, rows: list[Row]) -> npt.NDArray[np.int64]:
    """Class indices ``(N,)`` of rows in the model's order.

    Raises
    ------
    UnknownNameError
        If the model does not know a row's label.
    """
    indices = class_indices(model, [row.label for row in rows], clips=len(rows))
    assert indices is not None  # a list of labels always has indices
    found: npt.NDArray[np.int64] = indices.cpu().numpy().astype(np.int64)
    return found


def collect(data: DataSet, model: Model, rows: list[Row]) -> Samples:
    """Decode or render rows and bring pixels and ground truth into the model's geometry.

    Raises
    ------
    VideoError
        If a video is missing or cannot be read: no clip is left out.
    UnknownNameError
        If the model does not know a row's label.
    """
    entry = model.entry
    labels = class_of(model, rows)
    sides = (entry.crop, entry.crop) if isinstance(entry.crop, int) else entry.crop
    scale = max(1, -(-DISPLAY // max(sides)))
    shown = {
        "frames": entry.frames,
        "stride": entry.stride,
        "resize": _times(entry.resize, scale),
        "crop": _times(entry.crop, scale),
    }
    seen = shown | {"resize": entry.resize, "crop": entry.crop}
    scenes = [data.scene(row) for row in rows]
    clips = tuple(
        data.clip(row) if scene is None else scene.clip
        for row, scene in zip(rows, scenes, strict=True)
    )
    masks: dict[str, npt.NDArray[np.bool_]] = {}
    decides: dict[str, None] = {}
    empty = np.zeros((len(rows), entry.frames, *sides), bool)
    pixels = np.stack([view(clip, **shown) for clip in clips])  # type: ignore[arg-type]
    for index, scene in enumerate(scenes):
        if scene is None:
            found = {"moving": moving(pixels[index], scale=scale)}
        else:
            found = {
                name: prepare_mask(scene.mask(name), **seen).astype(bool)  # type: ignore[arg-type]
                for name in scene.objects
            }
        decides |= dict.fromkeys(("moving",) if scene is None else scene.planted.decides)
        for name, mask in found.items():
            masks.setdefault(name, empty.copy())[index] = mask
    return Samples(
        rows=tuple(rows),
        clips=clips,
        labels=labels,
        pixels=pixels,
        masks=masks,
        decides=tuple(decides),
        fps=tuple(clip.fps / entry.stride for clip in clips),
        scale=scale,
    )


def _times(size: Size, scale: int) -> Size:
    return size * scale if isinstance(size, int) else (size[0] * scale, size[1] * scale)
