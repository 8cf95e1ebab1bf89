"""Intervals of means and shares, and corrections for many tests, for the whole package."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from vxhelpers.errors import InputError


@dataclass(frozen=True)
class Mean:
    """A mean over clips with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}], n = {self.n}"


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


def wilson(correct: float, n: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a share, for ``correct`` of ``n`` (maybe effective numbers).

    Wilson (1927), *JASA* 22, 209-212.
    """
    if not (0 <= correct <= n and n > 0 and 0 < confidence < 1):
        raise InputError(f"no interval for {correct} of {n} at confidence {confidence}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = correct / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = ((centre + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    return (0.0 if correct == 0 else low), (1.0 if correct == n else high)


def paired_difference(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[float, float, float]:
    """Difference of two shares of the same clips, first less second, with its 95 % interval.

    Newcombe's (1998, *Statistics in Medicine* 17, 2635-2650), method 10: Wilson's intervals of both
    shares, put together with their correlation. It keeps its width where all clips agree, which a
    bootstrap does not.

    Parameters
    ----------
    first, second
        ``(N,)`` bool: whether each clip counts, such as being predicted right.

    Returns
    -------
    tuple
        Value, low and high, -1 to 1.

    Raises
    ------
    InputError
        If they are not of one length, 1 or more.
    """
    one, other = np.asarray(first, bool), np.asarray(second, bool)
    if one.shape != other.shape or one.ndim != 1 or not len(one):
        raise InputError(
            f"paired shares of {one.shape} and {other.shape} clips: one length, 1 or more"
        )
    n, k, m, both = len(one), int(one.sum()), int(other.sum()), int((one & other).sum())
    (low, high), (least, most) = wilson(k, n), wilson(m, n)
    p, q = k / n, m / n
    joint = float(n * both - k * m)  # the determinant of the table of pairs, ad - bc
    joint = max(joint - n / 2, 0.0) if joint > 0 else joint
    margins = k * (n - k) * m * (n - m)
    together = joint / math.sqrt(margins) if margins else 0.0

    def width(a: float, b: float) -> float:
        return math.sqrt(max(a * a - 2 * together * a * b + b * b, 0.0))

    return p - q, p - q - width(p - low, most - q), p - q + width(high - p, q - least)


@dataclass(frozen=True)
class Share:
    """A share with its 95 % Wilson interval."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}], n = {self.n}"


def bonferroni(p: float, m: int) -> float:
    """Correct a p for ``m`` hypotheses tested together: ``m p``, at most 1."""
    if m < 1:
        raise InputError(f"m={m}: at least this one hypothesis is tested")
    return min(1.0, m * p)
