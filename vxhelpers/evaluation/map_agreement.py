"""What the maps of different clips have in common: how far one map speaks for a class.

Similarities are Spearman's rank correlations, as in
`vxhelpers.evaluation.map_similarity.rank_correlation`.
"""

import numpy as np
import numpy.typing as npt

from vxhelpers.errors import InputError
from vxhelpers.evaluation.map_similarity import Maps, Values, checked


def agreement(maps: npt.ArrayLike, others: npt.ArrayLike | None = None) -> Values:
    """Mean similarity of each map to all the others of its set, or to those of another set.

    Parameters
    ----------
    maps
        ``(N, T, H, W)`` raw maps.
    others
        ``(M, T, H, W)`` of other clips, such as those of another class. Unless given, each map is
        compared with the N - 1 others.

    Returns
    -------
    ndarray
        ``(N,)`` float64, -1 to 1; a map that is the same everywhere agrees with none: 0. The values
        share their pairs, so that an interval over them is a little too narrow.

    Raises
    ------
    InputError
        If the sets' maps differ in size, or there is no other map.
    NotFiniteError
        If a map holds NaN or infinity.
    """
    first = _ranks(maps)
    if others is None:
        if len(first) < 2:
            raise InputError("one map alone agrees with no other: give two or more")
        found: Values = ((first @ first.T).sum(1) - (first * first).sum(1)) / (len(first) - 1)
        return found
    second = _ranks(others)
    if first.shape[1] != second.shape[1] or not len(second):
        raise InputError(
            f"maps of {np.shape(maps)} and {np.shape(others)} cannot be compared: they must be "
            "(N, T, H, W) and (M, T, H, W), M at least 1"
        )
    across: Values = (first @ second.T).mean(1)
    return across


def aligned(maps: npt.ArrayLike, masks: npt.NDArray[np.bool_]) -> Maps:
    """Move maps in their frames so that the middle of each mask lies in the middle.

    A whole clip is moved at once, by whole pixels, so that movement stays; what leaves the frame
    comes in on the other side.

    Parameters
    ----------
    maps
        ``(N, T, H, W)``; masks themselves can be moved too.
    masks
        ``(N, T, H, W)`` bool, where the thing is. A clip without it stays where it is.

    Raises
    ------
    InputError
        If shapes differ.
    NotFiniteError
        If a map holds NaN or infinity.
    """
    values = checked(maps, masks.shape, of="alignment")
    middle = (np.array(masks.shape[2:]) - 1) / 2
    moved = []
    for one, mask in zip(values, masks, strict=True):
        at = np.argwhere(mask)[:, 1:].mean(0) if mask.any() else middle
        moved.append(np.roll(one, tuple(np.rint(middle - at).astype(int).tolist()), axis=(1, 2)))
    found: Maps = np.stack(moved)
    return found


def _ranks(maps: npt.ArrayLike) -> Values:
    """Centred ranks of each map, of length 1; zeros for a flat one."""
    from scipy.stats import rankdata

    values = checked(maps, np.shape(maps), of="agreement")
    ranks = rankdata(values.reshape(len(values), -1).astype(np.float64), axis=1)
    ranks -= ranks.mean(1, keepdims=True)
    size = np.sqrt((ranks * ranks).sum(1, keepdims=True))
    unit: Values = ranks / np.where(size > 0, size, 1)
    return unit
