"""Relatives of Grad-CAM on video: maps of one layer, its channels weighted in other ways."""

from typing import Literal

import torch
from torch import Tensor

from vxhelpers.attribution.gradcam import upsample_map, volume_layer
from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.models.probe import (
    Probe,
    Score,
    Target,
    class_indices,
    explain_memory,
    in_batches,
    probe,
)
from vxhelpers.models.zoo import Model

Weights = Literal["softmax", "increase"]


def gradcam_plus_plus(
    model: Model,
    x: Tensor,
    *,
    layer: str | None = None,
    target: Target = None,
    of: Score = "logit",
    upsample: bool = True,
    batch_size: int | None = None,
) -> Tensor:
    r"""Grad-CAM whose channels count by their places with a positive gradient.

    .. math:: L = \sum_k w_k A_k, \quad w_k = \sum_{v} \alpha_{kv} \max(0, g_{kv}), \quad
              \alpha_{kv} = \frac{g_{kv}^2}{2 g_{kv}^2 + \sum_{v'} A_{kv'} \, g_{kv}^3},

    with :math:`g` the score's gradient and :math:`v` the cells of the layer: equations 5, 10 and 19
    of Chattopadhay et al., "Grad-CAM++", WACV 2018, with time as a third axis. Costs one forward
    and one backward pass.

    **Deviations from the paper**: no ReLU and no scaling at the end. Its score is the exponential
    of the logit, whose gradient is the logit's times a positive number of the clip; that number,
    which overflows easily, is left out. Where the denominator is not above 0 (the paper assumes
    that it is), a place counts nothing.

    Parameters, result and errors are those of `vxhelpers.attribution.gradcam.gradcam`. Since
    gradients against the class count nothing, a map is negative only where activations are.
    """
    name = volume_layer(model, layer)

    def weigh(seen: Probe) -> Tensor:
        # In float64: the third power of a gradient of 1e-4 is near the end of float32.
        activations, slopes = seen.activations[name].double(), seen.gradients[name].double()
        below = 2 * slopes**2 + activations.sum((2, 3, 4), keepdim=True) * slopes**3
        share = torch.where(below > 0, slopes**2 / below.where(below > 0, 1), 0)
        weights = (share * slopes.clamp(min=0)).sum((2, 3, 4))
        return torch.einsum("nc,ncthw->nthw", weights, activations).float()

    targets = class_indices(model, target, clips=len(x))

    def step(rows: slice) -> Tensor:
        wanted = None if targets is None else targets[rows]
        maps = weigh(probe(model, x[rows], layers=[name], target=wanted, of=of))
        return upsample_map(maps, x.shape[2:]) if upsample else maps

    return torch.cat([*in_batches(step, clips=len(x), batch_size=batch_size, shape=x.shape[1:])])


