"""Concepts discovered in a class: its supervoxels, clustered by what the network makes of them.

Ji, Wang and Kato, "Spatial-temporal Concept based Explanation of 3D ConvNets" (2022), sections 3.1
and 3.2. Deviations: features may come from any layer, and nothing is dropped without a reason.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError
from vxhelpers.models.zoo import Model
from vxhelpers.stce.features import (
    FEWEST,
    STANDARD,
    Computation,
    Pieces,
    Recipe,
    Rows,
    cut,
    features,
)

Matrix = npt.NDArray[np.float64]
Popularity = Literal["any", "ace"]

ALIKE = 1e-6  # of the largest feature: a smaller range is rounding


@dataclass(frozen=True)
class Dropped:
    """A cluster that isn't a concept.

    Parameters
    ----------
    supervoxels, videos
        How many are in it, and of how many clips.
    reason
        A sentence.
    """

    supervoxels: int
    videos: int
    reason: str


@dataclass(frozen=True, eq=False)
class Discovery:
    """Concepts of a class, largest cluster first.

    Parameters
    ----------
    model
        Name, digest of the weights.
    layer
        Where supervoxels were clustered.
    recipe
        How.
    pieces
        All M supervoxels of the class's clips.
    features
        ``(M, ...)`` float32: theirs at the layer.
    centres
        ``(k, D)`` float64: means of the clusters, of flattened features.
    members
        For each concept the rows of its supervoxels nearest to the centre, nearest first.
    cluster
        ``(M,)``: the concept of each supervoxel; -1 for those of dropped clusters.
    distance
        ``(M,)`` to the centre of its own cluster.
    dropped
        Clusters that are no concepts.
    notes
        What to know before these are read, in sentences.
    """

    model: tuple[str, str]
    layer: str
    recipe: Recipe
    pieces: Pieces
    features: Tensor
    centres: Matrix
    members: tuple[Rows, ...]
    cluster: Rows
    distance: Matrix
    dropped: tuple[Dropped, ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.members)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the concepts, for tables."""
        return tuple(f"concept {index + 1}" for index in range(len(self)))

    @property
    def sizes(self) -> Rows:
        """``(k,)``: supervoxels in each cluster, kept or not."""
        return np.array([(self.cluster == index).sum() for index in range(len(self))], np.int64)

    @property
    def videos(self) -> Rows:
        """``(k,)``: clips that each cluster's supervoxels are of."""
        counts = [
            len(np.unique(self.pieces.owner[self.cluster == index])) for index in range(len(self))
        ]
        return np.array(counts, np.int64)

    def examples(self, concept: int, count: int) -> list[tuple[int, int, int]]:
        """The members nearest to the centre, one a clip: clip, row, frame where it is largest."""
        rows: dict[int, int] = {}
        for row in self.members[concept].tolist():
            rows.setdefault(int(self.pieces.owner[row]), row)
        return [
            (clip, row, int(self.pieces.mask(row).sum((1, 2)).argmax()))
            for clip, row in [*rows.items()][:count]
        ]

    def assign(self, found: Tensor) -> Rows:
        """Concept ``(n,)`` whose centre is nearest, for features ``(n, ...)`` of the layer."""
        return nearest_concept(_flat(found), self.centres)


