"""What discovered concepts show, by ground truth; whether scores agree; how well pieces fit.

Where masks of a clip's objects are known, a concept need not be named by looking: its supervoxels
lie on the person, the racket or the ground by so much.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vxhelpers.data.sampling import view
from vxhelpers.data.segmentation.metrics import boundary_recall
from vxhelpers.data.segmentation.supervoxels import Supervoxels, segment
from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.models.samples import Samples
from vxhelpers.models.zoo import Model
from vxhelpers.stats import Mean, mean_interval
from vxhelpers.stce.discovery import Discovery
from vxhelpers.stce.features import Pieces, Recipe

Matrix = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

FEWEST = 4  # concepts that an interval of a correlation needs


@dataclass(frozen=True, eq=False)
class Coverage:
    """How much of each of k concepts lies on objects.

    Parameters
    ----------
    shares
        Object to ``(k,)``: share of the voxels of the concept's members that lie on it, 0 to 1.
    areas
        Object to its share of all voxels of the clips: what a concept without preference has.
    """

    shares: Mapping[str, Matrix]
    areas: Mapping[str, float]


@dataclass(frozen=True)
class Agreement:
    """Spearman's rank correlation over n concepts with its approximate 95 % interval."""

    rho: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.rho:+.2f} [{self.low:+.2f}, {self.high:+.2f}], n = {self.n}"


def coverage(discovery: Discovery, masks: Mapping[str, Flags]) -> Coverage:
    """Share of each concept's voxels that lie on each object.

    Parameters
    ----------
    discovery
        Concepts; of each, the members count, those nearest to its centre.
    masks
        Object to ``(N, T, H, W)`` bool, in the order of the discovery's N clips and in the
        network's geometry, as `vxhelpers.models.samples.collect` gives them. Objects may overlap.

    Raises
    ------
    InputError
        If a mask does not fit the clips.
    """
    pieces = discovery.pieces
    shape = (len(pieces.cuts), *pieces.cuts[0].labels.shape[1:])
    for name, mask in masks.items():
        if mask.shape != shape or mask.dtype != np.bool_:
            raise InputError(
                f"mask {name!r} must be bool of shape {shape}, one volume a clip of the discovery, "
                f"not {mask.dtype} of shape {mask.shape}"
            )
    inside = {name: np.zeros(len(discovery)) for name in masks}
    size = np.zeros(len(discovery))
    for concept, rows in enumerate(discovery.members):
        for row in rows.tolist():
            shown, owner = pieces.mask(row), pieces.owner[row]
            size[concept] += shown.sum()
            for name, mask in masks.items():
                inside[name][concept] += (mask[owner] & shown).sum()
    return Coverage(
        {name: found / size for name, found in inside.items()},
        {name: float(mask.mean()) for name, mask in masks.items()},
    )


def best_fit(cut: Supervoxels, mask: Flags) -> float:
    """Intersection over union of an object and the kept supervoxel that fits it best, in 3-D.

    Parameters
    ----------
    cut
        A clip's supervoxels.
    mask
        ``(T, H, W)`` bool.

    Raises
    ------
    InputError
        If the mask does not fit the clip, or is empty.
    """
    if mask.shape != cut.labels.shape[1:] or mask.dtype != np.bool_:
        raise InputError(
            f"a mask must be bool of shape {cut.labels.shape[1:]}, not {mask.dtype} of {mask.shape}"
        )
    if not mask.any():
        raise InputError("an empty mask fits no supervoxel; leave the object out")
    counts = [np.bincount(volume[mask], minlength=volume.max() + 1) for volume in cut.labels]
    both = np.array([counts[level][label] for level, label in cut.kept])
    return float((both / (cut.sizes() + mask.sum() - both)).max())


@dataclass(frozen=True)
class Fit:
    """How well supervoxels fit objects, beside a grid of seeds that does not see colour.

    Parameters
    ----------
    sizes
        Object to its mean pixels in a frame where it is seen.
    best, outlines
        ``"supervoxels"`` and ``"grid"`` to object to `best_fit`, and to the share of the object's
        outline within a pixel of a border at the finest resolution; means over clips.
    """

    sizes: Mapping[str, float]
    best: Mapping[str, Mapping[str, Mean]]
    outlines: Mapping[str, Mapping[str, Mean]]


def fits(
    model: Model, samples: Samples, pieces: Pieces, recipe: Recipe, *, seed: int, clips: int = 6
) -> Fit:
    """Measure how well supervoxels fit each object but the ground, in the first clips.

    Objects that fewer than two of the clips show are left out. ``seed`` is of the bootstrap.
    """
    entry, few = model.entry, range(min(clips, len(samples)))
    geometry = {key: getattr(entry, key) for key in ("frames", "stride", "resize", "crop")}
    grid: list[Supervoxels] = []
    for k in few:
        cuts = segment(view(samples.clips[k], **geometry), recipe.segments, compactness=1e6)
        assert isinstance(cuts, Supervoxels)  # a clip gives its own
        grid.append(cuts)
    sizes: dict[str, float] = {}
    best: dict[str, dict[str, Mean]] = {"supervoxels": {}, "grid": {}}
    outlines: dict[str, dict[str, Mean]] = {"supervoxels": {}, "grid": {}}
    for name, mask in samples.masks.items():
        at = [k for k in few if mask[k].any()]
        if name == "ground" or len(at) < 2:
            continue
        pixels = mask[: len(few)].sum((2, 3))
        sizes[name] = float(pixels[pixels > 0].mean())
        for kind, volumes in (("supervoxels", pieces.cuts), ("grid", grid)):
            fit = [best_fit(volumes[k], mask[k]) for k in at]
            edge = [boundary_recall(volumes[k].labels[-1], mask[k]) for k in at]
            best[kind][name] = mean_interval(fit, rng=np.random.default_rng(seed))
            outlines[kind][name] = mean_interval(edge, rng=np.random.default_rng(seed))
    return Fit(sizes, best, outlines)


def agreement(first: npt.ArrayLike, second: npt.ArrayLike) -> Agreement | None:
    """Whether two quantities rank concepts alike: Spearman's correlation.

    Parameters
    ----------
    first, second
        ``(k,)`` of 4 concepts or more, such as scores and shares of evidence.

    Returns
    -------
    Agreement or None
        The interval is that of Bonett and Wright ("Sample size requirements for estimating
        Pearson, Kendall and Spearman correlations", Psychometrika 65, 2000). None where either
        quantity is the same for all concepts: there are no ranks then.

    Raises
    ------
    InputError
        If lengths differ, or there are fewer than 4 concepts.
    NotFiniteError
        If a value is NaN or infinite.
    """
    from scipy.stats import spearmanr

    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape or a.ndim != 1 or len(a) < FEWEST:
        raise InputError(
            f"two values a concept, of {FEWEST} concepts or more, are needed; not {a.shape} and "
            f"{b.shape}"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise NotFiniteError("values to be ranked are NaN or infinite")
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    rho = float(np.clip(spearmanr(a, b).statistic, -1, 1))
    wide = 1.959964 * np.sqrt((1 + rho**2 / 2) / (len(a) - 3))
    far = np.arctanh(np.clip(rho, -1 + 1e-12, 1 - 1e-12))
    low, high = np.tanh([far - wide, far + wide])
    return Agreement(rho, float(min(low, rho)), float(max(high, rho)), len(a))
