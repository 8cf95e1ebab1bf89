"""Rules of relevance propagation: which one each step of a convolutional network has."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.overrides import TorchFunctionMode

from vxhelpers.errors import InputError
from vxhelpers.models.zoo import Model

Composite = Literal["epsilon", "epsilon_plus", "deep_taylor"]

EPSILON = 1e-6
SUMS = {"add", "add_"}
AVERAGES = {"avg_pool3d", "adaptive_avg_pool3d", "mean"}
WEIGHTED = {"conv3d", "linear"}
# Steps that only move values, let them through or choose among them: their gradient hands down
# relevance as it should. A ReLU that is off has an activation of 0, and so no relevance.
PASSED = {
    *("relu", "relu_", "max_pool3d", "dropout", "pad", "cat", "clone", "contiguous"),
    *("flatten", "reshape", "view", "view_as", "permute", "squeeze", "unsqueeze"),
}


def merged(net: nn.Module) -> nn.Module:
    """Copy a network, each batch norm merged into the convolution registered before it."""
    net = deepcopy(net).requires_grad_(False)
    leaves = [name for name, module in net.named_modules() if not list(module.children())]
    for before, name in pairwise(leaves):
        conv, norm = net.get_submodule(before), net.get_submodule(name)
        if isinstance(conv, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d):
            net.set_submodule(before, fuse_conv_bn_eval(conv, norm))
            net.set_submodule(name, nn.Identity())
    return net


def layer_rules(model: Model, net: nn.Module, x: Tensor, composite: Composite) -> dict[str, Any]:
    """Give each weighted layer of a merged network its zennit rule, by its name."""
    from zennit.rules import Epsilon, ZBox, ZPlus

    plus = ZPlus(EPSILON, zero_params=["bias"] if composite == "deep_taylor" else None)
    rules: dict[str, Any] = {}
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv3d | nn.Linear):
            classifies = isinstance(module, nn.Linear) or name == model.entry.head
            signed = composite == "epsilon" or (composite == "epsilon_plus" and classifies)
            rules[name] = Epsilon(EPSILON) if signed else plus
    if composite == "deep_taylor":
        black, white = _box(model, x)
        name, inside = _first_convolution(model, net, x)
        # Padding is no pixel: it has no choice of colours, and gets no relevance.
        rules[name] = ZBox(black * inside, white * inside, EPSILON, zero_params=["bias"])
    return rules


def _box(model: Model, x: Tensor) -> tuple[Tensor, Tensor]:
    """Black and white in prepared input, ``(1, C, 1, 1, 1)`` each; refuse clips outside."""
    mean, std = (
        torch.tensor(values, dtype=x.dtype, device=x.device).view(1, -1, 1, 1, 1)
        for values in (model.entry.mean, model.entry.std)
    )
    black, white = -mean / std, (1 - mean) / std
    if x.shape[1] != mean.shape[1] or bool(((x < black - 1e-3) | (x > white + 1e-3)).any()):
        raise InputError(
            f"deep Taylor decomposition needs pixels from {black.min():.2f} (black) to "
            f"{white.max():.2f} (white) in {mean.shape[1]} channels, as Model.prepare makes them; "
            "for other inputs choose composite='epsilon_plus'"
        )
    return black, white


def _first_convolution(model: Model, net: nn.Module, x: Tensor) -> tuple[str, Tensor]:
    """Name the convolution that reads the pixels, and say which of its inputs are pixels (1)."""
    seen: list[tuple[str, Tensor]] = []

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _module, inputs: seen.append((name, inputs[0]))

    convolutions = [(n, m) for n, m in net.named_modules() if isinstance(m, nn.Conv3d)]
    handles = [module.register_forward_pre_hook(note(name)) for name, module in convolutions]
    with torch.no_grad():
        net(torch.ones_like(x[:1]))
    for handle in handles:
        handle.remove()
    if not seen or not bool(((seen[0][1] == 0) | (seen[0][1] == 1)).all()):
        raise InputError(
            f"model {model.entry.name!r}: no convolution reads the pixels, as deep Taylor "
            "decomposition needs; choose composite='epsilon_plus'"
        )
    return seen[0]


class Steps(TorchFunctionMode):
    """Give sums and averages their rule as they are called, and refuse a step that has none."""

    def __init__(self, model: str, weights: Mapping[int, str], *, rectified: bool) -> None:
        super().__init__()
        self.model, self.weights, self.rectified = model, dict(weights), rectified

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", str(func))
        if name in SUMS and not kwargs and all(_has_relevance(value) for value in args):
            return _share(torch.add, self.rectified, *args)
        if name in AVERAGES and args and _has_relevance(args[0]):
            return _share(lambda a: func(a, *args[1:], **kwargs), False, args[0])
        out = func(*args, **kwargs)
        if not _has_relevance(out) or name in PASSED:
            return out
        # A rule knows its layer's last input alone, so each weight may be used once.
        weight = args[1] if name in WEIGHTED and len(args) > 1 else None
        if self.weights.pop(id(weight), None) is None:
            what = f"{name} outside a layer of its own, or twice" if name in WEIGHTED else name
            raise InputError(
                f"relevance propagation has no rule for {what} in model {self.model!r}; gradients, "
                "perturbation and Grad-CAM fit any network"
            )
        return out


def _has_relevance(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


class _Share(torch.autograd.Function):
    """A sum or average whose backward divides relevance by what each input brings to it."""

    @staticmethod
    def forward(ctx: Any, step: Callable[..., Tensor], rectified: bool, *inputs: Tensor) -> Tensor:
        ctx.step, ctx.rectified = step, rectified
        ctx.save_for_backward(*inputs)
        return step(*inputs)

    @staticmethod
    def backward(ctx: Any, *relevance: Tensor) -> Any:
        from zennit.core import stabilize

        inputs = [value.detach() for value in ctx.saved_tensors]
        if ctx.rectified:
            inputs = [value.clamp(min=0) for value in inputs]
        with torch.enable_grad():
            inputs = [value.requires_grad_() for value in inputs]
            out = ctx.step(*inputs)
        slopes = torch.autograd.grad(out, inputs, relevance[0] / stabilize(out.detach(), EPSILON))
        return None, None, *(value.detach() * s for value, s in zip(inputs, slopes, strict=True))


def _share(step: Callable[..., Tensor], rectified: bool, *inputs: Tensor) -> Tensor:
    out: Tensor = _Share.apply(step, rectified, *inputs)  # type: ignore[no-untyped-call]
    return out
