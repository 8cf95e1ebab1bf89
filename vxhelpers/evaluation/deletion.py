"""Deletion and insertion: what the network makes of a clip as its most important parts go or come.

Petsiuk, Das and Saenko, "RISE" (BMVC 2018), section 4.1, on video. Deviations: a part is a block of
voxels, whole frames, a column of pixels through all frames, or a supervoxel, not only a pixel;
parts of different size are ranked by the map's mean on them, and the axis is the share of voxels;
parts that the map gives the same value come in random order, so that an even map does no better
than chance; random orders are the baseline, for a curve's area depends on network, clip and fill.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.evaluation.map_similarity import (
    Better,
    Classes,
    Flags,
    Labels,
    Values,
    blocks,
    checked,
    explained_classes,
    flat,
)
from vxhelpers.evaluation.map_similarity import logits as predict
from vxhelpers.models.probe import Target, in_batches
from vxhelpers.models.zoo import Model

Operation = Literal["deletion", "insertion"]
Parts = Literal["cell", "frame", "column"]
Fill = Literal["zero", "blur"]
BETTER: dict[Operation, Better] = {"deletion": "lower", "insertion": "higher"}
FILL: dict[Operation, Fill] = {"deletion": "zero", "insertion": "blur"}  # the paper's


@dataclass(frozen=True, eq=False)
class Curves:
    """Probabilities of N clips' classes over S + 1 shares of voxels, by the map and at random.

    Parameters
    ----------
    operation
        ``"deletion"``: from the clip to the fill; ``"insertion"``: from the fill to the clip.
    parts, fill
        What is taken at a time, and what stands in its place, in words.
    targets
        ``(N,)`` the classes whose probability it is.
    fractions, probability
        ``(N, S + 1)``: share of voxels deleted or inserted, 0 to 1, and the class's probability,
        by the map, what speaks most for the class first.
    random_fractions, random_probability
        ``(R, N, S + 1)``: the same by R random orders; the ends are the same.
    flat
        ``(N,)``: the map is the same everywhere, so that its order is one more random one.
    better
        Which direction of `areas` is better: lower for deletion, higher for insertion. A `gain` is
        better when higher, always.
    """

    operation: Operation
    parts: str
    fill: str
    targets: Classes
    fractions: Values
    probability: Values
    random_fractions: Values
    random_probability: Values
    flat: Flags
    better: Better

    @property
    def areas(self) -> Values:
        """Area under each clip's curve ``(N,)``, 0 to 1, by trapezoids."""
        return area(self.fractions, self.probability)

    @property
    def random_areas(self) -> Values:
        """Area under each random curve ``(R, N)``."""
        return area(self.random_fractions, self.random_probability)

    @property
    def gain(self) -> Values:
        """How much better than the mean of its random orders each clip is ``(N,)``, -1 to 1."""
        if not len(self.random_probability):
            raise InputError("no random orders were asked for: set repeats to 1 or more")
        ahead: Values = self.areas - self.random_areas.mean(0)
        return ahead if self.better == "higher" else -ahead


def area(fractions: Values, values: Values) -> Values:
    """Area under curves along the last axis, by trapezoids; 0 to 1 wide."""
    found: Values = ((values[..., 1:] + values[..., :-1]) / 2 * np.diff(fractions)).sum(-1)
    return found


