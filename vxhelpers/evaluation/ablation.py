r"""What a network's answer relies on, by experiment: clips without motion, place, objects, person.

Every experiment takes one thing out of the clips and looks whether the network can still tell a
class from the others. With :math:`p_c` the probability of class c, own clips those of c, and e the
edit,

.. math:: R_e = \big[\bar p_c(x) - \bar p_c(e(x))\big]_{\text{own}}
                - \big[\bar p_c(x) - \bar p_c(e(x))\big]_{\text{others}} .

The first bracket alone would not do. A network to which an edit leaves nothing answers with a
favourite class; for that class nothing falls, for all others everything does. (On the stage's
static task, R3D calls a blank clip *flag in park* with a probability of 1.) :math:`R_e` is 0 where
the edit changes nothing, and the whole separation of the class where nothing is left of it.

*Motion*, *order*, *direction*: the clip frozen, shuffled, reversed, as in
:func:`vxhelpers.models.evaluate.causal_check`. *Parts* are hidden (Zeiler and Fergus, ECCV 2014,
section 4.2) under the mean colour. Deviations: what is hidden is a part and not a square, and
everywhere it comes in the clip at once. Hidden frame by frame, a person would leave a hole that
runs: R3D still takes it for running, with a probability of 0.98. And the fall is taken beyond that
of a control, the same hole moved elsewhere, since holes harm as such. The *place* fills nine tenths
of a clip, so that no hole like it is elsewhere; it is swapped instead. Clips get the place of
another clip of their class, or a place that says nothing of the class: the gap between the two is
Xiao et al.'s *BG-Gap* ("Noise or signal", ICLR 2021) on video. Deviations: probabilities, not
accuracies; the place is a still, the mean of what is seen of it; and "says nothing" is the mean of
two versions, the place of a clip of class c and that of a clip of another class, for own clips as
for others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.evaluation.localisation import widened
from vxhelpers.evaluation.map_similarity import logits
from vxhelpers.models.evaluate import time_edits
from vxhelpers.models.probe import class_indices
from vxhelpers.models.zoo import Model
from vxhelpers.stats import Mean

Values = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Masks = Mapping[str, npt.NDArray[np.bool_]]

_PEOPLE = ("person", "arms", "legs", "bystander")
_TIME = {"motion": "frozen", "order": "shuffled", "direction": "reversed"}
_PLACES = ("place of its class", "place of the class", "place of other classes")
_ANY = "place of any class"


@dataclass(frozen=True, eq=False)
class Reliance:
    """What becomes of a class in clips of which something is missing.

    Parameters
    ----------
    target
        Index of the class.
    own
        ``(N,)`` bool: clips of the class; the others are clips of other classes.
    probability, logit
        Version of the clips to the class's ``(N,)`` float64; NaN where a clip has no such version,
        because the part is not in it. Versions are ``"normal"``, ``"frozen"``, ``"reversed"``,
        ``"shuffled"``; for each part ``"<part> hidden"``, ``"<part> hidden elsewhere"`` and
        ``"<part> cut out"`` (frame by frame, with a hole of its outline); ``"place of its class"``,
        ``"place of the class"`` (the one watched), ``"place of other classes"``, and their mean
        ``"place of any class"``.
    contrasts
        What may be relied on to the two versions that tell: with it, and without.
    area
        Part to the mean share of the own clips' voxels that are hidden with it, 0 to 1.
    """

    target: int
    own: Flags
    probability: Mapping[str, Values]
    logit: Mapping[str, Values]
    contrasts: Mapping[str, tuple[str, str]]
    area: Mapping[str, float]

    def separation(self, version: str, *, rng: np.random.Generator) -> Mean | None:
        """How far the class's probability sets own clips apart from others, -1 to 1.

        None where fewer than two clips of either kind have the version.
        """
        return self._gap(self.probability[version], rng)

    def drop(self, what: str) -> Values:
        """Fall of the class's probability in own clips that have the part ``(n,)``, clip by clip.

        It depends on which class the network falls back to; see `reliance_on`.
        """
        kept, lost = self.contrasts[what]
        falls = self.probability[kept] - self.probability[lost]
        return falls[self.own & np.isfinite(falls)]

    def reliance_on(self, what: str, *, rng: np.random.Generator) -> Mean | None:
        """How much of what sets the class apart goes when ``what`` does: :math:`R_e`, -2 to 2.

        It is 0 where the network no reliance. Hardly anything but ``"direction"``, where clips
        may become those of another class, exceeds 1.

        Parameters
        ----------
        what
            One of `contrasts`.
        rng
            Draws the 2000 resamples of own and of other clips, for the 95 % percentile interval.

        Returns
        -------
        Mean or None
            With the number of own clips; None where fewer than two clips of either kind tell.
        """
        kept, lost = self.contrasts[what]
        return self._gap(self.probability[kept] - self.probability[lost], rng)

    def _gap(self, values: Values, rng: np.random.Generator) -> Mean | None:
        there = np.isfinite(values)
        first, second = values[self.own & there], values[~self.own & there]
        if min(len(first), len(second)) < 2:
            return None
        means = [
            group[rng.integers(0, len(group), (2000, len(group)))].mean(1)
            for group in (first, second)
        ]
        low, high = np.quantile(means[0] - means[1], [0.025, 0.975])
        value = float(first.mean() - second.mean())
        return Mean(value, min(float(low), value), max(float(high), value), len(first))


def parts(masks: Masks) -> dict[str, npt.NDArray[np.bool_]]:
    """What can be hidden in clips: the person and the objects; without ground truth, what moves.

    Parameters
    ----------
    masks
        Object to ``(N, T, H, W)`` bool, as :class:`vxhelpers.models.samples.Samples` has them: the
        stage's ground truth, or ``"moving"`` alone.

    Returns
    -------
    dict
        ``"person"``, and as ``"objects"`` all that is neither ground nor a person, where any clip
        has one; or ``"what moves"``. Nothing is made up: a class without objects has none, and of
        videos without ground truth nobody knows what in them is an object.
    """
    things = [mask for name, mask in masks.items() if name not in (*_PEOPLE, "ground", "moving")]
    found = {"person": masks.get("person"), "what moves": masks.get("moving")}
    found["objects"] = np.any(things, axis=0) if things else None
    return {name: mask for name, mask in found.items() if mask is not None and mask.any()}


def reliance(
    model: Model,
    x: Tensor,
    masks: Masks,
    labels: Sequence[int | str] | npt.NDArray[np.int64],
    *,
    target: int | str,
    rng: np.random.Generator,
    batch_size: int = 16,
) -> Reliance:
    """Take motion, order, direction, parts and place out of clips, and watch one class.

    One forward pass a clip and version: seven versions, and three for each part.

    Parameters
    ----------
    model
        A network of the zoo, in evaluation mode.
    x
        ``(N, C, T, H, W)`` prepared clips, some of the class and some of others, best as many.
    masks
        Object to ``(N, T, H, W)`` bool, in the network's geometry.
    labels
        The clips' classes, indices or labels.
    target
        The class to watch.
    rng
        Draws the frames' orders, where the controls' holes are (at least a quarter of the height
        and of the width away, round the edge), and whose place a clip gets.
    batch_size
        Clips in one pass.

    Raises
    ------
    UnknownNameError
        If the model does not know a label.
    InputError
        If there are not two clips or more of the class and of others, or shapes do not fit.
    NotFiniteError
        If a logit is NaN or infinite; names the version and the clip.
    """
    known = class_indices(model, labels, clips=len(x))  # type: ignore[arg-type]
    wanted = class_indices(model, target, clips=1)
    assert known is not None and wanted is not None  # neither is None, so they have indices
    classes, index = known.cpu().numpy(), int(wanted[0])
    own = classes == index
    if min(own.sum(), (~own).sum()) < 2:
        raise InputError(
            f"{own.sum()} clips of {model.labels[index]!r} and {(~own).sum()} of other classes: "
            "two or more of each tell how far the class is set apart"
        )
    size = (len(x), *x.shape[2:])
    for name, mask in masks.items():
        if mask.shape != size or mask.dtype != np.bool_:
            raise InputError(f"mask {name!r} is {mask.dtype} {mask.shape}, not bool {size}")
    found = parts(masks)
    there = {name: mask.any((1, 2, 3)) for name, mask in found.items()}
    contrasts = {what: ("normal", edit) for what, edit in _TIME.items()}
    contrasts |= {part: (f"{part} hidden elsewhere", f"{part} hidden") for part in found}
    contrasts["the rest" if "moving" in masks else "place"] = _PLACES[0], _ANY
    probability, logit = {}, {}
    for name, clips in _versions(x.cpu(), masks, classes, index, rng):
        try:
            answer = logits(model, clips, batch_size=batch_size).double()
        except NotFiniteError as error:
            raise NotFiniteError(f"{name}: {error}") from error
        probability[name] = answer.softmax(1)[:, index].numpy()
        logit[name] = answer[:, index].numpy()
        for part, present in there.items():
            if name.startswith(f"{part} "):
                for values in (probability[name], logit[name]):
                    values[own & ~present] = np.nan
    for answers in (probability, logit):
        answers[_ANY] = (answers[_PLACES[1]] + answers[_PLACES[2]]) / 2
    area = {}
    for part, mask in found.items():
        if (own & there[part]).any():
            area[part] = float(swept(mask)[own & there[part]].mean())
        else:
            del contrasts[part]
    return Reliance(index, own, probability, logit, contrasts, area)


def swept(masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Where masks ``(N, T, H, W)`` come at any time, and a pixel around: the same in all frames."""
    once = widened(np.max(masks, axis=1, keepdims=True), 1)
    return np.repeat(once, masks.shape[1], axis=1)


