"""The actor: a capsule figure with a body of its own, posed by the joints' positions."""

import math
from dataclasses import dataclass

import numpy as np

from vxhelpers.data.stage.canvas import Canvas, Colour, Point

# Instance ids; 0 is the backdrop behind the ground (sky, wall, trees).
GROUND, TORSO, ARMS, LEGS, TOOL, BALL, BYSTANDER_TORSO = range(1, 8)
SECOND_BALL, THIRD_BALL, BYSTANDER_ARMS, BYSTANDER_LEGS = range(8, 12)
PERSON = (TORSO, ARMS, LEGS)
BYSTANDER = (BYSTANDER_TORSO, BYSTANDER_ARMS, BYSTANDER_LEGS)
JUGGLED = (BALL, SECOND_BALL, THIRD_BALL)

_SKINS: tuple[Colour, ...] = (
    (236, 200, 172),
    (214, 168, 134),
    (178, 126, 92),
    (132, 88, 62),
    (96, 64, 48),
)
_CLOTHES: tuple[Colour, ...] = (
    (232, 232, 236),
    (196, 58, 54),
    (52, 96, 190),
    (240, 196, 72),
    (64, 70, 88),
    (150, 92, 170),
    (232, 132, 60),
    (40, 48, 60),
)
_HAIR: tuple[Colour, ...] = ((40, 30, 26), (90, 58, 36), (170, 128, 72), (70, 70, 74))


@dataclass(frozen=True)
class Body:
    """One subject: lengths in metres, colours in RGB, and habits of movement around 1."""

    height: float
    build: float
    skin: Colour
    shirt: Colour
    trousers: Colour
    hair: Colour
    tempo: float
    swing: float

    @property
    def upper_arm(self) -> float:
        return 0.175 * self.height

    @property
    def forearm(self) -> float:
        return 0.17 * self.height

    @property
    def thigh(self) -> float:
        return 0.245 * self.height

    @property
    def shank(self) -> float:
        return 0.245 * self.height


@dataclass(frozen=True)
class Pose:
    """Joint positions in metres; pairs are (far side, near side) as the camera sees them."""

    hip: Point
    neck: Point
    head: Point
    shoulders: tuple[Point, Point]
    elbows: tuple[Point, Point]
    hands: tuple[Point, Point]
    hips: tuple[Point, Point]
    knees: tuple[Point, Point]
    feet: tuple[Point, Point]
    facing: int  # +1 to the right, -1 to the left, 0 towards the camera


def make_body(rng: np.random.Generator) -> Body:
    """Draw a subject: stature, build, colours and habits."""

    def pick(choices: tuple[Colour, ...]) -> Colour:
        return choices[int(rng.integers(len(choices)))]

    return Body(
        height=float(rng.uniform(1.58, 1.88)),
        build=float(rng.uniform(0.88, 1.15)),
        skin=pick(_SKINS),
        shirt=pick(_CLOTHES),
        trousers=pick(_CLOTHES),
        hair=pick(_HAIR),
        tempo=float(rng.uniform(0.93, 1.07)),
        swing=float(rng.uniform(0.92, 1.08)),
    )


def reach(start: Point, target: Point, first: float, second: float, *, bend: int) -> Point:
    """Return the middle joint of a two-bone limb from ``start`` to ``target``.

    The law of cosines; a target out of reach is met with a straight limb, so that the returned
    joint is always finite. ``bend`` (+1 or -1) chooses the side of the joint.
    """
    dx, dy = target[0] - start[0], target[1] - start[1]
    distance = min(max(math.hypot(dx, dy), abs(first - second) + 1e-6), first + second - 1e-6)
    cosine = (first**2 + distance**2 - second**2) / (2 * first * distance)
    angle = math.atan2(dy, dx) + bend * math.acos(max(-1.0, min(1.0, cosine)))
    return start[0] + first * math.cos(angle), start[1] + first * math.sin(angle)


def _hang(shoulder: Point, hand: Point, side: int, most: float) -> Point:
    """Return an elbow that leans outwards and down from the straight line by up to ``most``."""
    dx, dy = hand[0] - shoulder[0], hand[1] - shoulder[1]
    long = max(math.hypot(dx, dy), 1e-9)
    across = (-dy / long, dx / long)
    if side * across[0] - 0.7 * across[1] < 0:
        across = (-across[0], -across[1])
    return (
        (shoulder[0] + hand[0]) / 2 + most * across[0],
        (shoulder[1] + hand[1]) / 2 + most * across[1],
    )