def curves(
    model: Model,
    x: Tensor,
    maps: npt.ArrayLike | Tensor,
    *,
    operation: Operation = "deletion",
    target: Target = None,
    parts: Parts | npt.ArrayLike = "cell",
    cell: tuple[int, int, int] | None = None,
    fill: Fill | Tensor | None = None,
    steps: int = 16,
    repeats: int = 5,
    rng: np.random.Generator,
    batch_size: int = 16,
) -> Curves:
    """Take away, or put in, what a map says matters most first, and watch the class's probability.

    Parameters
    ----------
    model
        A network of the zoo, in evaluation mode.
    x
        ``(N, C, T, H, W)`` prepared clips.
    maps
        ``(N, T, H, W)`` raw signed maps of ``target``.
    operation
        ``"deletion"`` goes from the clip to the fill, ``"insertion"`` from the fill to the clip.
    target
        The class to watch: an index, a label, one of either for each clip, or None for each clip's
        predicted class.
    parts
        What is taken at a time: ``"cell"``, blocks of voxels; ``"frame"``, whole frames (time
        alone); ``"column"``, pixels through all frames (space alone); or a label volume
        ``(N, T, H, W)`` or ``(T, H, W)`` of integers, such as supervoxels.
    cell
        Frames, rows and columns of a block, at the border what is left of one. ``"frame"`` uses the
        frames alone, ``"column"`` rows and columns. None is ``(4, 8, 8)`` for cells, single frames,
        and columns of 8x8. The paper's is a single pixel, ``(1, 1, 1)``.
        Finer is not better: holes scattered at random harm a network more than the loss of what
        decides. On the stage's motion task (R3D, 12 clips) the planted evidence beats random orders
        with cells of 4x8x8 and does not with 2x4x4.
    fill
        What is where the clip is not: ``"zero"``, the mean colour; ``"blur"``, the clip as
        `blurred` makes it; or clips of ``x``'s shape. None is the paper's choice: zero for
        deletion, blur for insertion.
    steps
        Steps from one end to the other, each of as many parts as the others (to one); never more
        than there are parts.
    repeats
        Random orders a clip, for the baseline; each costs as much as the map's own. 0 leaves them
        out.
    rng
        Draws the random orders, and the order of parts of equal value.
    batch_size
        Versions of a clip in one pass. There are ``(1 + repeats) * (steps - 1) + 2`` of them.

    Returns
    -------
    Curves
        Its two ends are passes of the clip and of the fill, exactly as they are.

    Raises
    ------
    UnknownNameError, InputError
        If targets, shapes or options do not fit, the network is in training mode, or memory runs
        out.
    NotFiniteError
        If a map or a logit holds NaN or infinity; names the clip.
    """
    if operation not in BETTER or steps < 1 or repeats < 0:
        raise InputError(
            f"operation={operation!r} is one of {', '.join(BETTER)}; steps={steps} is 1 or more, "
            f"repeats={repeats} 0 or more"
        )
    values = checked(maps, (len(x), *x.shape[2:]), of=operation)
    blank, filled = _blank(x, FILL[operation] if fill is None else fill)
    labels, taken = _labels(x, parts, cell)
    steps = min(steps, max(int(one.max()) + 1 for one in labels))
    whole = predict(model, x, batch_size=batch_size)
    targets = explained_classes(model, target, whole)
    ends = [
        found.double().softmax(1).gather(1, targets[:, None])[:, 0].numpy()
        for found in (whole, predict(model, blank, batch_size=batch_size))
    ]
    shape = (1 + repeats, len(x), steps + 1)
    fractions, probability = np.zeros(shape), np.empty(shape)
    forward = operation == "deletion"
    probability[:, :, 0], probability[:, :, -1] = ends if forward else ends[::-1]
    for index, own in enumerate(values.astype(np.float64)):
        volume = labels[index % len(labels)]
        sizes = np.bincount(volume.ravel())
        places = [ranks(np.bincount(volume.ravel(), own.ravel()) / sizes, rng=rng)]
        places += [rng.permutation(len(sizes)) for _ in range(repeats)]
        counts = np.rint(np.arange(steps + 1) * len(sizes) / steps).astype(np.int64)
        clips = x[index].to(model.device), blank[index].to(model.device)
        first, last = clips if forward else clips[::-1]
        cuts = [(at, n) for at in (place[volume] for place in places) for n in counts[1:-1]]
        try:
            found = _between(model, first, last, cuts, batch_size=batch_size)
        except NotFiniteError as error:
            raise NotFiniteError(f"NaN or infinity in the {operation} of clip {index}") from error
        inner = found[:, targets[index]].reshape(1 + repeats, steps - 1)
        probability[:, index, 1:-1] = inner
        for run, place in enumerate(places):
            changed = np.concatenate([[0], sizes[np.argsort(place)].cumsum()])
            fractions[run, index] = changed[counts] / volume.size
    return Curves(
        operation=operation,
        parts=taken,
        fill=filled,
        targets=targets.numpy(),
        fractions=fractions[0],
        probability=probability[0],
        random_fractions=fractions[1:],
        random_probability=probability[1:],
        flat=flat(values),
        better=BETTER[operation],
    )


