"""The methods at hand, set for the stage's small clips, and wrong ones to hold them against.

Each is a function ``(model, x, *, target, rng) -> (N, T, H, W)``; what is set here is what a board
or a field guide compares. For other settings call the modules themselves.
"""

import importlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vxhelpers.attribution.baselines import (
    centre_blob,
    edge_filter,
    frame_average,
    movement_filter,
    random_map,
)
from vxhelpers.attribution.cam import gradcam_plus_plus, saliency_tubes, score_cam
from vxhelpers.attribution.gradcam import gradcam, volume_layers
from vxhelpers.attribution.gradients import (
    gradient_shap,
    input_x_gradient,
    integrated_gradients,
    saliency,
)
from vxhelpers.attribution.guided_backpropagation import deconvolution, guided_backprop
from vxhelpers.attribution.lrp import lrp
from vxhelpers.attribution.lrp_split import split
from vxhelpers.attribution.perturbation import occlusion, rise
from vxhelpers.attribution.surrogate import kernel_shap, lime
from vxhelpers.data.segmentation.supervoxels import segment
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.models.zoo import Model

Values = npt.NDArray[np.float64]
Attribute = Callable[..., Tensor]
YOURS = "yours"  # the family of methods found by name
SEGMENTS = 30  # supervoxels of a clip for LIME and kernel SHAP
BASELINES = "network-independent baselines"


@dataclass(frozen=True)
class Method:
    """A way to explain a prediction.

    Parameters
    ----------
    name, family
        Short name, and what it belongs to.
    attribute
        ``(model, x, *, target, rng)`` to raw, signed ``(N, T, H, W)`` in the frames and pixels of
        ``x``, positive where it speaks for the class.
    """

    name: str
    family: str
    attribute: Attribute


def attribute(
    method: Method,
    model: Model,
    x: Tensor,
    *,
    target: Tensor,
    rng: np.random.Generator,
    empty: bool = False,
) -> Values:
    """Run a method and hold its result to what a map is.

    Raises
    ------
    InputError
        If the method raises; if the result is no ``(N, T, H, W)`` tensor of the clips' size, or
        holds NaN or infinity; if a map is 0 everywhere, unless ``empty`` ones may be (those of
        still clips). Names the method and the clip.
    """
    try:
        maps = method.attribute(model, x, target=target, rng=rng)
    except Exception as error:  # of whatever code a user brings
        raise InputError(f"{method.name}: {type(error).__name__}: {error}") from error
    wanted = (len(x), *x.shape[2:])
    if not isinstance(maps, Tensor) or tuple(maps.shape) != wanted:
        shape = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
        raise InputError(f"{method.name}: returned {shape} where maps are a tensor {wanted}")
    values = maps.detach().double().cpu().numpy()
    if (bad := ~np.isfinite(values).all((1, 2, 3))).any():
        raise InputError(f"{method.name}: NaN or infinity in the map of clip {bad.argmax()}")
    if not empty and (bad := ~values.any((1, 2, 3))).any():
        raise InputError(f"{method.name}: the map of clip {bad.argmax()} is 0 everywhere")
    return values


def find(name: str) -> Method:
    """Look a method up as ``module:function``.

    Raises
    ------
    InputError
        If there is no such module or function, or it takes no ``model, x, *, target, rng``.
    """
    module, _, function = name.partition(":")
    if not module or not function:
        raise InputError(f"{name!r}: a method is named as my_module:my_method")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{name}: {error}; is its folder on PYTHONPATH?") from error
    try:
        inspect.signature(found).bind(None, None, target=None, rng=None)
    except TypeError as error:
        raise InputError(f"{name}: takes (model, x, *, target, rng); {error}") from error
    return Method(function, YOURS, found)


def pixels(model: Model, x: Tensor) -> npt.NDArray[np.uint8]:
    """Bring prepared clips ``(N, 3, T, H, W)`` back to frames ``(N, T, H, W, 3)``, uint8."""
    mean, std = (torch.tensor(v).view(1, 3, 1, 1, 1) for v in (model.entry.mean, model.entry.std))
    frames = (x.detach().cpu() * std + mean).mul(255).round().clamp(0, 255)
    return frames.permute(0, 2, 3, 4, 1).to(torch.uint8).numpy()


# ---- settings ------------------------------------------------------------------------------------


def _plain(function: Callable[..., Tensor], **options: object) -> Callable[..., Tensor]:
    """A method that draws nothing."""

    def attribute(model: Model, x: Tensor, *, target: Tensor, rng: np.random.Generator) -> Tensor:
        return function(model, x, target=target, **options)

    return attribute


