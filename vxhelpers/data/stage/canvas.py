"""A supersampled canvas that paints colour and instance ids with the same strokes."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Point = tuple[float, float]
Colour = tuple[float, float, float]

SUPERSAMPLING = 2
_FRACTION_BITS = 4  # OpenCV's fixed-point coordinates: sixteenths of a pixel


@dataclass(frozen=True)
class Camera:
    """Where one frame looks: the picture's centre in metres, and how many metres it is wide.

    World coordinates are metres in the plane of the actor: x to the right, y up, the feet at 0.
    """

    x: float
    y: float
    width: float


@dataclass(frozen=True, eq=False)
class Backdrop:
    """Everything behind the actor, painted once a clip.

    ``colour`` is ``(H, W, 3)``, ``ids`` is ``(H, W)``; both show the world rectangle
    ``x in [left, left + width]``, ``y in [top - width * H / W, top]``, in metres.
    """

    colour: Image
    ids: Image
    left: float
    top: float
    width: float


class Canvas:
    """One frame in the making, ``size`` pixels square once it is reduced."""

    def __init__(self, size: int, camera: Camera, backdrop: Backdrop) -> None:
        self._size = size
        side = size * SUPERSAMPLING
        self._scale = side / camera.width
        self._left = camera.x - camera.width / 2
        self._top = camera.y + camera.width / 2
        across = backdrop.colour.shape[1] / backdrop.width  # backdrop pixels a metre
        zoom = across / self._scale
        matrix = np.array(
            [
                [zoom, 0, (self._left - backdrop.left) * across],
                [0, zoom, (backdrop.top - self._top) * across],
            ]
        )
        border: dict[str, Any] = {"borderMode": cv2.BORDER_REPLICATE}
        inverse = cv2.WARP_INVERSE_MAP
        self.colour: Any = cv2.warpAffine(
            backdrop.colour, matrix, (side, side), flags=inverse | cv2.INTER_LINEAR, **border
        )
        self.ids: Any = cv2.warpAffine(
            backdrop.ids, matrix, (side, side), flags=inverse | cv2.INTER_NEAREST, **border
        )

    def _at(self, point: Point) -> tuple[int, int]:
        one = 1 << _FRACTION_BITS
        x = (point[0] - self._left) * self._scale - 0.5
        y = (self._top - point[1]) * self._scale - 0.5
        return round(x * one), round(y * one)

    def _length(self, metres: float) -> int:
        return max(1, round(metres * self._scale))

    def limb(self, start: Point, end: Point, width: float, colour: Colour, ident: int) -> None:
        """Draw a capsule, lit from the upper left."""
        a, b, thick = self._at(start), self._at(end), self._length(width)
        dark = (colour[0] * 0.7, colour[1] * 0.7, colour[2] * 0.7)
        cv2.line(self.colour, a, b, dark, thick, cv2.LINE_AA, _FRACTION_BITS)
        cv2.line(self.ids, a, b, ident, thick, cv2.LINE_8, _FRACTION_BITS)
        if thick > 3:
            shift = round(width * self._scale * 0.12 * (1 << _FRACTION_BITS))
            a, b = (a[0] - shift, a[1] - shift), (b[0] - shift, b[1] - shift)
            lit = max(1, round(thick * 0.62))
            cv2.line(self.colour, a, b, colour, lit, cv2.LINE_AA, _FRACTION_BITS)

    def disc(self, centre: Point, radius: float, colour: Colour, ident: int) -> None:
        """Draw a ball or a head: a capsule without length."""
        self.limb(centre, centre, 2 * radius, colour, ident)

    def polygon(self, points: list[Point], colour: Colour, ident: int) -> None:
        """Fill a polygon."""
        corners = np.array([self._at(point) for point in points], dtype=np.int32)
        cv2.fillPoly(self.colour, [corners], colour, cv2.LINE_AA, _FRACTION_BITS)
        cv2.fillPoly(self.ids, [corners], ident, cv2.LINE_8, _FRACTION_BITS)

    def hoop(
        self,
        centre: Point,
        axes: tuple[float, float],
        degrees: float,
        rim: Colour,
        strings: Colour,
        ident: int,
    ) -> None:
        """Draw a racket's head: strings inside a rim; the ids cover both."""
        middle = self._at(centre)
        one = 1 << _FRACTION_BITS
        radii = (round(axes[0] * self._scale * one), round(axes[1] * self._scale * one))
        rest = (-degrees, 0.0, 360.0)
        thick = self._length(0.035)
        cv2.ellipse(self.colour, middle, radii, *rest, strings, -1, cv2.LINE_AA, _FRACTION_BITS)
        cv2.ellipse(self.colour, middle, radii, *rest, rim, thick, cv2.LINE_AA, _FRACTION_BITS)
        cv2.ellipse(self.ids, middle, radii, *rest, ident, -1, cv2.LINE_8, _FRACTION_BITS)
        cv2.ellipse(self.ids, middle, radii, *rest, ident, thick, cv2.LINE_8, _FRACTION_BITS)

    def shadow(self, centre: Point, axes: tuple[float, float]) -> None:
        """Darken an ellipse on the ground; a shadow has no id of its own."""
        one = 1 << _FRACTION_BITS
        radii = (round(axes[0] * self._scale * one), round(axes[1] * self._scale * one))
        x, y = (value / one for value in self._at(centre))
        half_w, half_h = radii[0] / one + 2, radii[1] / one + 2
        side = len(self.ids)
        left, right = max(0, int(x - half_w)), min(side, int(x + half_w) + 1)
        top, bottom = max(0, int(y - half_h)), min(side, int(y + half_h) + 1)
        if left >= right or top >= bottom:
            return
        mask = np.zeros((bottom - top, right - left), np.uint8)
        middle = (round((x - left) * one), round((y - top) * one))
        cv2.ellipse(mask, middle, radii, 0, 0, 360, 90, -1, cv2.LINE_AA, _FRACTION_BITS)
        patch = self.colour[top:bottom, left:right]
        dark = cv2.merge([255 - mask] * 3)
        self.colour[top:bottom, left:right] = cv2.multiply(patch, dark, scale=1 / 255)

    def reduce(self) -> tuple[Image, Image]:
        """Average the colour down to ``(size, size, 3)``; ids keep one exact sample a pixel."""
        size = (self._size, self._size)
        colour = cv2.resize(self.colour, size, interpolation=cv2.INTER_AREA)
        step = SUPERSAMPLING
        return colour, np.ascontiguousarray(self.ids[step // 2 :: step, step // 2 :: step])
