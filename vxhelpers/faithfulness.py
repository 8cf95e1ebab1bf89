"""How far a map agrees with evidence that is known: its energy on a mask, and where it points.

The energy-based pointing game of Wang et al. ("Score-CAM", CVPR workshops 2020, section 4.3) on a
volume: the share of a map's relevance that lies on the evidence. Higher is better; a map that is
spread evenly scores the mask's share of the area, which is therefore the baseline to give with it.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vxhelpers.clip import Frames
from vxhelpers.errors import InputError, NotFiniteError

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mean:
    """A mean over clips with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}], n = {self.n}"


def energy_share(maps: npt.ArrayLike, masks: npt.NDArray[np.bool_]) -> Values:
    """Share of each map's positive relevance that lies inside its mask.

    Parameters
    ----------
    maps
        ``(N, T, H, W)`` raw maps; what is negative speaks against the class and does not count.
    masks
        ``(N, T, H, W)`` bool, where the evidence is.

    Returns
    -------
    ndarray
        ``(N,)`` float64, 0 to 1. A map without positive relevance points nowhere: it scores like
        an even spread, its mask's share of the area.

    Raises
    ------
    InputError
        If shapes differ.
    NotFiniteError
        If a map holds NaN or infinity; names the clip.
    """
    values = _checked(maps, masks)
    positive = values.clip(min=0)
    total = positive.sum((1, 2, 3))
    inside = (positive * masks).sum((1, 2, 3))
    share: Values = np.where(total > 0, inside / np.where(total > 0, total, 1), area_share(masks))
    return share


def pointing_game(
    maps: npt.ArrayLike, masks: npt.NDArray[np.bool_], *, tolerance: float = 0.0
) -> Values:
    """Whether each map's highest value lies on its mask.

    The pointing game of Zhang et al. ("Top-down neural attention by excitation backprop", ECCV
    2016, section 4.1) on a volume. Higher is better. A point drawn at random hits as often as the
    mask's share of the area, which is therefore the baseline: ``area_share(widened(masks,
    tolerance))``. Deviations: where several places share the highest value, the share of them that
    hit; the tolerance is 0 unless told (the paper's 15 pixels are for photographs).

    Parameters
    ----------
    maps, masks
        As for `energy_share`.
    tolerance
        Pixels that the highest value may lie beside the mask, within its frame.

    Returns
    -------
    ndarray
        ``(N,)`` float64: 1 for a hit, 0 for a miss. A map without positive relevance points
        nowhere and scores the baseline.

    Raises
    ------
    InputError, NotFiniteError
        As `energy_share` does; `InputError` also for a negative tolerance.
    """
    values, near = _checked(maps, masks), widened(masks, tolerance)
    highest = values.max((1, 2, 3), keepdims=True)
    top = values == highest
    hits: Values = (top & near).sum((1, 2, 3)) / top.sum((1, 2, 3))
    return np.where(highest[:, 0, 0, 0] > 0, hits, area_share(near))


def widened(masks: npt.NDArray[np.bool_], tolerance: float) -> npt.NDArray[np.bool_]:
    """Masks ``(N, T, H, W)`` with every pixel that is at most so far from them in its frame."""
    if tolerance < 0:
        raise InputError(f"tolerance={tolerance}: a distance is 0 pixels or more")
    reach = int(tolerance)
    away = np.arange(-reach, reach + 1)
    disc = (away[:, None] ** 2 + away**2 <= tolerance**2).astype(np.uint8)
    planes = masks.reshape(-1, *masks.shape[2:]).astype(np.uint8)
    wide = np.stack([cv2.dilate(plane, disc) for plane in planes])
    found: npt.NDArray[np.bool_] = wide.reshape(masks.shape).astype(bool)
    return found


def area_share(masks: npt.NDArray[np.bool_]) -> Values:
    """Share of each volume that its mask ``(N, T, H, W)`` covers: the score of an even spread."""
    share: Values = masks.mean((1, 2, 3))
    return share


def moving(
    frames: Frames,
    *,
    scale: int = 1,
    share: float = 0.1,
    least: float = 8.0,
    span: int = 2,
    blur: float = 1.5,
) -> npt.NDArray[np.bool_]:
    """Where a clip moves most: a stand-in for evidence where nobody has drawn any.

    A pixel's change is how far its blurred brightness is from that ``span`` frames before or
    after. It moves if that is among the clip's largest changes and more than noise. A camera that
    moves makes every edge move; the share keeps such a clip from counting as evidence all over.

    Parameters
    ----------
    frames
        ``(T, H, W, 3)`` uint8.
    scale
        Sides of a cell of the result in pixels; a cell moves if half of its pixels do. Looking
        finer than the network keeps what is small in the picture, a player on a court.
    share
        Of the pixels, at most so many move, 0 to 1: those that change most.
    least
        Grey levels (of 255) that a change must exceed.
    span
        Frames between those compared; more finds slower motion and smears faster one.
    blur
        Standard deviation in pixels of the Gaussian that takes the noise out first.

    Returns
    -------
    ndarray
        ``(T, H // scale, W // scale)`` bool; all False for a clip of one frame.

    Raises
    ------
    InputError
        If height or width is no multiple of ``scale``.
    """
    steps, height, width = frames.shape[:3]
    if scale < 1 or height % scale or width % scale:
        raise InputError(f"frames of {height}x{width} have no cells of {scale}x{scale} pixels")
    blurred = (
        cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (0, 0), blur) for frame in frames
    )
    grey = np.stack([*blurred]).astype(np.int16)
    time = np.arange(steps)
    change = np.maximum(
        *(np.abs(grey - grey[np.clip(time + way, 0, steps - 1)]) for way in (-span, span))
    )
    mask = change > max(least, float(np.quantile(change, 1 - share)))
    cells = mask.reshape(steps, height // scale, scale, width // scale, scale)
    found: npt.NDArray[np.bool_] = cells.mean((2, 4)) >= 0.5
    return found


def mean_interval(
    values: npt.ArrayLike, *, rng: np.random.Generator, resamples: int = 2000
) -> Mean:
    """Mean over clips with its 95 % percentile bootstrap interval.

    Raises
    ------
    InputError
        If there are fewer than two values.
    """
    found = np.asarray(values, np.float64)
    if found.ndim != 1 or len(found) < 2:
        raise InputError(f"an interval needs two values or more, not {found.shape}")
    means = found[rng.integers(0, len(found), (resamples, len(found)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Mean(float(found.mean()), float(low), float(high), len(found))


def _checked(maps: npt.ArrayLike, masks: npt.NDArray[np.bool_]) -> Values:
    """Maps as float64, if they are finite and fit the masks."""
    values = np.asarray(maps, np.float64)
    if values.ndim != 4 or values.shape != masks.shape or masks.dtype != np.bool_:
        raise InputError(
            f"maps {values.shape} and boolean masks {masks.shape} {masks.dtype} must both be "
            "(N, T, H, W)"
        )
    if (bad := ~np.isfinite(values).all((1, 2, 3))).any():
        raise NotFiniteError(f"the map of clip {int(bad.argmax())} holds NaN or infinity")
    return values
