"""Concept sets of a class's videos: one pass of the detector, then clips with their provenance.

Every video is decoded or rendered once and looked at until there are enough pieces; each piece is
written at once in all its versions (see :mod:`vxhelpers.concepts`). Scored clips, concept clips and
random clips share no video. Same content and options give the same files.
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from vxhelpers.clip import Clip
from vxhelpers.concept_folder import PROVENANCE, ConceptFolder, ConceptSet, read
from vxhelpers.concept_recipe import Recipe, shortage
from vxhelpers.concept_sources import (
    Looked,
    Tally,
    check_disjoint,
    deal,
    divide,
    gather,
    gather_random,
    look,
    video_of,
)
from vxhelpers.concept_writing import Version, versions_of, write_listing, write_piece
from vxhelpers.concepts import RANDOM, Colour, Concept, Control, Piece, Placement, mean_colour
from vxhelpers.data import DataSet, Progress
from vxhelpers.decode import read_clip
from vxhelpers.detection import Detector, check_labels, load_detector
from vxhelpers.errors import InputError, UnknownNameError, VideoError
from vxhelpers.files import WriteError, sha256
from vxhelpers.manifest import Row, locate
from vxhelpers.provenance import PACKAGE
from vxhelpers.stage import INSTANCES
from vxhelpers.store import Store, key
from vxhelpers.tracking import TRUTH

__all__ = ["ConceptFolder", "ConceptSet", "make", "read"]

_LOOKED_AT, _GLIMPSE = 32, 16  # clips that the mean colour is of, and frames of each
_MAKERS = ("concepts", "concept_sources", "concept_writing", "concept_sets")
_FINDERS = ("detection", "tracking", "tracks", "ambiguity", "decode")
_COUNTED = ("av", "lap", "numpy", "openvino", "opencv-python-headless", "torch", "ultralytics")


def make(
    data: DataSet,
    action: str,
    objects: Sequence[str],
    *,
    detector: Detector | str | Path = "stage",
    folder: str | Path | None = None,
    store: Store | None = None,
    count: int = 30,
    per_video: int = 1,
    sets: int = 10,
    random_per_video: int = 1,
    others: DataSet | None = None,
    random_actions: Sequence[str] | None = None,
    random_targets: bool = False,
    scoring: int = 30,
    split: str = "test",
    placements: Sequence[Placement] = ("in_place", "centred"),
    controls: Sequence[Control] = ("shuffled", "reversed"),
    min_frames: int = 12,
    max_frames: int = 64,
    tracking: Mapping[str, Any] | None = None,
    fill: Colour | None = None,
    allow_fewer: bool = False,
    skip_unreadable: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> ConceptFolder:
    """Make the concept sets, random sets and controls that a class is to be explained with.

    Parameters
    ----------
    data, action
        The videos, and the class.
    objects
        Labels of the detector: each becomes a moving and a still concept, with its controls.
    detector
        As :func:`vxhelpers.detection.load_detector` takes it, or loaded, or ``"ground truth"`` for
        the stage's own boxes.
    folder
        Where to write. Unless given: in the cache, where the same content and options find it.
    store
        Keeps detections; the default cache unless given.
    count, per_video
        Clips an object; at most so many of one object and video. A long track gives several.
    sets, random_per_video
        Random sets, of ``count`` clips each as well; at most so many of their clips from a video.
    others
        Data set that random clips come from; ``data`` unless given.
    random_actions
        Classes that random clips come from; all unless given, the action's own included.
    random_targets
        Whether things of the labels in ``objects`` may be random where they are part of other
        actions; without it those labels never are.
    scoring, split
        Clips to set aside for scoring, and the split that they are of.
    placements, controls
        Versions to write (see :class:`vxhelpers.concepts.Concept`).
    min_frames, max_frames
        Of a clip. Shorter tracks are dropped, of longer ones the best part is cut. A network that
        spans more frames than a clip has sees it looped.
    tracking
        Further options of :func:`vxhelpers.tracking.track`.
    fill
        R, G, B around the boxes; the mean of clips drawn from all videos looked at, unless given.
    allow_fewer
        Go on with fewer clips than asked for; what was asked and got is recorded. Random sets
        stay as many, and become smaller alike; an object without a clip has no concept.
    skip_unreadable
        Leave unreadable videos out and record them, instead of raising.
    seed
        Of all that is drawn.
    progress
        Wraps the loop over the pieces: takes an iterable and its length.

    Returns
    -------
    ConceptFolder
        As :func:`vxhelpers.concept_sets.read` gives it.

    Raises
    ------
    UnknownNameError
        If there is no such class or split, or the detector knows no such object.
    InputError
        If there are fewer clips than asked for (says how many and what to relax), the folder holds
        something else already, or an option is out of range.
    VideoError
        If videos cannot be read; all that were met are listed.
    """
    recipe = Recipe(
        action,
        tuple(objects),
        count,
        per_video,
        sets,
        random_per_video,
        None if random_actions is None else tuple(random_actions),
        random_targets,
        scoring,
        split,
        tuple(placements),
        tuple(controls),
        min_frames,
        max_frames,
        dict(tracking or {}),
        None if fill is None else (int(fill[0]), int(fill[1]), int(fill[2])),
        allow_fewer,
        skip_unreadable,
        seed,
    )
    store = Store() if store is None else store
    eye = None if detector == TRUTH else detector
    if eye is not None and not isinstance(eye, Detector):
        eye = load_detector(eye)
    if eye is None:
        for name in recipe.objects:
            if name not in INSTANCES:
                raise UnknownNameError("object", name, INSTANCES, where="the stage")
    else:
        check_labels(eye, recipe.objects)
    parts = {
        "data": _content(data),
        "others": None if others is None else _content(others),
        "recipe": asdict(recipe),
        "detector": TRUTH if eye is None else [eye.digest, eye.image_size],
        "code": [sha256(PACKAGE / f"{name}.py") for name in (*_MAKERS, *_FINDERS)],
    }
    name = key(parts)
    target = store.root / "concepts" / name[:32] if folder is None else Path(folder)
    if _holds(target, name):
        return read(target, skip_unreadable=skip_unreadable)
    beside = target.with_name(f".{target.name}.{uuid4().hex[:8]}")
    try:
        beside.mkdir(parents=True)
        job = _Job(beside, recipe, data, data if others is None else others, eye, store)
        job.run(name, progress)
        _put(beside, target, name)
    except OSError as error:
        if isinstance(error, WriteError):
            raise
        raise WriteError(
            f"cannot write {target}: {error.strerror}; free some space or name another place"
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return read(target, skip_unreadable=skip_unreadable)


def _content(data: DataSet) -> list[Any]:
    """What decides a data set's clips: its digest, and files that the manifest has no hash of."""
    if data.root is None:
        return [data.digest]
    files = sorted({row.path for row in data.manifest.rows if not row.sha256})
    stats = [(name, (data.root / name).stat()) for name in files if (data.root / name).is_file()]
    return [data.digest, [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]]


