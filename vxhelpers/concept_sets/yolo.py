"""ultralytics, kept in bounds: imported quietly, its nets built and its checkpoints read.

The library is under AGPL-3.0 and an optional extra of this package (``concepts``).
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import torch

from vxhelpers.errors import InputError, WeightsError
from vxhelpers.io.cache import default_root


def library() -> ModuleType:
    """Import ultralytics so that it installs, downloads, reports and prints nothing.

    Its settings lie in the cache folder, and what it changes on import (environment, number
    formats, OpenCV's threads, ``torch.save``) is put back.

    Raises
    ------
    InputError
        If it isn't installed.
    """
    if "ultralytics" in sys.modules and sys.modules["ultralytics"] is not None:
        return sys.modules["ultralytics"]
    folder = default_root() / "ultralytics"
    folder.mkdir(parents=True, exist_ok=True)
    threads, save, numbers = cv2.getNumThreads(), torch.save, np.get_printoptions()
    with keeping_environment():
        quiet = {"YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true", "YOLO_VERBOSE": "false"}
        os.environ.update(quiet, YOLO_CONFIG_DIR=str(folder))
        try:
            import ultralytics
            import ultralytics.utils
        except ImportError as error:
            raise InputError(
                f"detectors need ultralytics ({error}); install the extra: "
                "pip install 'vxhelpers[concepts]'"
            ) from error
        finally:
            cv2.setNumThreads(threads)
            np.set_printoptions(**numbers)
            torch.set_printoptions(profile="default")  # type: ignore[no-untyped-call]
            torch.save = save
    found: ModuleType = ultralytics
    return found


@contextmanager
def keeping_environment() -> Iterator[None]:
    """Give the environment variables back as they were."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def keeping_threads() -> Iterator[None]:
    """Give torch's number of threads back afterwards: ultralytics sets its own on the CPU."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


# From, repeats, module and arguments of each layer behind YOLO11's backbone: its own way up goes on
# to the grid of 4 pixels, and down to 16 only.
_FINE_HEAD: list[list[Any]] = [
    [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
    [[-1, 6], 1, "Concat", [1]],
    [-1, 2, "C3k2", [512, False]],
    [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
    [[-1, 4], 1, "Concat", [1]],
    [-1, 2, "C3k2", [256, False]],
    [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
    [[-1, 2], 1, "Concat", [1]],
    [-1, 2, "C3k2", [128, False]],
    [-1, 1, "Conv", [128, 3, 2]],
    [[-1, 16], 1, "Concat", [1]],
    [-1, 2, "C3k2", [256, False]],
    [-1, 1, "Conv", [256, 3, 2]],
    [[-1, 13], 1, "Concat", [1]],
    [-1, 2, "C3k2", [512, False]],
    [[19, 22, 25], 1, "Detect", ["nc"]],
]


def narrow_net(labels: tuple[str, ...], *, depth: float, width: float, finest: int = 8) -> Any:
    """Build YOLO11 (Jocher and Qiu 2024) with so much of its depth and width.

    With ``finest=4`` boxes are looked for on grids of 4, 8 and 16 pixels in place of 8, 16 and 32:
    a ball of 9 pixels that flies before a person has no cell of an 8-pixel grid for itself. Sides
    then reach 7 cells from a cell's middle, not 15.

    Parameters
    ----------
    labels
        What it is to know.
    depth, width
        Share of the layers in a block, and of the channels; the smallest published one has 0.5
        and 0.25.
    finest
        Cell of the finest grid in pixels, 4 or 8.

    Returns
    -------
    ultralytics.nn.tasks.DetectionModel
        With random weights, from torch's global generator.
    """
    library()
    from ultralytics.nn.tasks import DetectionModel
    from ultralytics.utils import ROOT, YAML

    plan = YAML.load(ROOT / "cfg/models/11/yolo11.yaml")
    del plan["scales"]
    plan |= {"nc": len(labels), "depth_multiple": depth, "width_multiple": width}
    if finest == 4:
        plan |= {"head": _FINE_HEAD, "reg_max": 8}
    net = DetectionModel(plan, ch=3, nc=len(labels), verbose=False)
    net.names = dict(enumerate(labels))
    return net


def fetch(path: Path, folder: str | None) -> Path:
    """Fetch a checkpoint that ultralytics publishes.

    Parameters
    ----------
    path
        Where to put it; its name says which.
    folder
        Where the user keeps weights, for the message.

    Raises
    ------
    WeightsError
        If there is none of that name or no network: says which file to put where.
    """
    library()
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, attempt_download_asset

    where = f"put {path.name} into {folder or 'the folder that VX_WEIGHTS names'} or {path.parent}"
    if path.name not in GITHUB_ASSETS_NAMES:
        raise WeightsError(f"{path.name}: no such file, nor does ultralytics publish one; {where}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        attempt_download_asset(path, retry=0, progress=False)
    except Exception as error:  # no network, no such release, a full disk: all want the same remedy
        raise WeightsError(
            f"{path.name} is not on this machine and cannot be fetched ({first_line(error)}); "
            f"{where}"
        ) from error
    return path


def read_checkpoint(path: Path) -> tuple[Any, int]:
    """Read a detector and its image size from a ``.pt`` file.

    Such a file is a pickle. It is read against ultralytics' list of known classes, so that nothing
    else in it is run.

    Raises
    ------
    WeightsError
        If it is damaged, holds other classes, or a net that is no detector.
    """
    library()
    from ultralytics.nn.tasks import DetectionModel, torch_safe_load

    try:
        content, _ = torch_safe_load(str(path), safe_only=True)
        net = content.get("ema") or content.get("model")
    except Exception as error:  # a damaged zip, a pickle of something else, a class not on the list
        raise WeightsError(f"{path}: damaged, or not a checkpoint: {first_line(error)}") from error
    if type(net) is not DetectionModel:
        raise WeightsError(f"{path}: holds a {type(net).__name__}; a detector is needed")
    own = content.get("train_args", {}).get("imgsz", 640)
    return net.float().eval(), own


def first_line(error: Exception) -> str:
    """The first line of another library's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
