"""Where networks go, unless told."""

import os

import torch

from vxhelpers.errors import InputError


def default_device() -> torch.device:
    """Say where networks go: what ``VX_DEVICE`` names, else a GPU where there is one, else the CPU.

    Raises
    ------
    InputError
        If ``VX_DEVICE`` is not the name of a device.
    """
    named = os.environ.get("VX_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(named)
    except RuntimeError:
        raise InputError(f"VX_DEVICE={named}: cpu, cuda, cuda:1, ... is needed") from None
