"""What a rendered scene is: a clip with its ground truth and what was planted in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from vxhelpers.data.clip import Clip
from vxhelpers.data.stage.actor import (
    ARMS,
    BYSTANDER,
    BYSTANDER_ARMS,
    BYSTANDER_LEGS,
    LEGS,
    PERSON,
    TOOL,
)
from vxhelpers.errors import UnknownNameError

INSTANCES = ("person", "arms", "legs", "racket", "ball", "broom", "flag")


@dataclass(frozen=True)
class Planted:
    """What decides the class of a scene, because we made it so.

    Parameters
    ----------
    kind
        ``"motion"``: only movement tells the class. ``"static"``: only appearance does.
        ``"background"``: in training the place does. ``"natural"``: nothing was planted.
    decides
        Names of the objects that carry the evidence (for ``"natural"``: that could).
    note
        The same in a sentence.
    """

    kind: Literal["motion", "static", "background", "natural"]
    decides: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Task:
    """A classification problem on the stage; ``sizes`` are the standard clips a split."""

    name: str
    world: Literal["kth", "tennis"]
    labels: tuple[str, ...]
    sizes: Mapping[str, int]
    kind: Literal["motion", "static", "background", "natural"]
    note: str


@dataclass(frozen=True)
class Instance:
    """One physical thing in a scene, as an object detector would count it.

    Parameters
    ----------
    label
        What it is, one of :data:`INSTANCES`; the player and a bystander are both ``"person"``.
    name
        Which one it is, for instance ``"bystander"`` or ``"ball 2"``; unique in its scene.
    ids
        The ids of its pixels. A person's arms are part of the person, and one instance by
        themselves.
    """

    label: str
    name: str
    ids: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Scene:
    """A rendered clip with its ground truth.

    Parameters
    ----------
    clip
        ``(T, size, size, 3)`` frames.
    ids
        ``(T, size, size)`` uint8 instance ids; 0 is the backdrop behind the ground.
    objects
        Name to ids. Names overlap: ``person`` holds ``arms`` and ``legs``.
    task, split, index, label, subject, scenario
        Where the scene comes from; the scenario is KTH's, or the place in the tennis-like world.
    planted
        What decides.
    """

    clip: Clip
    ids: npt.NDArray[np.uint8]
    objects: Mapping[str, tuple[int, ...]]
    task: str
    split: str
    index: int
    label: str
    subject: int
    scenario: str
    planted: Planted

    def mask(self, *names: str) -> npt.NDArray[np.bool_]:
        """Where the named objects are visible: ``(T, H, W)`` bool."""
        idents: list[int] = []
        for name in names:
            if name not in self.objects:
                raise UnknownNameError("object", name, self.objects, where=self.clip.source)
            idents += self.objects[name]
        return self._where(idents)

    def _where(self, idents: Sequence[int]) -> npt.NDArray[np.bool_]:
        table = np.zeros(256, dtype=bool)
        table[list(idents)] = True
        found: npt.NDArray[np.bool_] = table[self.ids]
        return found

    @cached_property
    def boxes(self) -> Mapping[str, npt.NDArray[np.float32]]:
        """Box of each object's visible part: ``(T, 4)`` half-open x0, y0, x1, y1 in pixels.

        A row of NaN means that the object is not visible in that frame.
        """
        return MappingProxyType({name: _boxes(self.mask(name)) for name in self.objects})

    @cached_property
    def instances(self) -> tuple[Instance, ...]:
        """The things in the scene, each by itself: both people, their limbs, every ball."""
        things = [Instance("person", "person", PERSON)]
        if "bystander" in self.objects:
            things.append(Instance("person", "bystander", BYSTANDER))
        things += [Instance("arms", "arms", (ARMS,)), Instance("legs", "legs", (LEGS,))]
        if "bystander" in self.objects:
            things.append(Instance("arms", "bystander's arms", (BYSTANDER_ARMS,)))
            things.append(Instance("legs", "bystander's legs", (BYSTANDER_LEGS,)))
        tools = [name for name in INSTANCES if self.objects.get(name) == (TOOL,)]
        things += [Instance(name, name, (TOOL,)) for name in tools]
        balls = self.objects.get("ball", ())
        for number, ident in enumerate(balls, start=1):
            things.append(Instance("ball", f"ball {number}" if balls[1:] else "ball", (ident,)))
        return tuple(things)

    def instance_boxes(self, instance: Instance) -> npt.NDArray[np.float32]:
        """Box of one thing's visible part: ``(T, 4)``, as in :attr:`boxes`.

        Raises
        ------
        UnknownNameError
            If the instance is another scene's.
        """
        if instance not in self.instances:
            names = [known.name for known in self.instances]
            raise UnknownNameError("instance", instance.name, names, where=self.clip.source)
        return _boxes(self._where(instance.ids))


def _boxes(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    boxes = np.full((len(mask), 4), np.nan, dtype=np.float32)
    for t in np.flatnonzero(mask.any(axis=(1, 2))):
        columns, rows = np.flatnonzero(mask[t].any(0)), np.flatnonzero(mask[t].any(1))
        boxes[t] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes
