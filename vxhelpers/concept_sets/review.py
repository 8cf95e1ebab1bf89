"""What a person decided about the clips of a concept folder, kept beside them in ``review.csv``.

The file is a log (see :mod:`vxhelpers.concept_sets.review_log`), in which the last row of a clip
counts. Where several clips show one track (dynamic and static, in place and centred, controls), as
``provenance.json`` tells, a decision about one of them is one about them all. A row has the SHA-256
of the file that was seen: where a clip has been replaced under its old name, the old decision no
longer counts.
"""

import getpass
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from vxhelpers.concept_sets import review_log
from vxhelpers.concept_sets.review_log import KINDS, Decision
from vxhelpers.data.datasets import DataSet, open_data
from vxhelpers.data.manifest import Row
from vxhelpers.data.scan import scan
from vxhelpers.errors import InputError, ManifestError, UnknownNameError

FILE = "review.csv"
LISTING = "concepts.csv"
PROVENANCE = "provenance.json"


@dataclass(frozen=True)
class Counts:
    """How far a review is, as a run records it.

    Parameters
    ----------
    accepted, rejected
        Tracks that a person decided about; a clip of which no track is known is one by itself.
    skipped
        Tracks that a person saw and left open.
    unseen
        Tracks without a decision about the content that their clips have now.
    reviewers
        Who accepted or rejected, sorted.
    """

    accepted: int
    rejected: int
    skipped: int
    unseen: int
    reviewers: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """All tracks."""
        return self.accepted + self.rejected + self.skipped + self.unseen

    def __str__(self) -> str:
        if not self.accepted + self.rejected:
            return f"none of {self.total} clips reviewed by a person"
        left = self.skipped + self.unseen
        return (
            f"{self.accepted} accepted and {self.rejected} rejected by a person, "
            f"{left or 'none'} not reviewed"
        )


@dataclass(frozen=True, eq=False)
class Review:
    """The clips of a folder and what was decided about them so far.

    Parameters
    ----------
    folder
        Holds the clips and ``review.csv``.
    data
        The clips: ``data.rows()`` in the order in which they are shown.
    log
        The rows of ``review.csv``.
    tracks
        Clip ids to the track that they show, for clips that are one of several.
    dynamic
        Ids of the clips that show their track as it moves, where that is known.
    unreadable
        Clip ids to what is wrong with their file, as far as it is known without decoding.
    """

    folder: Path
    data: DataSet
    log: tuple[Decision, ...]
    tracks: Mapping[str, str] = field(default_factory=dict)
    dynamic: frozenset[str] = frozenset()
    unreadable: Mapping[str, str] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """Where the decisions are written."""
        return self.folder / FILE

    @cached_property
    def decided(self) -> Mapping[str, Decision]:
        """Clip ids to the decision that counts; clips without one are not in it."""
        content = {row.clip_id: row.sha256 for row in self.data.manifest.rows}
        last: dict[str, Decision] = {}
        for row in self.log:
            if not row.sha256 or content[row.clip_id] in ("", row.sha256):
                last[self.tracks.get(row.clip_id, row.clip_id)] = row
        tracks = {clip_id: self.tracks.get(clip_id, clip_id) for clip_id in content}
        return {clip_id: last[track] for clip_id, track in tracks.items() if track in last}

    def one_each(self, rows: Sequence[Row] | None = None) -> tuple[str, ...]:
        """Ids of one clip a track, the dynamic one where there is one, of some rows or of all."""
        shown: dict[str, str] = {}
        for row in self.data.manifest.rows if rows is None else rows:
            track = self.tracks.get(row.clip_id, row.clip_id)
            known = shown.setdefault(track, row.clip_id)
            if known not in self.dynamic and row.clip_id in self.dynamic:
                shown[track] = row.clip_id
        return tuple(shown.values())

    def counts(self, ids: Sequence[str] | None = None) -> Counts:
        """How far the review of the named clips, or of one clip of every track, is."""
        ids = self.one_each() if ids is None else ids
        rows = [self.decided[x] for x in ids if x in self.decided]
        kinds = Counter(row.decision for row in rows)
        names = {row.reviewer for row in rows if row.decision != "skip" and row.reviewer}
        decided = kinds["accept"], kinds["reject"], kinds["skip"]
        return Counts(*decided, len(ids) - len(rows), tuple(sorted(names)))

    def following(self, ids: Sequence[str], after: str | None = None) -> str | None:
        """The clip to show next: the next one not seen yet, else the next one that was skipped.

        Parameters
        ----------
        ids
            The clips under review, in order.
        after
            Where to start from, going round; from the first one unless given.

        Returns
        -------
        str or None
            None when every clip has been accepted or rejected.
        """
        start = 0 if after is None else list(ids).index(after) + 1
        around = [*ids[start:], *ids[:start]]
        for wanted in (None, "skip"):
            for clip_id in around:
                row = self.decided.get(clip_id)
                if (row.decision if row else None) == wanted:
                    return clip_id
        return None


