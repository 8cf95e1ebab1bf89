"""Checkpoints of a training run, tied to what they are of."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from vxhelpers.errors import InputError, WeightsError
from vxhelpers.io.files import replacing
from vxhelpers.models.training.presets import Preset

FORMAT = 1  # of checkpoints


def _fingerprint(preset: Preset, seed: int, *parts: Any) -> str:
    """What makes two runs the same run: recipe, seed, data, and the weights they start from."""
    train_set, val_set, model = parts
    digest = hashlib.sha256(json.dumps([asdict(preset), seed]).encode())
    digest.update((train_set.digest() + val_set.digest()).encode())
    for name, value in model.net.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _save_checkpoint(path: Path, **content: Any) -> None:
    with replacing(path) as temporary:
        torch.save(content, temporary)


def _load_checkpoint(path: Path, run: str) -> dict[str, Any]:
    try:
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"{path}: not a readable checkpoint ({error}); delete it or start anew with --no-resume"
        ) from error
    if saved.get("format") != FORMAT or saved.get("run") != run:
        raise InputError(
            f"{path}: checkpoint of another run (other recipe, seed, clips or initial weights); "
            "name another folder, or start anew with --no-resume"
        )
    return saved
