"""The same prediction with a map of our choice: clips changed a little to fool Grad-CAM.

Ghorbani et al., "Interpretation of neural networks is fragile" (AAAI 2019) and Dombrowski et al.,
"Explanations can be manipulated and geometry is to blame" (NeurIPS 2019) change an image by less
than the eye sees until its explanation is another while the prediction stays; Heo et al., "Fooling
neural network interpretations via adversarial model manipulation" (NeurIPS 2019) change the weights
instead, which we do not. Our steps are those of Madry et al. (2018) with the momentum of Dong et
al. ("Boosting adversarial attacks with momentum", CVPR 2018), by whole grey levels, so that the
changed clips are videos that could be stored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vxhelpers.attribution.gradcam import gradcam, upsample_map, volume_layer, weighted_sum
from vxhelpers.errors import InputError
from vxhelpers.evaluation.map_similarity import (
    Classes,
    Flags,
    Maps,
    Values,
    explain,
    explained_classes,
    flat,
    grey_level,
    logits,
)
from vxhelpers.models.probe import Target, in_batches
from vxhelpers.models.zoo import Model

MOMENTUM = 0.9  # of the steps' directions


@dataclass(frozen=True, eq=False)
class Manipulation:
    """N clips as they are, manipulated, and with noise of the same size: in this order below.

    Parameters
    ----------
    changed, noisy
        ``(N, C, T, H, W)`` prepared input on the CPU. The noise is the change itself with the sign
        of every value drawn at random, kept within the pixels' range.
    targets
        ``(N,)`` the class explained.
    maps
        ``(3, N, T, H, W)`` float32, raw and signed.
    nearness
        ``(3, N)`` correlation of each map with the chosen one, -1 to 1; a map that is the same
        everywhere scores 0.
    predicted
        ``(3, N)`` the class predicted.
    probability
        ``(3, N)`` of the class explained.
    largest
        ``(N,)`` the largest change of any value of the clip, in grey levels of 255, to a
        thousandth.
    """

    changed: Tensor
    noisy: Tensor
    targets: Classes
    maps: Maps
    nearness: Values
    predicted: Classes
    probability: Values
    largest: Values

    @property
    def kept(self) -> Flags:
        """``(3, N)``: the prediction is that of the clip as it is."""
        same: Flags = self.predicted == self.predicted[0]
        return same


def manipulate(
    model: Model,
    x: Tensor,
    chosen: npt.ArrayLike | Tensor,
    *,
    layer: str | None = None,
    target: Target = None,
    epsilon: float = 4.0,
    steps: int = 20,
    tolerance: float = 0.05,
    weight: float = 10.0,
    rng: np.random.Generator,
    batch_size: int | None = None,
) -> Manipulation:
    r"""Change clips so that Grad-CAM shows a chosen map, and the prediction stays.

    Each step moves every value of the clip by at most one grey level, down the gradient's sign of

    .. math:: -r(L^c(x'), L^*) + \lambda \, (\log p^c(x') - \log p^c(x))^2,

    :math:`r` the correlation over the clip. It is Dombrowski et al.'s loss (section 3) with a
    correlation in place of the squared distance of maps, whose scale says nothing. Of all steps'
    clips the nearest that keeps the prediction is returned; the clip as it is, if there is none.

    Grad-CAM's weights are differentiated along with the activations. They are constant where the
    head after the layer is linear, and piecewise constant where it has no curves but ReLU's, whose
    second derivative is 0: there only the activations lead the way. Dombrowski et al. put softplus
    in ReLU's place; we do not, as activations alone turned out to lead far enough. A failure is no
    proof that a map cannot be moved.

    Parameters
    ----------
    model
        A network of the zoo, in evaluation mode; it is used as it is.
    x
        ``(N, C, T, H, W)`` prepared clips.
    chosen
        ``(T, H, W)``, or one map for each clip: what Grad-CAM is to show, such as 1 in a corner and
        0 elsewhere. Its scale does not matter.
    layer
        A probe layer of ``model``; `vxhelpers.attribution.gradcam.default_layer` unless told.
    target
        The class to explain: an index, a label, one of either for each clip, or None for what is
        predicted for the clip as it is.
    epsilon
        Grey levels, of 255, that a value may change at most; pixels stay within 0 to 255.
    steps
        Of the descent.
    tolerance
        How far the probability of the class explained may move, 0 to 1; the predicted class may
        not change at all.
    weight
        :math:`\lambda`.
    rng
        Draws the noise.
    batch_size
        Clips in one pass; all of them unless told.

    Raises
    ------
    UnknownNameError
        If a layer or label is not the model's.
    InputError
        If shapes or options do not fit, the chosen map is the same everywhere, values of ``x`` are
        no pixels of this model, no gradient reaches the clip, or the network is in training mode.
    NotFiniteError
        If a map or a logit holds NaN or infinity; names the clip.
    """
    if not 0 < epsilon <= 255 or steps < 1 or not 0 <= tolerance <= 1 or weight < 0:
        raise InputError(
            f"epsilon={epsilon} must be above 0 and at most 255 grey levels, steps={steps} 1 or "
            f"more, tolerance={tolerance} 0 to 1, weight={weight} 0 or more"
        )
    name = volume_layer(model, layer)
    with torch.inference_mode(False):
        # Tensors made in inference mode cannot enter a graph; copies can.
        start = x.detach().cpu().clone()
        scores = logits(model, start, batch_size=batch_size)
        targets = explained_classes(model, target, scores)
        goal, ends = _goal(chosen, start), _ends(model, start)

        def step(rows: slice) -> Tensor:
            case = _Case(model, name, targets[rows], goal[rows], scores[rows], tolerance, weight)
            low, high = (end[rows] for end in ends)
            return case.descend(start[rows], low, high, epsilon=epsilon, steps=steps)

        changed = torch.cat([*in_batches(step, clips=len(x), batch_size=batch_size)])
        signs = torch.from_numpy(rng.choice(np.array([-1, 1], np.float32), tuple(x.shape)))
        noisy = (start + signs * (changed - start)).clamp(*ends)
    versions = (start, changed, noisy)
    predictions = [logits(model, clips, batch_size=batch_size) for clips in versions]
    method = partial(gradcam, layer=name, batch_size=batch_size)
    maps = [explain(method, model, clips, targets) for clips in versions]
    near = [_correlation(torch.from_numpy(found).double(), goal.double()) for found in maps]
    chances = [one.double().softmax(1).gather(1, targets[:, None])[:, 0] for one in predictions]
    levels = (changed - start).abs() / grey_level(model, start)
    return Manipulation(
        changed=changed,
        noisy=noisy,
        targets=targets.numpy(),
        maps=np.stack(maps),
        nearness=torch.stack(near).numpy(),
        predicted=torch.stack([one.argmax(1) for one in predictions]).numpy(),
        probability=torch.stack(chances).numpy(),
        largest=levels.amax((1, 2, 3, 4)).double().round(decimals=3).numpy(),
    )


@dataclass(frozen=True, eq=False)
class _Case:
    """A batch of clips, and what their changed versions have to show and to keep."""

    model: Model
    layer: str
    targets: Tensor
    goal: Tensor
    scores: Tensor
    tolerance: float
    weight: float

    def descend(
        self, start: Tensor, floor: Tensor, ceiling: Tensor, *, epsilon: float, steps: int
    ) -> Tensor:
        """Step from clips on the CPU, and return there the nearest that keep the prediction."""
        device = self.model.device
        start, floor, ceiling = (part.to(device) for part in (start, floor, ceiling))
        grey = grey_level(self.model, start)
        low = torch.maximum(start - epsilon * grey, floor)
        high = torch.minimum(start + epsilon * grey, ceiling)
        now, best = start, start
        record = torch.full((len(start),), -torch.inf, device=device)
        momentum = torch.zeros_like(start)
        for number in range(steps + 1):
            now = now.detach().requires_grad_()
            with torch.enable_grad():
                near, moved, kept = self.look(now)
                better = kept & (near.detach() > record)
                record = torch.where(better, near.detach(), record)
                best = torch.where(better.view(-1, 1, 1, 1, 1), now.detach(), best)
                if number == steps:
                    break
                slope = _gradient(self.weight * moved.sum() - near.sum(), now, self.layer)
            slope = slope / slope.abs().mean((1, 2, 3, 4), keepdim=True).clamp_min(1e-30)
            momentum = MOMENTUM * momentum + slope
            now = torch.minimum(torch.maximum(now.detach() - momentum.sign() * grey, low), high)
        return best.cpu()

    def look(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """How near each map is, how far its log-probability moved, and what is to be kept is."""
        logits, tap = _tapped(self.model, x, self.layer)
        targets = self.targets.to(x.device)[:, None]
        score = logits.gather(1, targets).sum()
        slope = _gradient(score, tap.tensor, self.layer, create_graph=True)
        cells = weighted_sum(tap.canonical(tap.tensor), tap.canonical(slope))
        near = _correlation(upsample_map(cells, x.shape[2:]), self.goal.to(x.device))
        before = self.scores.to(x.device)
        chance, was = (one.double().log_softmax(1).gather(1, targets)[:, 0]
                       for one in (logits, before))  # fmt: skip
        same = logits.argmax(1) == before.argmax(1)
        kept = same & ((chance.detach().exp() - was.exp()).abs() <= self.tolerance)
        return near, (chance - was).square(), kept


@dataclass(frozen=True, eq=False)
class _Tap:
    """A layer's output, and how a tensor like it reads as ``(N, C, T, H, W)``."""

    tensor: Tensor
    canonical: Callable[[Tensor], Tensor]


def _tapped(model: Model, x: Tensor, layer: str) -> tuple[Tensor, _Tap]:
    """Logits and a layer's output, both in the graph of ``x``; no hook outlives the call."""
    found: list[_Tap] = []
    declared: Any = model.layer(layer)

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        # What follows works on a copy, so that an in-place layer cannot reach what is kept.
        if isinstance(output, Tensor):
            found.append(_Tap(output, declared.canonical))
            return output.clone()
        tensor, *rest = output  # tokens come with their grid
        found.append(_Tap(tensor, lambda value: declared.canonical((value, *rest))))
        return (tensor.clone(), *rest)

    handle = model.net.get_submodule(layer).register_forward_hook(keep)
    try:
        logits = model.logits(x)
    finally:
        handle.remove()
    if len(found) != 1:
        raise InputError(
            f"layer {layer!r} of model {model.entry.name!r} runs {len(found)} times in a forward "
            "pass: choose a layer that runs once"
        )
    return logits, found[0]


def _gradient(score: Tensor, by: Tensor, layer: str, *, create_graph: bool = False) -> Tensor:
    """Differentiate, or say that nothing depends on what we differentiate by."""
    found: Tensor | None = None
    if score.requires_grad and by.requires_grad:
        (found,) = torch.autograd.grad(score, by, create_graph=create_graph, allow_unused=True)
    if found is None:
        raise InputError(
            f"no gradient passes through layer {layer!r}: the score does not depend on the clip by "
            "it through differentiable operations; choose another layer"
        )
    return found


