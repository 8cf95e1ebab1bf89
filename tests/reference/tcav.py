"""TCAV from its definition, slowly: explicit concept vectors, loops over clips and sets."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Rows = Sequence[int] | npt.NDArray[np.int64]


def mean_difference(x: Array, positive: Rows, negative: Rows) -> Array:
    """Unit vector from the mean of some rows of ``(N, D)`` to the mean of others."""
    inside = sum(x[row] for row in positive) / len(positive)
    outside = sum(x[row] for row in negative) / len(negative)
    gap = inside - outside
    length = np.sqrt(sum(value**2 for value in gap))
    return gap / length if length > 0 else gap


def slopes(x: Array, gradients: Array, concept: Rows, randoms: Sequence[Rows]) -> Array:
    """Derivatives ``(sets, S)`` of a concept against each random set, by mean difference."""
    found = [mean_difference(x, concept, random) for random in randoms]
    return np.array([[float(g @ vector) for g in gradients] for vector in found])


def scores(x: Array, gradients: Array, concept: Rows, randoms: Sequence[Rows]) -> Array:
    """Sign count and magnitude of a concept, mean over the random sets."""
    derivatives = slopes(x, gradients, concept, randoms)
    counted = [sum(1 for d in line if d > 0) / len(line) for line in derivatives]
    return np.array([np.mean(counted), np.mean([sum(line) / len(line) for line in derivatives])])


def two_sided(observed: float, draws: Sequence[float], centre: float) -> float:
    """Share of the draws, the observed one among them, that are as far from the centre."""
    far = sum(1 for draw in draws if abs(draw - centre) >= abs(observed - centre) - 1e-12)
    return (1 + far) / (1 + len(draws))


def moved(score: Callable[[Array], float], activations: Array, direction: Array) -> float:
    """Derivative of a score as activations move along a direction, by central differences."""
    step = 1e-5
    above, below = (score(activations + sign * step * direction) for sign in (1, -1))
    return (above - below) / (2 * step)
