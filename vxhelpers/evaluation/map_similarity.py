"""What measures of explanations share: a method's maps, checked, and how alike two maps are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError
from vxhelpers.models.probe import Target, class_indices, in_batches
from vxhelpers.models.zoo import Model

Values = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Classes = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int64]
Maps = npt.NDArray[np.float32]
Better = Literal["higher", "lower"]

SIMILARITIES = ("rank", "absolute_rank", "ssim")


class Attribute(Protocol):
    """A method of explanation: `vxhelpers.attribution.gradcam.gradcam`, or a `functools.partial` of
    one.

    It gets ``(N, C, T, H, W)`` prepared clips and ``(N,)`` int64 class indices, and returns
    ``(N, T, H, W)`` raw signed maps.
    """

    def __call__(self, model: Model, x: Tensor, /, *, target: Tensor) -> Any:
        """Map the evidence for each clip's target."""


@dataclass(frozen=True, eq=False)
class Measured:
    """One number a clip, and what there is to hold it against.

    Parameters
    ----------
    name
        What was measured, with its options, in words.
    values
        ``(N,)`` float64, one for every clip that was given; `vxhelpers.stats.mean_interval`
        makes them a mean with its interval.
    baseline
        ``(N,)``: what the same clips score with a map that knows nothing; None where one clip
        alone was given and the baseline needs two.
    better
        Which direction is better.
    flat
        ``(N,)``: the clip's map is the same everywhere, so that its value means little.
    """

    name: str
    values: Values
    baseline: Values | None
    better: Better
    flat: Flags


def logits(model: Model, x: Tensor, *, batch_size: int | None = None) -> Tensor:
    """Predict prepared clips: ``(N, classes)`` float32 on the CPU.

    Raises
    ------
    InputError
        If the network is in training mode, shapes do not fit or memory runs out.
    NotFiniteError
        If a logit is NaN or infinite; names the clip.
    """
    if any(module.training for module in model.net.modules()):
        raise InputError(f"model {model.entry.name!r} is in training mode: call model.net.eval()")

    def step(rows: slice) -> Tensor:
        return model.logits(x[rows].to(model.device)).float().cpu()

    if not len(x):
        raise InputError(f"model {model.entry.name!r}: no clips to predict")
    with torch.no_grad():
        found = torch.cat(list(in_batches(step, clips=len(x), batch_size=batch_size)))
    if bool((bad := ~found.isfinite().all(1)).any()):
        raise NotFiniteError(
            f"NaN or infinity in the logits of clip {int(bad.nonzero()[0])}: check its pixels and "
            "the weights"
        )
    return found


def explained_classes(model: Model, target: Target, predicted: Tensor) -> Tensor:
    """``(N,)`` int64 on the CPU: the target's indices, or those predicted where it is None."""
    wanted = class_indices(model, target, clips=len(predicted))
    return predicted.argmax(1) if wanted is None else wanted.cpu()


def explain(attribute: Attribute, model: Model, x: Tensor, target: Tensor) -> Maps:
    """Call a method of explanation and check what it returns.

    Returns
    -------
    ndarray
        ``(N, T, H, W)`` float32, a copy.

    Raises
    ------
    InputError
        If the maps do not have the clips' frames and pixels.
    NotFiniteError
        If a map holds NaN or infinity; names the clip.
    """
    size = (len(x), *x.shape[2:])
    return checked(attribute(model, x, target=target), size, of=f"method {_name(attribute)!r}")


def checked(maps: npt.ArrayLike | Tensor, size: Sequence[int], *, of: str) -> Maps:
    """Copy maps as float32 if they are finite and of this ``(N, T, H, W)``; raises as `explain`."""
    given = maps.detach().cpu().numpy() if isinstance(maps, Tensor) else maps
    values = np.array(given, np.float32, order="C")
    if values.shape != tuple(size) or values.ndim != 4:
        raise InputError(
            f"{of}: maps of shape {values.shape}; they must be (N, T, H, W) = {tuple(size)}, as "
            "the clips"
        )
    if (bad := ~np.isfinite(values).all((1, 2, 3))).any():
        raise NotFiniteError(f"{of}: NaN or infinity in the map of clip {int(bad.argmax())}")
    return values


def flat(maps: Maps) -> Flags:
    """Tell which of ``(N, T, H, W)`` maps have the same value everywhere: they rank nothing."""
    found: Flags = np.ptp(maps.reshape(len(maps), -1), axis=1) == 0
    return found


