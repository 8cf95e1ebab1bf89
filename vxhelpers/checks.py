"""Checks of what callers give, each worded once: ranges, names, shapes, finiteness, seeds."""

import math
from collections.abc import Iterable
from typing import Any

from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError


def at_least(low: float, **values: float) -> None:
    """Raise `InputError` where a value, given by its name, is below ``low`` or not finite."""
    for name, value in values.items():
        if not (math.isfinite(value) and value >= low):
            raise InputError(f"{name}={value}: must be {low} or more")


def above(low: float, **values: float) -> None:
    """Raise `InputError` where a value, given by its name, is not finite and above ``low``."""
    for name, value in values.items():
        if not (math.isfinite(value) and value > low):
            raise InputError(f"{name}={value}: must be more than {low}")


def between(low: float, high: float, **values: float) -> None:
    """Raise `InputError` where a value, given by its name, is outside ``low`` to ``high``."""
    for name, value in values.items():
        if not low <= value <= high:
            raise InputError(f"{name}={value}: must be {low} to {high}")


def share(**values: float) -> None:
    """Raise `InputError` where a value, given by its name, is no share: above 0, at most 1."""
    for name, value in values.items():
        if not 0 < value <= 1:
            raise InputError(f"{name}={value}: must be more than 0 and at most 1")


def seed(value: int) -> int:
    """Return the seed; raise `InputError` unless it is a whole number of 0 to 2^63 - 1."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or not 0 <= value < 2**63:
        raise InputError(f"seed={value}: must be a whole number of 0 to 2^63 - 1")
    return int(value)


def known(kind: str, name: str, names: Iterable[str], *, where: str = "") -> str:
    """Return the name; raise `UnknownNameError`, with the nearest, unless it is known."""
    names = list(names)
    if name not in names:
        raise UnknownNameError(kind, name, names, where=where)
    return name


def shape(what: str, values: Any, expected: tuple[int | None, ...], axes: str) -> None:
    """Raise `InputError` unless an array or tensor has the expected shape.

    Parameters
    ----------
    what
        What the values are, for the message: ``"maps"``.
    expected
        Length of each axis; None where any length above 0 will do.
    axes
        Names of the axes, for the message: ``"N, T, H, W"``.
    """
    size = tuple(values.shape)
    fits = len(size) == len(expected) and all(
        n > 0 if length is None else n == length for n, length in zip(size, expected, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if n is None else str(n) for n in expected)
        raise InputError(f"{what} of shape {size}: ({axes}) = ({wanted}) is needed")


def finite(what: str, values: Any) -> None:
    """Raise `NotFiniteError` where an array or tensor ``(N, ...)`` holds NaN or infinity.

    The message names the first row that does: ``"map 3"`` for ``what="map"``.
    """
    import numpy as np

    array = values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)
    bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if bad.any():
        raise NotFiniteError(f"{what} {int(bad.argmax())} holds NaN or infinity")
