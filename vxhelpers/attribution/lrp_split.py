"""Relevance split in space and time: what stills already answer for, and what movement adds."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vxhelpers.attribution.lrp import relevance
from vxhelpers.attribution.lrp_rules import Composite
from vxhelpers.models.probe import Target
from vxhelpers.models.zoo import Model


@dataclass(frozen=True, eq=False)
class Split:
    """Relevance of clips, and how much of it the frames have as stills.

    Parameters
    ----------
    whole, spatial, temporal
        ``(N, T, H, W)`` float32 raw and signed maps; ``whole = spatial + temporal``.
    scores
        ``(N,)`` logits of the explained classes.
    still_scores
        ``(N, T)`` logits of the same classes for the clips that hold one frame still.
    """

    whole: Tensor
    spatial: Tensor
    temporal: Tensor
    scores: Tensor
    still_scores: Tensor


def split(
    model: Model,
    x: Tensor,
    *,
    target: Target = None,
    composite: Composite = "deep_taylor",
    batch_size: int | None = None,
) -> Split:
    r"""Separate relevance that frames have as stills from relevance that needs movement.

    Each frame :math:`t` is held still for a clip of its own, :math:`x^{(t)}`. With :math:`R(x)` the
    map of `vxhelpers.attribution.lrp.lrp`, for the same class throughout,

    .. math:: R^{spatial}_t(x) = R_t(x^{(t)}), \qquad R^{temporal}_t(x) = R_t(x) - R_t(x^{(t)}),

    the discriminative relevance of Hiley, Preece, Hicks, Marshall and Taylor, "Discriminating
    Spatial and Temporal Relevance in Deep Taylor Decompositions for Explainable Activity
    Recognition" (2019), as read from its abstract and the first author's published code
    (torchexplain, ``ucfcrime_d-dtd.py``); the paper's text was not at hand. Where a score adds up
    over frames, each looked at alone and with no evidence against the class, temporal relevance is
    0. Where it reads nothing but differences of frames, without biases, spatial relevance is 0.

    **Deviations** from that code. It hands down 1, not the logit, and divides each map by its
    largest magnitude before the difference is taken: a still that does not speak for the class
    then gets as much relevance as the clip. Here nothing is scaled. It reads a still's relevance
    at the first frame; here it is read at the frame's own place in time. Padding, strides and
    max-pooling (the first of equals wins) weigh places: over one still clip in ``stage_r3d`` the
    first frame has 17 times the relevance of the last.

    **What it cannot say.** A clip that stands still is unlike those the network was trained on,
    and its logit may be anything (`Split.still_scores`). As deep Taylor maps add up to the logit,
    and differ little between classes, the sums of the parts say little more than the logits do;
    where a still's logit is negative, so is its relevance, and the temporal part is larger than
    the whole. Relevance also moves between pixels from one clip to the other: both parts can be
    large where their sums are small.

    Parameters
    ----------
    model, x, target, composite
        As `vxhelpers.attribution.lrp.lrp` takes them; ``"deep_taylor"`` is the paper's.
    batch_size
        Clips in one pass; unless told, all clips, and then the T stills of one clip at a time. The
        cost is T + 1 maps a clip (17 for 16 frames), each of two forward passes and a backward
        pass.

    Raises
    ------
    InputError, UnknownNameError, NotFiniteError
        As `vxhelpers.attribution.lrp.lrp` does; in the text of an error on a still, the clip is
        counted among the frames.
    """
    whole = relevance(model, x, target=target, composite=composite, batch_size=batch_size)
    spatial, still_scores = [], []
    for clip, label in zip(x, whole.targets.tolist(), strict=True):
        frames = clip.shape[1]
        # (T, C, T, H, W) without the memory: each frame becomes a clip, repeated along time.
        stills = clip.transpose(0, 1)[:, :, None].expand(-1, -1, frames, -1, -1)
        held = relevance(model, stills, target=label, composite=composite, batch_size=batch_size)
        place = torch.arange(frames, device=held.maps.device)
        spatial.append(held.maps[place, place])
        still_scores.append(held.scores)
    stacked = torch.stack(spatial)
    return Split(
        whole=whole.maps,
        spatial=stacked,
        temporal=whole.maps - stacked,
        scores=whole.scores,
        still_scores=torch.stack(still_scores),
    )


def over_time(maps: Tensor) -> Tensor:
    """Sum ``(N, T, H, W)`` relevance over each frame: ``(N, T)``, in units of the logit."""
    return maps.sum((2, 3))
