"""The score that a map explains, as a function of clips: what captum and perturbations work on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.models.probe import Score, Target, class_indices, explain_memory, in_batches
from vxhelpers.models.zoo import Model

INPUTS = 16

Reduce = Literal["sum", "l2", "max"]


@dataclass(frozen=True, eq=False)
class Question:
    """Which score of which clips is to be explained.

    Parameters
    ----------
    rows
        Which of all clips these are.
    x
        ``(n, C, T, H, W)`` clips, on the network's device, without a graph.
    targets
        ``(n,)`` int64 class indices.
    scores
        Maps any ``(k * n, C, T, H, W)`` input, these clips k times over, to ``(k * n, classes)``
        scores in the caller's grad mode; raises NotFiniteError, naming the clip.
    """

    rows: slice
    x: Tensor
    targets: Tensor
    scores: Callable[[Tensor], Tensor]


def explain(
    model: Model,
    x: Tensor,
    answer: Callable[[Question], Tensor],
    *,
    target: Target = None,
    of: Score = "logit",
    batch_size: int | None = None,
    one_by_one: bool = False,
) -> Tensor:
    """Answer for all clips, a batch at a time; finite values or an error.

    Where no target is given, each clip's predicted class costs one forward pass more.

    Parameters
    ----------
    model
        A network of the zoo, in evaluation mode.
    x
        ``(N, C, T, H, W)`` prepared clips.
    answer
        Gives one value, or one volume, for each clip of a question.
    target, of
        As in `vxhelpers.models.probe.probe`.
    batch_size
        Inputs in one pass: clips, all of them unless told.
    one_by_one
        Ask for each clip by itself, for what makes many inputs of it; ``batch_size`` is then what
        ``answer`` keeps to (`inputs_a_pass`).

    Returns
    -------
    Tensor
        ``(N, ...)`` float32 on the network's device.

    Raises
    ------
    UnknownNameError, InputError, NotFiniteError
        As `vxhelpers.models.probe.probe` does.
    """
    if of not in ("logit", "log_probability"):
        raise InputError(f"of={of!r}: a score is 'logit' or 'log_probability'")
    name = model.entry.name
    if any(module.training for module in model.net.modules()):
        raise InputError(f"model {name!r} is in training mode: call model.net.eval()")
    if x.ndim != 5 or 0 in x.shape:
        raise InputError(f"model {name!r} takes (N, C, T, H, W) clips, not {tuple(x.shape)}")
    passes = inputs_a_pass(batch_size) if one_by_one else len(x)

    def step(rows: slice) -> Tensor:
        clips = x[rows].detach().to(model.device)
        _check_finite(clips, rows, "the pixels")

        def scores(inputs: Tensor) -> Tensor:
            logits = model.logits(inputs)
            _check_finite(logits, rows, "the logits")
            # In float64: near certainty one minus a probability has no digits in float32.
            return logits if of == "logit" else logits.double().log_softmax(1)

        with torch.no_grad():
            targets = scores(clips).argmax(1) if wanted is None else wanted[rows].to(clips.device)
        with explain_memory(passes if one_by_one else len(clips), x.shape[1:]):
            found = answer(Question(rows, clips, targets, scores)).detach().float()
        _check_finite(found, rows, "the map")
        return found

    with torch.inference_mode(False):
        # Tensors made in inference mode cannot enter a graph; copies can.
        x = x.clone() if x.is_inference() else x
        wanted = class_indices(model, target, clips=len(x))
        size = 1 if one_by_one else batch_size
        return torch.cat(list(in_batches(step, clips=len(x), batch_size=size, shape=x.shape[1:])))


def channels(attributions: Tensor, reduce: Reduce) -> Tensor:
    """Make ``(N, T, H, W)`` of ``(N, C, T, H, W)``: signed sum, norm, or largest absolute value."""
    if reduce not in get_args(Reduce):
        raise InputError(f"reduce={reduce!r}: one of {', '.join(map(repr, get_args(Reduce)))}")
    if reduce == "sum":
        return attributions.sum(1)
    return attributions.norm(dim=1) if reduce == "l2" else attributions.abs().amax(1)


def inputs_a_pass(batch_size: int | None) -> int:
    """How many inputs made of one clip go through the network together; `INPUTS` unless told."""
    size = INPUTS if batch_size is None else batch_size
    if size < 1:
        raise InputError(f"batch_size={batch_size}: a batch holds at least one input")
    return size


@contextmanager
def seeded(rng: np.random.Generator, device: torch.device) -> Iterator[None]:
    """Seed the global generators of torch and numpy from ``rng``, and give them back as they were.

    For libraries that draw from nothing else. Other threads that draw meanwhile are disturbed.
    """
    seeds = rng.integers(0, 2**32, 2)
    before = np.random.get_state()  # noqa: NPY002
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(int(seeds[0]))
            np.random.seed(int(seeds[1]))  # noqa: NPY002
            yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def _check_finite(values: Tensor, rows: slice, place: str) -> None:
    """Raise on NaN or infinity, naming the clip: the clips of ``rows`` follow each other."""
    bad = ~values.detach().reshape(len(values), -1).isfinite().all(1)
    if bool(bad.any()):
        clip = rows.start + int(bad.nonzero()[0]) % (rows.stop - rows.start)
        raise NotFiniteError(
            f"NaN or infinity in {place} for clip {clip}: check that clip's pixels and the weights"
        )
