"""What concept vectors are found between: members of concepts, and random groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vxhelpers.activations import collect
from vxhelpers.clip import Clip
from vxhelpers.errors import InputError
from vxhelpers.store import Store
from vxhelpers.supervoxel_concepts import Discovery
from vxhelpers.supervoxel_features import Pieces, Rows, cut, features
from vxhelpers.zoo import Model

Negatives = Literal["supervoxels", "clips"]


@dataclass(frozen=True)
class How:
    """How features are computed: as in `vxhelpers.supervoxel_features.features`."""

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


def _draw(pool: int, groups: int, size: int, rng: np.random.Generator, what: str) -> Rows:
    """Rows ``(groups, size)``: disjoint where there are enough, else each from all."""
    if pool < 2 * size:
        raise InputError(
            f"{pool} random {what} are too few to draw groups of {size} from: give random clips "
            f"for at least {2 * size}, better {groups * size}"
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