def load(folder: str | Path, data: DataSet | None = None) -> Review:
    """Read a folder of concept clips and the decisions made so far.

    Parameters
    ----------
    folder
        With a manifest ``concepts.csv``, or without one and with ``<concept>/<video>`` in it.
    data
        The folder's clips where they are opened already.

    Raises
    ------
    ManifestError
        If there is no such folder, or no clip in it; if ``provenance.json`` cannot be used; or if
        ``review.csv`` has a header, a row, a decision, a time or a clip that cannot be: the text
        names file and line.
    """
    folder = Path(folder)
    unreadable: dict[str, str] = {}
    if data is None:
        data, unreadable = _open(folder)
    facts = _facts(folder / PROVENANCE)
    tracks = {clip_id: str(fact["piece"]) for clip_id, fact in facts.items() if "piece" in fact}
    dynamic = {
        clip_id
        for clip_id, fact in facts.items()
        if fact.get("kind") == "dynamic" and not fact.get("control")
    }
    log = review_log.read(folder / FILE, _ids(data))
    return Review(folder, data, log, tracks, frozenset(dynamic), unreadable)


def reload(review: Review) -> Review:
    """The same clips with the decisions that are in the file now.

    Raises
    ------
    ManifestError
        If ``review.csv`` cannot be understood.
    """
    return replace(review, log=review_log.read(review.file, _ids(review.data)))


def decide(review: Review, clip_id: str, decision: str, *, reviewer: str | None = None) -> Review:
    """Add a decision to the file and give the review as it then is.

    Parameters
    ----------
    review
        As loaded, or as the last call gave it.
    clip_id, decision
        The clip, and one of :data:`vxhelpers.concept_sets.review_log.KINDS`; overrules earlier
        decisions.
    reviewer
        Who decides; the name of the account unless given.

    Raises
    ------
    UnknownNameError
        If there is no such clip or decision.
    ManifestError
        If the file has become unreadable meanwhile; it stays as it is.
    WriteError
        If it cannot be written.
    """
    known = {row.clip_id: row for row in review.data.manifest.rows}
    if clip_id not in known:
        raise UnknownNameError("clip", clip_id, known, where=str(review.folder))
    if decision not in KINDS:
        raise UnknownNameError("decision", decision, KINDS)
    name = account() if reviewer is None else " ".join(reviewer.split())
    at = datetime.now(UTC).isoformat(timespec="seconds")
    with review_log.changing(review.file, known) as log:
        log.append(Decision(clip_id, decision, name, at, known[clip_id].sha256))
    return replace(review, log=tuple(log))


def undo(review: Review, *, reviewer: str | None = None) -> tuple[Review, str]:
    """Take back the last decision of a reviewer, also one of an earlier session.

    Returns
    -------
    Review, str
        The review as it then is, and the id of the clip that it was about.

    Raises
    ------
    InputError
        If this reviewer has no decision in the file.
    ManifestError, WriteError
        As :func:`decide`.
    """
    name = account() if reviewer is None else " ".join(reviewer.split())
    with review_log.changing(review.file, _ids(review.data)) as log:
        last = max((k for k, row in enumerate(log) if row.reviewer == name), default=None)
        if last is None:
            raise InputError(
                f"{review.file}: has no decision of {name or 'that reviewer'} to take back"
            )
        taken = log.pop(last)
    return replace(review, log=tuple(log)), taken.clip_id


def counts(folder: str | Path) -> Counts:
    """How many tracks of a folder a person accepted, rejected, skipped or has not seen.

    Raises
    ------
    ManifestError
        As :func:`load`.
    """
    return load(folder).counts()


def account() -> str:
    """Name of the account that runs this; empty where the system has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""


def _ids(data: DataSet) -> set[str]:
    return {row.clip_id for row in data.manifest.rows}


def _open(folder: Path) -> tuple[DataSet, dict[str, str]]:
    """The clips of a folder, and those of them that are known to be unreadable."""
    if not folder.is_dir():
        raise ManifestError(f"{folder}: no such folder of concept clips")
    if (folder / LISTING).is_file():
        return open_data(folder / LISTING), {}
    manifest = scan(folder, skip_unreadable=True)
    bad: Mapping[str, str] = manifest.card["left_out"]["unreadable"]
    taken = {str(Path(row.path).with_suffix("")) for row in manifest.rows}
    rows, unreadable = list(manifest.rows), {}
    for path, why in bad.items():
        stem = str(Path(path).with_suffix(""))
        clip_id = path if stem in taken else stem
        rows.append(Row(clip_id, path, Path(path).parts[-2], "unreadable"))
        unreadable[clip_id] = why
    rows.sort(key=lambda row: (row.label, row.path))
    whole = replace(manifest, rows=tuple(rows))
    return DataSet(str(folder), whole.labels, whole, whole.digest, folder), unreadable


def _facts(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """What is known about each clip of a folder that was made here; nothing where it was not."""
    if not path.is_file():
        return {}
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))["clips"]
        if all(isinstance(fact, dict) for fact in facts.values()):
            return dict(facts)
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    raise ManifestError(f"{path}: is no record of concept clips; make the folder anew")