def clamp_reach(start: Point, target: Point, length: float) -> Point:
    """Pull a target towards ``start`` until a limb of this length reaches it."""
    dx, dy = target[0] - start[0], target[1] - start[1]
    distance = math.hypot(dx, dy)
    shrink = min(1.0, 0.999 * length / max(distance, 1e-9))
    return start[0] + dx * shrink, start[1] + dy * shrink


def stand(
    body: Body,
    *,
    x: float,
    hands: tuple[Point, Point],
    facing: int,
    crouch: float = 0.04,
    spread: float = 0.24,
    lean: float = 0.0,
    sway: float = 0.0,
) -> Pose:
    """Pose a standing subject whose hands are at given offsets from the neck.

    Parameters
    ----------
    x
        Middle between the feet, metres.
    hands
        (far, near) hand positions relative to the neck, metres.
    crouch
        How far the hips sink, as a share of the height.
    spread
        Distance of the feet, as a share of the height.
    lean, sway
        Forward lean of the trunk in radians; sideways shift of the hips in metres.
    """
    h = body.height
    hip = (x + sway, (0.5 - crouch) * h)
    neck = (
        hip[0] + math.sin(lean) * 0.32 * h * (facing or 1),
        hip[1] + math.cos(lean) * 0.32 * h,
    )
    half = (0.025 if facing else 0.10) * h * body.build
    shoulders = ((neck[0] - half, neck[1] - 0.02 * h), (neck[0] + half, neck[1] - 0.02 * h))
    if facing < 0:
        shoulders = shoulders[::-1]
    arm = body.upper_arm + body.forearm
    placed = [
        clamp_reach(shoulders[i], (neck[0] + hands[i][0], neck[1] + hands[i][1]), arm)
        for i in (0, 1)
    ]
    if facing:
        elbows = [
            reach(shoulders[i], placed[i], body.upper_arm, body.forearm, bend=-facing)
            for i in (0, 1)
        ]
    else:  # seen from the front, an arm that is not straight points towards the camera
        elbows = [_hang(shoulders[i], placed[i], 2 * i - 1, 0.06 * h) for i in (0, 1)]
    feet = ((x - spread * h / 2, 0.02 * h), (x + spread * h / 2, 0.02 * h))
    width = (0.02 if facing else 0.055) * h
    hips = ((hip[0] - width, hip[1]), (hip[0] + width, hip[1]))
    if facing:
        knees = [reach(hips[i], feet[i], body.thigh, body.shank, bend=facing) for i in (0, 1)]
    else:  # seen from the front, a knee bends towards the camera
        out = (0.2 * crouch * h, (0.49 - crouch) * 0.52 * h)
        knees = [((hips[i][0] + feet[i][0]) / 2 + (2 * i - 1) * out[0], out[1]) for i in (0, 1)]
    head = (neck[0] + 0.02 * h * facing, neck[1] + 0.10 * h)
    return Pose(
        hip=hip,
        neck=neck,
        head=head,
        shoulders=shoulders,
        elbows=(elbows[0], elbows[1]),
        hands=(placed[0], placed[1]),
        hips=hips,
        knees=(knees[0], knees[1]),
        feet=feet,
        facing=facing,
    )


def stride(
    body: Body,
    *,
    x: float,
    phase: float,
    facing: int,
    thigh: float,
    knee: float,
    arm: float,
    elbow: float,
    lean: float,
) -> Pose:
    """Pose a subject on the move at a phase of the gait cycle; all angles in radians.

    ``thigh`` and ``arm`` are the amplitudes of the swing, ``knee`` the flexion of the leg that
    swings forward, ``elbow`` the bend of both arms.
    """
    h, f = body.height, facing
    angles = [thigh * math.sin(phase + side * math.pi) for side in (0, 1)]
    flex = [0.08 + knee * max(0.0, math.cos(phase + side * math.pi)) ** 1.5 for side in (0, 1)]

    def leg(hip: Point, side: int) -> tuple[Point, Point]:
        a, b = angles[side] + lean * 0.3, angles[side] + lean * 0.3 - flex[side]
        joint = (hip[0] + f * body.thigh * math.sin(a), hip[1] - body.thigh * math.cos(a))
        return joint, (joint[0] + f * body.shank * math.sin(b), joint[1] - body.shank * math.cos(b))

    reach_down = max(-leg((0.0, 0.0), side)[1][1] for side in (0, 1))
    hip = (x, reach_down + 0.02 * h + 0.012 * h * math.cos(2 * phase))
    neck = (hip[0] + f * math.sin(lean) * 0.32 * h, hip[1] + math.cos(lean) * 0.32 * h)
    hips = ((hip[0] - 0.015 * h, hip[1]), (hip[0] + 0.015 * h, hip[1]))
    shoulder = (neck[0], neck[1] - 0.02 * h)
    legs = [leg(hips[side], side) for side in (0, 1)]
    elbows, hands = [], []
    for side in (0, 1):
        a = -arm * math.sin(phase + side * math.pi)
        joint = (
            shoulder[0] + f * body.upper_arm * math.sin(a),
            shoulder[1] - body.upper_arm * math.cos(a),
        )
        b = a + elbow
        elbows.append(joint)
        hands.append(
            (joint[0] + f * body.forearm * math.sin(b), joint[1] - body.forearm * math.cos(b))
        )
    return Pose(
        hip=hip,
        neck=neck,
        head=(neck[0] + 0.02 * h * f, neck[1] + 0.10 * h),
        shoulders=(shoulder, shoulder),
        elbows=(elbows[0], elbows[1]),
        hands=(hands[0], hands[1]),
        hips=hips,
        knees=(legs[0][0], legs[1][0]),
        feet=(legs[0][1], legs[1][1]),
        facing=facing,
    )


