"""What a person decided about the clips of a concept folder, kept beside them.

``review.csv`` is a log: one row a decision, in the order they were made, and the last row of a clip
counts. Taking a decision back removes its row, so that what was decided before counts again. Every
row has the SHA-256 of the file that was seen: where a clip has been replaced under its old name,
the old decision no longer counts. The file is read anew before each change, under a lock, and
written whole and synchronised to disk: neither a killed process nor a second reviewer at the same
folder loses a row, and a file that cannot be understood is never written over.
"""

import csv
import getpass
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from vxhelpers.data import DataSet, open_data
from vxhelpers.errors import InputError, ManifestError, UnknownNameError
from vxhelpers.files import WriteError, replacing
from vxhelpers.manifest import Row
from vxhelpers.scan import scan

FILE = "review.csv"
LISTING = "concepts.csv"
COLUMNS = ("clip_id", "decision", "reviewer", "at", "sha256")
DECISIONS = ("accept", "reject", "skip")


@dataclass(frozen=True)
class Decision:
    """One row of ``review.csv``.

    Parameters
    ----------
    clip_id
        The clip.
    decision
        ``"accept"``, ``"reject"``, or ``"skip"`` for a clip that was seen and left open.
    reviewer
        Who decided; empty where the reviewer gave no name.
    at
        When, in UTC to the second: ``2026-03-01T12:30:00+00:00``.
    sha256
        Of the clip's file as it was; empty where not known.
    """

    clip_id: str
    decision: str
    reviewer: str
    at: str
    sha256: str = ""


@dataclass(frozen=True)
class Counts:
    """How far a review is, as a run records it.

    Parameters
    ----------
    accepted, rejected
        Clips that a person decided about.
    skipped
        Clips that a person saw and left open.
    unseen
        Clips without a decision about the content that they have now.
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
        """All clips."""
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
    unreadable
        Clip ids to what is wrong with their file, as far as it is known without decoding.
    """

    folder: Path
    data: DataSet
    log: tuple[Decision, ...]
    unreadable: Mapping[str, str] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """Where the decisions are written."""
        return self.folder / FILE

    @cached_property
    def decided(self) -> Mapping[str, Decision]:
        """Clip ids to the decision that counts; clips without one are not in it."""
        content = {row.clip_id: row.sha256 for row in self.data.manifest.rows}
        found: dict[str, Decision] = {}
        for row in self.log:
            if not row.sha256 or content[row.clip_id] in ("", row.sha256):
                found[row.clip_id] = row
        return found

    def counts(self, ids: Sequence[str] | None = None) -> Counts:
        """How many of the named clips (all unless given) were accepted, rejected, skipped."""
        ids = [row.clip_id for row in self.data.manifest.rows] if ids is None else ids
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
        If there is no such folder, or no clip in it; or if ``review.csv`` has a header, a row, a
        decision, a time or a clip that cannot be: the text names file and line.
    """
    folder = Path(folder)
    unreadable: dict[str, str] = {}
    if data is None:
        data, unreadable = _open(folder)
    return Review(folder, data, _read(folder / FILE, data), unreadable)


def decide(review: Review, clip_id: str, decision: str, *, reviewer: str | None = None) -> Review:
    """Add a decision to the file and give the review as it then is.

    Parameters
    ----------
    review
        As loaded, or as the last call gave it.
    clip_id, decision
        The clip, and one of :data:`DECISIONS`; an earlier decision about it is overruled.
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
    if decision not in DECISIONS:
        raise UnknownNameError("decision", decision, DECISIONS)
    name = account() if reviewer is None else " ".join(reviewer.split())
    at = datetime.now(UTC).isoformat(timespec="seconds")
    with _locked(review.folder):
        log = _read(review.file, review.data)
        row = Decision(clip_id, decision, name, at, known[clip_id].sha256)
        return _write(review, (*log, row))


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
    with _locked(review.folder):
        log = list(_read(review.file, review.data))
        last = max((k for k, row in enumerate(log) if row.reviewer == name), default=None)
        if last is None:
            raise InputError(f"{review.file}: has no decision of {name or 'yours'} to take back")
        taken = log.pop(last)
        return _write(review, tuple(log)), taken.clip_id


def counts(folder: str | Path) -> Counts:
    """How many clips of a folder a person accepted, rejected, skipped or has not seen.

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


def _read(path: Path, data: DataSet) -> tuple[Decision, ...]:
    """The rows of the file, none where there is no file; each of them checked."""
    if not path.is_file():
        return ()
    known = {row.clip_id for row in data.manifest.rows}
    log: list[Decision] = []
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) not in (COLUMNS, COLUMNS[:-1]):
                raise ManifestError(
                    f"{path}, line 1: the header must be {','.join(COLUMNS)} with or without "
                    f"sha256, not {','.join(reader.fieldnames or ()) or 'empty'!r:.120}; restore "
                    "it, or move the file away to begin anew"
                )
            for cells in reader:
                line = reader.line_num
                log.append(_row(cells, known, f"{path}, line {line}"))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}, after line {line}: is not a CSV in UTF-8: {error}") from error
    return tuple(log)


def _row(cells: Mapping[str, Any], known: set[str], where: str) -> Decision:
    if None in cells or None in cells.values():
        raise ManifestError(f"{where}: has more or fewer cells than the header")
    row = Decision(**{name: text.strip() for name, text in cells.items()})
    mend = "correct the line or delete it"
    if row.clip_id not in known:
        error = UnknownNameError("clip", row.clip_id, known)
        raise ManifestError(f"{where}: {error}; {mend}")
    if row.decision not in DECISIONS:
        raise ManifestError(
            f"{where}: decision {row.decision!r:.80} is none of {', '.join(DECISIONS)}; {mend}"
        )
    try:
        zone = datetime.fromisoformat(row.at).tzinfo
    except ValueError:
        zone = None
    if zone is None:
        raise ManifestError(
            f"{where}: at {row.at!r:.80} is no time such as 2026-03-01T12:30:00+00:00; {mend}"
        )
    if row.sha256 and (len(row.sha256) != 64 or set(row.sha256) - set("0123456789abcdef")):
        raise ManifestError(f"{where}: sha256 {row.sha256!r:.80} is not 64 hexadecimal digits")
    return row


def _write(review: Review, log: tuple[Decision, ...]) -> Review:
    """Write the log; what a killed process left half-written is swept away first."""
    for left in review.folder.glob(f".{Path(FILE).stem}.????????.csv"):
        with suppress(OSError):
            left.unlink()
    with replacing(review.file) as path, path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(map(astuple, log))
        file.flush()
        os.fsync(file.fileno())
    return replace(review, log=log)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One writer at a time; the lock of a killed process is gone with it. Not on Windows."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    path = folder / f".{Path(FILE).stem}.lock"
    try:
        file = path.open("a")
    except OSError as error:
        raise WriteError(
            f"cannot write {folder / FILE}: {error.strerror}; the folder of the clips must be "
            "writable for a review"
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
