"""What concept vectors are found between: members of concepts, and random groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vxhelpers.checks import known
from vxhelpers.concepts.activations import collect
from vxhelpers.concepts.cav import Problem, Solver, fit
from vxhelpers.concepts.permutation_tests import CENTRES, PermutationTest
from vxhelpers.concepts.solvers import SOLVERS
from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError
from vxhelpers.models.probe import Score
from vxhelpers.models.zoo import Model
from vxhelpers.stce.discovery import Discovery
from vxhelpers.stce.features import Computation, Pieces, Rows, cut, features

Matrix = npt.NDArray[np.float64]
Negatives = Literal["supervoxels", "clips"]

TESTED = 10  # random groups at most that chance is worked out with


@dataclass(frozen=True)
class ScoringSettings:
    """How concepts are scored.

    Parameters
    ----------
    groups
        Random groups, of as many as a concept keeps. Disjoint where the pool is large enough, else
        drawn anew from all of it for each group, which is noted.
    draws
        Random concepts of each concept's size that its mean derivative is held against, all set
        against the same random groups, as in `vxhelpers.concepts.permutation_tests.redrawn` but for
        these groups. The permutation test is not used: a cluster lies far from random supervoxels,
        so that every permutation is about it. Supervoxels of one clip are not independent, and a
        cluster is chosen to be compact: this p is a floor, not a proof. Seconds, but minutes with
        another solver than mean difference.
    negatives
        ``"supervoxels"`` of the random clips, shown as the concepts' are, or whole ``"clips"``, as
        in the paper. By default supervoxels where they are shown in place, else clips.
    layer
        Where vectors live; by default the discovery's. Another costs one more forward for each
        supervoxel in a concept.
    of
        The score that is differentiated: ``"log_probability"``, or the paper's ``"logit"``.
    solver
        As in `vxhelpers.concepts.cav.fit`. Mean difference is the
        default: it has nothing to tune, while logistic regression's direction changes with the
        scale of a layer and with the number of a concept's members.
    alpha
        Level of the verdicts.

    Raises
    ------
    InputError
        If an option is out of range.
    """

    groups: int = 50
    draws: int = 1000
    negatives: Negatives | None = None
    layer: str | None = None
    of: Score = "log_probability"
    solver: Solver = "mean"
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if self.groups < 2:
            raise InputError(
                f"groups={self.groups}: a spread needs two random groups, 50 are usual"
            )
        if self.negatives not in (None, "supervoxels", "clips"):
            raise InputError(f"negatives={self.negatives!r}: 'supervoxels' or 'clips'")
        known("solver", self.solver, SOLVERS)


@dataclass(frozen=True, eq=False)
class Side:
    """One side of the problems concept against random group.

    Parameters
    ----------
    x
        ``(N, ...)`` features at a layer.
    names, digests
        Of the N inputs.
    """

    x: Tensor
    names: tuple[str, ...]
    digests: tuple[str, ...]


class _Chosen(Sequence[Clip]):
    """Some of a sequence of clips, taken from it when asked for."""

    def __init__(self, clips: Sequence[Clip], rows: Rows) -> None:
        self.clips, self.rows = clips, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self.clips[int(self.rows[index])]


def _side(pieces: Pieces, rows: Rows, x: Tensor) -> Side:
    return Side(
        x,
        tuple(pieces.name(row) for row in rows),
        tuple(pieces.digest(row) for row in rows),
    )


def of_concepts(discovery: Discovery, model: Model, layer: str, computation: Computation) -> Side:
    """Features of all concepts' members, concept by concept."""
    rows, pieces = np.concatenate(discovery.members), discovery.pieces
    if layer == discovery.layer:
        return _side(pieces, rows, discovery.features[torch.from_numpy(rows)])
    x = features(model, pieces, layer, discovery.recipe, rows=rows, computation=computation)
    return _side(pieces, rows, x)