def _shade(colour: Colour, factor: float) -> Colour:
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def draw_far_side(canvas: Canvas, body: Body, pose: Pose) -> None:
    """Draw the shadow, the far leg and the far arm: what the trunk and a tool may cover."""
    reachable = max(abs(pose.feet[0][0] - pose.feet[1][0]) * 0.6, 0.2 * body.height)
    canvas.shadow(((pose.feet[0][0] + pose.feet[1][0]) / 2, 0.0), (reachable, 0.05 * body.height))
    _draw_leg(canvas, body, pose, 0, 0.82)
    _draw_arm(canvas, body, pose, 0, 0.82)


def draw_near_side(canvas: Canvas, body: Body, pose: Pose) -> None:
    """Draw the near leg, the trunk, the head and the near arm."""
    h, b = body.height, body.build
    _draw_leg(canvas, body, pose, 1, 1.0)
    chest = (pose.neck[0], pose.neck[1] - 0.05 * h)
    if pose.facing == 0:
        for side in (0, 1):
            top = (pose.shoulders[side][0] * 0.8 + pose.neck[0] * 0.2, pose.neck[1] - 0.05 * h)
            canvas.limb(pose.hips[side], top, 0.10 * h * b, body.shirt, TORSO)
    canvas.limb(pose.hip, chest, 0.135 * h * b, body.shirt, TORSO)
    canvas.limb(pose.neck, pose.head, 0.05 * h, body.skin, TORSO)
    back = (pose.head[0] - 0.018 * h * pose.facing, pose.head[1] + 0.018 * h)
    canvas.disc(back, 0.066 * h, body.hair, TORSO)
    face = (pose.head[0] + 0.012 * h * pose.facing, pose.head[1] - 0.012 * h)
    canvas.disc(face, 0.056 * h, body.skin, TORSO)
    _draw_arm(canvas, body, pose, 1, 1.0)


def draw_arms_in_front(canvas: Canvas, body: Body, pose: Pose) -> None:
    """Draw both arms again over the trunk, for a subject who faces the camera."""
    for side in (0, 1):
        _draw_arm(canvas, body, pose, side, 1.0)


def _draw_leg(canvas: Canvas, body: Body, pose: Pose, side: int, light: float) -> None:
    h, b = body.height, body.build
    cloth = _shade(body.trousers, light)
    canvas.limb(pose.hips[side], pose.knees[side], 0.085 * h * b, cloth, LEGS)
    canvas.limb(pose.knees[side], pose.feet[side], 0.065 * h * b, cloth, LEGS)
    outward = pose.facing or (0.5 if side else -0.5)
    end = (pose.feet[side][0] + 0.055 * h * outward, pose.feet[side][1] - 0.004 * h)
    canvas.limb(pose.feet[side], end, 0.045 * h, _shade((60, 56, 60), light), LEGS)


def _draw_arm(canvas: Canvas, body: Body, pose: Pose, side: int, light: float) -> None:
    h, b = body.height, body.build
    sleeve, skin = _shade(body.shirt, light * 0.94), _shade(body.skin, light)
    canvas.limb(pose.elbows[side], pose.hands[side], 0.046 * h * b, skin, ARMS)
    canvas.limb(pose.shoulders[side], pose.elbows[side], 0.06 * h * b, sleeve, ARMS)
    canvas.disc(pose.hands[side], 0.03 * h, skin, ARMS)


def dress(body: Body, rng: np.random.Generator, *, coat: bool) -> Body:
    """Put on other clothes; a coat is long, so that the trousers go with it."""
    other = make_body(rng)
    fields = dict(vars(body)) | {"shirt": other.shirt, "trousers": other.trousers}
    if coat:
        fields |= {"trousers": other.shirt, "build": body.build * 1.18}
    return Body(**fields)
