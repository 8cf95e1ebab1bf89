"""Supervoxels as network input: in place with all else filled, or cropped and enlarged.

Inputs are made on the device from label volumes, a batch at a time; no clip of a supervoxel is ever
written.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from vxhelpers.errors import InputError
from vxhelpers.models.nets.entry import Entry

Form = Literal["in place", "cropped"]
Fill = Literal["mean", "black"] | tuple[int, int, int]

FORMS: tuple[Form, ...] = ("in place", "cropped")


def fill_values(entry: Entry, fill: Fill = "mean") -> Tensor:
    """What stands where nothing is shown, as a network's input has it.

    Parameters
    ----------
    entry
        The network's, for its normalisation.
    fill
        ``"mean"``, the training mean: zero once normalised; ``"black"``; or R, G, B of 0 to 255.

    Returns
    -------
    Tensor
        ``(3,)`` float32, normalised.

    Raises
    ------
    InputError
        If it is none of these.
    """
    if fill == "mean":
        return torch.zeros(3)
    colour = (0, 0, 0) if fill == "black" else fill
    if isinstance(colour, str) or len(colour) != 3 or not all(0 <= v <= 255 for v in colour):
        raise InputError(f"fill={fill!r}: 'mean', 'black', or (R, G, B) of 0 to 255")
    # As `vxhelpers.data.sampling.prepare` rounds, so that a clip of that colour is the fill to the
    # bit.
    mean, std = (torch.tensor(v, dtype=torch.float64) for v in (entry.mean, entry.std))
    scale = 1 / (255 * std)
    return torch.tensor(colour).float() * scale.float() - (mean * 255 * scale).float()


def masks_of(labels: Tensor, kept: Sequence[tuple[int, int]]) -> Tensor:
    """Masks ``(K, T, H, W)`` bool of K supervoxels, on the device of the label volumes.

    Parameters
    ----------
    labels
        ``(S, T, H, W)`` integers, one volume a resolution.
    kept
        K pairs of a resolution's index and a label in it.
    """
    pairs = torch.tensor(kept, dtype=torch.int64, device=labels.device).reshape(-1, 2)
    return labels[pairs[:, 0]] == pairs[:, 1, None, None, None].to(labels.dtype)


def masked(x: Tensor, masks: Tensor, *, fill: Tensor | None = None) -> Tensor:
    """Show a clip through masks, in place: the paper's equation 3, but for the fill.

    What is visible stays to the bit, what is not is the fill to the bit: a mask of True gives the
    clip back, one of False the blank input.

    Parameters
    ----------
    x
        ``(C, T, H, W)`` prepared clip.
    masks
        ``(K, T, H, W)`` bool, True where the clip is visible.
    fill
        ``(C,)`` normalised (:func:`fill_values`); zeros, the training mean, unless given. The
        paper multiplies by the mask, which is the same where the mean was subtracted.

    Returns
    -------
    Tensor
        ``(K, C, T, H, W)`` on the device of ``x``.

    Raises
    ------
    InputError
        If shapes do not fit.
    """
    ground = _ground(x, masks, fill)
    return torch.where(masks[:, None].to(x.device), x[None], ground)


def cropped(x: Tensor, masks: Tensor, *, fill: Tensor | None = None) -> Tensor:
    """Cut each mask's box out of a clip and enlarge it to the input: the paper's section 3.1.

    The box is the smallest that holds the mask in all frames; what is in it but not in the mask is
    filled. Every frame stays, those without the supervoxel being all fill, so that its time in the
    clip is kept; its place and size are not, which is why :func:`masked` is the default. Enlarged
    bilinearly, to the whole input: the aspect changes.

    Parameters and result as in :func:`masked`.

    Raises
    ------
    InputError
        If shapes do not fit or a mask is empty.
    """
    _ground(x, masks, fill)
    shape, found = x.shape[2:], []
    for index, mask in enumerate(masks.to(x.device)):
        rows, columns = (mask.any(0).any(axis).nonzero()[:, 0] for axis in (1, 0))
        if not len(rows):
            raise InputError(f"mask {index} is empty: it has no box to crop to")
        box = (
            slice(int(rows[0]), int(rows[-1]) + 1),
            slice(int(columns[0]), int(columns[-1]) + 1),
        )
        piece = masked(x[:, :, *box], mask[None, :, *box], fill=fill)[0].transpose(0, 1)
        large = F.interpolate(piece, size=[*shape], mode="bilinear", align_corners=False)
        found.append(large.transpose(0, 1))
    return torch.stack(found)


def rendered(x: Tensor, masks: Tensor, *, form: Form, fill: Tensor | None = None) -> Tensor:
    """:func:`masked` or :func:`cropped`, by name."""
    if form not in FORMS:
        raise InputError(f"form={form!r}: one of {', '.join(map(repr, FORMS))}")
    return (masked if form == "in place" else cropped)(x, masks, fill=fill)


def _ground(x: Tensor, masks: Tensor, fill: Tensor | None) -> Tensor:
    """The fill as ``(1, C, 1, 1, 1)``, once all shapes are known to fit."""
    if (
        x.ndim != 4
        or masks.ndim != 4
        or masks.dtype != torch.bool
        or masks.shape[1:] != x.shape[1:]
    ):
        raise InputError(
            f"masks (K, T, H, W) bool for a clip (C, T, H, W) are needed, not {masks.dtype} "
            f"{tuple(masks.shape)} for {tuple(x.shape)}"
        )
    fill = x.new_zeros(len(x)) if fill is None else fill.to(x)
    if fill.shape != (len(x),):
        raise InputError(f"a fill has one value a channel, {len(x)}, not {tuple(fill.shape)}")
    return fill.view(1, -1, 1, 1, 1)