def score_cam(
    model: Model,
    x: Tensor,
    *,
    layer: str | None = None,
    target: Target = None,
    of: Score = "logit",
    weights: Weights = "softmax",
    upsample: bool = True,
    batch_size: int = 16,
) -> Tensor:
    r"""Weigh a layer's channels by what the score becomes if each alone says what is seen.

    Each channel's activations, brought to the clip's size and to 0 to 1, become a soft mask
    :math:`H_k`; the clip is shown through it, all else the mean colour, and the channel's weight is
    the increase :math:`C_k = y^c(H_k \odot x) - y^c(0)`: Wang et al., "Score-CAM", CVPR workshops
    2020, section 3.2 and algorithm 1, with masks in space and time. No gradient is needed; it costs
    one forward a channel of the layer and clip, and one for the blank.

    **Deviation from the paper**: no ReLU at the end.

    Other parameters, result and errors are those of `vxhelpers.attribution.gradcam.gradcam`. A
    channel that is the same everywhere masks nothing and counts nothing; a clip of which all are is
    an ``InputError``.

    Parameters
    ----------
    weights
        ``"softmax"``, the algorithm's: the increases' softmax over the channels, so that every
        channel counts as positive; ``"increase"``: the increases themselves (its definition 2).
    batch_size
        Masked clips in one pass.
    """
    name = volume_layer(model, layer)
    if weights not in ("softmax", "increase"):
        raise InputError(f"weights={weights!r}: 'softmax' or 'increase'")
    if batch_size < 1:
        raise InputError(f"batch_size={batch_size}: a batch holds at least one clip")
    targets = class_indices(model, target, clips=len(x))
    maps = []
    with torch.inference_mode():
        blank = _scores(model, torch.zeros_like(x[:1]), of)[0]
        for i in range(len(x)):
            clip = x[i : i + 1].to(model.device)
            seen = probe(model, clip, layers=[name], gradients=False)
            label = int(seen.targets[0]) if targets is None else int(targets[i])
            activations = seen.activations[name][0].float()
            low, high = activations.amin((1, 2, 3)), activations.amax((1, 2, 3))
            alive = (high > low).nonzero().flatten()
            if not len(alive):
                raise InputError(
                    f"clip {i}: every channel of layer {name!r} is the same everywhere, so that "
                    "none masks anything; choose another layer"
                )
            span = (high - low)[alive].view(-1, 1, 1, 1)
            masks = (activations[alive] - low[alive].view(-1, 1, 1, 1)) / span
            with explain_memory(min(batch_size, len(masks)), x.shape[1:]):
                found = [
                    _scores(model, clip * upsample_map(some, clip.shape[2:])[:, None], of)[:, label]
                    for some in torch.split(masks, batch_size)
                ]
            increase = torch.cat(found) - blank[label]
            if not increase.isfinite().all():
                raise NotFiniteError(f"clip {i}: a masked version scores NaN or infinity")
            each = increase.softmax(0) if weights == "softmax" else increase
            maps.append(torch.einsum("c,cthw->thw", each.float(), activations[alive]))
    result = torch.stack(maps).clone()
    return upsample_map(result, x.shape[2:]) if upsample else result


def saliency_tubes(
    model: Model,
    x: Tensor,
    *,
    layer: str | None = None,
    target: Target = None,
    upsample: bool = True,
    batch_size: int | None = None,
) -> Tensor:
    r"""Weigh the channels before the pooling by the classifier's weights for the class.

    .. math:: L_{tij} = \sum_k w^c_k A_{ktij}

    Stergiou et al., "Saliency Tubes", ICIP 2019, section 2, which is the class activation map of
    Zhou et al. (CVPR 2016) with time as a third axis. Costs one forward pass. The mean of the map
    (before it is brought to the clip's size) and the class's bias make up the logit, exactly; it is
    Grad-CAM's map there times the number of cells.

    **Deviation from the paper**: the map is not scaled, and nothing is cut off at a threshold.

    Parameters, result and errors are those of `vxhelpers.attribution.gradcam.gradcam`.

    Raises
    ------
    InputError
        Also if more than pooling lies between ``layer`` and a linear classifier, so that the
        weights are not those of its channels: on clip 0, mean and bias must give the logits.
    """
    name = volume_layer(model, layer)
    targets = class_indices(model, target, clips=len(x))

    def step(rows: slice) -> Tensor:
        seen = probe(model, x[rows], layers=[name], gradients=False)
        head = model.net.get_submodule(model.entry.head)
        weight, bias = head.weight, head.bias
        assert isinstance(weight, Tensor)
        activations = seen.activations[name].float()
        if weight.flatten(1).shape[1] == activations.shape[1]:
            every = torch.einsum("kc,ncthw->nkthw", weight.detach().flatten(1), activations)
            logits = every.mean((2, 3, 4)) + (bias.detach() if isinstance(bias, Tensor) else 0)
            if torch.allclose(logits, seen.logits, rtol=1e-3, atol=1e-3):
                chosen = seen.targets if targets is None else targets[rows].to(every.device)
                maps = every[torch.arange(len(every)), chosen]
                return upsample_map(maps, x.shape[2:]) if upsample else maps
        raise InputError(
            f"model {model.entry.name!r}: more than pooling lies between layer {name!r} and a "
            "linear classifier, so that the classifier's weights are not those of the layer's "
            "channels; use Grad-CAM, which needs no such thing"
        )

    return torch.cat([*in_batches(step, clips=len(x), batch_size=batch_size, shape=x.shape[1:])])


def _scores(model: Model, x: Tensor, of: Score) -> Tensor:
    """Scores of all classes."""
    with explain_memory(len(x), x.shape[1:]):
        logits = model.logits(x.to(model.device))
    return logits if of == "logit" else logits.double().log_softmax(1)
