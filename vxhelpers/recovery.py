"""How well maps recover evidence that is known: where it is, when, and whether it is movement.

Each question has a chance level of one half, which a map reaches without looking at the clip.
"""

import numpy as np
import numpy.typing as npt
from torch import Tensor

from vxhelpers.errors import InputError
from vxhelpers.faithfulness import Mean

Values = npt.NDArray[np.float64]
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