def still_places(x: Tensor, front: npt.NDArray[np.bool_]) -> Tensor:
    """The place of each clip as a still picture, without what stands before it.

    Parameters
    ----------
    x
        ``(N, C, T, H, W)`` prepared clips.
    front
        ``(N, T, H, W)`` bool, what stands before the place.

    Returns
    -------
    Tensor
        ``(N, C, H, W)``: at each pixel the mean over the frames that show the place there, and
        where none does, the mean colour of the place.
    """
    seen = torch.from_numpy(~front)[:, None].to(x)
    times = seen.sum(2)
    mean = (x * seen).sum(2) / times.clamp(min=1)
    colour = (x * seen).sum((2, 3, 4)) / seen.sum((2, 3, 4)).clamp(min=1)
    return torch.where(times > 0, mean, colour[:, :, None, None])


def _versions(
    x: Tensor,
    masks: Masks,
    classes: npt.NDArray[np.int64],
    target: int,
    rng: np.random.Generator,
) -> Iterator[tuple[str, Tensor]]:
    """All versions of the clips, one at a time, as they are a large share of the memory."""
    for name, edit in time_edits(rng).items():
        yield name, edit(x)
    for part, mask in parts(masks).items():
        hole = swept(mask)
        yield f"{part} hidden", _hidden(x, hole)
        yield f"{part} hidden elsewhere", _hidden(x, _moved(hole, rng))
        yield f"{part} cut out", _hidden(x, mask)
    front = _front(masks, (len(x), *x.shape[2:]))
    places = still_places(x, front)
    for name, pools in zip(_PLACES, _pools(classes, target), strict=True):
        other = places[[_another(i, pool, rng) for i, pool in enumerate(pools)]]
        yield (
            name,
            torch.where(torch.from_numpy(front)[:, None], x, other[:, :, None].expand_as(x)),
        )


