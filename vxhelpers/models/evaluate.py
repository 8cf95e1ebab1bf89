"""Predictions and what they are worth: accuracy, baselines, confusion, the causal check."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.stats import wilson

if TYPE_CHECKING:
    from vxhelpers.models.zoo import Model

Labels = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]
Edit = Callable[[Tensor], Tensor]  # of a batch (N, C, T, H, W)


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
    predictions
        For each of them the predicted class of every clip, ``(N,)``.
    """

    accuracy: dict[str, Accuracy]
    tables: dict[str, Labels]
    predictions: dict[str, Labels]


def predict(
    model: "Model", clips: Sequence[Clip], *, batch: int = 16, progress: bool = False
) -> Logits:
    """Logits ``(N, C)`` float32 of the clips, prepared as the model's entry says.

    Parameters
    ----------
    model
        A zoo model; runs where its network is.
    clips
        Any sequence; clips are taken from it batch by batch, so it may decode as it goes.
    batch
        Clips a forward pass.
    progress
        Show a bar.

    Raises
    ------
    InputError
        If there are no clips.
    NotFiniteError
        If a logit is NaN or infinite: names the clip.
    """
    return _predict(model, clips, {"normal": lambda x: x}, batch=batch, progress=progress)["normal"]


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
    progress: bool = False,
) -> CausalCheck:
    """Accuracy on the clips as they are, frozen at the middle frame, reversed and shuffled.

    A network that knows the class from frozen clips does not need motion; one that is as good on
    shuffled clips does not need order; where reversing moves predictions from one class to
    another, the direction of time is what it reads.

    The frames that the network is shown are edited, so that every version has the same ones.

    Parameters
    ----------
    model, clips, batch, progress
        As in :func:`predict`.
    labels
        ``(N,)`` class indices of the clips as they are.
    rng
        Draws one permutation a clip.
    """
    edits = time_edits(rng)
    n_classes = len(model.labels)
    logits = _predict(model, clips, edits, batch=batch, progress=progress)
    predictions = {name: values.argmax(1) for name, values in logits.items()}
    return CausalCheck(
        {name: accuracy(labels, p, n_classes) for name, p in predictions.items()},
        {name: confusion(labels, p, n_classes) for name, p in predictions.items()},
        predictions,
    )


def time_edits(rng: np.random.Generator) -> dict[str, Edit]:
    """The edits of a causal check, of prepared clips ``(N, C, T, H, W)``, by name.

    ``"normal"`` leaves them, ``"frozen"`` repeats the middle frame, ``"reversed"`` turns them
    round, ``"shuffled"`` has an order of frames for each clip that ``rng`` draws when it is used.
    """

    def shuffled(x: Tensor) -> Tensor:
        order = [torch.from_numpy(rng.permutation(x.shape[2])) for _ in x]
        return torch.stack([clip[:, o.to(x.device)] for clip, o in zip(x, order, strict=True)])

    return {
        "normal": lambda x: x,
        "frozen": lambda x: x[:, :, x.shape[2] // 2, None].expand_as(x).contiguous(),
        "reversed": lambda x: x.flip(2),
        "shuffled": shuffled,
    }


def _predict(
    model: "Model",
    clips: Sequence[Clip],
    edits: Mapping[str, Edit],
    *,
    batch: int,
    progress: bool,
) -> dict[str, Logits]:
    """Logits of every edit of the clips; each clip is prepared once."""
    if not len(clips):
        raise InputError("no clips to predict: is the split of the manifest empty?")
    if batch < 1:
        raise InputError(f"batch must be at least 1, not {batch}")
    rows: dict[str, list[Logits]] = {name: [] for name in edits}
    with torch.inference_mode(), _bar(len(clips), progress) as advance:
        for start in range(0, len(clips), batch):
            chosen = [clips[i] for i in range(start, min(start + batch, len(clips)))]
            x = model.prepare(chosen)
            for name, edit in edits.items():
                logits = model.logits(edit(x)).float().cpu()
                bad = ~torch.isfinite(logits).all(dim=1)
                if bad.any():
                    source = chosen[int(bad.nonzero()[0])].source
                    raise NotFiniteError(f"{source}: logits that are not finite ({name} clip)")
                rows[name].append(logits.numpy())
            advance(len(chosen))
    return {name: np.concatenate(values) for name, values in rows.items()}


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


@contextmanager
def _bar(total: int, show: bool) -> Iterator[Callable[[int], object]]:
    if not show:
        yield lambda n: None
        return
    from tqdm import tqdm

    with tqdm(total=total, desc="predict", unit="clip", mininterval=0.5) as bar:
        yield bar.update