def alike(
    first: Maps, second: Maps, *, similarities: Sequence[str] = SIMILARITIES
) -> dict[str, Values]:
    """How alike the two maps of each clip are, by the similarities of Adebayo et al. (2018).

    Parameters
    ----------
    first, second
        ``(N, T, H, W)`` raw maps.
    similarities
        ``"rank"``: `rank_correlation` of the signed values; ``"absolute_rank"``: of their absolute
        values; ``"ssim"``: `structural_similarity`. All are 1 for equal maps and do not depend on
        the maps' scale.

    Returns
    -------
    dict
        For each similarity asked for ``(N,)`` float64.
    """
    known = {
        "rank": lambda: rank_correlation(first, second),
        "absolute_rank": lambda: rank_correlation(np.abs(first), np.abs(second)),
        "ssim": lambda: structural_similarity(first, second),
    }
    if not similarities:
        raise InputError(f"no similarity asked for: choose of {', '.join(known)}")
    for name in similarities:
        if name not in known:
            raise UnknownNameError("similarity", name, known)
    return {name: known[name]() for name in similarities}


def unlike(
    maps: Maps, *, similarities: Sequence[str] = SIMILARITIES
) -> Mapping[str, Values] | None:
    """How alike each clip's map is to the next clip's: what maps have in common anyway.

    The baseline of every similarity: a method whose maps all have their middle in the middle is
    alike everywhere. The last clip's neighbour is the first. None for a clip alone.
    """
    if len(maps) < 2:
        return None
    return alike(maps, np.roll(maps, -1, axis=0), similarities=similarities)


def rank_correlation(first: npt.ArrayLike, second: npt.ArrayLike) -> Values:
    """Spearman's rank correlation of each pair of ``(N, ...)`` maps: ``(N,)``, -1 to 1.

    Equal values share the mean of their ranks. A map that is the same everywhere has no ranks: it
    correlates with nothing and scores 0, also with itself.
    """
    from scipy.stats import rankdata

    ranks = []
    for maps in (first, second):
        values = np.asarray(maps, np.float64)  # scipy 1.18 has ranks of its input's precision
        rank = rankdata(values.reshape(len(values), -1), axis=1)
        ranks.append(rank - rank.mean(1, keepdims=True))
    if ranks[0].shape != ranks[1].shape:
        raise InputError(f"maps of {np.shape(first)} and {np.shape(second)} cannot be compared")
    a, b = ranks
    size = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    rho: Values = np.where(size > 0, (a * b).sum(1) / np.where(size > 0, size, 1), 0.0)
    return rho.clip(-1, 1)


def structural_similarity(first: Maps, second: Maps) -> Values:
    """Mean structural similarity of each pair of ``(N, T, H, W)`` maps: ``(N,)``, -1 to 1.

    scikit-image's, of Wang et al. (2004) with windows of 7x7 pixels (3x3 or 5x5 where frames are
    smaller), frame by frame. Each map is divided by its largest absolute value first, as Adebayo et
    al. do, so that 0 stays 0 and the range is 2.

    Raises
    ------
    InputError
        If shapes differ or frames are below 3x3.
    """
    from skimage import metrics

    if first.shape != second.shape or first.ndim != 4 or min(first.shape[2:]) < 3:
        raise InputError(
            f"maps of {first.shape} and {second.shape} have no structural similarity: they must be "
            "(N, T, H, W) alike, with frames of 3x3 or more"
        )
    ssim: Any = metrics.structural_similarity
    side = min(first.shape[2:])
    window = min(7, side - 1 + side % 2)

    def scaled(one: Maps) -> Values:
        values = one.astype(np.float64)
        return values / (np.abs(values).max() or 1.0)

    return np.array(
        [
            ssim(scaled(a), scaled(b), win_size=window, data_range=2.0, channel_axis=0)
            for a, b in zip(first, second, strict=True)
        ],
        np.float64,
    )


def blocks(size: Sequence[int], cell: Sequence[int]) -> Labels:
    """Cut a volume ``(T, H, W)`` into blocks of ``cell``: labels from 0, in reading order."""
    if len(cell) != 3 or min(cell) < 1:
        raise InputError(f"cell={tuple(cell)}: give frames, rows and columns, each 1 or more")
    along = [np.arange(n) // c for n, c in zip(size, cell, strict=True)]
    counts = [int(axis[-1]) + 1 for axis in along]
    t, y, x = np.ix_(*along)
    labels: Labels = ((t * counts[1] + y) * counts[2] + x).astype(np.int64)
    return labels


def grey_level(model: Model, x: Tensor) -> Tensor:
    """One grey level of 255 in each channel of prepared input: ``(1, C, 1, 1, 1)``."""
    std = model.entry.std
    if x.ndim != 5 or x.shape[1] != len(std):
        raise InputError(
            f"model {model.entry.name!r} takes (N, {len(std)}, T, H, W) clips, not {tuple(x.shape)}"
        )
    return 1 / (255 * torch.tensor(std, device=x.device, dtype=x.dtype)).view(1, -1, 1, 1, 1)


def _name(attribute: Any) -> str:
    """A callable's name; a partial's is that of what it calls."""
    inner = getattr(attribute, "func", attribute)
    return str(getattr(inner, "__name__", type(inner).__name__))
