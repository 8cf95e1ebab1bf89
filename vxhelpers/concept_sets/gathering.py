"""One folder of concept sets in the making: pieces gathered in one pass, written as they come."""

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from vxhelpers.concept_sets.crops import RANDOM, Colour, Concept, Piece, mean_colour
from vxhelpers.concept_sets.detector import Detector
from vxhelpers.concept_sets.pieces import SMALL, Looked, Tally, deal, gather, gather_random, look
from vxhelpers.concept_sets.review import PROVENANCE
from vxhelpers.concept_sets.settings import (
    ClipVersions,
    ConceptRequest,
    ConceptSetSettings,
    RandomSets,
)
from vxhelpers.concept_sets.tracking import TRUTH
from vxhelpers.concept_sets.writing import Version, versions_of, write_listing, write_piece
from vxhelpers.data.clip import Clip
from vxhelpers.data.datasets import DataSet, Progress
from vxhelpers.data.manifest import Row, locate
from vxhelpers.data.splits import check_disjoint, divide, video_of
from vxhelpers.data.video import read_clip
from vxhelpers.errors import InputError, VideoError
from vxhelpers.io.cache import Store

_LOOKED_AT, _GLIMPSE = 32, 4  # clips that the mean colour is of, and frames of each
_COUNTED = ("av", "lap", "numpy", "openvino", "opencv-python-headless", "torch", "ultralytics")


@dataclass(eq=False)
class Gathering:
    """One folder in the making: what goes in, and what has been found so far."""

    folder: Path
    request: ConceptRequest
    data: DataSet
    source: DataSet  # of random clips
    eye: Detector | None
    store: Store
    rows: list[Row] = field(default_factory=list)  # to make concepts of
    scored: list[Row] = field(default_factory=list)
    fill: Colour = (0, 0, 0)
    pieces: dict[str, Piece] = field(default_factory=dict)  # by title
    titles: dict[str, list[str]] = field(default_factory=dict)  # by label
    files: dict[str, Future[dict[Version, Row]]] = field(default_factory=dict)  # by title
    tallies: dict[str, Tally] = field(default_factory=dict)

    @property
    def settings(self) -> ConceptSetSettings:
        """How many clips of what."""
        return self.request.settings

    @property
    def randoms(self) -> RandomSets:
        """The random sets asked for."""
        return self.settings.randoms

    @property
    def cut(self) -> ClipVersions:
        """What is cut out of a track."""
        return self.settings.clips

    def run(self, name: str, progress: Progress | None) -> None:
        """Find the pieces, write their clips, then what lists them."""
        request = self.request
        rngs = np.random.default_rng(request.seed).spawn(4)
        self.rows, self.scored = divide(
            self.data,
            request.action,
            scoring=self.settings.scoring,
            split=self.settings.split,
            allow_fewer=self.settings.allow_fewer,
            rng=rngs[0],
        )
        self.tallies = {"concept": Tally(), "random": Tally()}
        self.titles = {label: [] for label in (*request.objects, RANDOM)}
        pool = self._elsewhere() if self.randoms.sets else []
        self.fill = self.cut.fill or self._mean_colour(pool, rngs[1])
        found = self._found(pool, rngs[2], rngs[3])
        total = self.settings.count * (len(request.objects) + self.randoms.sets)
        slugs = slugs_of(request.objects)
        writer = ThreadPoolExecutor(1)  # while the detector looks at the next clip
        try:
            for label, looked, piece in progress(found, total) if progress else found:
                title = f"{slugs[label]}-{len(self.titles[label]):03d}"
                self.titles[label].append(title)
                self.pieces[title] = piece
                self.files[title] = writer.submit(self._write, title, label, looked.clip)
                queue = list(self.files.values())
                queue[-1 if looked.clip.frames.nbytes > SMALL else -min(8, len(queue))].result()
            wait(self.files.values())
        finally:
            writer.shutdown(cancel_futures=True)
        self._list(name)

    def _write(self, title: str, label: str, clip: Clip) -> dict[Version, Row]:
        request = self.request
        versions = versions_of(self.cut.placements, () if label == RANDOM else self.cut.controls)
        piece, fill, seed = self.pieces[title], self.fill, request.seed
        return write_piece(self.folder, title, clip, piece, versions, fill=fill, seed=seed)

    def _elsewhere(self) -> list[Row]:
        """Rows that random clips may come from: not of the scored split, if there are others."""
        names = self.randoms.actions or self.source.labels
        rows = [row for name in names for row in self.source.rows(label=name)]
        return [row for row in rows if row.split != self.settings.split] or rows

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
        request, taken = self.request, {video_of(row, self.data) for row in self.scored}
        sizes = {"shortest": self.cut.min_frames, "longest": self.cut.max_frames}
        rows = [self.rows[i] for i in order.permutation(len(self.rows))]
        seen = self._look(self.data, rows, "concept")
        for looked, piece in gather(
            seen,
            request.objects,
            count=self.settings.count,
            per_video=self.settings.per_video,
            **sizes,
        ):
            taken.add(piece.video)
            yield piece.track.label, looked, piece
        self._check("concept", dict.fromkeys(request.objects, self.settings.count))
        if not self.randoms.sets:
            return
        rows = [pool[i] for i in order.permutation(len(pool))]
        rows = [row for row in rows if video_of(row, self.source) not in taken]

        def allowed(looked: Looked, label: str) -> bool:
            other = self.randoms.targets and looked.row.label != request.action
            return other or label not in request.objects

        for looked, piece in gather_random(
            self._look(self.source, rows, "random"),
            allowed,
            count=self.settings.count * self.randoms.sets,
            per_video=self.randoms.per_video,
            rng=labels,
            **sizes,
        ):
            yield RANDOM, looked, piece
        self._check("random", {RANDOM: self.settings.count * self.randoms.sets})

    def _look(self, data: DataSet, rows: Sequence[Row], part: str) -> Iterator[Looked]:
        options = {"min_frames": self.cut.min_frames, **self.cut.tracking}
        tally = self.tallies[part]
        return look(data, rows, self.eye, tally=tally, store=self.store, **options)

    def _check(self, part: str, asked: Mapping[str, int]) -> None:
        """Raise where videos cannot be read, or pieces are too few."""
        tally, request = self.tallies[part], self.request
        if tally.unreadable and not self.settings.skip_unreadable:
            lines = "".join(f"\n  {error}" for error in tally.unreadable.values())
            raise VideoError(
                f"{len(tally.unreadable)} of {tally.videos} videos cannot be read:{lines}\n"
                "obtain them again, or leave them out (skip_unreadable, --skip-unreadable)"
            )
        got = {label: len(self.titles[label]) for label in asked}
        if not any(got.values()) or (got != dict(asked) and not self.settings.allow_fewer):
            raise InputError(_shortage(part, asked, got, tally, request))

    def _list(self, name: str) -> None:
        """Write the manifest and the provenance."""
        request, chance = self.request, self.titles[RANDOM]
        random = {self.pieces[title].video for title in chance}
        concepts = {
            self.pieces[title].video for label in request.objects for title in self.titles[label]
        }
        scored = {video_of(row, self.data) for row in self.scored}
        check_disjoint({"concepts": concepts, "random clips": random, "scored clips": scored})
        groups: list[tuple[Concept, Sequence[str]]] = [
            (Concept(label, *version), self.titles[label])
            for label in request.objects
            for version in versions_of(self.cut.placements, self.cut.controls)
        ]
        heaps = deal(chance, sets=self.randoms.sets, count=self.settings.count)
        groups += [
            (Concept(RANDOM, *version, number), heap)
            for version in versions_of(self.cut.placements, ())
            for number, heap in enumerate(heaps)
        ]
        requested = {
            **dict.fromkeys(request.objects, self.settings.count),
            RANDOM: self.settings.count * self.randoms.sets,
        }
        record = {
            "key": name,
            "action": request.action,
            "data": self.data.name,
            "others": self.source.name,
            "detector": TRUTH if self.eye is None else str(self.eye),
            "options": asdict(request),
            "fill": self.fill,
            "asked": requested,
            "got": {label: len(found) for label, found in self.titles.items()},
            "found": {part: asdict(tally) for part, tally in self.tallies.items()},
            "versions": _versions(),
            "scoring": [asdict(row) for row in self.scored],
        }
        what = f"Concepts ({', '.join(request.objects)}) of {request.action!r}"
        card = {
            "name": f"concepts of {request.action}",
            "title": f"{what}, cut out of {self.data.manifest.name}",
            "source": f"made by vx concepts make; {PROVENANCE} tells of what",
        }
        files = {title: written.result() for title, written in self.files.items()}
        write_listing(self.folder, groups, self.pieces, files, card=card, record=record)


