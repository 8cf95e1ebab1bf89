"""Gradients through ReLUs that pass other things back: guided backpropagation and deconvolution."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from vxhelpers.attribution.base import Question, Reduce, channels, explain
from vxhelpers.errors import InputError
from vxhelpers.models.probe import Score, Target
from vxhelpers.models.zoo import Model

Rule = Literal["guided", "deconvolution"]

_RELUS = {F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}
_OTHERS = {
    *(F.gelu, F.silu, F.mish, F.elu, F.selu, F.celu, F.leaky_relu, F.prelu, F.rrelu, F.glu),
    *(F.relu6, F.hardtanh, F.hardswish, F.softplus),
}


def guided_backprop(
    model: Model,
    x: Tensor,
    *,
    target: Target = None,
    of: Score = "logit",
    reduce: Reduce = "sum",
    batch_size: int | None = None,
) -> Tensor:
    """Gradients of which every ReLU passes the positive ones alone (Springenberg et al. 2015).

    The map looks sharp because it redraws the clip's edges: it hardly depends on the class or the
    upper weights (Adebayo et al., "Sanity checks for saliency maps", 2018). Own code, equal to
    captum's ``GuidedBackprop`` where that is right: captum hooks ``nn.ReLU`` modules, misses ReLUs
    that are called as functions (I3D's, whose map would be the plain gradient, without a word), and
    sums up what reaches a tensor that others use too. Here every ReLU is met when it is called.

    Cost, parameters, result and errors are those of `vxhelpers.attribution.gradients.saliency`;
    `InputError` also for a network without ReLUs, or with other activations such as GELU, for which
    the rule is not defined. A ReLU written as ``clamp`` is not seen.
    """
    return _rectified(model, x, "guided", target, of, reduce, batch_size)


def deconvolution(
    model: Model,
    x: Tensor,
    *,
    target: Target = None,
    of: Score = "logit",
    reduce: Reduce = "sum",
    batch_size: int | None = None,
) -> Tensor:
    """Gradients through ReLUs that look at the gradient alone (Zeiler & Fergus, ECCV 2014).

    As `guided_backprop`, but a ReLU passes positive gradients also where it was not active: section
    2.1's deconvnet, max-pooling being undone at its maxima. captum's ``Deconvolution`` is the
    oracle.
    """
    return _rectified(model, x, "deconvolution", target, of, reduce, batch_size)


def _rectified(
    model: Model,
    x: Tensor,
    rule: Rule,
    target: Target,
    of: Score,
    reduce: Reduce,
    batch_size: int | None,
) -> Tensor:
    def answer(question: Question) -> Tensor:
        clips = question.x.requires_grad_()
        with torch.enable_grad(), _Rectifiers(rule, model.entry.name) as mode:
            scores = question.scores(clips).gather(1, question.targets[:, None])
        if not mode.seen:
            raise InputError(_unfit(rule, model.entry.name, "has no ReLU"))
        (slope,) = torch.autograd.grad(scores.sum(), clips)
        return channels(slope, reduce)

    return explain(model, x, answer, target=target, of=of, batch_size=batch_size)


def _unfit(rule: Rule, name: str, why: str) -> str:
    return (
        f"{rule} is a rule for networks of ReLUs, and model {name!r} {why}: saliency, "
        "input_x_gradient, integrated_gradients, gradient_shap, Grad-CAM and the perturbation maps "
        "fit any network"
    )


class _Rectifiers(TorchFunctionMode):
    """Give every ReLU called meanwhile the gradient of a rule, whoever calls it and however."""

    def __init__(self, rule: Rule, name: str) -> None:
        super().__init__()
        self.rule, self.name, self.seen = rule, name, 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _OTHERS:
            raise InputError(_unfit(self.rule, self.name, f"has {func.__name__}"))
        if func not in _RELUS:
            return func(*args, **kwargs)
        self.seen += 1
        value, *options = [*args, *kwargs.values()]
        result = _Rectifier.apply(value, self.rule)  # type: ignore[no-untyped-call]
        in_place = func in (torch.relu_, Tensor.relu_) or any(options)
        return value.copy_(result) if in_place else result


class _Rectifier(torch.autograd.Function):
    """ReLU; backwards, positive gradients alone, and with the guided rule where it was active."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, rule: Rule) -> Tensor:
        result = value.relu()
        if rule == "guided":
            ctx.save_for_backward(result > 0)
        return result

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        slope = slopes[0].relu()
        for active in ctx.saved_tensors:
            slope = slope * active
        return slope, None
