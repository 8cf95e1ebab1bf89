"""Grad-CAM on video: where, in space and time, a layer speaks for a class."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from vxhelpers.data.clip import Frames
from vxhelpers.errors import InputError
from vxhelpers.models.probe import Score, Target, class_indices, in_batches, probe
from vxhelpers.models.zoo import Model

if TYPE_CHECKING:
    from vxhelpers.figures.player import Player


def gradcam(
    model: Model,
    x: Tensor,
    *,
    layer: str | None = None,
    target: Target = None,
    of: Score = "logit",
    upsample: bool = True,
    batch_size: int | None = None,
) -> Tensor:
    r"""Map the evidence for a class at one layer, as a raw and signed volume over the clip.

    The channels of the layer's activations :math:`A` are summed, each weighted by the mean over
    time and space of the score's gradient,

    .. math:: L_{tij} = \sum_k \alpha_k A_{ktij}, \qquad
              \alpha_k = \frac{1}{THW} \sum_{tij} \frac{\partial y^c}{\partial A_{ktij}},

    Grad-CAM's equations 1 and 2 with time as a third axis (Selvaraju et al., "Grad-CAM", ICCV
    2017, section 3). **Deviation from the paper**: no ReLU is applied, since evidence against the
    class is evidence too, and nothing is scaled to [0, 1]; ``map.clamp(min=0)`` gives the paper's
    map. captum's ``LayerGradCam`` with ``relu_attributions=False`` computes the same volume; unlike
    it, channels-last and token layers are read in their declared layout, several layers cost one
    pass (`gradcam_layers`), and the volume is brought to the clip's size in time as well as in
    space, trilinearly with ``align_corners=False``: each cell of the layer stands for the middle of
    the frames and pixels that it divides the clip into. The pathways of a two-pathway network are
    layers of their own, with one map each. A slow pathway's has fewer frames before upsampling; as
    SlowFast picks its slow frames from the first to the last, their true places differ from the
    cells' middles by up to 1.5 of 32 frames, at both ends of the clip.

    Parameters
    ----------
    model
        A network of the zoo.
    x
        ``(N, C, T, H, W)`` prepared clips.
    layer
        A probe layer of ``model``; `default_layer` unless told.
    target
        The class to explain: an index, a label, one of either for each clip, or None for each
        clip's predicted class.
    of
        The score :math:`y^c`: ``"logit"`` (the paper's) or ``"log_probability"``.
    upsample
        False returns the layer's own resolution.
    batch_size
        Clips in one pass; all of them unless told.

    Returns
    -------
    Tensor
        ``(N, T, H, W)`` float32 on the network's device, positive where the evidence speaks for the
        class. The mean gradient shrinks with the layer's size, so compare values within a layer.

    Raises
    ------
    UnknownNameError, InputError, NotFiniteError
        As `vxhelpers.models.probe.probe` does; `InputError` also for a layer without space and
        time.
    """
    name = volume_layer(model, layer)
    return gradcam_layers(
        model,
        x,
        layers=[name],
        target=target,
        of=of,
        upsample=upsample,
        batch_size=batch_size,
    )[name]


def gradcam_layers(
    model: Model,
    x: Tensor,
    *,
    layers: Sequence[str],
    target: Target = None,
    of: Score = "logit",
    upsample: bool = True,
    batch_size: int | None = None,
) -> dict[str, Tensor]:
    """Map the evidence for a class at several layers, from one forward and one backward pass.

    Parameters, maps and errors are those of `gradcam`; the result has one map a layer, in the order
    asked for. The maps of a clip explain the same class, also when it is the predicted one.
    """
    for name in layers:
        volume_layer(model, name)
    targets = class_indices(model, target, clips=len(x))

    def step(rows: slice) -> list[Tensor]:
        wanted = None if targets is None else targets[rows]
        seen = probe(model, x[rows], layers=layers, target=wanted, of=of)
        maps = (weighted_sum(seen.activations[name], seen.gradients[name]) for name in layers)
        return [upsample_map(m, x.shape[2:]) if upsample else m for m in maps]

    batches = list(in_batches(step, clips=len(x), batch_size=batch_size, shape=x.shape[1:]))
    return {
        name: torch.cat(maps) for name, maps in zip(layers, zip(*batches, strict=True), strict=True)
    }


def gradcam_weights(gradients: Tensor) -> Tensor:
    """Weights ``(N, C)`` of channels: the mean of their gradients over time and space.

    Equation 1 of Selvaraju et al. (ICCV 2017), with time as a third axis.
    """
    return gradients.mean((2, 3, 4), dtype=torch.float32)


def weighted_sum(activations: Tensor, gradients: Tensor) -> Tensor:
    """Sum ``(N, C, T, H, W)`` activations over channels, by `gradcam_weights`.

    Equation 2 of Selvaraju et al. (ICCV 2017), without its ReLU.
    """
    return torch.einsum("nc,ncthw->nthw", gradcam_weights(gradients), activations.float())


def overlaid(
    frames: Frames, values: npt.NDArray[np.float32], *, units: str = "Grad-CAM", **options: Any
) -> "Player":
    """A player of a clip with one raw map ``(t, h, w)`` over it, zero-centred.

    Parameters
    ----------
    frames
        ``(T, H, W, 3)`` uint8; the map is upsampled to them.
    options
        As for `vxhelpers.figures.player.player`.
    """
    from vxhelpers.figures.player import player

    overlay = upsample_map(torch.from_numpy(values[None].copy()), frames.shape[:3])[0].numpy()
    return player(frames, overlay=overlay, signed=True, units=units, **options)


def upsample_map(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Bring ``(N, t, h, w)`` maps to ``(N, *size)`` trilinearly, cell middles kept in place.

    The values are those of `torch.nn.functional.interpolate` with ``mode="trilinear"`` and
    ``align_corners=False``, reached one axis at a time: several times faster on the CPU.
    """
    cells = maps.shape[1:]
    time, rows, columns = (_resampling(n, to, maps) for n, to in zip(cells, size, strict=True))
    return torch.einsum("Tt,nthw->nThw", time, rows @ maps @ columns.mT)


def _resampling(cells: int, length: int, like: Tensor) -> Tensor:
    """Matrix ``(length, cells)`` of linear interpolation: what it makes of each unit vector."""
    units = torch.eye(cells, dtype=like.dtype, device=like.device)[None]
    return F.interpolate(units, size=length, mode="linear", align_corners=False)[0].mT


def volume_layers(model: Model) -> list[str]:
    """Name the probe layers that still have space and time, from input to output."""
    return [layer.name for layer in model.entry.layers if layer.layout != "NC"]


def default_layer(model: Model) -> str:
    """Name the last probe layer that still has space and time: Grad-CAM's usual choice."""
    return volume_layers(model)[-1]


def volume_layer(model: Model, name: str | None) -> str:
    """The layer to map: `default_layer` for None; raises InputError for one without a volume."""
    name = default_layer(model) if name is None else name
    if model.layer(name).layout == "NC":
        raise InputError(
            f"layer {name!r} of model {model.entry.name!r} has no space and time left; choose "
            f"one of {', '.join(volume_layers(model))}"
        )
    return name
