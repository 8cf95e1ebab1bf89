"""Predictions and what they are worth: accuracy, baselines, confusion, the causal check."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from vxhelpers.clip import Clip, freeze, reverse, shuffle
from vxhelpers.errors import InputError, NotFiniteError

if TYPE_CHECKING:
    from vxhelpers.zoo import Model

Labels = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Accuracy:
    """Share of right predictions, with its 95 % Wilson interval and the scores of no skill.

    Parameters
    ----------
    correct, n
        Right predictions, of how many.
    value, low, high
        The share and its interval, 0 to 1.
    chance
        Expected of uniform guessing: one over the number of classes.
    majority
        Reached by always naming the most frequent class of these clips.
    """

    correct: int
    n: int
    value: float
    low: float
    high: float
    chance: float
    majority: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}], n = {self.n}"


@dataclass(frozen=True, eq=False)
class CausalCheck:
    """What a network does when time is taken away or turned around.

    Parameters
    ----------
    accuracy
        For ``"normal"``, ``"frozen"``, ``"reversed"`` and ``"shuffled"`` clips, against the
        label of the normal clip.
    tables
        For each of them the confusion table ``(classes, classes)``: label by prediction. The one
        of ``"reversed"`` shows which classes are each other's time reversal.
    """

    accuracy: dict[str, Accuracy]
    tables: dict[str, Labels]


def predict(
    model: "Model",
    clips: Sequence[Clip],
    *,
    batch: int = 16,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> Logits:
    """Logits ``(N, C)`` float32 of the clips, prepared as the model's entry says.

    Parameters
    ----------
    model
        A zoo model; its network is used in eval mode, where it is.
    clips
        Any sequence; clips are taken from it batch by batch, so it may decode lazily.
    batch
        Clips a forward pass.
    device
        Where the network runs; where its parameters are when not given.
    progress
        Show a bar.

    Raises
    ------
    InputError
        If there are no clips.
    NotFiniteError
        If a logit is NaN or infinite: names the clip.
    """
    if not len(clips):
        raise InputError("no clips to predict: is the split of the manifest empty?")
    if batch < 1:
        raise InputError(f"batch must be at least 1, not {batch}")
    if device is None:
        device = next(model.net.parameters()).device
    rows = []
    with torch.inference_mode():
        for start in _steps(range(0, len(clips), batch), progress):
            chosen = [clips[i] for i in range(start, min(start + batch, len(clips)))]
            logits = model.logits(model.prepare(chosen).to(device)).float().cpu()
            bad = ~torch.isfinite(logits).all(dim=1)
            if bad.any():
                clip = chosen[int(bad.nonzero()[0])]
                raise NotFiniteError(f"{clip.source}: the model's logits are not finite")
            rows.append(logits.numpy())
    return np.concatenate(rows)


def accuracy(
    labels: npt.ArrayLike, predictions: npt.ArrayLike, n_classes: int, *, confidence: float = 0.95
) -> Accuracy:
    """Share of ``predictions`` that equal ``labels``, both ``(N,)`` class indices.

    The interval is Wilson's (1927, *JASA* 22, 209-212): it stays within 0 and 1 and keeps its
    width at 0 and 1. It treats the clips as independent; several windows of one video are not.
    """
    y, p = _checked(labels, predictions, n_classes)
    correct, n = int((y == p).sum()), len(y)
    low, high = wilson(correct, n, confidence=confidence)
    return Accuracy(
        correct,
        n,
        value=correct / n,
        low=low,
        high=high,
        chance=1 / n_classes,
        majority=float(np.bincount(y).max() / n),
    )


def wilson(correct: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a share, for ``correct`` of ``n``."""
    if not (0 <= correct <= n and n > 0 and 0 < confidence < 1):
        raise InputError(f"no interval for {correct} of {n} at confidence {confidence}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = correct / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = ((centre + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    return (0.0 if correct == 0 else low), (1.0 if correct == n else high)


def confusion(labels: npt.ArrayLike, predictions: npt.ArrayLike, n_classes: int) -> Labels:
    """Counts ``(classes, classes)``: row = label, column = prediction."""
    y, p = _checked(labels, predictions, n_classes)
    table = np.bincount(y * n_classes + p, minlength=n_classes**2)
    return table.reshape(n_classes, n_classes)


def causal_check(
    model: "Model",
    clips: Sequence[Clip],
    labels: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    batch: int = 16,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> CausalCheck:
    """Accuracy on the clips as they are, frozen at the middle frame, reversed and shuffled.

    A network that knows the class from frozen clips does not need motion; one that is as good on
    shuffled clips does not need order; where reversing moves predictions from one class to
    another, the direction of time is what it reads.

    The window that the network sees is cut first, and then frozen, reversed or shuffled, so that
    each version shows the same frames.

    Parameters
    ----------
    model, clips, batch, device, progress
        As in :func:`predict`.
    labels
        ``(N,)`` class indices of the clips as they are.
    rng
        Draws the permutations.
    """
    edits: dict[str, Callable[[Clip], Clip]] = {
        "normal": lambda clip: clip,
        "frozen": freeze,
        "reversed": reverse,
        "shuffled": lambda clip: shuffle(clip, rng),
    }
    n_classes = len(model.labels)
    predictions = {
        name: predict(
            model, _Edited(clips, edit), batch=batch, device=device, progress=progress
        ).argmax(1)
        for name, edit in edits.items()
    }
    return CausalCheck(
        {name: accuracy(labels, p, n_classes) for name, p in predictions.items()},
        {name: confusion(labels, p, n_classes) for name, p in predictions.items()},
    )


class _Edited(Sequence[Clip]):
    """Clips that are edited when they are asked for."""

    def __init__(self, clips: Sequence[Clip], edit: Callable[[Clip], Clip]) -> None:
        self.clips, self.edit = clips, edit

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: Any) -> Any:
        return self.edit(self.clips[index])


def _checked(
    labels: npt.ArrayLike, predictions: npt.ArrayLike, n_classes: int
) -> tuple[Labels, Labels]:
    y, p = np.asarray(labels, np.int64), np.asarray(predictions, np.int64)
    if y.shape != p.shape or y.ndim != 1 or not len(y):
        raise InputError(
            f"labels {y.shape} and predictions {p.shape} must be of one length, 1 or more"
        )
    for name, values in (("labels", y), ("predictions", p)):
        if values.min() < 0 or values.max() >= n_classes:
            raise InputError(f"{name} must be 0 to {n_classes - 1}: {sorted(set(values.tolist()))}")
    return y, p


def _steps(steps: range, progress: bool) -> Iterator[int]:
    if not progress:
        yield from steps
        return
    from tqdm import tqdm

    yield from tqdm(steps, desc="predict", unit="batch")
