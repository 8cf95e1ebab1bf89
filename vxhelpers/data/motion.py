"""Where a clip moves."""

import cv2
import numpy as np
import numpy.typing as npt

from vxhelpers.data.clip import Frames
from vxhelpers.errors import InputError


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