def of_randoms(
    discovery: Discovery,
    model: Model,
    randoms: Sequence[Clip],
    clips: Sequence[Clip],
    settings: ScoringSettings,
    *,
    rng: np.random.Generator,
    computation: Computation,
) -> tuple[Rows, Side]:
    """Rows ``(r, n)`` of the pool that each group draws, and features of those drawn, ascending."""
    size, recipe, layer = discovery.recipe.nearest, discovery.recipe, settings.layer
    store, progress = computation.store, computation.progress
    assert layer is not None
    own = {*discovery.pieces.digests, *(clips[i].digest() for i in range(len(clips)))}
    if settings.negatives == "clips":
        drawn = _draw(len(randoms), settings.groups, size, rng, "clips")
        chosen = _Chosen(randoms, np.unique(drawn))
        batch = computation.batch_size
        found = collect(
            model, {"random": chosen}, layers=[layer], batch_size=batch, store=store,
            progress=progress,
        )  # fmt: skip
        _apart(own, found.names, found.digests)
        return drawn, Side(found.layers[layer], found.names, found.digests)
    pool = cut(model, randoms, recipe, store=store, progress=progress)
    _apart(own, pool.names, pool.digests)
    drawn = _draw(len(pool), settings.groups, size, rng, "supervoxels")
    rows = np.unique(drawn)
    x = features(model, pool, layer, recipe, rows=rows, computation=computation)
    return drawn, _side(pool, rows, x)


def problems(concepts: Sequence[Rows], groups: Sequence[Rows] | Rows) -> list[Problem]:
    """Pose every concept against every random group, concept by concept."""
    return [
        Problem(f"concept {c} against random group {g}", concept, group)
        for c, concept in enumerate(concepts, start=1)
        for g, group in enumerate(groups, start=1)
    ]


def by_chance(
    K: Matrix,
    products: Matrix,
    concepts: Sequence[Rows],
    pool: Rows,
    size: int,
    *,
    rng: np.random.Generator,
    draws: int,
    solver: Solver,
) -> tuple[PermutationTest, ...]:
    """For each concept its mean derivative, and that of random concepts of its size.

    All are set against the same random groups, at most half of the pool; random concepts are drawn
    from the rest of it, once for each size. The mean over clips is taken first: it is linear.
    """
    shuffled, count = rng.permutation(pool), max(1, min(TESTED, len(pool) // (2 * size)))
    groups, rest = shuffled[: count * size].reshape(count, size), shuffled[count * size :]
    slope = products.mean(0)

    def along(rows: Rows) -> Matrix:
        """Of sets of rows ``(B, n)``: derivatives ``(B,)``, mean over the groups."""
        if solver != "mean":
            pairs = [problems([one], groups) for one in rows]
            found = [fit(K, one, solver=solver, folds=None).weights @ slope for one in pairs]
            means: Matrix = np.stack(found).mean(1)
            return means
        towards = K[:, groups].mean(2)
        own = np.array([K[np.ix_(one, one)].mean() for one in rows])
        other = towards[groups].mean(1).diagonal()
        square = own[:, None] + other - 2 * towards[rows].mean(1)
        gap = slope[rows].mean(1)[:, None] - slope[groups].mean(1)
        some = square > 1e-12 * (own[:, None] + other)
        length = np.sqrt(np.where(some, square, 1))
        mean: Matrix = np.where(some, gap / length, 0).mean(1)
        return mean

    dealt: dict[int, Matrix] = {}
    for n in sorted({len(one) for one in concepts}):
        dealt[n] = along(np.stack([rng.choice(rest, n, replace=False) for _ in range(draws)]))
    return tuple(
        PermutationTest(float(along(one[None])[0]), dealt[len(one)], CENTRES["magnitude"])
        for one in concepts
    )


def _draw(pool: int, groups: int, size: int, rng: np.random.Generator, what: str) -> Rows:
    """Rows ``(groups, size)``: disjoint where there are enough, else each from all."""
    if pool < 3 * size:
        raise InputError(
            f"{pool} random {what} are too few to draw groups of {size} from: give random clips "
            f"for at least {3 * size}, better {groups * size}"
        )
    if pool >= groups * size:
        return rng.permutation(pool)[: groups * size].reshape(groups, size)
    return np.stack([rng.choice(pool, size, replace=False) for _ in range(groups)])


def _apart(own: set[str], names: Sequence[str], digests: Sequence[str]) -> None:
    shared = [name for name, digest in zip(names, digests, strict=True) if digest in own]
    if shared:
        raise InputError(
            f"{len(shared)} random clips are also clips of the class: {'; '.join(shared)}; take "
            "them out of the random clips"
        )
