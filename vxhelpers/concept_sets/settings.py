"""What concept sets are asked for, checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from vxhelpers.concept_sets.crops import RANDOM, Colour, Control, Placement
from vxhelpers.errors import InputError, UnknownNameError


@dataclass(frozen=True)
class Recipe:
    """The options of `vxhelpers.concept_sets.make.make`, checked; it says what they mean."""

    action: str
    objects: tuple[str, ...]
    count: int
    per_video: int
    sets: int
    random_per_video: int
    random_actions: tuple[str, ...] | None
    random_targets: bool
    scoring: int
    split: str
    placements: tuple[Placement, ...]
    controls: tuple[Control, ...]
    min_frames: int
    max_frames: int
    tracking: Mapping[str, Any] = field(default_factory=dict)
    fill: Colour | None = None
    allow_fewer: bool = False
    skip_unreadable: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.objects or len(set(self.objects)) < len(self.objects):
            raise InputError(f"name the objects, each once: not {self.objects}")
        if any(name.split()[0] == RANDOM for name in self.objects):
            raise InputError("no object can be called random: random sets are")
        least = {"count": 1, "per_video": 1, "random_per_video": 1, "scoring": 0, "sets": 0}
        for name, low in {**least, "min_frames": 1, "max_frames": self.min_frames}.items():
            if getattr(self, name) < low:
                raise InputError(f"{name} must be at least {low}, not {getattr(self, name)}")
        for name, given, known in (
            ("placement", self.placements, get_args(Placement)),
            ("control", self.controls, get_args(Control)[1:]),
        ):
            for value in given:
                if value not in known:
                    raise UnknownNameError(name, value, known)
        if not self.placements:
            raise InputError("at least one placement is needed: in_place, centred")
        if self.fill is not None and (len(self.fill) != 3 or not set(self.fill) <= set(range(256))):
            raise InputError(f"fill is R, G, B, each 0 to 255; not {self.fill}")
        if "min_frames" in self.tracking:
            raise InputError("min_frames is an option of make itself, not of its tracking")
