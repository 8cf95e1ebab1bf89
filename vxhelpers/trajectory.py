"""Where the thing in a concept clip is, frame by frame, and how far it travels.

Read off the clip's own pixels: what is not the fill is the thing. So it holds for clips in place
and centred ones alike, whoever cut them.
"""

import numpy as np
import numpy.typing as npt

from vxhelpers.clip import Clip
from vxhelpers.errors import InputError

Path = npt.NDArray[np.float64]


def middles(clip: Clip, fill: tuple[int, int, int]) -> Path:
    """Middle of what a concept clip shows in every frame.

    Parameters
    ----------
    clip
        What is not filled is one box a frame, as :func:`vxhelpers.concepts.cut` leaves it.
    fill
        R, G, B around the box; must be exact, as it is in lossless clips.

    Returns
    -------
    ndarray
        ``(T, 2)``, x and y in pixels of the clip's frame; NaN where a frame is fill alone. Parts of
        a box that have the fill's very colour at its edge are taken for fill.
    """
    shown = (clip.frames != np.array(fill, np.uint8)).any(axis=3)
    return np.stack([_middle(shown.any(axis=1)), _middle(shown.any(axis=2))], axis=1)


def travelled(path: Path) -> float:
    """Length of a path: the distances from frame to frame, added up, in the path's own units.

    Frames where the thing is not seen are passed in a straight line.

    Raises
    ------
    InputError
        If the path is not ``(T, 2)``, or the thing is never seen.
    """
    if path.ndim != 2 or path.shape[1] != 2 or not (seen := np.isfinite(path).all(axis=1)).any():
        raise InputError(f"a path is (T, 2) with the thing in sight somewhere, not {path.shape}")
    return float(np.linalg.norm(np.diff(path[seen], axis=0), axis=1).sum())


def _middle(shown: npt.NDArray[np.bool_]) -> Path:
    """Middle of the first and last True along each row of ``(T, L)``, in pixels; NaN for none."""
    first, last = shown.argmax(axis=1), shown.shape[1] - shown[:, ::-1].argmax(axis=1)
    return np.where(shown.any(axis=1), (first + last) / 2, np.nan)
