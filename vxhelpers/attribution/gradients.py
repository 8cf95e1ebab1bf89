"""Gradients by the pixels: saliency, integrated gradients and their kin, each a map of the clip.

Every map is positive where a pixel speaks for the class. Nothing-there is 0, the mean colour.
"""

import numpy as np
import torch
from torch import Tensor

from vxhelpers.attribution.base import Question, Reduce, channels, explain, inputs_a_pass, seeded
from vxhelpers.errors import InputError
from vxhelpers.models.probe import Score, Target
from vxhelpers.models.zoo import Model


def saliency(
    model: Model,
    x: Tensor,
    *,
    target: Target = None,
    of: Score = "logit",
    reduce: Reduce = "sum",
    batch_size: int | None = None,
) -> Tensor:
    """Differentiate the score by every pixel (Simonyan et al., ICLR workshop 2014, section 3).

    captum's ``Saliency`` with ``abs=False``. **Deviation from the paper**: the signed sum over
    channels; ``reduce="max"`` gives the paper's largest absolute value. Cost: one forward and one
    backward pass a clip; any network.

    Parameters
    ----------
    model
        A network of the zoo.
    x
        ``(N, C, T, H, W)`` prepared clips.
    target
        The class to explain: an index, a label, one of either for each clip, or None for each
        clip's predicted class, which costs one forward pass more.
    of
        ``"logit"`` or ``"log_probability"``.
    reduce
        What becomes of the channels: their ``"sum"`` keeps signs and adds up to the whole;
        ``"l2"``, the Euclidean norm, and ``"max"``, the largest absolute value, have no sign.
    batch_size
        Clips in one pass; all of them unless told.

    Returns
    -------
    Tensor
        ``(N, T, H, W)`` float32 on the network's device, in score a unit of prepared input.

    Raises
    ------
    UnknownNameError, InputError, NotFiniteError
        As `vxhelpers.models.probe.probe` does; `InputError` also for an unknown ``reduce``.
    """
    from captum.attr import Saliency

    def answer(question: Question) -> Tensor:
        slope = Saliency(question.scores).attribute(
            question.x.requires_grad_(), target=question.targets, abs=False
        )
        return channels(slope, reduce)

    return explain(model, x, answer, target=target, of=of, batch_size=batch_size)


def input_x_gradient(
    model: Model,
    x: Tensor,
    *,
    target: Target = None,
    of: Score = "logit",
    reduce: Reduce = "sum",
    batch_size: int | None = None,
) -> Tensor:
    """Multiply every pixel by the score's derivative (Shrikumar et al. 2016, arXiv:1605.01713).

    captum's ``InputXGradient``: the score's change from nothing-there to the clip, were the network
    linear. Cost, parameters, result (in units of the score) and errors are those of `saliency`.
    """
    from captum.attr import InputXGradient

    def answer(question: Question) -> Tensor:
        product = InputXGradient(question.scores).attribute(
            question.x.requires_grad_(), target=question.targets
        )
        return channels(product, reduce)

    return explain(model, x, answer, target=target, of=of, batch_size=batch_size)


def integrated_gradients(
    model: Model,
    x: Tensor,
    *,
    baseline: Tensor | None = None,
    steps: int = 50,
    tolerance: float | None = None,
    target: Target = None,
    of: Score = "logit",
    reduce: Reduce = "sum",
    batch_size: int | None = None,
) -> Tensor:
    """Integrate the gradient from a baseline to the clip (Sundararajan et al., ICML 2017).

    captum's ``IntegratedGradients`` with the Gauss-Legendre rule, section 3's equation 1. Exact
    integrals are complete: the map adds up to score(x) - score(baseline). ReLUs bend the score all
    along the path, so the sum converges slowly: over four clips and the four shipped networks, it
    is off by up to 3 % of that difference with 50 steps and up to 0.5 % with 200. Measure it with
    `completeness_gap`, or ask for it with ``tolerance``.

    Cost: ``steps`` forward and backward passes a clip; any network.

    Parameters
    ----------
    model, x, target, of, reduce
        As in `saliency`.
    baseline
        ``(C, T, H, W)``, or one for each clip; 0 unless given.
    steps
        Points on the path, at least 1.
    tolerance
        Largest relative gap that is let pass; None asks for nothing. Costs two forward passes, and
        needs the signed sum over channels.
    batch_size
        Points of a clip's path in one pass; 16 unless told.

    Returns
    -------
    Tensor
        ``(N, T, H, W)`` float32 on the network's device, in units of the score.

    Raises
    ------
    UnknownNameError, InputError, NotFiniteError
        As `saliency` does; `InputError` also if shapes do not fit, or the gap of a clip is larger
        than ``tolerance``: the clip, its gap, and what to try.
    """
    from captum.attr import IntegratedGradients

    if steps < 1:
        raise InputError(f"steps={steps}: the path has at least one point")
    if tolerance is not None and reduce != "sum":
        raise InputError(f"tolerance needs reduce='sum': {reduce!r} does not add up to the score")
    ground, size = _baseline(x, baseline), inputs_a_pass(batch_size)

    def answer(question: Question) -> Tensor:
        found = IntegratedGradients(question.scores).attribute(
            question.x,
            baselines=ground[question.rows].to(question.x),
            target=question.targets,
            n_steps=steps,
            internal_batch_size=size,
        )
        return channels(found, reduce)

    maps = explain(model, x, answer, target=target, of=of, batch_size=batch_size, one_by_one=True)
    if tolerance is not None:
        gaps = completeness_gap(
            model, x, maps, baseline=baseline, target=target, of=of, batch_size=batch_size
        )
        worst = int(gaps.argmax())
        if not gaps[worst] <= tolerance:
            raise InputError(
                f"integrated gradients of clip {worst} miss score(x) - score(baseline) by "
                f"{float(gaps[worst]):.1e} of it, more than {tolerance:g}: try steps={4 * steps}"
            )
    return maps


