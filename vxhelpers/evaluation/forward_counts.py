"""How many inputs a method sends through a network: told before it runs, and counted as it does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch import Tensor

from vxhelpers.attribution.gradcam import default_layer
from vxhelpers.attribution.registry import BASELINES, named
from vxhelpers.models.probe import probe
from vxhelpers.models.zoo import Model

# As they are set in `vxhelpers.attribution.registry`; one input where a method is not named.
FIXED = {
    "integrated gradients": 20,
    "gradient SHAP": 16,
    "RISE": 300,
    "LIME": 200,
    "kernel SHAP": 200,
    "LRP, epsilon": 2,
    "LRP, epsilon-plus": 2,
    "deep Taylor": 3,
}


def passes(method: str, model: Model, x: Tensor) -> int:
    """Inputs, at most, that a method sends through the network for one clip.

    Score-CAM leaves channels out that are silent on a clip; all others need just as many. A
    backward pass, where there is one, costs about two more.

    Parameters
    ----------
    method
        Name of one of `vxhelpers.attribution.registry.METHODS`.
    model
        A network; Score-CAM runs it once, to see how many channels there are.
    x
        ``(1, C, T, H, W)`` prepared clip.

    Raises
    ------
    UnknownNameError
        If there is no such method.
    """
    (known,) = named(method)
    if known.family == BASELINES:
        return 0
    size = x.shape[2:]
    if method == "occlusion":
        return 1 + prod(-(-n // max(1, n // 4)) for n in size)
    if method == "deep Taylor, temporal part":
        return 2 * size[0] + 4
    if method == "Score-CAM":
        last = default_layer(model)
        seen = probe(model, x, layers=[last], gradients=False)
        return int(seen.activations[last].shape[1]) + 2
    return FIXED.get(method, 1)


@contextmanager
def counted(model: Model, progress: Callable[[int], None]) -> Iterator[None]:
    """Tell after every pass how many inputs have gone through the network.

    What ``progress`` raises ends the work; the hook is gone afterwards.
    """
    done = 0

    def tell(_module: torch.nn.Module, inputs: Any, _output: Any) -> None:
        nonlocal done
        done += len(inputs[0])
        progress(done)

    hook = model.net.register_forward_hook(tell)
    try:
        yield
    finally:
        hook.remove()
