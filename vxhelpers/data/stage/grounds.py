"""Backdrops: where an action takes place, painted once a clip in one-point perspective."""

from collections.abc import Callable

import cv2
import numpy as np

from vxhelpers.data.stage.actor import GROUND
from vxhelpers.data.stage.canvas import Backdrop, Colour, Image

HORIZON = 0.78  # metres above the actor's feet, at the actor's depth
_LEFT, _TOP, _WIDTH, _HEIGHT = -4.6, 3.4, 9.2, 5.4  # the world rectangle that is painted


class _Painter:
    """Paints the world rectangle; ground points are (x, depth), depth 1 being the actor's."""

    def __init__(self, pixels_a_metre: float, rng: np.random.Generator, horizon: float) -> None:
        self.scale = pixels_a_metre
        self.rng = rng
        self.horizon = horizon
        shape = (round(_HEIGHT * pixels_a_metre), round(_WIDTH * pixels_a_metre))
        self.colour: Image = np.zeros((*shape, 3), np.uint8)
        self.ids: Image = np.zeros(shape, np.uint8)

    def row(self, y: float) -> int:
        return round((_TOP - y) * self.scale)

    def column(self, x: float) -> int:
        return round((x - _LEFT) * self.scale)

    def project(self, x: float, depth: float) -> tuple[int, int]:
        return self.column(x / depth), self.row(self.horizon * (1 - 1 / depth))

    def tone(self, colour: Colour, spread: float = 10) -> Colour:
        shift = self.rng.uniform(-spread, spread, 3) + self.rng.uniform(-spread, spread)
        red, green, blue = np.clip(np.array(colour) + shift, 0, 255)
        return float(red), float(green), float(blue)

    def vertical(self, top: Colour, bottom: Colour, y_top: float, y_bottom: float) -> None:
        first, last = max(0, self.row(y_top)), min(len(self.colour), self.row(y_bottom))
        ramp = np.linspace(0, 1, max(1, last - first))[:, None, None]
        band = np.array(top) * (1 - ramp) + np.array(bottom) * ramp
        self.colour[first:last] = band.astype(np.uint8)

    def ground(self, near: Colour, far: Colour) -> None:
        self.vertical(far, near, self.horizon, _TOP - _HEIGHT)
        self.ids[self.row(self.horizon) :] = GROUND

    def quad(self, corners: list[tuple[float, float]], colour: Colour) -> None:
        points = np.array([self.project(x, depth) for x, depth in corners], np.int32)
        cv2.fillPoly(self.colour, [points], colour, cv2.LINE_AA)

    def stripe(
        self, a: tuple[float, float], b: tuple[float, float], colour: Colour, width: float
    ) -> None:
        """Draw a line on the ground, thinner the farther it lies."""
        if a[1] == b[1]:
            half = width * a[1] / 2
            corners = [(a[0], a[1] - half), (b[0], b[1] - half)]
            corners += [(b[0], b[1] + half), (a[0], a[1] + half)]
        else:
            corners = [(a[0] - width / 2, a[1]), (a[0] + width / 2, a[1])]
            corners += [(b[0] + width / 2, b[1]), (b[0] - width / 2, b[1])]
        self.quad(corners, colour)

    def block(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """Fill an upright rectangle whose lower left corner is (x, y)."""
        corner = (self.column(x), self.row(y))
        opposite = (self.column(x + width), self.row(y + height))
        cv2.rectangle(self.colour, corner, opposite, colour, -1)

    def texture(self, strength: float, *, cells: tuple[int, ...], above: bool = False) -> None:
        """Add smooth noise to the ground (or to what is above the horizon)."""
        split = self.row(self.horizon)
        part = self.colour[:split] if above else self.colour[split:]
        noise = np.zeros(part.shape[:2], np.float32)
        for count in cells:
            grid = self.rng.standard_normal((count, 2 * count)).astype(np.float32)
            noise += cv2.resize(grid, part.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        scaled = (noise * (strength / len(cells) ** 0.5)).astype(np.int16)
        part[:] = np.clip(part.astype(np.int16) + scaled[..., None], 0, 255).astype(np.uint8)

    def done(self) -> Backdrop:
        return Backdrop(self.colour, self.ids, _LEFT, _TOP, _WIDTH)


def _court(paint: _Painter) -> None:
    sky = paint.tone((176, 206, 232))
    paint.vertical(sky, paint.tone((222, 232, 240)), _TOP, paint.horizon)
    fence = paint.tone((44, 84, 66))
    paint.block(_LEFT, paint.horizon, _WIDTH, 0.62, fence)
    posts = paint.rng.uniform(0, 0.6)
    for k in range(12):
        post = (fence[0] * 0.72, fence[1] * 0.72, fence[2] * 0.72)
        paint.block(_LEFT + posts + 0.8 * k, paint.horizon, 0.05, 0.66, post)
    outside = paint.tone((70, 132, 92))
    paint.ground(outside, (outside[0] * 0.88, outside[1] * 0.88, outside[2] * 0.9))
    middle = paint.rng.uniform(-0.6, 0.6)
    court, white = paint.tone((50, 98, 168)), paint.tone((236, 238, 240), 5)
    left, right = middle - 3.0, middle + 3.0
    paint.quad([(left, 0.70), (right, 0.70), (right, 4.4), (left, 4.4)], court)
    paint.texture(3.5, cells=(12, 60))
    for x in (left, right, left + 0.55, right - 0.55):
        paint.stripe((x, 0.70), (x, 4.4), white, 0.07)
    for depth in (0.70, 1.55, 4.4):
        paint.stripe((left, depth), (right, depth), white, 0.06)
    paint.stripe((middle, 1.55), (middle, 2.4), white, 0.06)
    foot, x0 = paint.project(left - 0.5, 2.4)[1], paint.project(left - 0.5, 2.4)[0]
    x1, head = paint.project(right + 0.5, 2.4)[0], foot - round(0.92 / 2.4 * paint.scale)
    region = paint.colour[head:foot, x0:x1]
    region[:] = (region * 0.55 + 18).astype(np.uint8)
    paint.ids[head:foot, x0:x1] = GROUND
    tape = max(1, round(0.028 * paint.scale))
    cv2.rectangle(paint.colour, (x0, head), (x1, head + tape), white, -1)
    paint.ids[head : head + tape + 1, x0 : x1 + 1] = GROUND


def _hall(paint: _Painter) -> None:
    wall = paint.tone((208, 200, 184))
    paint.vertical((wall[0] * 0.9, wall[1] * 0.9, wall[2] * 0.92), wall, _TOP, paint.horizon)
    start = paint.rng.uniform(0, 1.0)
    for k in range(5):
        x = _LEFT + start + 1.9 * k
        paint.block(x, paint.horizon + 0.75, 1.0, 0.85, paint.tone((196, 216, 226), 6))
        paint.block(x + 0.47, paint.horizon + 0.75, 0.05, 0.85, wall)
    base = (wall[0] * 0.6, wall[1] * 0.58, wall[2] * 0.55)
    paint.block(_LEFT, paint.horizon, _WIDTH, 0.09, base)
    near = paint.tone((190, 136, 84))
    paint.ground(near, (near[0] * 0.9, near[1] * 0.88, near[2] * 0.86))
    seam = (near[0] * 0.8, near[1] * 0.78, near[2] * 0.76)
    for k in range(-40, 41):
        x = 0.32 * k + start * 0.3
        paint.stripe((x, 0.45), (x, 12.0), seam, 0.022)
    paint.texture(4.0, cells=(10, 40))


def _park(paint: _Painter) -> None:
    paint.vertical(paint.tone((146, 190, 232)), paint.tone((226, 234, 238)), _TOP, paint.horizon)
    for k in range(14):
        x = _LEFT + 0.7 * k + paint.rng.uniform(-0.2, 0.2)
        radius = paint.rng.uniform(0.32, 0.62)
        centre = (paint.column(x), paint.row(paint.horizon + radius * 0.8))
        leaves = paint.tone((64, 112, 58), 14)
        cv2.circle(paint.colour, centre, round(radius * paint.scale), leaves, -1, cv2.LINE_AA)
        light = (leaves[0] * 1.2, leaves[1] * 1.2, leaves[2] * 1.15)
        shift = round(0.25 * radius * paint.scale)
        spot = (centre[0] - shift, centre[1] - shift)
        cv2.circle(paint.colour, spot, round(0.5 * radius * paint.scale), light, -1, cv2.LINE_AA)
    paint.block(_LEFT, paint.horizon, _WIDTH, 0.16, paint.tone((58, 100, 54), 8))
    paint.texture(4.0, cells=(30, 60), above=True)
    near = paint.tone((110, 160, 74))
    paint.ground(near, (near[0] * 0.82, near[1] * 0.86, near[2] * 0.8))
    bend = paint.rng.uniform(-1.5, 1.5)
    path = paint.tone((206, 190, 158))
    paint.quad([(bend - 4, 1.5), (bend + 6, 1.35), (bend + 6, 1.7), (bend - 4, 1.9)], path)
    paint.texture(9.0, cells=(24, 70, 110))


def _plaza(paint: _Painter) -> None:
    paint.vertical(paint.tone((196, 204, 216)), paint.tone((232, 230, 226)), _TOP, paint.horizon)
    x = _LEFT
    while x < _LEFT + _WIDTH:
        width, height = paint.rng.uniform(0.9, 1.7), paint.rng.uniform(0.9, 1.9)
        house = paint.tone((188, 150, 128), 22)
        paint.block(x, paint.horizon, width, height, house)
        pane = (house[0] * 0.55, house[1] * 0.6, house[2] * 0.7)
        for column in range(int(width / 0.34)):
            for storey in range(int(height / 0.42)):
                place = (x + 0.12 + 0.34 * column, paint.horizon + 0.14 + 0.42 * storey)
                paint.block(*place, 0.14, 0.2, pane)
        x += width
    near = paint.tone((168, 162, 158))
    paint.ground(near, (near[0] * 0.9, near[1] * 0.9, near[2] * 0.92))
    joint = (near[0] * 0.82, near[1] * 0.82, near[2] * 0.82)
    start = paint.rng.uniform(0, 0.6)
    for k in range(-30, 31):
        paint.stripe((0.7 * k + start, 0.45), (0.7 * k + start, 12.0), joint, 0.03)
    for k in range(14):
        depth = 0.5 * 1.26**k
        paint.stripe((-40, depth), (40, depth), joint, 0.03)
    paint.texture(4.5, cells=(16, 60))


def _meadow(paint: _Painter) -> None:
    bright = paint.rng.uniform(168, 215)
    sky = (bright, bright, bright)
    paint.vertical(sky, (bright * 0.94, bright * 0.94, bright * 0.94), _TOP, paint.horizon)
    paint.texture(2.5, cells=(6, 14), above=True)
    near = paint.rng.uniform(118, 158)
    paint.ground((near, near, near), (near * 1.08, near * 1.08, near * 1.08))
    paint.texture(7.0, cells=(20, 70, 120))


def _room(paint: _Painter) -> None:
    bright = paint.rng.uniform(150, 205)
    wall = (bright, bright, bright)
    paint.vertical((bright * 0.9, bright * 0.9, bright * 0.9), wall, _TOP, paint.horizon)
    base = bright * 0.62
    paint.block(_LEFT, paint.horizon, _WIDTH, 0.07, (base, base, base))
    near = paint.rng.uniform(96, 130)
    paint.ground((near, near, near), (near * 1.15, near * 1.15, near * 1.15))
    paint.texture(3.0, cells=(8, 40))


_PAINTERS: dict[str, tuple[Callable[[_Painter], None], float]] = {
    "court": (_court, HORIZON),
    "hall": (_hall, HORIZON),
    "park": (_park, HORIZON),
    "plaza": (_plaza, HORIZON),
    "meadow": (_meadow, 0.42),
    "room": (_room, 0.34),
}
TENNIS_GROUNDS = ("court", "hall", "park", "plaza")


def paint_ground(name: str, *, pixels_a_metre: float, rng: np.random.Generator) -> Backdrop:
    """Paint one backdrop; the same generator state gives the same place at any resolution."""
    painter, horizon = _PAINTERS[name]
    paint = _Painter(pixels_a_metre, rng, horizon)
    painter(paint)
    return paint.done()
