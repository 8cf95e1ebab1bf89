"""The clips that a class is explained with: for concepts, for random groups, for the test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vxhelpers.data.clip import Clip
from vxhelpers.data.datasets import DataSet
from vxhelpers.data.manifest import Row
from vxhelpers.data.splits import divide
from vxhelpers.errors import InputError
from vxhelpers.io.cache import Store
from vxhelpers.models.samples import Samples, collect
from vxhelpers.models.zoo import Model
from vxhelpers.stce.discovery import discover
from vxhelpers.stce.features import FEWEST, Computation, Recipe, cut
from vxhelpers.stce.random_groups import ScoringSettings
from vxhelpers.stce.score import Scores, score


@dataclass(frozen=True)
class Amounts:
    """How many clips concepts are found in, come from other classes, and are tested."""

    clips: int = 12
    randoms: int = 6
    test: int = 8


@dataclass(frozen=True, eq=False)
class Material:
    """Clips of a class, of other classes of the same splits, and test rows of other videos."""

    own: Samples
    randoms: Sequence[Clip]
    pool: Sequence[Row]
    test: Sequence[Row]


def draw(
    data: DataSet, model: Model, action: str, amounts: Amounts, *, rng: np.random.Generator
) -> Material:
    """Draw the clips that a class is explained with.

    Raises
    ------
    InputError
        As `vxhelpers.data.splits.divide` does, for a class with too few clips.
    """
    own, test = divide(data, action, scoring=amounts.test, allow_fewer=True, rng=rng)
    if len(own) > amounts.clips:
        own = [own[i] for i in sorted(rng.choice(len(own), amounts.clips, replace=False))]
    splits = {row.split for row in own}
    pool = [row for row in data.rows() if row.label != action and row.split in splits]
    chosen = sorted(rng.choice(len(pool), min(amounts.randoms, len(pool)), replace=False))
    return Material(collect(data, model, own), [data.clip(pool[i]) for i in chosen], pool, test)


def check(
    material: Material, model: Model, recipes: Mapping[str, Recipe], *, store: Store | None
) -> None:
    """Raise `InputError` where the clips are too few for the recipes; says what is missing."""
    own, test, randoms = len(material.own), len(material.test), len(material.randoms)
    if own < FEWEST or test < FEWEST or not randoms:
        raise InputError(
            f"{own} clips to find concepts in, {test} to test, of other videos, and {randoms} of "
            f"other classes: {FEWEST}, {FEWEST} and 1 are the least"
        )
    for name, recipe in recipes.items():
        found, negative = (
            len(cut(model, clips, recipe, store=store))
            for clips in (material.own.clips, material.randoms)
        )
        if found < recipe.concepts or negative < 3 * recipe.nearest:
            raise InputError(
                f"{found} supervoxels, and {negative} random ones, are too few for the {name} "
                "recipe"
            )


def explain(
    model: Model,
    material: Material,
    action: str,
    *,
    recipe: Recipe,
    settings: ScoringSettings,
    seed: int,
    computation: Computation = Computation(),
) -> Scores:
    """Discover the concepts of a class in its clips and score them there.

    Each of both steps draws from a generator of its own, seeded with ``seed``. Raises as
    `vxhelpers.stce.discovery.discover` and `vxhelpers.stce.score.score` do.
    """
    rng = np.random.default_rng(seed)
    clips = material.own.clips
    found = discover(model, None, clips, rng=rng, recipe=recipe, computation=computation)
    return score(
        found,
        model,
        action,
        randoms=material.randoms,
        rng=np.random.default_rng(seed),
        settings=settings,
        computation=computation,
    )
