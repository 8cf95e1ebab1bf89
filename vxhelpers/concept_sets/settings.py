"""What concept sets are asked for, checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from vxhelpers import checks
from vxhelpers.concept_sets.crops import RANDOM, Colour, Control, Placement
from vxhelpers.data.datasets import Progress
from vxhelpers.errors import InputError
from vxhelpers.io.cache import Store


@dataclass(frozen=True)
class RandomSets:
    """Sets of things that are none of the concepts.

    Parameters
    ----------
    sets, per_video
        Random sets, as large as a concept's; at most so many of their clips from a video.
    actions
        Classes that their clips come from; by default all, the action's own included.
    targets
        Whether things of the concepts' labels may be random where they are part of other actions;
        without it those labels never are.
    """

    sets: int = 10
    per_video: int = 1
    actions: tuple[str, ...] | None = None
    targets: bool = False

    def __post_init__(self) -> None:
        checks.at_least(0, sets=self.sets)
        checks.at_least(1, random_per_video=self.per_video)


@dataclass(frozen=True)
class ClipVersions:
    """What is cut out of a track.

    Parameters
    ----------
    placements, controls
        Versions to write (see `vxhelpers.concept_sets.crops.Concept`).
    min_frames, max_frames
        Of a clip. Shorter tracks are dropped, of longer ones the best part is cut. A network that
        spans more frames than a clip has sees it looped.
    tracking
        Further options of `vxhelpers.concept_sets.tracking.track`.
    fill
        R, G, B around the boxes; by default the mean of clips drawn from all videos looked at.
    """

    placements: tuple[Placement, ...] = ("in_place", "centred")
    controls: tuple[Control, ...] = ("shuffled", "reversed")
    min_frames: int = 12
    max_frames: int = 64
    tracking: Mapping[str, Any] = field(default_factory=dict)
    fill: Colour | None = None

    def __post_init__(self) -> None:
        checks.at_least(1, min_frames=self.min_frames)
        checks.at_least(self.min_frames, max_frames=self.max_frames)
        for placement in self.placements:
            checks.known("placement", placement, get_args(Placement))
        for control in self.controls:
            checks.known("control", control, get_args(Control)[1:])
        if not self.placements:
            raise InputError("at least one placement is needed: in_place, centred")
        if self.fill is not None and (len(self.fill) != 3 or not set(self.fill) <= set(range(256))):
            raise InputError(f"fill is R, G, B, each 0 to 255; not {self.fill}")
        if "min_frames" in self.tracking:
            raise InputError("min_frames is an option of the clips, not of their tracking")


@dataclass(frozen=True)
class ConceptSetSettings:
    """How many clips of what are made.

    Parameters
    ----------
    count, per_video
        Clips an object; at most so many of one object and video. A long track gives several.
    scoring, split
        Clips to set aside for scoring, and the split that they are of.
    randoms, clips
        Random sets, and the versions of a clip.
    allow_fewer
        Go on with fewer clips than asked for; what was asked and got is recorded. Random sets
        stay as many, and become smaller alike; an object without a clip has no concept.
    skip_unreadable
        Leave unreadable videos out and record them, instead of raising.

    Raises
    ------
    InputError, UnknownNameError
        If an option is out of range or unknown.
    """

    count: int = 30
    per_video: int = 1
    scoring: int = 30
    split: str = "test"
    randoms: RandomSets = RandomSets()
    clips: ClipVersions = ClipVersions()
    allow_fewer: bool = False
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        checks.at_least(1, count=self.count, per_video=self.per_video)
        checks.at_least(0, scoring=self.scoring)


@dataclass(frozen=True)
class Output:
    """Where concept sets go.

    Parameters
    ----------
    folder
        Where to write; by default in the cache, where the same content and options find it.
    store
        Keeps detections; by default the default cache.
    progress
        Wraps the loop over the pieces: takes an iterable and its length.
    """

    folder: str | Path | None = None
    store: Store | None = None
    progress: Progress | None = None


@dataclass(frozen=True)
class ConceptRequest:
    """The concepts of a class: labels of objects, how many clips, and the seed of all draws."""

    action: str
    objects: tuple[str, ...]
    settings: ConceptSetSettings
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.objects or len(set(self.objects)) < len(self.objects):
            raise InputError(f"name the objects, each once: not {self.objects}")
        if any(name.split()[0] == RANDOM for name in self.objects):
            raise InputError("no object can be called random: random sets are")