def _middle(model: Model, x: Tensor, *, target: Tensor, rng: np.random.Generator) -> Tensor:
    """Grad-CAM at the middle one of the layers with space and time."""
    layers = volume_layers(model)
    return gradcam(model, x, layer=layers[len(layers) // 2], target=target)


def _shap(model: Model, x: Tensor, *, target: Tensor, rng: np.random.Generator) -> Tensor:
    """Gradient SHAP, held against the clips at hand and nothing-there."""
    baselines = torch.cat([x, torch.zeros_like(x[:1])])
    return gradient_shap(model, x, baselines=baselines, target=target, rng=rng)


def _hidden(model: Model, x: Tensor, *, target: Tensor, rng: np.random.Generator) -> Tensor:
    """Occlusion by boxes of a quarter of each side, side by side: 65 forward passes."""
    frames, rows, columns = (max(1, n // 4) for n in x.shape[2:])
    box = frames, rows, columns
    return occlusion(model, x, window=box, strides=box, target=target)


def _views(
    model: Model, x: Tensor, *, target: Tensor, rng: np.random.Generator, samples: int = 300
) -> Tensor:
    return rise(model, x, samples=samples, target=target, rng=rng)


def _pieces(
    model: Model,
    x: Tensor,
    *,
    target: Tensor,
    rng: np.random.Generator,
    function: Callable[..., Tensor],
    samples: int = 200,
    segments: int = SEGMENTS,
) -> Tensor:
    """LIME or kernel SHAP over supervoxels, 200 views."""
    cuts = segment(pixels(model, x), [segments])
    volumes = [cut.labels[0] for cut in cuts]
    return function(model, x, segments=volumes, samples=samples, target=target, rng=rng)


def _temporal(model: Model, x: Tensor, *, target: Tensor, rng: np.random.Generator) -> Tensor:
    """What deep Taylor relevance has beyond that of the frames held still."""
    return split(model, x, target=target).temporal


METHODS: tuple[Method, ...] = (
    Method("Grad-CAM", "class activation maps", _plain(gradcam)),
    Method("Grad-CAM, middle layer", "class activation maps", _middle),
    Method("Grad-CAM++", "class activation maps", _plain(gradcam_plus_plus)),
    Method("Score-CAM", "class activation maps", _plain(score_cam)),
    Method("saliency tubes", "class activation maps", _plain(saliency_tubes)),
    Method("saliency", "gradients", _plain(saliency)),
    Method("input x gradient", "gradients", _plain(input_x_gradient)),
    Method("integrated gradients", "gradients", _plain(integrated_gradients, steps=20)),
    Method("gradient SHAP", "gradients", _shap),
    Method("guided backpropagation", "gradients", _plain(guided_backprop)),
    Method("deconvolution", "gradients", _plain(deconvolution)),
    Method("occlusion", "hiding parts", _hidden),
    Method("RISE", "hiding parts", _views),
    Method("LIME", "hiding parts", partial(_pieces, function=lime)),
    Method("kernel SHAP", "hiding parts", partial(_pieces, function=kernel_shap)),
    Method("LRP, epsilon", "relevance", _plain(lrp, composite="epsilon")),
    Method("LRP, epsilon-plus", "relevance", _plain(lrp, composite="epsilon_plus")),
    Method("deep Taylor", "relevance", _plain(lrp, composite="deep_taylor")),
    Method("deep Taylor, temporal part", "relevance", _temporal),
    Method("random map", BASELINES, random_map),
    Method("frame average", BASELINES, frame_average),
    Method("edge filter", BASELINES, edge_filter),
    Method("movement filter", BASELINES, movement_filter),
    Method("centre blob", BASELINES, centre_blob),
)


def named(*names: str) -> Sequence[Method]:
    """Look methods up by name; all of them for none. Raises UnknownNameError with the nearest."""
    known = {method.name: method for method in METHODS}
    for name in names:
        if name not in known:
            raise UnknownNameError("method", name, known, where="vxhelpers.attribution.registry")
    return [known[name] for name in names] if names else METHODS


def hiding(*, views: int, segments: int) -> Sequence[Method]:
    """Occlusion, RISE, LIME and kernel SHAP with fewer or more random views and supervoxels.

    Occlusion draws no views: its boxes stay as they are.
    """
    pieces = {"samples": views, "segments": segments}
    options = {"RISE": {"samples": views}, "LIME": pieces, "kernel SHAP": pieces}
    family = (one for one in METHODS if one.family == "hiding parts")
    return [
        replace(one, attribute=partial(one.attribute, **options.get(one.name, {})))
        for one in family
    ]