def completeness_gap(
    model: Model,
    x: Tensor,
    maps: Tensor,
    *,
    baseline: Tensor | None = None,
    target: Target = None,
    of: Score = "logit",
    batch_size: int | None = None,
) -> Tensor:
    """How far maps are from adding up to score(x) - score(baseline), relative to that.

    Lower is better; `integrated_gradients` says what to expect.

    Parameters
    ----------
    model, x, baseline, target, of
        As the maps were made with.
    maps
        ``(N, T, H, W)``, signed sums over channels.
    batch_size
        Clips in one pass; all of them unless told.

    Returns
    -------
    Tensor
        ``(N,)`` float64 on the network's device, at least 0; infinite for a map that is not zero in
        total where the score does not change.

    Raises
    ------
    UnknownNameError, InputError, NotFiniteError
        As `saliency` does; `InputError` also if shapes do not fit.
    """
    if maps.shape != (len(x), *x.shape[2:]):
        raise InputError(f"maps {tuple(maps.shape)} are not (N, T, H, W) of x {tuple(x.shape)}")
    ground = _baseline(x, baseline)

    def change(question: Question) -> Tensor:
        with torch.no_grad():
            ends = [question.x, ground[question.rows].to(question.x)]
            high, low = (
                question.scores(end).double().gather(1, question.targets[:, None])[:, 0]
                for end in ends
            )
        return high - low

    changes = explain(model, x, change, target=target, of=of, batch_size=batch_size).double()
    missing = (maps.to(changes).sum((1, 2, 3)) - changes).abs()
    return torch.where(missing == 0, missing, missing / changes.abs())


def gradient_shap(
    model: Model,
    x: Tensor,
    *,
    baselines: Tensor,
    rng: np.random.Generator,
    samples: int = 16,
    noise: float = 0.0,
    target: Target = None,
    of: Score = "logit",
    reduce: Reduce = "sum",
    batch_size: int | None = None,
) -> Tensor:
    """Expected gradients between clips and baselines drawn at random (Lundberg & Lee 2017).

    captum's ``GradientShap``: each sample draws a baseline and a point between it and the clip, and
    the gradient there is multiplied by what separates them. The map adds up to the score's mean
    difference from the baselines in expectation; with few samples it is noisy. captum draws from
    torch's and numpy's global generators: they are seeded from ``rng`` here, a clip at a time, and
    given back as they were.

    Cost: ``samples`` forward and backward passes a clip; any network.

    Parameters
    ----------
    model, x, target, of, reduce
        As in `saliency`.
    baselines
        ``(B, C, T, H, W)`` prepared clips, what the clip is held against; zeros of ``(1, ...)`` are
        nothing-there.
    rng
        What is drawn does not depend on how clips are batched.
    samples
        Draws a clip, at least 1.
    noise
        Standard deviation of what is added to the clip, in prepared input; 0 or more.
    batch_size
        Samples of a clip in one pass, all of them unless told. Fewer than ``samples`` changes what
        is drawn.

    Returns
    -------
    Tensor
        ``(N, T, H, W)`` float32 on the network's device, in units of the score.

    Raises
    ------
    UnknownNameError, InputError, NotFiniteError
        As `saliency` does; `InputError` also for baselines of another shape.
    """
    from captum.attr import GradientShap

    if samples < 1 or noise < 0:
        raise InputError(f"samples={samples}, noise={noise}: at least 1 and at least 0")
    if baselines.ndim != 5 or not len(baselines) or baselines.shape[1:] != x.shape[1:]:
        raise InputError(
            f"baselines {tuple(baselines.shape)} are not (B, C, T, H, W) clips like x "
            f"{tuple(x.shape)}"
        )
    size = inputs_a_pass(samples if batch_size is None else batch_size)

    def answer(question: Question) -> Tensor:
        method = GradientShap(question.scores)
        total = torch.zeros_like(question.x)
        with seeded(rng, question.x.device):
            for start in range(0, samples, size):
                draws = min(size, samples - start)
                total += draws * method.attribute(
                    question.x,
                    baselines.to(question.x),
                    n_samples=draws,
                    stdevs=float(noise),
                    target=question.targets,
                )
        return channels(total / samples, reduce)

    return explain(model, x, answer, target=target, of=of, batch_size=size, one_by_one=True)


def _baseline(x: Tensor, baseline: Tensor | None) -> Tensor:
    """A baseline for each clip, ``(N, C, T, H, W)``."""
    if baseline is None:
        return torch.zeros_like(x)
    if baseline.shape not in (x.shape[1:], x.shape):
        raise InputError(
            f"baseline {tuple(baseline.shape)} is neither one clip nor one for each of "
            f"{tuple(x.shape)}"
        )
    return baseline.expand_as(x)
