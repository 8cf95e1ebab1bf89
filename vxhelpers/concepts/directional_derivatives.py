r"""Gradients of scoring clips times activations of concept clips: every derivative TCAV asks for.

They give the derivative along every vector that can be made of the concept clips
(`directional_derivative`). A product is a sum over channels, time steps and positions, so that the
derivative splits exactly into when and where.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from vxhelpers.checks import known
from vxhelpers.concepts.activations import Activations, clip_name, scoring_names
from vxhelpers.concepts.arrays import Matrix
from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.models.probe import Probe, Score, Target, class_indices, in_batches, probe
from vxhelpers.models.zoo import Model

Masks = npt.NDArray[np.bool_]

ALIKE = 1e-4  # relative difference up to which two directions of gradients are one
_BLOCK = 1_000_000  # activations multiplied at a time


def directional_derivative(gradients: Matrix, cav: Matrix) -> Matrix:
    r"""Derivatives of scores along concept vectors, :math:`S(x) = \nabla h(f(x)) \cdot v`.

    Kim et al. (2018), Eq. 1, whose limit of differences is this product. In the features of a
    layer, or in the dual: gradients as their products with N clips' activations, and vectors as
    weights over these clips, :math:`g \cdot \sum_n a_n x_n = \sum_n a_n (g \cdot x_n)`.

    Parameters
    ----------
    gradients
        ``(..., D)``: of each clip's score; ``...`` such as S clips, or S clips and T time steps.
    cav
        ``(P, D)`` vectors of unit length.

    Returns
    -------
    numpy.ndarray
        ``(P, ...)``.
    """
    found: Matrix = np.moveaxis(gradients @ cav.T, -1, 0)
    return found


@dataclass(frozen=True, eq=False)
class LayerProducts:
    """Products of S scoring clips' gradients with N clips' activations, at one layer.

    Parameters
    ----------
    steps
        ``(S, T, N)`` float64, one for each time step of the layer (one for a pooled layer), with
        the activations' mean clip as origin.
    inside
        Name of each place to its share of ``steps``.
    lengths
        ``(S,)`` Euclidean lengths of the gradients.
    spread
        ``(S,)`` relative distance of each gradient from the line of the first that is not 0.
    constant
        Whether all gradients are one and the same.
    """

    steps: Matrix
    inside: Mapping[str, Matrix]
    lengths: Matrix
    spread: Matrix
    constant: bool

    @property
    def products(self) -> Matrix:
        """``(S, N)``: the sum over time steps, with the mean clip as origin."""
        return np.asarray(self.steps.sum(1))

    @property
    def degenerate(self) -> str:
        """Why sign counts say little here, in a sentence; empty where they do not."""
        if not self.lengths.any():
            return "the score does not change with this layer: every gradient is zero"
        if len(self.lengths) < 2 or self.spread.max() > ALIKE:
            return ""
        cause = (
            "only linear operations follow this layer, so its gradient is one constant vector"
            if self.constant
            else "the gradients of all clips are parallel"
        )
        return (
            f"{cause}: a concept vector's sign count is exactly 0 or 1; read the magnitude, take "
            "log-probabilities or an earlier layer"
        )


@dataclass(frozen=True, eq=False)
class Derivatives:
    """What the scoring clips' gradients say of all layers, from one pass a clip.

    Parameters
    ----------
    clips
        Names of the S scoring clips.
    targets
        ``(S,)`` int64, the class whose score was differentiated.
    logits
        ``(S, classes)`` of the scoring clips.
    of
        ``"logit"`` or ``"log_probability"``.
    layers
        Name of each layer to its products.
    """

    clips: tuple[str, ...]
    targets: npt.NDArray[np.int64]
    logits: Matrix
    of: Score
    layers: Mapping[str, LayerProducts]

    def __getitem__(self, layer: str) -> LayerProducts:
        known("layer", layer, self.layers, where="these derivatives")
        return self.layers[layer]


def derivatives(
    model: Model,
    clips: Sequence[Clip],
    activations: Activations,
    *,
    target: Target,
    of: Score = "logit",
    places: Mapping[str, Masks] | None = None,
    batch_size: int = 8,
) -> Derivatives:
    """Multiply the gradients of scoring clips with the activations of concept clips, at all layers.

    One forward and one backward pass a scoring clip, whatever the number of layers, concepts and
    random sets; a batch's gradients are multiplied and let go.

    Parameters
    ----------
    model
        The network that ``activations`` were collected from.
    clips
        Scoring clips, usually of the class to be explained; none of them among the concept clips.
    activations
        Of concept and random clips (`vxhelpers.concepts.activations.collect`), at the layers
        wanted.
    target
        The class: an index, a label, one of either for each clip, or None for predicted classes.
    of
        The score: ``"logit"``, or ``"log_probability"`` (graded where the head is linear).
    places
        Names to ``(S, T, H, W)`` masks of the scoring clips in the network's geometry. A cell of a
        layer belongs to a place by the share of its frames and pixels that are in the mask.
        Receptive fields reach further than cells: deep cells see what is outside a mask. Pooled
        layers have no places.
    batch_size
        Clips a pass.

    Raises
    ------
    InputError
        If scoring clips are also concept or random clips, or one is there twice (lists them), masks
        do not fit, ``activations`` are not of this network's layers, a layer gets no gradient, a
        class index is out of range, or memory runs out (with the batch size to try; the
        activations are the caller's and stay).
    UnknownNameError
        If a label is not the model's.
    NotFiniteError
        If activations or gradients are NaN or infinite: names the clip and the layer.
    """
    places = places or {}
    if not len(clips):
        raise InputError("no scoring clips: derivatives are taken at clips of the class")
    targets = class_indices(model, target, clips=len(clips))
    for name, mask in places.items():
        if mask.ndim != 4 or len(mask) != len(clips):
            raise InputError(
                f"place {name!r}: masks {mask.shape} are not (T, H, W) of {len(clips)} clips"
            )
    names = scoring_names(clips, activations)
    layers = {name: _Layer(name, x) for name, x in activations.layers.items()}

    def step(rows: slice) -> tuple[Tensor, Tensor]:
        batch = [clips[index] for index in range(rows.start, rows.stop)]
        wanted = None if targets is None else targets[rows]
        seen = _run(model, batch, [*layers], wanted, of)
        masks = {name: torch.from_numpy(mask[rows].copy()) for name, mask in places.items()}
        for name, layer in layers.items():
            layer.add(seen.gradients.pop(name), masks)
        return seen.targets.cpu(), seen.logits.cpu()

    passes = [*in_batches(step, clips=len(clips), batch_size=batch_size)]
    return Derivatives(
        names,
        torch.cat([found for found, _ in passes]).numpy(),
        torch.cat([logits for _, logits in passes]).double().numpy(),
        of,
        {name: layer.combined() for name, layer in layers.items()},
    )


class _Layer:
    """Products at one layer, taken in batch by batch.

    Gradients wait for each other up to a sixteenth of the activations' size, so that these are not
    read anew for every batch.
    """

    def __init__(self, name: str, x: Tensor) -> None:
        self.name, self.pooled = name, x.ndim == 2
        self.x = x[:, :, None, None, None] if self.pooled else x
        self.waiting: list[tuple[Tensor, dict[str, Tensor]]] = []  # gradients, shares of places
        self.products: dict[str, list[Matrix]] = {}  # of places; "" for everything
        self.lengths: list[float] = []
        self.spread: list[float] = []
        self.first: tuple[Tensor, float] | None = None  # direction and length
        self.constant = True

    def add(self, g: Tensor, masks: Mapping[str, Tensor]) -> None:
        """Take in a batch of gradients ``(S, C, T, H, W)``."""
        g = g[:, :, None, None, None] if self.pooled else g
        if g.shape[1:] != self.x.shape[1:]:
            raise InputError(
                f"layer {self.name!r}: gradients of shape {tuple(g.shape[1:])} and activations of "
                f"shape {tuple(self.x.shape[1:])}: collect the activations from the same network, "
                "of clips of one size"
            )
        self._compare(g)
        self.waiting.append((g, {} if self.pooled else {n: _cells(m, g) for n, m in masks.items()}))
        if sum(len(waiting) for waiting, _ in self.waiting) >= len(self.x) // 16:
            self._multiply()

    def _multiply(self) -> None:
        """Multiply the gradients that wait with all activations, and let them go."""
        if not self.waiting:
            return
        g = torch.cat([waiting for waiting, _ in self.waiting])
        names = list(self.waiting[0][1])
        shares = [torch.cat([share[name] for _, share in self.waiting]) for name in names]
        self.waiting.clear()
        for name, steps in zip(["", *names], _products(g, self.x, shares), strict=True):
            self.products.setdefault(name, []).append(steps)

    def combined(self) -> LayerProducts:
        """Put the batches together."""
        self._multiply()
        whole = {name: np.concatenate(parts) for name, parts in self.products.items()}
        lengths, spread = np.array(self.lengths), np.array(self.spread)
        return LayerProducts(whole.pop(""), whole, lengths, spread, self.constant)

    def _compare(self, g: Tensor) -> None:
        """Note how far each gradient is from being the first one, or a multiple of it."""
        for slope in g:
            length = float(torch.linalg.vector_norm(slope, dtype=torch.float64))
            if length and self.first is None:
                self.first = slope / length, length
            apart, self.constant = 0.0, self.constant and length > 0
            if length and self.first is not None:
                (direction, first), unit = self.first, slope / length
                gap = float((unit - direction).norm())
                apart = min(gap, float((unit + direction).norm()))
                self.constant &= gap + abs(length / first - 1) <= ALIKE
            self.lengths.append(length)
            self.spread.append(apart)


def _products(g: Tensor, x: Tensor, shares: Sequence[Tensor] = ()) -> Matrix:
    """Products of gradients and activations about their mean.

    A few channels at a time, of all clips: nothing of the activations' own size is made. Products
    within a block in float32, or float64 where either is; their sums in float64.

    Parameters
    ----------
    g, x
        ``(S, C, T, H, W)`` and ``(N, C, T, H, W)``.
    shares
        p weights ``(S, 1, T, H, W)`` of positions.

    Returns
    -------
    numpy.ndarray
        ``(1 + p, S, T, N)``: of everything, then of each share of it.
    """
    precision = torch.float64 if torch.float64 in (g.dtype, x.dtype) else torch.float32
    count, channels, steps = x.shape[:3]
    block = max(1, _BLOCK // max(1, x[:, 0].numel()))
    size = (steps, (1 + len(shares)) * len(g))
    total = torch.zeros(*size, count, dtype=torch.float64, device=g.device)
    for start in range(0, channels, block):
        slopes = g[:, start : start + block].to(precision)
        left = _by_step(torch.cat([slopes, *(slopes * share for share in shares)]))
        right = _by_step(x[:, start : start + block].to(g.device, precision))
        total += torch.bmm(left, (right - right.mean(1, keepdim=True)).mT)
    shape = (1 + len(shares), len(g), steps)
    products: Matrix = total.permute(1, 0, 2).reshape(*shape, count).cpu().numpy()
    return products


def _by_step(values: Tensor) -> Tensor:
    """``(N, C, T, H, W)`` to ``(T, N, C * H * W)``."""
    return values.permute(2, 0, 1, 3, 4).flatten(2)


def _cells(mask: Tensor, like: Tensor) -> Tensor:
    """Share ``(S, 1, t, h, w)`` of each cell of a layer that ``(S, T, H, W)`` masks cover."""
    steps, height, width = like.shape[2:]
    return F.adaptive_avg_pool3d(mask[:, None].double(), (steps, height, width)).to(like)


def _run(
    model: Model, clips: Sequence[Clip], layers: Sequence[str], targets: Tensor | None, of: Score
) -> Probe:
    """One pass; an error over values that are not finite names the clip."""
    try:
        return probe(model, model.prepare(clips), layers=layers, target=targets, of=of)
    except NotFiniteError as error:
        if len(clips) > 1:
            for row, clip in enumerate(clips):  # the one to blame, alone
                _run(model, [clip], layers, None if targets is None else targets[row : row + 1], of)
        raise NotFiniteError(f"{clip_name(clips[0])}: {error}") from error
