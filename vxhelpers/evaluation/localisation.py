"""How far a map agrees with evidence that is known: its energy on a mask, and where it points.

The energy-based pointing game of Wang et al. ("Score-CAM", CVPR workshops 2020, section 4.3) on a
volume: the share of a map's relevance that lies on the evidence. Higher is better; a map that is
spread evenly scores the mask's share of the area, which is therefore the baseline to give with it.
"""

import cv2
import numpy as np
import numpy.typing as npt
from torch import Tensor

from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.stats import Mean

Values = npt.NDArray[np.float64]


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


Flags = npt.NDArray[np.bool_]


def where(maps: Values, evidence: Flags) -> Values:
    """Area under the ROC curve ``(N,)`` of each map's values: evidence against all other voxels.

    How a map is scaled does not count, nor how large the evidence is: chance is one half, and ties
    count half, so that a map without preference scores just that. Raises InputError for a clip
    without evidence, or with nothing else.
    """
    share = evidence.mean((1, 2, 3))
    if (bad := (share == 0) | (share == 1)).any():
        raise InputError(f"clip {bad.argmax()}: none or all of its voxels are evidence")
    return np.array([_auc(m[e], m[~e]) for m, e in zip(maps, evidence, strict=True)])


def half_still(x: Tensor, *, first: bool) -> Tensor:
    """Hold the first (or second) half of clips ``(N, C, T, H, W)`` still, at the middle's frame."""
    middle = x.shape[2] // 2
    held = x.clone()
    if first:
        held[:, :, :middle] = x[:, :, middle : middle + 1]
    else:
        held[:, :, middle:] = x[:, :, middle - 1 : middle]
    return held


def when(maps_first: Values, maps_second: Values) -> Values:
    """Share of positive relevance in the half that moves ``(N,)``, mean of both ways.

    ``maps_first`` are of clips whose first half is still, ``maps_second`` of the others. A map with
    nothing positive points nowhere, and counts as an even spread.
    """
    middle = maps_first.shape[1] // 2
    shares = []
    for maps, moving in ((maps_first, slice(middle, None)), (maps_second, slice(None, middle))):
        positive = maps.clip(min=0)
        total = positive.sum((1, 2, 3))
        inside = positive[:, moving].sum((1, 2, 3))
        even = len(range(*moving.indices(maps.shape[1]))) / maps.shape[1]
        shares.append(np.where(total > 0, inside / np.where(total > 0, total, 1), even))
    found: Values = np.mean(shares, axis=0)
    return found


def gone(maps: Values, still: Values, evidence: Flags) -> Values:
    """How much relevance on the evidence goes when a clip is held at its middle frame ``(N,)``.

    ``(a - b) / (|a| + |b|)`` of the mean relevance a there in the clip, b in the still one: 1 where
    all of it goes, or turns against the class; 0 where it stays.
    """
    middle = evidence.shape[1] // 2
    held = np.broadcast_to(evidence[:, middle : middle + 1], evidence.shape)
    a, b = (
        np.array([m[e].mean() if e.any() else 0.0 for m, e in zip(values, where_, strict=True)])
        for values, where_ in ((maps, evidence), (still, held))
    )
    total = np.abs(a) + np.abs(b)
    found: Values = np.where(total > 0, (a - b) / np.where(total > 0, total, 1), 0.0)
    return found


def what(motion: Values, static: Values) -> Mean:
    """How well `gone` tells clips of the motion task from those of the static one: their `auroc`.

    The interval is over the clips of both tasks.
    """
    return auroc(motion, static)


def auroc(above: Values, below: Values, *, resamples: int = 2000) -> Mean:
    """Area under the ROC curve: how often one of ``above`` is larger than one of ``below``.

    Ties count half. With a 95 % bootstrap interval over both; n is the smaller number.
    """
    larger = (above[:, None] > below) + (above[:, None] == below) / 2
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(above), (resamples, len(above), 1))
    columns = rng.integers(0, len(below), (resamples, 1, len(below)))
    low, high = np.quantile(larger[rows, columns].mean((1, 2)), [0.025, 0.975])
    return Mean(float(larger.mean()), float(low), float(high), min(larger.shape))


def _auc(inside: Values, outside: Values) -> float:
    """Mann and Whitney's U over its largest value, ties half."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([inside, outside]).astype(np.float64))[: len(inside)]
    n, m = len(inside), len(outside)
    return float((ranks.sum() - n * (n + 1) / 2) / (n * m))
