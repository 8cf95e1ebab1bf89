"""Every clip of a manifest checked: there, readable, no duplicate, long enough, unchanged."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vxhelpers.data.manifest import Manifest, Row, locate
from vxhelpers.data.scan import Kind, Progress, _look_at, _Looked
from vxhelpers.errors import ManifestError


@dataclass(frozen=True)
class Problem:
    """A row that cannot be used as it is.

    Parameters
    ----------
    clip_id, path
        The row's.
    kind
        What is wrong.
    detail
        In words, with the figures.
    """

    clip_id: str
    path: str
    kind: Kind
    detail: str


def verify(
    manifest: Manifest, root: str | Path, *, progress: Progress | None = None
) -> list[Problem]:
    """Check a manifest's rows against the files: each is there, readable, long enough and itself.

    Parameters
    ----------
    manifest
        The manifest.
    root
        Folder that its paths start from.
    progress
        Wraps the loop over the files: takes an iterable and its length.

    Returns
    -------
    list of Problem
        In the order of the rows; empty when all is well. Duplicates are rows with the same
        interval of the same content, whatever the files are called.

    Raises
    ------
    ManifestError
        If the root is no folder.
    """
    if not Path(root).is_dir():
        raise ManifestError(f"{root}: no such folder; --root is where the videos lie")
    places: dict[str, Path | str] = {}
    for row in manifest.rows:
        try:
            places.setdefault(row.path, locate(row, root))
        except ManifestError as error:
            places[row.path] = str(error)
    present = {p: f for p, f in places.items() if isinstance(f, Path) and f.is_file()}
    looked = _look_at(present, progress)
    problems: list[Problem] = []
    first: dict[tuple[str, float | None, float | None], str] = {}
    for row in manifest.rows:
        for kind, detail in _faults(row, places[row.path], looked.get(row.path)):
            problems.append(Problem(row.clip_id, row.path, kind, detail))
        if row.path in looked:
            content = (looked[row.path].sha256, row.start_s, row.end_s)
            if content in first:
                same = f"same content and interval as {first[content]!r}"
                problems.append(Problem(row.clip_id, row.path, "duplicate", same))
            first.setdefault(content, row.clip_id)
    return problems


def _faults(row: Row, place: Path | str, look: _Looked | None) -> Iterator[tuple[Kind, str]]:
    if look is None:
        yield "missing", place if isinstance(place, str) else "no such file"
        return
    if row.sha256 and look.sha256 != row.sha256:
        yield "hash mismatch", f"the file is {look.sha256[:12]}, the manifest {row.sha256[:12]}"
    if look.info is None:
        yield "unreadable", look.error
    elif row.end_s is not None and (row.end_s > look.info.duration_s + max(0.1, 2 / look.info.fps)):
        yield "out of range", f"ends at {row.end_s:g} s, the video at {look.info.duration_s:.3f} s"
