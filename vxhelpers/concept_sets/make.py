"""Concept sets of a class's videos: one pass of the detector, then clips with their provenance.

Every video is decoded or rendered once and looked at until there are enough pieces; each piece is
written at once in all its versions (see :mod:`vxhelpers.concept_sets.crops`). Scored clips, concept
clips and random clips share no video. Same content and options give the same files.
"""

import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

from vxhelpers.concept_sets import (
    ambiguity,
    crops,
    gathering,
    pieces,
    tracking,
    tracks,
    writing,
    yolo,
)
from vxhelpers.concept_sets import detector as detector_code
from vxhelpers.concept_sets.detector import Detector, check_labels, load_detector
from vxhelpers.concept_sets.folder import ConceptFolder, ConceptSet, read
from vxhelpers.concept_sets.gathering import Gathering
from vxhelpers.concept_sets.review import PROVENANCE
from vxhelpers.concept_sets.settings import ConceptRequest, ConceptSetSettings, Output
from vxhelpers.concept_sets.tracking import TRUTH
from vxhelpers.data import splits, video
from vxhelpers.data.datasets import DataSet
from vxhelpers.data.stage.scene import INSTANCES
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.io.cache import Store, key
from vxhelpers.io.files import WriteError, sha256

__all__ = ["ConceptFolder", "ConceptSet", "make", "read"]

# What is made depends on their code, and so does the key it is kept by.
_MAKERS = (crops, splits, pieces, writing, gathering)
_FINDERS = (yolo, detector_code, tracking, tracks, ambiguity, video)


def make(
    data: DataSet,
    action: str,
    objects: Sequence[str],
    *,
    detector: Detector | str | Path = "stage",
    others: DataSet | None = None,
    settings: ConceptSetSettings = ConceptSetSettings(),
    seed: int = 0,
    output: Output = Output(),
) -> ConceptFolder:
    """Make the concept sets, random sets and controls that a class is to be explained with.

    Parameters
    ----------
    data, action
        The videos, and the class.
    objects
        Labels of the detector: each becomes a dynamic and a static concept, with its controls.
    detector
        As `vxhelpers.concept_sets.detector.load_detector` takes it, or loaded, or ``"ground
        truth"`` for the stage's own boxes.
    others
        Data set that random clips come from; by default ``data``.
    settings
        How many clips of what.
    seed
        Of all that is drawn.
    output
        Folder, store and progress bar.

    Returns
    -------
    ConceptFolder
        As :func:`vxhelpers.concept_sets.make.read` gives it.

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
    request = ConceptRequest(action, tuple(objects), settings, seed)
    store = Store() if output.store is None else output.store
    eye = None if detector == TRUTH else detector
    if eye is not None and not isinstance(eye, Detector):
        eye = load_detector(eye)
    if eye is None:
        for name in request.objects:
            if name not in INSTANCES:
                raise UnknownNameError("object", name, INSTANCES, where="the stage")
    else:
        check_labels(eye, request.objects)
    parts = {
        "data": _content(data),
        "others": None if others is None else _content(others),
        "request": asdict(request),
        "detector": TRUTH if eye is None else [eye.digest, eye.image_size],
        "code": [
            sha256(Path(module.__file__)) for module in (*_MAKERS, *_FINDERS) if module.__file__
        ],
    }
    name = key(parts)
    target = store.root / "concepts" / name[:32] if output.folder is None else Path(output.folder)
    if _holds(target, name):
        return read(target, skip_unreadable=settings.skip_unreadable)
    beside = target.with_name(f".{target.name}.{uuid4().hex[:8]}")
    try:
        beside.mkdir(parents=True)
        source = data if others is None else others
        Gathering(beside, request, data, source, eye, store).run(name, output.progress)
        _put(beside, target, name)
    except OSError as error:
        if isinstance(error, WriteError):
            raise
        raise WriteError(
            f"cannot write {target}: {error.strerror}; free some space or name another place"
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return read(target, skip_unreadable=settings.skip_unreadable)


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