def _pools(classes: npt.NDArray[np.int64], target: int) -> Iterator[list[npt.NDArray[np.intp]]]:
    """Whose places each clip may get: its own class's, the target's, the other classes'."""
    yield [np.flatnonzero(classes == one) for one in classes]
    yield [np.flatnonzero(classes == target)] * len(classes)
    yield [np.flatnonzero(classes != target)] * len(classes)


def _another(clip: int, pool: npt.NDArray[np.intp], rng: np.random.Generator) -> int:
    """One of the pool that is not the clip itself, unless it is alone there."""
    others = pool[pool != clip]
    return int(rng.choice(others)) if len(others) else clip


def _hidden(x: Tensor, hole: npt.NDArray[np.bool_]) -> Tensor:
    return x.masked_fill(torch.from_numpy(hole)[:, None], 0.0)


def _moved(hole: npt.NDArray[np.bool_], rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Each clip's hole elsewhere, round the edge: at least a quarter of each side away."""
    sides = hole.shape[2:]
    shifts = [[rng.integers(s // 4, s - s // 4 + 1) for s in sides] for _ in hole]
    return np.stack([np.roll(one, by, (1, 2)) for one, by in zip(hole, shifts, strict=True)])


def _front(masks: Masks, size: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """What stands before the place, and a pixel around it; what moves, wherever it ever does."""
    if "moving" in masks:
        return swept(masks["moving"])
    things = [mask for name, mask in masks.items() if name != "ground"]
    return widened(np.any(things, axis=0), 1) if things else np.zeros(size, bool)
