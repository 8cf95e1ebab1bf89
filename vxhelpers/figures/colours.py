"""Colour that is decided once: the palette of the charts and the scale of the attribution maps.

A map is laid over a clip as colour *and* opacity: where it is near zero the clip shows through,
and the clip underneath loses its own colour as the overlay becomes stronger, so that colour means
attribution and nothing else. Still figures (:mod:`vxhelpers.figures.filmstrips`) and players
(:mod:`vxhelpers.figures.player`, in the browser) follow the same table and the same formula.
"""

from dataclasses import dataclass

import matplotlib
import numpy as np
import numpy.typing as npt

from vxhelpers.errors import InputError, NotFiniteError

Array = npt.NDArray[np.floating]
Bytes = npt.NDArray[np.uint8]

# Okabe and Ito, "Color universal design" (2008), without yellow and black: told apart in every
# common form of colour blindness, and each of them readable on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

# Bright ones of the same palette, for lines over a picture, on a black edge.
LINES = ("#F0E442", "#56B4E9", "#FFFFFF", "#E69F00", "#CC79A7", "#00C08B")

LEVELS = 255  # an odd number, so that zero is exactly the middle level of a signed scale
DESATURATE = 0.75  # share of the clip's own colour that goes at full overlay opacity
_LUMA = np.array([0.3, 0.59, 0.11])  # of the "saturation" blend mode: W3C compositing, section 10


@dataclass(frozen=True)
class Scale:
    """Limits of a map, in its own units, and the colours between them.

    Parameters
    ----------
    lo, hi
        Lowest and highest value that the colours tell apart; ``lo < 0`` makes the scale signed,
        and then ``lo == -hi``, so that zero has the neutral colour.

    Raises
    ------
    InputError
        If the limits are not finite, not in order, or signed and not symmetric about zero.
    """

    lo: float
    hi: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.lo) and np.isfinite(self.hi) and self.lo < self.hi):
            raise InputError(
                f"limits must be two finite numbers in order, not ({self.lo}, {self.hi})"
            )
        if self.lo < 0 and self.lo != -self.hi:
            raise InputError(
                f"limits of a signed map must be symmetric about zero, not ({self.lo}, {self.hi}): "
                f"use ({-max(-self.lo, self.hi)}, {max(-self.lo, self.hi)})"
            )

    @property
    def signed(self) -> bool:
        """Whether the scale has a zero in its middle."""
        return self.lo < 0

    def quantise(self, values: Array) -> Bytes:
        """Level of every value, 0 (``lo`` or below) to 254 (``hi`` or above); same shape."""
        share = (np.asarray(values, np.float64) - self.lo) / (self.hi - self.lo)
        levels: Bytes = np.rint(np.clip(share, 0, 1) * (LEVELS - 1)).astype(np.uint8)
        return levels

    def outside(self, values: Array) -> float:
        """Share of the values that lie beyond the limits and are drawn as if at them."""
        return float(np.mean((values < self.lo) | (values > self.hi)))

    def table(self) -> Bytes:
        """Colour and opacity of every level, ``(255, 4)`` uint8 RGBA, not premultiplied.

        Signed: blue, through nothing at zero, to red (the outer part of ``RdBu_r``). Otherwise
        nothing, then dark to light (``inferno``, perceptually uniform).
        """
        share = np.linspace(-1, 1, LEVELS) if self.signed else np.linspace(0, 1, LEVELS)
        if self.signed:
            rgba = matplotlib.colormaps["RdBu_r"](0.5 + np.sign(share) * (0.2 + 0.2 * abs(share)))
        else:
            rgba = matplotlib.colormaps["inferno"](0.25 + 0.7 * share)
        rgba[:, 3] = abs(share) ** 0.7
        table: Bytes = np.rint(rgba * 255).astype(np.uint8)
        return table


def scale_of(
    *maps: Array, limits: tuple[float, float] | None = None, signed: bool = False
) -> Scale:
    """Scale that covers the maps: ``(-m, m)`` if any value is below zero, else ``(0, m)``.

    Parameters
    ----------
    maps
        Arrays that are to share one scale, of any shape.
    limits
        Limits to use instead; values beyond them are drawn as if at them.
    signed
        The quantity has a sign even where these maps have no value below zero: ``(-m, m)``.

    Raises
    ------
    NotFiniteError
        If a map holds NaN or infinity.
    InputError
        If no map, or an empty one, is given, or the limits cannot be used.
    """
    if not maps or any(np.size(values) == 0 for values in maps):
        raise InputError("a colour scale needs at least one map with values")
    for values in maps:
        bad = int(np.size(values) - np.isfinite(values).sum())
        if bad:
            raise NotFiniteError(
                f"map of shape {np.shape(values)} has {bad} values that are NaN or infinite: "
                "look at the attribution before drawing it"
            )
    if limits is not None:
        return Scale(float(limits[0]), float(limits[1]))
    largest = float(max(np.abs(values).max() for values in maps)) or 1.0
    below = signed or any((v < 0).any() for v in maps)
    return Scale(-largest if below else 0.0, largest)


def blend(frames: Bytes, maps: Array, scale: Scale, *, opacity: float = 0.8) -> Bytes:
    """Frames with a map laid over them.

    Parameters
    ----------
    frames
        ``(..., H, W, 3)`` uint8.
    maps
        ``(..., H, W)``, in the units of ``scale``.
    opacity
        0 (frames alone) to 1.

    Returns
    -------
    ``(..., H, W, 3)`` uint8.
    """
    colour = scale.table()[scale.quantise(maps)].astype(np.float64)
    clip = frames.astype(np.float64)
    clip += DESATURATE * opacity * ((clip @ _LUMA)[..., None] - clip)
    clip += opacity * colour[..., 3:] / 255 * (colour[..., :3] - clip)
    blended: Bytes = np.rint(clip).astype(np.uint8)
    return blended
