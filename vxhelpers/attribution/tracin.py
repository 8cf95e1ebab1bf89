"""Which training clips speak for a prediction, and which against it: TracIn, by the last layer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.models.probe import Target, class_indices, in_batches
from vxhelpers.models.zoo import Model, load

if TYPE_CHECKING:
    from captum.influence import TracInCPFast


@dataclass(frozen=True, eq=False)
class Influence:
    """What training clips do to the loss of explained ones.

    Parameters
    ----------
    scores
        ``(N, M)`` float64 of N explained and M training clips: above 0 where a step on the training
        clip lowers the explained clip's loss (it helps), below 0 where it raises it.
    checkpoints
        How many states of the network they are a sum over.
    """

    scores: npt.NDArray[np.float64]
    checkpoints: int

    def most(self, clip: int, *, count: int = 3, helpful: bool = True) -> list[int]:
        """Training clips that help (or harm) an explained clip most, the strongest first."""
        signed = self.scores[clip] if helpful else -self.scores[clip]
        return [int(i) for i in np.argsort(-signed, kind="stable")[:count]]


def tracin(
    model: Model,
    train: Sequence[Clip],
    labels: Sequence[int | str],
    x: Tensor,
    *,
    target: Target = None,
    checkpoints: Sequence[str | Path] = (),
    batch_size: int = 16,
    progress: bool = False,
) -> Influence:
    r"""Score what a step on each training clip would do to the loss of clips to be explained.

    .. math:: I(x, z) = \sum_t \nabla_w \ell(x; w_t) \cdot \nabla_w \ell(z; w_t)

    Pruthi et al., "Estimating Training Data Influence by Tracing Gradient Descent", NeurIPS 2020,
    section 3, with the cross-entropy loss and the classifier's weights :math:`w` alone (its section
    4 and appendix F), as captum's ``TracInCPFast`` computes it: one forward pass a clip and
    checkpoint. **Deviations**, both captum's: the classifier's bias does not count, and learning
    rates, which only weigh checkpoints, are left out. Given no checkpoints, the network as it is is
    the only one: found is which clips it holds to be alike and was unsure of, not what happened in
    training.

    Parameters
    ----------
    train, labels
        Training clips, which may be decoded as they are asked for, and their classes.
    x
        ``(N, C, T, H, W)`` prepared clips to be explained.
    target
        Whose loss is meant: the clips' classes, or None for the predicted ones.
    checkpoints
        Weights files of the same architecture from along the training.
    batch_size
        Training clips in one pass.
    progress
        Show a bar.

    Raises
    ------
    UnknownNameError, InputError
        If labels or targets are not the model's, or their number does not fit; if there are no
        training clips; if a checkpoint does not fit the network.
    NotFiniteError
        If a score is NaN or infinite; names both clips.
    """
    data = _training(model, train, labels)
    wanted = class_indices(model, target, clips=len(x))
    if wanted is None:
        with torch.no_grad():
            parts = in_batches(
                lambda rows: model.logits(x[rows].to(model.device)).argmax(1),
                clips=len(x),
                batch_size=batch_size,
            )
            wanted = torch.cat([*parts])
    with _method(model, data, checkpoints, batch_size) as method:
        inputs = (x.to(model.device), wanted.to(model.device))
        found = method.influence(inputs, show_progress=progress)
    scores = found.detach().double().cpu().numpy()
    if not np.isfinite(scores).all():
        clip, other = np.argwhere(~np.isfinite(scores))[0]
        raise NotFiniteError(f"clip {clip} and training clip {other}: NaN or infinite influence")
    return Influence(scores, len(checkpoints) or 1)


def self_influence(
    model: Model,
    train: Sequence[Clip],
    labels: Sequence[int | str],
    *,
    checkpoints: Sequence[str | Path] = (),
    batch_size: int = 16,
    progress: bool = False,
) -> npt.NDArray[np.float64]:
    """Score what a step on each training clip would do to its own loss: ``(M,)``, 0 or more.

    Section 4.1 of the paper of `tracin`: clips with a wrong label have a large score, as have rare
    ones. One forward pass a clip and checkpoint; parameters, deviations and errors are those of
    `tracin`. float64.
    """
    data = _training(model, train, labels)
    if not isinstance(model.net.get_submodule(model.entry.head), nn.Linear):
        batch_size = 1  # captum mixes the clips of a batch where a convolution classifies
    with _method(model, data, checkpoints, batch_size) as method:
        found = method.self_influence(show_progress=progress)
    scores: npt.NDArray[np.float64] = found.detach().double().flatten().cpu().numpy()
    if not np.isfinite(scores).all():
        clip = int((~np.isfinite(scores)).argmax())
        raise NotFiniteError(f"training clip {clip}: NaN or infinite influence on itself")
    return scores


class _Prepared(Dataset[tuple[Tensor, Tensor]]):
    """Training clips as the network takes them."""

    def __init__(self, model: Model, clips: Sequence[Clip], labels: Tensor) -> None:
        self.model, self.clips, self.labels = model, clips, labels.to(model.device)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.model.prepare(self.clips[i])[0], self.labels[i]


def _training(model: Model, train: Sequence[Clip], labels: Sequence[int | str]) -> _Prepared:
    """Training clips with their classes, checked."""
    if len(train) != len(labels) or not len(train):
        raise InputError(
            f"{len(labels)} labels for {len(train)} training clips: one for each, and one at least"
        )
    if model.net.training:
        raise InputError(f"model {model.entry.name!r} is in training mode: call model.net.eval()")
    known = class_indices(model, list(labels), clips=len(train))
    assert known is not None  # a list of labels always has indices
    return _Prepared(model, train, known)


@contextmanager
def _method(
    model: Model, data: _Prepared, checkpoints: Sequence[str | Path], batch_size: int
) -> Iterator["TracInCPFast"]:
    """captum's method over all checkpoints; the network is put back when done."""
    from captum.influence import TracInCPFast

    states = [_state(model, path) for path in checkpoints] or [model.net.state_dict()]
    with _restored(model.net):
        yield TracInCPFast(
            model.net,
            model.net.get_submodule(model.entry.head),
            data,
            [*range(len(states))],
            checkpoints_load_func=lambda net, k: _become(net, states[k]),
            loss_fn=nn.CrossEntropyLoss(reduction="sum"),
            batch_size=batch_size,
        )


def _state(model: Model, path: str | Path) -> dict[str, Tensor]:
    """A checkpoint's weights, checked against the architecture."""
    other = load(model.entry.name, weights=path)
    if other.labels != model.labels:
        raise InputError(f"{path}: classes {other.labels} where the network has {model.labels}")
    return other.net.state_dict()


def _become(net: nn.Module, state: dict[str, Tensor]) -> float:
    """Take on a checkpoint's weights; 1 stands for the learning rate."""
    net.load_state_dict(state)
    return 1.0


@contextmanager
def _restored(net: nn.Module) -> Iterator[None]:
    """Put weights, and what captum sets on the parameters, back when done."""
    before = {name: value.clone() for name, value in net.state_dict().items()}
    flags: list[tuple[Any, bool]] = [(p, p.requires_grad) for p in net.parameters()]
    try:
        yield
    finally:
        net.load_state_dict(before)
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
            parameter.grad = None
