"""Videos on disk against manifests: a folder becomes a manifest, a manifest is verified.

Why not pytorchvideo's ``LabeledVideoPaths`` and clip samplers here: the former takes only ``.mp4``
and ``.avi``, leaves other files out without a word and keeps labels as numbers; the latter let
windows overlap silently where a video is too short for them, which would leak from training into
test.
"""

import csv
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vxhelpers.data.manifest import Manifest, Row, locate, write
from vxhelpers.data.video import EXTENSIONS, VideoInfo, probe_video
from vxhelpers.errors import InputError, ManifestError, VideoError, VxError
from vxhelpers.io.files import sha256

Kind = Literal["missing", "unreadable", "duplicate", "out of range", "hash mismatch"]
Progress = Callable[[Iterable[Any], int], Iterable[Any]]
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class _Looked:
    """What was found out about one file."""

    info: VideoInfo | None
    sha256: str
    error: str


def scan(
    folder: str | Path,
    *,
    name: str | None = None,
    labels: str | Path | None = None,
    windows: int | None = None,
    seconds: float | None = None,
    split: Literal["video", "time"] = "video",
    val: float = 0.15,
    test: float = 0.25,
    seed: int = 0,
    skip_unreadable: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Make a manifest of a folder of videos.

    Parameters
    ----------
    folder
        Holds ``<class>/<video>``, or ``train|val|test/<class>/<video>`` (the splits are then
        these), or with ``labels`` videos anywhere.
    name
        Of the data set; the folder's unless given.
    labels
        A CSV with the columns ``path,label``; paths from the folder. Videos that it does not list
        are left out and counted in the card, as are files whose ending is no video's.
    windows, seconds
        Clips a video, and their length. Neither: the whole file is one clip. ``windows`` alone:
        so many equal parts. ``seconds`` alone: as many as fit. Both: so many, evenly spread,
        fewer where they would overlap. A video shorter than ``seconds`` is one clip.
    split
        ``"video"``: all clips of a video are in one split, drawn class by class. ``"time"``: of
        each video the first clips are for training, then validation, the last for test.
        Clips never overlap. Clips of one video look alike: an accuracy on a split in time says
        little about new videos.
    val, test
        Shares of the videos (or of each video's clips) for validation and test, at least one of
        each where the share is above 0 and there are enough.
    seed
        Of the drawing.
    skip_unreadable
        Leave unreadable videos out, listed in the card, instead of raising.
    progress
        Wraps the loop over the files: takes an iterable and its length.

    Returns
    -------
    Manifest
        With times in milliseconds and each file's SHA-256.

    Raises
    ------
    ManifestError
        If no video or no class is found, videos cannot be read (all are listed), or the labels
        file cannot be used.
    InputError
        If an option is out of range.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ManifestError(f"{folder}: no such folder")
    if (windows is not None and windows < 1) or (seconds is not None and not 0 < seconds < 1e6):
        raise InputError(f"windows and seconds must be above 0, not {windows} and {seconds}")
    if min(val, test) < 0 or val + test >= 1:
        raise InputError(f"val and test are shares that leave some for training: {val}, {test}")
    if split == "time" and seconds is None and (windows or 1) < 2:
        raise InputError("a split in time needs several clips a video: give windows or seconds")
    if split not in ("video", "time"):
        raise InputError(f"split must be 'video' or 'time', not {split!r}")
    found = _files(folder)
    listed = _by_folder(folder, found) if labels is None else _by_csv(folder, Path(labels))
    paths = list(listed)
    looked = _look_at({path: folder / path for path in paths}, progress)
    bad = {path: look.error for path, look in looked.items() if look.error}
    if bad and not skip_unreadable:
        lines = "\n".join(f"  {error}" for error in bad.values())
        raise ManifestError(
            f"{folder}: {len(bad)} of {len(paths)} videos cannot be read:\n{lines}\n"
            "obtain them again, or leave them out with skip_unreadable (--skip-unreadable)"
        )
    good = [path for path in paths if path not in bad]
    if not good:
        raise ManifestError(f"{folder}: none of {len(paths)} videos can be read")
    by_video = _draw({p: listed[p] for p in good}, val, test, np.random.default_rng(seed))
    stems = [str(Path(path).with_suffix("")) for path in paths]
    rows = []
    for path in good:
        info, label = looked[path].info, listed[path][0]
        assert info is not None
        times = _windows(info.duration_s, windows, seconds)
        stem = str(Path(path).with_suffix(""))
        stem = path if stems.count(stem) > 1 else stem
        whole = len(times) == 1 and windows is None and seconds is None
        shares = _in_time(len(times), val, test) if split == "time" else None
        for k, (start, end) in enumerate(times):
            part = listed[path][1] or (shares[k] if shares else by_video[path])
            row = Row(f"{stem}#{k}", path, label, part, start, end, looked[path].sha256)
            rows.append(replace(row, clip_id=stem, start_s=None, end_s=None) if whole else row)
    card = {
        "name": name or folder.resolve().name,
        "title": f"Videos of the folder {folder.resolve().name}",
        "source": "scanned by vx data scan",
        "labels": sorted({label for label, _ in listed.values()}),
        "counts": {part: sum(row.split == part for row in rows) for part in SPLITS},
        "split": {"by": split, "val": val, "test": test, "seed": seed},
        "windows": {"a_video": windows, "seconds": seconds},
        "videos": len(good),
        "left_out": {
            "not_listed": len(set(found) - set(listed)),
            "unreadable": bad,
            "other_endings": _other_endings(folder),
        },
    }
    return Manifest(str(card["name"]), tuple(rows), card, None)


def write_beside(manifest: Manifest, path: str | Path, folder: str | Path) -> None:
    """Write a scanned manifest; its card says where the folder is, seen from the CSV."""
    path = Path(path)
    root = os.path.relpath(Path(folder).resolve(), path.parent.resolve())
    write(replace(manifest, card={**manifest.card, "root": Path(root).as_posix()}), path)


def _look_at(files: dict[str, Path], progress: Progress | None) -> dict[str, _Looked]:
    """Look at files in a few threads; an interrupt drops what is not begun."""
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        results = pool.map(_look, files.values())
        shown = progress(results, len(files)) if progress else results
        return dict(zip(files, shown, strict=True))
    finally:
        pool.shutdown(cancel_futures=True)


def _look(file: Path) -> _Looked:
    try:
        content = sha256(file)
    except OSError as error:
        return _Looked(None, "", f"{file}: {error.strerror}")
    try:
        return _Looked(probe_video(file), content, "")
    except VideoError as error:
        return _Looked(None, content, str(error))


def _files(folder: Path) -> list[str]:
    """Videos below a folder by their extension, hidden ones left out."""
    files = (file for file in folder.rglob("*") if file.suffix.lower() in EXTENSIONS)
    paths = (file.relative_to(folder) for file in files if file.is_file())
    return sorted(p.as_posix() for p in paths if not any(x.startswith(".") for x in p.parts))


def _other_endings(folder: Path) -> dict[str, int]:
    """Number of files by their ending, of those that are no video by it; hidden ones left out."""
    paths = (file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    shown = (path for path in paths if not any(part.startswith(".") for part in path.parts))
    endings = Counter(path.suffix.lower() for path in shown)
    known = {*EXTENSIONS, ".csv", ".yaml"}  # labels and manifests may lie here too
    return {ending: endings[ending] for ending in sorted(endings) if ending not in known}


def _by_folder(folder: Path, files: list[str]) -> dict[str, tuple[str, str]]:
    """Label and split (empty: to be drawn) of each video by the folders it lies in."""
    if not files:
        raise ManifestError(f"{folder}: holds no video ({', '.join(EXTENSIONS)})")
    tops = {path.split("/")[0] for path in files}
    depth = 1 if tops <= set(SPLITS) else 0
    for path in files:
        if path.count("/") <= depth:
            raise ManifestError(
                f"{folder / path}: lies in no class folder; put it into <class>/, or name the "
                "classes in a CSV with the columns path,label (labels, --labels)"
            )
    return {p: (p.split("/")[depth], p.split("/")[0] if depth else "") for p in files}


def _by_csv(folder: Path, labels: Path) -> dict[str, tuple[str, str]]:
    listed: dict[str, tuple[str, str]] = {}
    try:
        with labels.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if not {"path", "label"} <= set(reader.fieldnames or ()):
                raise ManifestError(f"{labels}: the header must have the columns path,label")
            for cells in reader:
                where = f"{labels}, line {reader.line_num}"
                if None in cells:
                    raise ManifestError(
                        f"{where}: has more cells than the header; put quotes round a path or a "
                        "label with a comma in it"
                    )
                path, label = ((cells[x] or "").strip() for x in ("path", "label"))
                if not path or not label:
                    raise ManifestError(f"{where}: path or label is empty")
                if path in listed:
                    raise ManifestError(f"{where}: {path} is listed twice")
                try:
                    locate(Row(path, path, label, ""), folder)
                except VxError as error:
                    raise ManifestError(f"{where}: {error}") from None
                listed[path] = label, ""
    except OSError as error:
        raise ManifestError(f"{labels}: cannot be read: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise ManifestError(f"{labels}: cannot be read as a CSV in UTF-8: {error}") from error
    if not listed:
        raise ManifestError(f"{labels}: lists no video")
    return listed


def _windows(
    duration: float, windows: int | None, seconds: float | None
) -> list[tuple[float, float]]:
    """Half-open windows that do not overlap, in milliseconds, evenly spread over the video."""
    fit = max(1, int(duration / seconds + 1e-6)) if seconds else windows or 1
    count = min(windows or fit, fit)
    length = min(seconds or duration / count, duration)
    starts = np.round(np.linspace(0, duration - length, count), 3).tolist() if count > 1 else [0.0]
    ends = [round(start + length, 3) for start in starts]
    for k, (_, following) in enumerate(pairwise(starts)):
        ends[k] = min(ends[k], following)
    ends[-1] = min(ends[-1], round(duration, 3))
    return list(zip(starts, ends, strict=True))


def _in_time(count: int, val: float, test: float) -> list[str]:
    """Splits of one video's clips: train first, then val, test last."""
    n_test = max(1, round(test * count)) if test and count >= 2 else 0
    n_val = max(1, round(val * count)) if val and count - n_test >= 2 else 0
    return ["train"] * (count - n_val - n_test) + ["val"] * n_val + ["test"] * n_test


def _draw(
    listed: dict[str, tuple[str, str]], val: float, test: float, rng: np.random.Generator
) -> dict[str, str]:
    """Splits of whole videos, drawn class by class."""
    classes = defaultdict(list)
    for path, (label, _) in listed.items():
        classes[label].append(path)
    drawn: dict[str, str] = {}
    for label in sorted(classes):
        order = rng.permutation(sorted(classes[label])).tolist()
        drawn.update(zip(order, _in_time(len(order), val, test), strict=True))
    return drawn
