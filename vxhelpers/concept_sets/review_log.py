"""The log of a review: one row a decision, in the order in which they were made.

Taking a decision back removes its row, so that what was decided before counts again. The file is
read anew before each change, under a lock, and written whole and synchronised to disk: neither a
killed process nor a second reviewer at the same folder loses a row, and a file that cannot be
understood is never written over.
"""

import csv
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from vxhelpers.errors import ManifestError, UnknownNameError
from vxhelpers.io.files import WriteError, replacing

COLUMNS = ("clip_id", "decision", "reviewer", "at", "sha256")
KINDS = ("accept", "reject", "skip")


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


def read(path: Path, known: Collection[str]) -> tuple[Decision, ...]:
    """The rows of a log, none where there is no file.

    Parameters
    ----------
    path
        The CSV file.
    known
        Ids of the clips that decisions may be about.

    Raises
    ------
    ManifestError
        If the header, a row, a decision, a time or a clip cannot be; the text names file and line.
    """
    if not path.is_file():
        return ()
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


@contextmanager
def changing(path: Path, known: Collection[str]) -> Iterator[list[Decision]]:
    """Give the rows as a list to change; it is written at the end, unless the body raises.

    Parameters
    ----------
    path, known
        As for :func:`read`.

    Raises
    ------
    ManifestError
        If the file cannot be understood; it stays as it is.
    WriteError
        If it cannot be written.
    """
    with _locked(path):
        log = list(read(path, known))
        yield log
        for left in path.parent.glob(f".{path.stem}.????????{path.suffix}"):
            with suppress(OSError):  # what a killed process left half-written
                left.unlink()
        with replacing(path) as new, new.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(map(astuple, log))
            file.flush()
            os.fsync(file.fileno())


def _row(cells: Mapping[str, Any], known: Collection[str], where: str) -> Decision:
    if None in cells or None in cells.values():
        raise ManifestError(f"{where}: has more or fewer cells than the header")
    row = Decision(**{k: text if k == "clip_id" else text.strip() for k, text in cells.items()})
    mend = "correct the line or delete it"
    if row.clip_id not in known:
        error = UnknownNameError("clip", row.clip_id, known)
        raise ManifestError(f"{where}: {error}; {mend}")
    if row.decision not in KINDS:
        raise ManifestError(
            f"{where}: decision {row.decision!r:.80} is none of {', '.join(KINDS)}; {mend}"
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


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One writer at a time; the lock of a killed process is gone with it. Not on Windows."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    try:
        file = path.with_name(f".{path.stem}.lock").open("a")
    except OSError as error:
        raise WriteError(
            f"cannot write {path}: {error.strerror}; a review needs a folder that can be written to"
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