def slugs_of(objects: Sequence[str]) -> dict[str, str]:
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


def _shortage(
    part: str,
    asked: Mapping[str, int],
    got: Mapping[str, int],
    tally: Tally,
    request: ConceptRequest,
) -> str:
    """Say how many pieces there are, what became of the other tracks, and what to relax."""
    lines = [
        f"  {label}: {got[label]} of {count}"
        + (f" ({_fate(tally.labels.get(label))})" if part == "concept" else "")
        for label, count in asked.items()
        if got[label] < count
    ]
    settings, concept = request.settings, part == "concept"
    spread = "per_video" if concept else "random_per_video"
    videos = settings.per_video if concept else settings.randoms.per_video
    relax = [
        f"lower count (now {request.settings.count})"
        + (f" or sets (now {request.settings.randoms.sets})" if part == "random" else ""),
        f"lower min_frames (now {request.settings.clips.min_frames})",
        f"raise {spread} (now {videos})",
    ]
    if part == "random":
        relax.append("take random clips of another data set (others)")
        if not request.settings.randoms.targets:
            relax.append("or things of the tested labels in other actions (random_targets)")
    if any(got.values()):
        relax.append("or go on with fewer (allow_fewer, --allow-fewer)")
    elif request.settings.allow_fewer:
        lines.append("  and nothing to go on with")
    return (
        f"{'concept' if part == 'concept' else 'random'} clips of {request.action!r} are too few, "
        f"after {tally.videos} videos:\n" + "\n".join(lines) + "\n" + ", ".join(relax)
    )


def _fate(counts: Mapping[str, Any] | None) -> str:
    """What became of the tracks of a label, in words."""
    if not counts or not counts["found"]:
        return "no track was found"
    dropped = ", ".join(f"{number} {reason}" for reason, number in counts["dropped"].items())
    return (
        f"{counts['found']} tracks in {counts['videos']} videos: {counts['kept']} kept, "
        f"dropped: {dropped or 'none'}"
    )