def discover(
    model: Model,
    layer: str | None,
    clips: Sequence[Clip],
    *,
    rng: np.random.Generator,
    recipe: Recipe = STANDARD,
    popularity: Popularity = "any",
    starts: int = 4,
    computation: Computation = Computation(),
) -> Discovery:
    """Cut a class's clips into supervoxels and cluster them into concepts.

    Parameters
    ----------
    model
        The network to be explained.
    layer
        Where supervoxels are compared: None for the features that its classifier reads. A layer
        that is not pooled is compared cell by cell.
    clips
        Of one class; the paper takes 200 of the training set.
    rng
        Seeds k-means.
    recipe
        `STANDARD`, `SMALL`, or another.
    popularity
        ``"any"`` keeps all clusters of 4 or more; ``"ace"`` those that ACE (Ghorbani et al., 2019,
        and its code) would: of more than ``nearest / 2`` supervoxels, and either of more than half
        of the clips; or of more than a quarter of them and with more than one clip for four
        supervoxels; or of more than a tenth of them, with more than one clip for two.
    starts
        Of k-means, of which the best is taken.
    computation
        Batch size, store and progress bar.

    Raises
    ------
    InputError
        If there are fewer supervoxels, or fewer distinct ones at this layer, than clusters; if no
        cluster is kept; or as `vxhelpers.stce.features.cut`.
    NotFiniteError
        If features are NaN or infinite, naming the clip.
    WriteError
        If the store cannot be written; what is in it stays valid.
    """
    layer = model.entry.top_layer if layer is None else layer
    model.layer(layer)
    if popularity not in ("any", "ace"):
        raise InputError(f"popularity={popularity!r}: 'any' or 'ace'")
    store, progress = computation.store, computation.progress
    pieces = cut(model, clips, recipe, store=store, progress=progress)
    _enough(len(pieces), recipe, f"{len(clips)} clips have {len(pieces)} supervoxels")
    found = features(model, pieces, layer, recipe, computation=computation)
    flat = _flat(found)
    if np.ptp(flat, axis=0).max() <= ALIKE * np.abs(flat).max():
        raise InputError(
            f"all {len(pieces)} supervoxels have the same features at layer {layer!r}: there is "
            "nothing to tell concepts by; are the clips blank, or of the fill's own colour?"
        )
    distinct = len({row.tobytes() for row in flat})
    _enough(distinct, recipe, f"{distinct} supervoxels differ at layer {layer!r}")
    label = _cluster(flat, recipe.concepts, starts, rng)
    counts = Counter(label.tolist())
    kept, dropped = [], []
    for name, size in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        videos = len(np.unique(pieces.owner[label == name]))
        reason = _unpopular(size, videos, len(clips), recipe, popularity)
        if reason:
            dropped.append(Dropped(size, videos, reason))
        else:
            kept.append(name)
    if not kept:
        raise InputError(
            f"none of {recipe.concepts} clusters is kept ({dropped[0].reason}, and so on): ask for "
            "fewer concepts, or give more clips"
        )
    order = {name: index for index, name in enumerate(kept)}
    cluster = np.array([order.get(name, -1) for name in label.tolist()], np.int64)
    means = {name: flat[label == name].mean(0) for name in counts}
    distance = np.sqrt(((flat - np.stack([means[name] for name in label.tolist()])) ** 2).sum(1))
    members = []
    for index in range(len(kept)):
        own = np.flatnonzero(cluster == index)
        members.append(own[np.argsort(distance[own], kind="stable")][: recipe.nearest])
    return Discovery(
        (model.entry.name, model.digest),
        layer,
        recipe,
        pieces,
        found,
        np.stack([means[name] for name in kept]),
        tuple(members),
        cluster,
        distance,
        tuple(dropped),
        _notes(recipe, len(clips), members, dropped),
    )


def _cluster(flat: Matrix, count: int, starts: int, rng: np.random.Generator) -> Rows:
    """Seeded k-means: a label for each row."""
    from sklearn.cluster import KMeans

    model = KMeans(count, n_init=starts, random_state=int(rng.integers(2**31)))
    label: Rows = model.fit_predict(flat).astype(np.int64)
    return label


def _flat(found: Tensor) -> Matrix:
    return found.flatten(1).to("cpu", torch.float64).numpy()


def nearest_concept(features: Matrix, centres: Matrix) -> Rows:
    """Concept ``(n,)`` of each supervoxel: the nearest centre, the first of several.

    Equation 4 of the paper, with the Euclidean distance as D; ``features`` are ``(n, D)`` and
    ``centres`` ``(k, D)``. Raises InputError where the numbers of values differ.
    """
    if features.shape[1] != centres.shape[1]:
        raise InputError(
            f"features of {features.shape[1]} values for centres of {centres.shape[1]}: take them "
            "from the layer that was clustered"
        )
    far = [np.sqrt(((features - centre) ** 2).sum(1)) for centre in centres]
    nearest: Rows = np.stack(far, 1).argmin(1)
    return nearest


def _enough(count: int, recipe: Recipe, found: str) -> None:
    if count < recipe.concepts:
        raise InputError(
            f"{found}, fewer than the {recipe.concepts} concepts asked for: give more clips, ask "
            f"for more segments, or for at most {count} concepts"
        )


def _unpopular(size: int, videos: int, clips: int, recipe: Recipe, popularity: Popularity) -> str:
    """Why a cluster is no concept; empty where it is one."""
    if size < FEWEST:
        return f"{size} supervoxels, fewer than the {FEWEST} that a concept vector needs"
    if popularity == "any":
        return ""
    if size <= recipe.nearest / 2:
        return f"{size} supervoxels, not more than half of the {recipe.nearest} to be kept (ACE)"
    common = videos > clips / 2
    mild = videos > clips / 4 and videos > size / 4
    spread = videos > clips / 10 and videos > size / 2
    if common or mild or spread:
        return ""
    return f"{size} supervoxels of {videos} clips among {clips}: not popular enough (ACE)"


def _notes(
    recipe: Recipe, clips: int, members: Sequence[Rows], dropped: Sequence[Dropped]
) -> tuple[str, ...]:
    notes = []
    if clips < recipe.concepts:
        notes.append(
            f"{clips} clips for {recipe.concepts} concepts: many a concept is of one clip or two, "
            "and says little of the class"
        )
    few = [f"{i + 1} ({len(m)})" for i, m in enumerate(members) if len(m) < recipe.nearest]
    if few:
        notes.append(
            f"{len(few)} of {len(members)} concepts have fewer than the {recipe.nearest} "
            f"supervoxels to be kept: {', '.join(few)}"
        )
    if dropped:
        why = "; ".join(one.reason for one in dropped)
        notes.append(f"{len(dropped)} of {recipe.concepts} clusters are no concepts: {why}")
    return tuple(notes)