def _goal(chosen: npt.ArrayLike | Tensor, x: Tensor) -> Tensor:
    """The chosen maps ``(N, T, H, W)`` float32 on the CPU, if they can be approached."""
    given = chosen.detach().cpu().numpy() if isinstance(chosen, Tensor) else chosen
    values = np.asarray(given, np.float32)
    size = (len(x), *x.shape[2:])
    if values.shape not in (size, size[1:]):
        raise InputError(
            f"the chosen map is {values.shape}: it must be (T, H, W) = {size[1:]}, or one for each "
            f"clip, {size}"
        )
    goal = np.array(np.broadcast_to(values, size))
    if not np.isfinite(goal).all() or flat(goal).any():
        raise InputError(
            "the chosen map must be finite and not the same everywhere: a correlation with it says "
            "nothing otherwise"
        )
    return torch.from_numpy(goal)


def _ends(model: Model, x: Tensor) -> tuple[Tensor, Tensor]:
    """Prepared values of grey levels 0 and 255, as large as ``x``, which has to be between them."""
    grey = grey_level(model, x)
    mean = torch.tensor(model.entry.mean, dtype=x.dtype).view(1, -1, 1, 1, 1)
    floor = -255 * mean * grey
    ceiling = floor + 255 * grey
    if bool(((x < floor - grey / 2) | (x > ceiling + grey / 2)).any()):
        raise InputError(
            f"clips hold values that are no pixels of 0 to 255 to model {model.entry.name!r}: "
            "prepare them with model.prepare"
        )
    # Rounding may have left a black or white pixel just outside.
    return torch.minimum(floor, x), torch.maximum(ceiling, x)


def _correlation(maps: Tensor, goal: Tensor) -> Tensor:
    """Correlation of each pair of ``(N, T, H, W)`` maps: ``(N,)``; 0 for a flat one."""
    a, b = (one.flatten(1) - one.flatten(1).mean(1, keepdim=True) for one in (maps, goal))
    size = a.square().sum(1) * b.square().sum(1)
    return torch.where(size > 0, (a * b).sum(1) / size.clamp_min(1e-30).sqrt(), 0.0)
