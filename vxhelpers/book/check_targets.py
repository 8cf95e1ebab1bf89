"""Targets checked before any chapter runs."""

import json
from collections.abc import Sequence
from pathlib import Path

from vxhelpers.book.run_targets import _FEWEST, _SHIPPED, Target, _is_path, _metadata, _test_clips
from vxhelpers.errors import InputError, UnknownNameError, WeightsError


def check(targets: Sequence[Target]) -> None:
    """Check targets before minutes are spent on them: the data have the clips, the weights fit.

    Reads manifests and what weights files say of themselves (safetensors); neither videos nor
    tensors.

    Raises
    ------
    InputError
        If a class has fewer than two test clips: intervals need two.
    WeightsError
        If weights are of another architecture, or damaged.
    UnknownNameError
        If the network lacks the label of a test clip.
    """
    tested = {source: _test_clips(source) for source in {t.dataset: None for t in targets}}
    named = {(t.model, t.weights): _known_labels(t) for t in targets}
    for target in targets:
        source, labels = target.dataset, tested[target.dataset]
        if (count := labels.get(target.action, 0)) < _FEWEST:
            raise InputError(
                f"{source}: {count} clips of class {target.action!r} in split 'test'; "
                "the chapters need two or more: add videos, or windows (vx data scan)"
            )
        known = named[target.model, target.weights]
        for label in labels:
            if known is not None and label not in known:
                where = f"{target.weights} (train it on {source}, or take the rows out)"
                raise UnknownNameError("label", label, known, where=where)


def _known_labels(target: Target) -> tuple[str, ...] | None:
    """Labels that a target's weights name; None where only opening them would tell."""
    if target.weights in (None, "random"):
        return None
    path = Path(target.weights)
    if not _is_path(target.weights):
        path = _SHIPPED / f"{target.model}-{target.weights}.safetensors"
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    metadata = _metadata(path)
    if (arch := metadata.get("arch", target.model)) != target.model:
        raise WeightsError(
            f"{path}: weights of {arch!r}, not of {target.model!r}; leave --model out, or name "
            "other weights"
        )
    try:
        return tuple(map(str, json.loads(metadata["labels"]))) if "labels" in metadata else None
    except ValueError as error:
        raise WeightsError(f"{path}: the labels in its metadata are not a JSON list") from error
