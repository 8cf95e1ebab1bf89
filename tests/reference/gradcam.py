"""Grad-CAM from its definition, slowly: finite differences, explicit sums, one cell at a time."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def gradcam(
    activations: Array, score: Callable[[Array], float], size: tuple[int, int, int]
) -> Array:
    """Map one clip's ``(K, T, H, W)`` activations under the score they lead to, at ``size``."""
    grid = activations.shape[1:]
    volume = np.zeros(grid)
    for channel in activations:
        slope = 0.0
        for cell in np.ndindex(*grid):
            kept, step = channel[cell], 1e-6
            channel[cell] = kept + step
            above = score(activations)
            channel[cell] = kept - step
            below = score(activations)
            channel[cell] = kept
            slope += (above - below) / (2 * step)
        volume += slope / np.prod(grid) * channel
    for axis, length in enumerate(size):
        volume = stretch(volume, axis, length)
    return volume


def stretch(volume: Array, axis: int, length: int) -> Array:
    """Resample one axis linearly: cell i of n spans [i, i + 1) / n, its value in the middle."""
    cells = volume.shape[axis]
    middles = (np.arange(cells) + 0.5) / cells
    wanted = (np.arange(length) + 0.5) / length
    return np.apply_along_axis(lambda line: np.interp(wanted, middles, line), axis, volume)