def _holds(target: Path, name: str) -> bool:
    """Whether the folder is there with this content; raises where it holds something else."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return False
    with suppress(OSError, ValueError, AttributeError):
        known = json.loads((target / PROVENANCE).read_text(encoding="utf-8"))
        if known.get("key") == name:
            return True
    raise InputError(
        f"{target}: is there already, made of other videos, with other options or by another "
        "version; remove it (and with it what was reviewed), or name another folder"
    )


def _put(beside: Path, target: Path, name: str) -> None:
    """Move the finished folder to its place, unless another process was faster."""
    try:
        beside.replace(target)
    except OSError:
        if not _holds(target, name):
            raise


@dataclass(eq=False)
class _Job:
    """One folder in the making: what goes in, and what has been found so far."""

    folder: Path
    recipe: Recipe
    data: DataSet
    source: DataSet  # of random clips
    eye: Detector | None
    store: Store
    rows: list[Row] = field(default_factory=list)  # to make concepts of
    scored: list[Row] = field(default_factory=list)
    fill: Colour = (0, 0, 0)
    pieces: dict[str, Piece] = field(default_factory=dict)  # by title
    titles: dict[str, list[str]] = field(default_factory=dict)  # by label
    files: dict[str, dict[Version, Row]] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)

    def run(self, name: str, progress: Progress | None) -> None:
        """Find the pieces, write their clips, then what lists them."""
        recipe = self.recipe
        rngs = np.random.default_rng(recipe.seed).spawn(4)
        self.rows, self.scored = divide(
            self.data,
            recipe.action,
            scoring=recipe.scoring,
            split=recipe.split,
            allow_fewer=recipe.allow_fewer,
            rng=rngs[0],
        )
        self.tallies = {"concept": Tally(), "random": Tally()}
        self.titles = {label: [] for label in (*recipe.objects, RANDOM)}
        pool = self._elsewhere() if recipe.sets else []
        self.fill = recipe.fill or self._mean_colour(pool, rngs[1])
        slugs = _slugs(recipe.objects)
        found = self._found(pool, rngs[2], rngs[3])
        total = recipe.count * (len(recipe.objects) + recipe.sets)
        for label, looked, piece in progress(found, total) if progress else found:
            title = f"{slugs[label]}-{len(self.titles[label]):03d}"
            self.titles[label].append(title)
            self.pieces[title] = piece
            versions = versions_of(recipe.placements, () if label == RANDOM else recipe.controls)
            self.files[title] = write_piece(
                self.folder, title, looked.clip, piece, versions, fill=self.fill, seed=recipe.seed
            )
        self._list(name)

    def _elsewhere(self) -> list[Row]:
        """Rows that random clips may come from: not of the scored split, if there are others."""
        names = self.recipe.random_actions or self.source.labels
        rows = [row for name in names for row in self.source.rows(label=name)]
        return [row for row in rows if row.split != self.recipe.split] or rows

    def _mean_colour(self, pool: Sequence[Row], rng: np.random.Generator) -> Colour:
        """Mean of some clips (their first frames) of all that may be looked at."""
        rows = [(self.data, row) for row in self.rows] + [(self.source, row) for row in pool]
        clips: list[Clip] = []
        for i in rng.permutation(len(rows))[:_LOOKED_AT]:
            data, row = rows[i]
            try:
                clips.append(_glimpse(data, row))
            except VideoError as error:
                self.tallies["concept"].unreadable[row.clip_id] = str(error)
        return mean_colour(clips)

    def _found(
        self, pool: Sequence[Row], order: np.random.Generator, labels: np.random.Generator
    ) -> Iterator[tuple[str, Looked, Piece]]:
        """The pieces of the objects, then the random ones, each with its clip in memory."""
        recipe, taken = self.recipe, {video_of(row, self.data) for row in self.scored}
        sizes = {"shortest": recipe.min_frames, "longest": recipe.max_frames}
        rows = [self.rows[i] for i in order.permutation(len(self.rows))]
        seen = self._look(self.data, rows, "concept")
        for looked, piece in gather(
            seen, recipe.objects, count=recipe.count, per_video=recipe.per_video, **sizes
        ):
            taken.add(piece.video)
            yield piece.track.label, looked, piece
        self._check("concept", dict.fromkeys(recipe.objects, recipe.count))
        if not recipe.sets:
            return
        rows = [pool[i] for i in order.permutation(len(pool))]
        rows = [row for row in rows if video_of(row, self.source) not in taken]

        def allowed(looked: Looked, label: str) -> bool:
            other = recipe.random_targets and looked.row.label != recipe.action
            return other or label not in recipe.objects

        for looked, piece in gather_random(
            self._look(self.source, rows, "random"),
            allowed,
            count=recipe.count * recipe.sets,
            per_video=recipe.random_per_video,
            rng=labels,
            **sizes,
        ):
            yield RANDOM, looked, piece
        self._check("random", {RANDOM: recipe.count * recipe.sets})

    def _look(self, data: DataSet, rows: Sequence[Row], part: str) -> Iterator[Looked]:
        options = {"min_frames": self.recipe.min_frames, **self.recipe.tracking}
        tally = self.tallies[part]
        return look(data, rows, self.eye, tally=tally, store=self.store, **options)

    def _check(self, part: str, asked: Mapping[str, int]) -> None:
        """Raise where videos cannot be read, or pieces are too few."""
        tally, recipe = self.tallies[part], self.recipe
        if tally.unreadable and not recipe.skip_unreadable:
            lines = "".join(f"\n  {error}" for error in tally.unreadable.values())
            raise VideoError(
                f"{len(tally.unreadable)} of {tally.videos} videos cannot be read:{lines}\n"
                "obtain them again, or leave them out (skip_unreadable, --skip-unreadable)"
            )
        got = {label: len(self.titles[label]) for label in asked}
        if not any(got.values()) or (got != dict(asked) and not recipe.allow_fewer):
            raise InputError(shortage(part, asked, got, tally, recipe))

    def _list(self, name: str) -> None:
        """Write the manifest and the provenance."""
        recipe, chance = self.recipe, self.titles[RANDOM]
        random = {self.pieces[title].video for title in chance}
        concepts = {
            self.pieces[title].video for label in recipe.objects for title in self.titles[label]
        }
        scored = {video_of(row, self.data) for row in self.scored}
        check_disjoint({"concepts": concepts, "random clips": random, "scored clips": scored})
        groups: list[tuple[Concept, Sequence[str]]] = [
            (Concept(label, *version), self.titles[label])
            for label in recipe.objects
            for version in versions_of(recipe.placements, recipe.controls)
        ]
        heaps = deal(chance, sets=recipe.sets, count=recipe.count)
        groups += [
            (Concept(RANDOM, *version, number), heap)
            for version in versions_of(recipe.placements, ())
            for number, heap in enumerate(heaps)
        ]
        asked = {**dict.fromkeys(recipe.objects, recipe.count), RANDOM: recipe.count * recipe.sets}
        record = {
            "key": name,
            "action": recipe.action,
            "data": self.data.name,
            "others": self.source.name,
            "detector": TRUTH if self.eye is None else str(self.eye),
            "options": asdict(recipe),
            "fill": self.fill,
            "asked": asked,
            "got": {label: len(found) for label, found in self.titles.items()},
            "found": {part: asdict(tally) for part, tally in self.tallies.items()},
            "versions": _versions(),
            "scoring": [asdict(row) for row in self.scored],
        }
        objects = ", ".join(recipe.objects)
        card = {
            "name": f"concepts of {recipe.action}",
            "title": f"Concepts ({objects}) of {recipe.action!r}, cut out of {self.data.name}",
            "source": f"made by vx concepts make; {PROVENANCE} tells of what",
        }
        write_listing(self.folder, groups, self.pieces, self.files, card=card, record=record)


def _slugs(objects: Sequence[str]) -> dict[str, str]:
    """Labels as parts of file names, all different."""
    slugs = {RANDOM: RANDOM}
    for label in objects:
        slug = base = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-") or "object"
        number = 2
        while slug in slugs.values():
            slug, number = f"{base}-{number}", number + 1
        slugs[label] = slug
    return slugs


def _glimpse(data: DataSet, row: Row) -> Clip:
    """The first frames of a row's clip."""
    if data.root is None:
        return data.clip(row)
    place = locate(row, data.root)
    return read_clip(place, start_s=row.start_s, end_s=row.end_s, frames=_GLIMPSE)


def _versions() -> dict[str, str]:
    """Installed versions of the libraries that decide the clips."""
    found = {}
    for name in _COUNTED:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