def blurred(x: Tensor, *, sigma: float | None = None) -> Tensor:
    """Blur every frame of ``(N, C, T, H, W)`` clips with a Gaussian; time stays as it is.

    Parameters
    ----------
    sigma
        Standard deviation in pixels, cut off at three of them; a sixteenth of the shorter side
        unless told. The paper's, 5 pixels of 224, leaves actions to be seen.
    """
    sides = tuple(x.shape[3:])
    spread = min(sides) / 16 if sigma is None else sigma
    if not spread > 0:
        raise InputError(f"sigma={sigma}: a blur has a width above 0 pixels")
    kernel = [2 * min(int(np.ceil(3 * spread)), side - 1) + 1 for side in reversed(sides)]
    planes = x.flatten(0, 2)[:, None]
    soft: Tensor = F.gaussian_blur(planes, kernel, [spread, spread])
    return soft.reshape(x.shape)


def ranks(values: Values, *, rng: np.random.Generator) -> Labels:
    """Place of each value from the highest (0) to the lowest; equal values by lot."""
    lot = rng.permutation(len(values))
    order = lot[np.argsort(-values[lot], kind="stable")]
    places = np.empty(len(values), np.int64)
    places[order] = np.arange(len(values))
    return places


def _between(
    model: Model,
    first: Tensor,
    last: Tensor,
    cuts: Sequence[tuple[Labels, int]],
    *,
    batch_size: int,
) -> Values:
    """Probabilities ``(cuts, classes)``: ``last`` where a voxel's place is below a cut's count."""

    def step(rows: slice) -> Values:
        masks = np.stack([places < count for places, count in cuts[rows]])
        changed = torch.from_numpy(masks).to(first.device)[:, None]
        found: Values = (
            predict(model, torch.where(changed, last, first)).double().softmax(1).numpy()
        )
        return found

    batches = list(in_batches(step, clips=len(cuts), batch_size=batch_size))
    return np.concatenate([np.empty((0, len(model.labels))), *batches])


def _blank(x: Tensor, fill: Fill | Tensor) -> tuple[Tensor, str]:
    """What stands in the place of what is gone, for every clip, and its name."""
    if isinstance(fill, Tensor):
        if fill.shape != x.shape:
            raise InputError(
                f"fill of {tuple(fill.shape)} for clips of {tuple(x.shape)}: they must be alike"
            )
        return fill.to(x), "clips of the caller's"
    if fill == "zero":
        return torch.zeros_like(x), "zero (mean colour)"
    if fill == "blur":
        return blurred(x), f"blurred by {min(x.shape[3:]) / 16:g} pixels"
    raise InputError(f"fill={fill!r}: 'zero', 'blur' or clips of x's shape")


def _labels(
    x: Tensor, parts: Parts | npt.ArrayLike, cell: tuple[int, int, int] | None
) -> tuple[list[Labels], str]:
    """Label volumes, from 0 without gaps: one for all clips or one for each; and their name."""
    size = tuple(x.shape[2:])
    if isinstance(parts, str):
        frames, rows, columns = cell or (1 if parts == "frame" else 4, 8, 8)
        shapes = {
            "cell": (frames, rows, columns),
            "frame": (frames, *size[1:]),
            "column": (size[0], rows, columns),
        }
        if parts not in shapes:
            raise InputError(f"parts={parts!r}: {', '.join(shapes)} or a label volume")
        chosen = shapes[parts]
        return [blocks(size, chosen)], f"{parts}s of {'x'.join(map(str, chosen))} voxels"
    volume = np.asarray(parts)
    volume = volume[None] if volume.ndim == 3 else volume
    if volume.dtype.kind not in "iu" or volume.shape not in ((1, *size), (len(x), *size)):
        raise InputError(
            f"parts of shape {np.shape(parts)} and type {volume.dtype} for clips of "
            f"{tuple(x.shape)}: labels are integers (N, T, H, W) or (T, H, W)"
        )
    dense = [np.unique(one, return_inverse=True)[1].reshape(size) for one in volume]
    return dense, "label volume"
