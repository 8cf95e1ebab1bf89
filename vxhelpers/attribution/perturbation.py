"""Maps by hiding parts of a clip: occlusion, RISE, LIME and kernel SHAP; any network will do.

What is hidden is 0, the mean colour. The network is only run forwards, once for each input made of
a clip. Every map is positive where what is shown speaks for the class.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from vxhelpers.attribution.base import Question, explain, inputs_a_pass
from vxhelpers.errors import InputError
from vxhelpers.models.probe import Score, Target
from vxhelpers.models.zoo import Model

Volumes = npt.NDArray[Any] | Sequence[npt.NDArray[Any]]
Triple = tuple[int, int, int]


def occlusion(
    model: Model,
    x: Tensor,
    *,
    window: Triple | None = None,
    strides: Triple | None = None,
    target: Target = None,
    of: Score = "logit",
    batch_size: int | None = None,
) -> Tensor:
    """How much the score falls when a box in space-time is hidden (Zeiler & Fergus, ECCV 2014).

    captum's ``Occlusion`` with the paper's grey square made a box of all channels. A voxel gets the
    mean fall over the boxes that hide it; the last box of an axis may be cut off at the end.

    Cost: one forward pass a clip and one for each box, the product over axes of
    ``ceil((size - window) / stride) + 1``: 344 unless told otherwise.

    Parameters
    ----------
    model
        A network of the zoo.
    x
        ``(N, C, T, H, W)`` prepared clips.
    window
        Frames, rows and columns of the box; a quarter of the clip along each unless told.
    strides
        From box to box; half of the window unless told.
    target
        The class to explain: an index, a label, one of either for each clip, or None for each
        clip's predicted class, which costs one forward pass more.
    of
        ``"logit"`` or ``"log_probability"``.
    batch_size
        Inputs made of a clip in one pass; 16 unless told.

    Returns
    -------
    Tensor
        ``(N, T, H, W)`` float32 on the network's device, in units of the score.

    Raises
    ------
    UnknownNameError, InputError, NotFiniteError
        As `vxhelpers.models.probe.probe` does; `InputError` also if a box is larger than the clip,
        or strides leave gaps.
    """
    from captum.attr import Occlusion

    size = inputs_a_pass(batch_size)
    box, step = _boxes(x.shape[2:], window, strides)

    def answer(question: Question) -> Tensor:
        falls: Tensor = Occlusion(question.scores).attribute(
            question.x,
            sliding_window_shapes=(x.shape[1], *box),
            strides=(x.shape[1], *step),
            baselines=0,
            target=question.targets,
            perturbations_per_eval=size,
        )
        return falls[:, 0]  # all channels are hidden together

    return explain(model, x, answer, target=target, of=of, batch_size=size, one_by_one=True)


def rise(
    model: Model,
    x: Tensor,
    *,
    rng: np.random.Generator,
    samples: int = 1000,
    cells: Triple = (4, 7, 7),
    keep: float = 0.5,
    target: Target = None,
    of: Score = "logit",
    batch_size: int | None = None,
) -> Tensor:
    r"""Mean score of random views that show a voxel, less that of all views (RISE).

    Petsiuk et al., "RISE", BMVC 2018, section 3, with time as a third axis: coarse random grids are
    upsampled linearly, shifted by less than a cell, and multiplied with the clip,

    .. math:: L_\lambda = \frac{\sum_i M_i(\lambda)\, y^c(x \odot M_i)}{\sum_i M_i(\lambda)}
              - \frac{1}{n} \sum_i y^c(x \odot M_i).

    **Deviations from the paper**: it divides by the masks' expected sum, here it is the sum that
    was drawn, and the mean score is subtracted: a constant added to the score then changes nothing,
    and what does not matter is at 0. Its score is the probability.

    Cost: ``samples`` forward passes a clip. Noise falls with their square root: on the shipped R3D
    and one clip, maps of 1,000 samples from two seeds correlate at 0.92.

    Parameters
    ----------
    model, x, target, of, batch_size
        As in `occlusion`.
    rng
        The masks are drawn once, the same for all clips.
    samples
        Masks, at least 2.
    cells
        Cells of the grid along frames, rows and columns; one along frames hides all of them alike.
    keep
        Share of cells that are shown, between 0 and 1.

    Returns
    -------
    Tensor
        ``(N, T, H, W)`` float32 on the network's device, in units of the score.

    Raises
    ------
    UnknownNameError, InputError, NotFiniteError
        As `occlusion` does; `InputError` also for options out of range, or if the masks are so few
        that a voxel is never shown.
    """
    limits = [*x.shape[2:]]
    if not 0 < keep < 1 or samples < 2:
        raise InputError(f"keep={keep}, samples={samples}: between 0 and 1, and at least 2")
    if any(not 1 <= n <= limit for n, limit in zip(cells, limits, strict=True)):
        raise InputError(f"cells={cells} are from 1 to the clip's frames, rows, columns {limits}")
    size = inputs_a_pass(batch_size)
    grids = torch.from_numpy(rng.random((samples, *cells)) < keep).float()
    shares = torch.from_numpy(rng.random((samples, 3)))

    def answer(question: Question) -> Tensor:
        shown = torch.zeros(*limits, dtype=torch.float64, device=question.x.device)
        weighted, total = shown.clone(), 0.0
        for masks in _masks(grids, shares, limits, size, question.x.device):
            with torch.no_grad():
                scores = question.scores(question.x * masks[:, None])[:, question.targets[0]]
            masks = masks.double()
            weighted += torch.einsum("n,nthw->thw", scores.double(), masks)
            shown += masks.sum(0)
            total += float(scores.double().sum())
        if not bool((shown > 0).all()):
            raise InputError(f"{samples} masks never show some voxels: draw more samples")
        return rise_map(weighted, shown, total / samples)[None]

    return explain(model, x, answer, target=target, of=of, batch_size=size, one_by_one=True)


def rise_map(weighted: Tensor, shown: Tensor, mean: float) -> Tensor:
    """Map ``(T, H, W)`` of RISE from sums over masks: of score times mask, and of the masks.

    Equation 6 of Petsiuk, Das and Saenko (BMVC 2018), but for the masks' drawn sum in place of the
    expected one, and the ``mean`` score taken off.
    """
    return weighted / shown - mean


def _boxes(
    size: Sequence[int], window: Triple | None, strides: Triple | None
) -> tuple[Triple, Triple]:
    """Window and strides, checked."""
    box = tuple(window or (max(1, n // 4) for n in size))
    step = tuple(strides or (max(1, n // 2) for n in box))
    fits = len(box) == len(step) == 3 and all(
        1 <= b <= n and (1 <= s <= b or (s >= 1 and b == n))
        for n, b, s in zip(size, box, step, strict=True)
    )
    if not fits:
        raise InputError(
            f"window={box}, strides={step}: three numbers each, the window within the clip's "
            f"{tuple(size)}, a stride no larger than the window"
        )
    return (box[0], box[1], box[2]), (step[0], step[1], step[2])


def _masks(
    grids: Tensor, shares: Tensor, size: Sequence[int], chunk: int, device: torch.device
) -> Iterator[Tensor]:
    """RISE's masks ``(n, T, H, W)`` from 0 to 1, a few at a time: grids upsampled and shifted."""
    cells = [-(-length // n) for length, n in zip(size, grids.shape[1:], strict=True)]
    large = [(n + 1) * cell for n, cell in zip(grids.shape[1:], cells, strict=True)]
    shifts = (shares * torch.tensor(cells)).long().tolist()
    for start in range(0, len(grids), chunk):
        rows = grids[start : start + chunk, None].to(device)
        volumes = F.interpolate(rows, size=large, mode="trilinear", align_corners=False)[:, 0]
        yield torch.stack(
            [
                volume[t : t + size[0], i : i + size[1], j : j + size[2]]
                for volume, (t, i, j) in zip(volumes, shifts[start:], strict=False)
            ]
        )
