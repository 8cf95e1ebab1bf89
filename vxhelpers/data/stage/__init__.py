"""The stage: rendered action clips of which we know what decides.

Two worlds, KTH-like (grey, six actions, after Schuldt et al. 2004) and tennis-like (colour), and
five tasks on them. Three tasks are *planted*: in ``motion`` the classes share every static cue, in
``static`` they share every motion, and in ``shortcut`` the place alone predicts the class in
training while the ``counterfactual`` split moves every action to another place. Every scene
carries the instance ids of its pixels and what was planted. A scene is a pure function of
``(task, split, index, seed)``: nothing is stored.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vxhelpers.data.clip import Clip
from vxhelpers.data.manifest import Manifest, Row
from vxhelpers.data.stage import actions
from vxhelpers.data.stage.actor import (
    ARMS,
    BALL,
    BYSTANDER,
    GROUND,
    JUGGLED,
    LEGS,
    PERSON,
    TOOL,
    Body,
    dress,
    make_body,
)
from vxhelpers.data.stage.canvas import SUPERSAMPLING, Camera, Canvas
from vxhelpers.data.stage.grounds import TENNIS_GROUNDS, paint_ground
from vxhelpers.data.stage.scene import Planted, Scene, Task
from vxhelpers.errors import InputError, UnknownNameError

FPS = 16.0
FRAMES = 16
SIZE = 112
KTH_SUBJECTS = MappingProxyType(
    {  # the split of Schuldt et al. 2004, published with the data set
        "train": (11, 12, 13, 14, 15, 16, 17, 18),
        "val": (1, 4, 19, 20, 21, 23, 24, 25),
        "test": (2, 3, 5, 6, 7, 8, 9, 10, 22),
    }
)
SCENARIOS = ("outdoors", "scale change", "other clothes", "indoors")
TOOLS = MappingProxyType(
    {
        "forehand": "racket",
        "reversed forehand": "racket",
        "carrying": "racket",
        "playing tennis": "racket",
        "sweeping floor": "broom",
        "racket on court": "racket",
        "broom in hall": "broom",
        "flag in park": "flag",
    }
)
_TYPICAL = MappingProxyType(
    {
        "playing tennis": "court",
        "sweeping floor": "hall",
        "juggling": "park",
        "dancing": "plaza",
        "racket on court": "court",
        "broom in hall": "hall",
        "flag in park": "park",
    }
)
_MANNERS = MappingProxyType(
    {"forehand": "forward", "reversed forehand": "backward", "carrying": "carry"}
)
_SIZES = MappingProxyType({"train": 1200, "val": 240, "test": 360})


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        task.name: task
        for task in (
            Task(
                name="kth",
                world="kth",
                labels=("boxing", "hand clapping", "hand waving", "jogging", "running", "walking"),
                sizes=_SIZES,
                kind="natural",
                note="Six actions of one person on bare ground, as in KTH; nothing was planted.",
            ),
            Task(
                name="tennis",
                world="tennis",
                labels=("dancing", "juggling", "playing tennis", "sweeping floor"),
                sizes=_SIZES,
                kind="natural",
                note="Each action has its usual place (seven clips in ten) and turns up elsewhere.",
            ),
            Task(
                name="motion",
                world="tennis",
                labels=("carrying", "forehand", "reversed forehand"),
                sizes=_SIZES,
                kind="motion",
                note="Single frames follow one law in all classes: only the racket's movement "
                "(round one way, round the other way, carried along) tells them apart.",
            ),
            Task(
                name="static",
                world="tennis",
                labels=("broom in hall", "flag in park", "racket on court"),
                sizes=_SIZES,
                kind="static",
                note="Movement follows one law in all classes: only the object in hand and the "
                "place tell them apart.",
            ),
            Task(
                name="shortcut",
                world="tennis",
                labels=("dancing", "juggling", "playing tennis", "sweeping floor"),
                sizes={**_SIZES, "counterfactual": 360},
                kind="background",
                note="In training every action has a place of its own, so that the place alone "
                "predicts the class; the counterfactual split moves every action elsewhere.",
            ),
        )
    }
)


def render(
    task: str,
    split: str,
    index: int,
    *,
    seed: int = 0,
    size: int = SIZE,
    frames: int = FRAMES,
) -> Scene:
    """Render one scene.

    Parameters
    ----------
    task, split, index
        Which scene. Labels take turns with the index, so that any run of indices is balanced;
        subjects and scenarios take turns behind them. An index beyond the standard size gives a
        further scene of the same law.
    seed
        Another seed makes another data set, with other subjects.
    size
        Height and width in pixels; the same scene at any size.
    frames
        Number of frames, 1/16 s apart.

    Raises
    ------
    UnknownNameError
        If there is no such task or split.
    InputError
        If index, size or frames are out of range.
    """
    if task not in TASKS:
        raise UnknownNameError("task", task, TASKS, where="the stage")
    spec = TASKS[task]
    if split not in spec.sizes:
        raise UnknownNameError("split", split, spec.sizes, where=f"stage:{task}")
    if index < 0 or size < 16 or frames < 1:
        raise InputError(
            f"stage:{task}: index must be 0 or more, size 16 or more, frames 1 or more; "
            f"not {index}, {size}, {frames}"
        )
    label, subject, scenario = _deal(spec, split, index)
    rng = np.random.default_rng(
        [seed, zlib.crc32(task.encode()), zlib.crc32(split.encode()), index]
    )
    noise = np.random.default_rng(rng.integers(2**63))
    body = make_body(np.random.default_rng([seed, 7919, subject]))
    make = _kth_scene if spec.world == "kth" else _tennis_scene
    cast = make(spec, split, label, scenario, body, rng)
    colour, ids = _film(cast, size=size, frames=frames, rng=rng, noise=noise)
    if spec.world == "kth":
        grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in colour]
        colour = np.repeat(np.stack(grey)[..., None], 3, axis=3)
    clip = Clip(colour, FPS, f"stage:{task}/{split}/{index:05d}")
    return Scene(
        clip=clip,
        ids=ids,
        objects=MappingProxyType(cast.objects),
        task=task,
        split=split,
        index=index,
        label=label,
        subject=subject,
        scenario=cast.scenario,
        planted=Planted(spec.kind, _decides(spec, label), spec.note),
    )


def manifest(task: str | None = None, *, seed: int = 0) -> Manifest:
    """List the standard clips of one task, or of all, as a manifest.

    The ids match :func:`render`'s arguments: ``motion/test/00012`` is
    ``render("motion", "test", 12)``.
    """
    if task is not None and task not in TASKS:
        raise UnknownNameError("task", task, TASKS, where="the stage")
    rows = []
    for spec in TASKS.values() if task is None else (TASKS[task],):
        for split, count in spec.sizes.items():
            for index in range(count):
                name = f"{spec.name}/{split}/{index:05d}"
                label = _deal(spec, split, index)[0]
                rows.append(Row(name, f"{name}.mkv", label, split, None, None))
    card: dict[str, Any] = {"name": "stage", "title": "Rendered scenes with planted evidence"}
    if task is not None:
        card |= {"labels": list(TASKS[task].labels), "note": TASKS[task].note, "seed": seed}
    return Manifest("stage" if task is None else f"stage:{task}", tuple(rows), card, None)


@dataclass(frozen=True)
class _Cast:
    """What one scene shows, before it is filmed."""

    place: str
    scenario: str
    players: tuple[actions.Choreography, ...]  # far to near
    objects: dict[str, tuple[int, ...]]
    width: float  # metres that the picture is wide
    zoom: float  # the width shrinks by this factor over the clip
    unsteady: float  # amplitude of the camera's sway in metres


def _deal(spec: Task, split: str, index: int) -> tuple[str, int, str]:
    turn, which = divmod(index, len(spec.labels))
    subjects = KTH_SUBJECTS["test" if split == "counterfactual" else split]
    scenario = SCENARIOS[turn // len(subjects) % len(SCENARIOS)]
    return spec.labels[which], subjects[turn % len(subjects)], scenario


def _decides(spec: Task, label: str) -> tuple[str, ...]:
    if spec.kind == "background":
        return ("ground",)
    if spec.world == "kth":
        return ("person",)
    if spec.kind == "motion":
        return ("person", "racket") if label == "carrying" else ("arms", "racket")
    if spec.kind == "static":
        return (TOOLS[label], "ground")
    extra = {"playing tennis": ("racket", "ball"), "juggling": ("ball",)}
    return ("person", *extra.get(label, (TOOLS[label],) if label in TOOLS else ()))


def _kth_scene(
    spec: Task, split: str, label: str, scenario: str, body: Body, rng: np.random.Generator
) -> _Cast:
    if scenario == "other clothes":
        body = dress(body, rng, coat=True)
    makers: dict[str, Callable[[Body, np.random.Generator], actions.Choreography]] = {
        "boxing": actions.boxing,
        "hand waving": actions.waving,
        "hand clapping": actions.clapping,
    }
    play = makers[label](body, rng) if label in makers else actions.locomotion(label, body, rng)
    zoom = float(rng.choice([0.72, 1 / 0.72])) if scenario == "scale change" else 1.0
    return _Cast(
        place="room" if scenario == "indoors" else "meadow",
        scenario=scenario,
        players=(play,),
        objects={"ground": (GROUND,), "person": PERSON, "arms": (ARMS,), "legs": (LEGS,)},
        width=float(rng.uniform(2.9, 3.3)) * (1.15 if zoom < 1 else 1.0),
        zoom=zoom,
        unsteady=0.02,
    )


def _place(spec: Task, split: str, label: str, rng: np.random.Generator) -> str:
    others = [ground for ground in TENNIS_GROUNDS if ground != _TYPICAL.get(label)]
    other = others[int(rng.integers(len(others)))]
    if spec.name == "motion" or split == "counterfactual":
        return other
    if spec.name == "tennis" and rng.random() > 0.7:
        return other
    return _TYPICAL[label]


def _tennis_scene(
    spec: Task, split: str, label: str, scenario: str, body: Body, rng: np.random.Generator
) -> _Cast:
    body = dress(body, rng, coat=False)
    place = _place(spec, split, label, rng)
    objects = {"ground": (GROUND,), "person": PERSON, "arms": (ARMS,), "legs": (LEGS,)}
    players: list[actions.Choreography] = []
    if spec.kind in ("natural", "background") and rng.random() < 0.5:
        players.append(actions.bystander(make_body(rng), rng))
        objects["bystander"] = BYSTANDER
    tool = TOOLS.get(label)
    if tool is not None:
        objects[tool] = (TOOL,)
    if spec.kind in ("motion", "static"):
        manners = tuple(_MANNERS.values())
        manner = _MANNERS[label] if spec.kind == "motion" else manners[int(rng.integers(3))]
        players.append(actions.swing(str(tool), manner, body, rng))
        objects["ball"] = (BALL,)
    else:
        makers: dict[str, Callable[[Body, np.random.Generator], actions.Choreography]] = {
            "playing tennis": actions.tennis,
            "sweeping floor": actions.sweeping,
            "juggling": actions.juggling,
            "dancing": actions.dancing,
        }
        players.append(makers[label](body, rng))
        if label in ("playing tennis", "juggling"):
            objects["ball"] = JUGGLED if label == "juggling" else (BALL,)
    return _Cast(
        place=place,
        scenario=place,
        players=tuple(players),
        objects=objects,
        width=float(rng.uniform(2.7, 3.1)),
        zoom=1.0 if spec.kind == "motion" else float(rng.uniform(0.94, 1.06)),
        unsteady=0.03,
    )


def _film(
    cast: _Cast, *, size: int, frames: int, rng: np.random.Generator, noise: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    look = float(rng.uniform(-0.2, 0.2)), cast.width / 2 - float(rng.uniform(0.28, 0.5))
    sway = rng.uniform(0, 2 * np.pi, 2)
    gain = float(rng.uniform(0.88, 1.08))
    backdrop = paint_ground(cast.place, pixels_a_metre=size * SUPERSAMPLING / cast.width, rng=rng)
    colour = np.empty((frames, size, size, 3), np.uint8)
    ids = np.empty((frames, size, size), np.uint8)
    for t in range(frames):
        seconds = t / FPS
        shift = cast.unsteady * np.sin(sway + 2 * np.pi * 0.7 * seconds)
        width = cast.width * cast.zoom ** (seconds - 0.5)
        camera = Camera(look[0] + float(shift[0]), look[1] + float(shift[1]), width)
        canvas = Canvas(size, camera, backdrop)
        for play in cast.players:
            play(canvas, seconds)
        picture, ids[t] = canvas.reduce()
        grain = noise.standard_normal((size, size, 1), dtype=np.float32) * 2.5
        colour[t] = np.clip(picture * np.float32(gain) + grain, 0, 255)
    return colour, ids
