"""What the actor does: one choreography a function, from phase and time to a drawn frame.

A choreography is made once a clip (it draws its chances from the generator then) and called once a
frame with the time in seconds, so that a clip's motion is a smooth function of time.
"""

import math
from collections.abc import Callable

import numpy as np

from vxhelpers.data.stage.actor import (
    BALL,
    BYSTANDER_ARMS,
    BYSTANDER_LEGS,
    BYSTANDER_TORSO,
    JUGGLED,
    TOOL,
    Body,
    Pose,
    draw_arms_in_front,
    draw_far_side,
    draw_near_side,
    stand,
    stride,
)
from vxhelpers.data.stage.canvas import Canvas, Colour, Point

Choreography = Callable[[Canvas, float], None]

_BALL_COLOUR: Colour = (222, 236, 92)
_TRAVEL = 0.9  # metres that a carried racket moves in one second


def _phase(rng: np.random.Generator) -> float:
    return float(rng.uniform(0, 2 * math.pi))


def _facing(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1


# --- the KTH-like six -----------------------------------------------------------------------

_GAITS = {  # cycles a second, metres a second, thigh, knee, arm, elbow, lean
    "walking": (0.95, 1.05, 0.42, 0.55, 0.38, 0.22, 0.02),
    "jogging": (1.45, 1.75, 0.55, 1.20, 0.50, 1.25, 0.08),
    "running": (1.95, 2.75, 0.82, 1.75, 0.85, 1.55, 0.18),
}


def locomotion(action: str, body: Body, rng: np.random.Generator) -> Choreography:
    """Walk, jog or run across the picture."""
    cadence, speed, thigh, knee, arm, elbow, lean = _GAITS[action]
    start, facing = _phase(rng), _facing(rng)
    speed *= body.height / 1.72 * body.swing
    middle = float(rng.uniform(-0.3, 0.3))

    def draw(canvas: Canvas, t: float) -> None:
        pose = stride(
            body,
            x=middle + facing * speed * (t - 0.5),
            phase=start + 2 * math.pi * cadence * body.tempo * t,
            facing=facing,
            thigh=thigh * body.swing,
            knee=knee * body.swing,
            arm=arm * body.swing,
            elbow=elbow,
            lean=lean,
        )
        draw_far_side(canvas, body, pose)
        draw_near_side(canvas, body, pose)

    return draw


def boxing(body: Body, rng: np.random.Generator) -> Choreography:
    """Punch with alternate fists, in profile."""
    start, facing, x = _phase(rng), _facing(rng), float(rng.uniform(-0.4, 0.4))
    cadence, h = 1.6 * body.tempo, body.height

    def draw(canvas: Canvas, t: float) -> None:
        angle = start + 2 * math.pi * cadence * t
        punches = [max(0.0, math.sin(angle + side * math.pi)) ** 0.8 for side in (0, 1)]
        far, near = (
            (facing * h * (0.10 + 0.22 * p * body.swing), h * (-0.03 - 0.02 * p)) for p in punches
        )
        pose = stand(
            body, x=x, hands=(far, near), facing=facing, crouch=0.05, spread=0.30,
            lean=0.06, sway=0.03 * math.sin(angle),
        )  # fmt: skip
        draw_far_side(canvas, body, pose)
        draw_near_side(canvas, body, pose)

    return draw


def waving(body: Body, rng: np.random.Generator) -> Choreography:
    """Swing both straight arms from the hips to overhead and back, facing the camera."""
    start, x = _phase(rng), float(rng.uniform(-0.5, 0.5))
    cadence, length = 1.1 * body.tempo, 0.335 * body.height

    def draw(canvas: Canvas, t: float) -> None:
        turn = 0.5 - 0.5 * math.cos(start + 2 * math.pi * cadence * t)
        angle = -1.0 + (2.35 * turn) * body.swing
        hand = (length * math.cos(angle) + 0.10 * body.height, length * math.sin(angle))
        pose = stand(body, x=x, hands=((-hand[0], hand[1]), hand), facing=0, spread=0.16)
        draw_far_side(canvas, body, pose)
        draw_near_side(canvas, body, pose)
        draw_arms_in_front(canvas, body, pose)

    return draw


def clapping(body: Body, rng: np.random.Generator) -> Choreography:
    """Bring both hands together before the chest and apart, facing the camera."""
    start, x = _phase(rng), float(rng.uniform(-0.5, 0.5))
    cadence, h = 1.8 * body.tempo, body.height

    def draw(canvas: Canvas, t: float) -> None:
        apart = 0.5 - 0.5 * math.cos(start + 2 * math.pi * cadence * t)
        side = h * (0.015 + 0.20 * apart * body.swing)
        drop = -h * (0.07 - 0.03 * apart)
        pose = stand(body, x=x, hands=((-side, drop), (side, drop)), facing=0, spread=0.16)
        draw_far_side(canvas, body, pose)
        draw_near_side(canvas, body, pose)
        draw_arms_in_front(canvas, body, pose)

    return draw


# --- the tennis-like world ------------------------------------------------------------------


def _end(start: Point, angle: float, length: float, facing: int) -> Point:
    return start[0] + facing * length * math.cos(angle), start[1] + length * math.sin(angle)


def _draw_tool(
    canvas: Canvas, tool: str, hand: Point, angle: float, facing: int, tint: Colour
) -> None:
    """Draw what is held, along ``angle`` (radians from straight ahead, up positive)."""
    wood: Colour = (150, 108, 66)
    if tool == "racket":
        neck = _end(hand, angle, 0.24, facing)
        middle = _end(hand, angle, 0.43, facing)
        canvas.limb(_end(hand, angle, -0.05, facing), neck, 0.05, (52, 48, 52), TOOL)
        degrees = math.degrees(angle if facing > 0 else math.pi - angle)
        canvas.hoop(middle, (0.20, 0.15), degrees, tint, (226, 226, 214), TOOL)
    elif tool == "broom":
        tail, head = _end(hand, angle, -0.25, facing), _end(hand, angle, 0.52, facing)
        canvas.limb(tail, head, 0.05, wood, TOOL)
        across = angle + math.pi / 2
        brush = [_end(head, across, side * 0.11, facing) for side in (-1, 1)]
        tips = [_end(_end(head, angle, 0.17, facing), across, s * 0.17, facing) for s in (1, -1)]
        canvas.polygon([*brush, *tips], tint, TOOL)
    else:
        top = _end(hand, angle, 0.62, facing)
        canvas.limb(_end(hand, angle, -0.08, facing), top, 0.04, wood, TOOL)
        across = angle - math.pi / 2
        low = _end(hand, angle, 0.30, facing)
        cloth = [top, low, _end(low, across, 0.30, facing), _end(top, across, 0.34, facing)]
        canvas.polygon(cloth, tint, TOOL)


def _tint(rng: np.random.Generator) -> Colour:
    choices: tuple[Colour, ...] = ((206, 52, 48), (236, 128, 40), (54, 60, 72), (120, 60, 150))
    return choices[int(rng.integers(len(choices)))]


def _flying_ball(rng: np.random.Generator) -> Choreography:
    """A ball on a straight line whose law is the same backwards: it tells nothing of time."""
    angle, speed = _phase(rng), float(rng.uniform(0.8, 2.0))
    centre = (float(rng.uniform(-1.0, 1.0)), float(rng.uniform(0.5, 1.7)))

    def draw(canvas: Canvas, t: float) -> None:
        way = speed * (t - 0.5)
        place = (centre[0] + way * math.cos(angle), centre[1] + 0.5 * way * math.sin(angle))
        canvas.disc(place, 0.055, _BALL_COLOUR, BALL)

    return draw


def swing(
    tool: str,
    manner: str,
    body: Body,
    rng: np.random.Generator,
    *,
    facing: int = 1,
    cadence: tuple[float, float] = (0.85, 1.15),
) -> Choreography:
    """Swing or carry a tool so that single frames tell nothing of the manner.

    The hand runs round a closed loop from a random phase at a constant rate: ``forward`` one way,
    ``backward`` the other way (its exact time reversal), ``carry`` not at all while the actor
    glides sideways. Place, phase and stance of any one frame follow the same law in all three.
    """
    start, rate = _phase(rng), float(rng.uniform(*cadence)) * body.tempo
    h, tint, ball = body.height, _tint(rng), _flying_ball(rng)
    way = 1 if rng.random() < 0.5 else -1
    middle, moment = float(rng.uniform(-0.35, 0.35)), float(rng.uniform(0, 1))
    turn = {"forward": 1, "backward": -1, "carry": 0}[manner]
    bounce = _phase(rng)

    def draw(canvas: Canvas, t: float) -> None:
        clock = t if manner == "carry" else moment
        x = middle + way * _TRAVEL * (clock - 0.5)
        angle = start + turn * 2 * math.pi * rate * (t - 0.5)
        near = (
            facing * h * (0.17 + 0.13 * math.cos(angle)),
            h * (-0.10 + 0.15 * math.sin(angle)),
        )
        far = (facing * 0.12 * h, -0.17 * h)
        pose = stand(
            body, x=x, hands=(far, near), facing=facing, spread=0.28,
            crouch=0.045 + 0.01 * math.sin(bounce + 2 * math.pi * t), lean=0.05,
        )  # fmt: skip
        draw_far_side(canvas, body, pose)
        draw_near_side(canvas, body, pose)
        tilt = 0.25 + 0.95 * math.sin(angle - 0.6)
        _draw_tool(canvas, tool, pose.hands[1], tilt, facing, tint)
        ball(canvas, t)

    return draw


def tennis(body: Body, rng: np.random.Generator) -> Choreography:
    """Play tennis: swings with side steps, and a ball in the air."""
    facing, drift = _facing(rng), float(rng.uniform(-0.5, 0.5))
    start, rate, x = _phase(rng), 0.95 * body.tempo, float(rng.uniform(-0.3, 0.3))
    h, tint, ball = body.height, _tint(rng), _flying_ball(rng)

    def draw(canvas: Canvas, t: float) -> None:
        angle = start + 2 * math.pi * rate * t
        near = (
            facing * h * (0.17 + 0.13 * math.cos(angle)),
            h * (-0.10 + 0.16 * math.sin(angle)),
        )
        step = 0.28 + 0.05 * math.sin(angle)
        pose = stand(
            body, x=x + drift * (t - 0.5), hands=((facing * 0.1 * h, -0.15 * h), near),
            facing=facing, spread=step, crouch=0.05 + 0.015 * math.sin(2 * angle), lean=0.08,
        )  # fmt: skip
        draw_far_side(canvas, body, pose)
        draw_near_side(canvas, body, pose)
        tilt = 0.25 + 0.95 * math.sin(angle - 0.6)
        _draw_tool(canvas, "racket", pose.hands[1], tilt, facing, tint)
        ball(canvas, t)

    return draw


def sweeping(body: Body, rng: np.random.Generator) -> Choreography:
    """Sweep the floor: both hands on a broom that goes to and fro."""
    facing, drift = _facing(rng), float(rng.uniform(-0.3, 0.3))
    start, rate, x = _phase(rng), 1.1 * body.tempo, float(rng.uniform(-0.3, 0.3))
    h, tint = body.height, _tint(rng)

    def draw(canvas: Canvas, t: float) -> None:
        push = math.sin(start + 2 * math.pi * rate * t)
        near = (facing * h * (0.17 + 0.07 * push), -0.24 * h)
        far = (facing * h * (0.10 + 0.05 * push), -0.15 * h)
        pose = stand(
            body, x=x + drift * (t - 0.5), hands=(far, near), facing=facing,
            spread=0.24, crouch=0.05, lean=0.22 + 0.04 * push,
        )  # fmt: skip
        draw_far_side(canvas, body, pose)
        draw_near_side(canvas, body, pose)
        _draw_tool(canvas, "broom", pose.hands[1], -0.95 + 0.16 * push, facing, tint)

    return draw


def juggling(body: Body, rng: np.random.Generator) -> Choreography:
    """Juggle three balls, facing the camera."""
    start, x = _phase(rng), float(rng.uniform(-0.4, 0.4))
    rate, h = 1.15 * body.tempo, body.height

    def draw(canvas: Canvas, t: float) -> None:
        angle = start + 2 * math.pi * rate * t
        lift = [0.035 * h * math.sin(angle + side * math.pi) for side in (0, 1)]
        hands = ((-0.17 * h, -0.17 * h + lift[0]), (0.17 * h, -0.17 * h + lift[1]))
        pose = stand(body, x=x, hands=hands, facing=0, spread=0.18)
        draw_far_side(canvas, body, pose)
        draw_near_side(canvas, body, pose)
        draw_arms_in_front(canvas, body, pose)
        left, right = pose.hands
        for k, ident in enumerate(JUGGLED):
            along = (angle / (2 * math.pi) + k / 3) % 1.0
            there = abs(2 * along - 1)
            height = 0.42 * h * 4 * ((2 * along) % 1.0) * (1 - (2 * along) % 1.0)
            place = (left[0] + there * (right[0] - left[0]), left[1] + 0.04 * h + height)
            canvas.disc(place, 0.06, _BALL_COLOUR, ident)

    return draw


def dancing(body: Body, rng: np.random.Generator) -> Choreography:
    """Dance: arms, hips and knees sway, with nothing in hand."""
    start, x = _phase(rng), float(rng.uniform(-0.4, 0.4))
    rate, h = 1.2 * body.tempo, body.height

    def draw(canvas: Canvas, t: float) -> None:
        angle = start + 2 * math.pi * rate * t
        raised = [0.10 * h + 0.18 * h * math.sin(angle + s * 2.2) for s in (0, 1)]
        out = [h * (0.22 + 0.05 * math.cos(angle + s)) for s in (0, 1)]
        pose = stand(
            body, x=x, hands=((-out[0], raised[0]), (out[1], raised[1])), facing=0,
            spread=0.22, crouch=0.06 + 0.03 * math.cos(2 * angle), sway=0.06 * h * math.sin(angle),
        )  # fmt: skip
        draw_far_side(canvas, body, pose)
        draw_near_side(canvas, body, pose)
        draw_arms_in_front(canvas, body, pose)

    return draw


def bystander(body: Body, rng: np.random.Generator) -> Choreography:
    """Someone small in the background who strolls or stands: a distractor of every class."""
    facing, x = _facing(rng), float(rng.choice([-1, 1])) * float(rng.uniform(0.7, 1.2))
    pace, start, depth = float(rng.uniform(0, 0.5)), _phase(rng), float(rng.uniform(0.45, 0.6))

    def draw(canvas: Canvas, t: float) -> None:
        pose: Pose = stride(
            body, x=0.0, phase=start + 2 * math.pi * 0.9 * t * min(1.0, pace * 3), facing=facing,
            thigh=0.35, knee=0.4, arm=0.3, elbow=0.2, lean=0.0,
        )  # fmt: skip
        foot = (x + facing * pace * (t - 0.5), 0.78 * (1 - depth))

        def at(point: Point) -> Point:
            return foot[0] + point[0] * depth, foot[1] + point[1] * depth

        width = body.height * depth
        for side in (0, 1):
            for a, b in ((pose.hips, pose.knees), (pose.knees, pose.feet)):
                canvas.limb(at(a[side]), at(b[side]), 0.075 * width, body.trousers, BYSTANDER_LEGS)
        canvas.limb(at(pose.hip), at(pose.neck), 0.14 * width, body.shirt, BYSTANDER_TORSO)
        shoulder, hand = at(pose.shoulders[1]), at(pose.hands[1])
        canvas.limb(shoulder, hand, 0.05 * width, body.shirt, BYSTANDER_ARMS)
        canvas.disc(at(pose.head), 0.062 * width, body.skin, BYSTANDER_TORSO)

    return draw
