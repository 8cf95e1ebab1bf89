"""STCE as a method that gives maps: a voxel's value is its concept's mean derivative."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from vxhelpers.attribution.registry import Method, pixels
from vxhelpers.data.clip import Clip
from vxhelpers.data.datasets import open_data
from vxhelpers.data.segmentation.supervoxels import Supervoxels, segment
from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.evaluation.planted import Trial
from vxhelpers.io.cache import Store
from vxhelpers.models import samples
from vxhelpers.models.probe import probe
from vxhelpers.models.zoo import Model
from vxhelpers.stce.discovery import discover
from vxhelpers.stce.features import SMALL, Computation, Recipe
from vxhelpers.stce.masking import fill_values, masks_of, rendered
from vxhelpers.stce.random_groups import ScoringSettings
from vxhelpers.stce.score import Scores, score

FAMILY = "concepts"


RECIPE = replace(SMALL, segments=(15, 30), concepts=10, nearest=12, steps=4)


def stce_map(
    trials: Sequence[Trial],
    *,
    rng: np.random.Generator,
    recipe: Recipe = RECIPE,
    clips: int = 8,
    randoms: int = 6,
    groups: int = 10,
    store: Store | None = None,
) -> Method:
    """Make STCE a method: concepts of each class explained in trials, painted into clips.

    Concepts are discovered in training clips and scored there (`vxhelpers.stce.score.score`). A
    clip is cut as they were; each supervoxel is shown alone and given to the concept with the
    nearest centre; its voxels get that concept's mean derivative, signed, and where supervoxels of
    several resolutions overlap, their mean. The mean derivative stands in for the paper's score
    since many concepts share a score of 1. Costs a forward pass a supervoxel, some 45 a clip.

    Parameters
    ----------
    trials
        Whose networks and classes are to be explained; for each class in their targets concepts
        are discovered at once, in some 10 to 25 seconds of a core.
    rng
        Draws clips and groups, and seeds the clusters.
    recipe
        How clips are cut and clustered.
    clips, randoms
        Training clips of the class, and of other classes for the random groups.
    groups
        Random groups.
    store
        Keeps supervoxels and their features.

    Returns
    -------
    Method
        Raises InputError when asked for a network or a class that no trial had, and where a class
        has no concepts, with the reason.
    """
    known: dict[tuple[object, ...], Scores | InputError] = {}
    for one in trials:
        data = open_data(f"stage:{one.task}")
        for index in sorted(set(one.target.tolist())):
            label = one.model.labels[index]
            own = samples.draw(data, split="train", label=label, limit=clips, rng=rng)
            pool = [row for row in data.rows("train") if row.label != label]
            drawn = sorted(rng.choice(len(pool), min(randoms, len(pool)), replace=False))
            known[_key(one.model, index)] = explained(
                one.model, label, [data.clip(row) for row in own],
                [data.clip(pool[i]) for i in drawn],
                rng=rng, recipe=recipe, groups=groups, store=store,
            )  # fmt: skip

    def attribute(model: Model, x: Tensor, *, target: Tensor, rng: np.random.Generator) -> Tensor:
        found = []
        for i, index in enumerate(target.tolist()):
            scores = known.get(_key(model, index))
            if scores is None:
                raise InputError(
                    f"no concepts of {model.labels[index]!r} were discovered in this network: "
                    "make the method with a trial of both"
                )
            if isinstance(scores, InputError):
                raise scores
            found.append(painted(model, scores, x[i : i + 1]))
        return torch.stack(found)

    return Method("STCE", FAMILY, attribute)


def explained(
    model: Model,
    label: str,
    clips: Sequence[Clip],
    randoms: Sequence[Clip],
    *,
    rng: np.random.Generator,
    recipe: Recipe = RECIPE,
    groups: int = 10,
    store: Store | None = None,
) -> Scores | InputError:
    """Discover a class's concepts in clips and score them there; why not, where that fails."""
    try:
        kept, settings = Computation(store=store), ScoringSettings(groups=groups, draws=20)
        found = discover(model, None, clips, rng=rng, recipe=recipe, computation=kept)
        return score(
            found, model, label, randoms=randoms, rng=rng, settings=settings, computation=kept
        )
    except (InputError, NotFiniteError) as error:
        return InputError(f"concepts of {label!r}: {error}")


def painted(model: Model, scores: Scores, x: Tensor) -> Tensor:
    """Give a prepared clip's voxels the mean derivatives of its supervoxels' concepts.

    Parameters
    ----------
    model
        The network of the discovery.
    scores
        Scored concepts of one class.
    x
        ``(1, 3, T, H, W)``.

    Returns
    -------
    Tensor
        ``(T, H, W)`` float64 on the CPU; a voxel's mean over the kept supervoxels that hold it.
    """
    recipe = scores.discovery.recipe
    options = {"threshold": recipe.threshold, "steps": recipe.steps, "backend": recipe.backend}
    (cut,) = segment(pixels(model, x), recipe.segments, device=model.device, **options)  # type: ignore[arg-type]
    concept = scores.discovery.assign(_features(model, scores, x[0], cut))
    total, count = np.zeros((2, *x.shape[2:]))
    for (level, label), value in zip(cut.kept, scores.derivative[concept], strict=True):
        inside = cut.labels[level] == label
        total[inside] += value
        count[inside] += 1
    return torch.from_numpy(total / count.clip(min=1))


def _features(
    model: Model, scores: Scores, x: Tensor, cut: Supervoxels, *, batch: int = 32
) -> Tensor:
    """What the discovery's layer makes of each supervoxel, shown alone."""
    recipe, layer = scores.discovery.recipe, scores.discovery.layer
    fill = fill_values(model.entry, recipe.fill).to(model.device)
    labels = torch.from_numpy(np.ascontiguousarray(cut.labels)).to(model.device)
    found = []
    for start in range(0, len(cut.kept), batch):
        masks = masks_of(labels, cut.kept[start : start + batch])
        shown = rendered(x.to(model.device), masks, form=recipe.form, fill=fill)
        seen = probe(model, shown, layers=[layer], gradients=False)
        found.append(seen.activations[layer].cpu())
    return torch.cat(found)


def _key(model: Model, index: int) -> tuple[object, ...]:
    """A class of a network; untrained networks of several tasks may share their weights."""
    return model.digest, model.labels, index
