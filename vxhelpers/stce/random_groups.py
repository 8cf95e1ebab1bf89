"""What concept vectors are found between: members of concepts, and random groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vxhelpers.concepts.activations import collect
from vxhelpers.concepts.cav import Problem, Solver, fit
from vxhelpers.concepts.permutation_tests import CENTRES, PermutationTest
from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError
from vxhelpers.io.cache import Store
from vxhelpers.models.zoo import Model
from vxhelpers.stce.discovery import Discovery
from vxhelpers.stce.features import Pieces, Rows, cut, features

Matrix = npt.NDArray[np.float64]
Negatives = Literal["supervoxels", "clips"]

TESTED = 10  # random groups at most that chance is worked out with


@dataclass(frozen=True)
class How:
    """How features are computed: as in `vxhelpers.stce.features.features`."""

    layer: str
    batch_size: int
    store: Store | None
    progress: bool


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


def of_concepts(discovery: Discovery, model: Model, how: How) -> Side:
    """Features of all concepts' members, concept by concept."""
    rows, pieces = np.concatenate(discovery.members), discovery.pieces
    if how.layer == discovery.layer:
        return _side(pieces, rows, discovery.features[torch.from_numpy(rows)])
    x = features(
        model, pieces, how.layer, discovery.recipe, rows=rows,
        batch_size=how.batch_size, store=how.store, progress=how.progress,
    )  # fmt: skip
    return _side(pieces, rows, x)


def of_randoms(
    discovery: Discovery,
    model: Model,
    randoms: Sequence[Clip],
    clips: Sequence[Clip],
    negatives: Negatives,
    groups: int,
    rng: np.random.Generator,
    how: How,
) -> tuple[Rows, Side]:
    """Rows ``(r, n)`` of the pool that each group draws, and features of those drawn, ascending."""
    options = {"batch_size": how.batch_size, "store": how.store, "progress": how.progress}
    size, recipe = discovery.recipe.nearest, discovery.recipe
    own = {*discovery.pieces.digests, *(clips[i].digest() for i in range(len(clips)))}
    if negatives == "clips":
        drawn = _draw(len(randoms), groups, size, rng, "clips")
        chosen = _Chosen(randoms, np.unique(drawn))
        found = collect(model, {"random": chosen}, layers=[how.layer], **options)  # type: ignore[arg-type]
        _apart(own, found.names, found.digests)
        return drawn, Side(found.layers[how.layer], found.names, found.digests)
    pool = cut(model, randoms, recipe, store=how.store, progress=how.progress)
    _apart(own, pool.names, pool.digests)
    drawn = _draw(len(pool), groups, size, rng, "supervoxels")
    rows = np.unique(drawn)
    x = features(model, pool, how.layer, recipe, rows=rows, **options)  # type: ignore[arg-type]
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
    rng: np.random.Generator,
    draws: int,
    solver: Solver,
    C: float,
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
            found = [fit(K, one, solver=solver, C=C, folds=None).weights @ slope for one in pairs]
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
