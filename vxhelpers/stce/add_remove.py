"""Adding and removing concepts: does the network do what their ranking says?

Ji, Wang and Kato, "Spatial-temporal Concept based Explanation of 3D ConvNets", sections 4.2 and 4.3
(Tables 1 to 6). A test clip is cut into supervoxels, each given to the nearest concept; concepts
are added to a blank input, or removed from the clip, one by one, in the order of their scores,
against it, or at random. Deviations: how much of a clip is visible is kept, and random supervoxels
that show as much as the top concepts do are a fourth order, since seeing more is reason enough for
a better prediction; curves go on to the last concept; orders are compared by the area under the
curve, with a paired bootstrap over clips.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from vxhelpers import checks
from vxhelpers.concepts.activations import clip_name
from vxhelpers.data.clip import Clip
from vxhelpers.data.segmentation.regions import Regions, growing, matched, regions
from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError
from vxhelpers.io.cache import Store
from vxhelpers.models.probe import in_batches
from vxhelpers.models.zoo import Model
from vxhelpers.stce.curves import OPERATIONS, ORDERS, AddRemove, Curve
from vxhelpers.stce.features import Computation, Pieces, Rows, bar, cut, features, model_key
from vxhelpers.stce.masking import fill_values, masked
from vxhelpers.stce.score import Scores

Matrix = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Assigned = Literal["true", "predicted"]


@dataclass(frozen=True)
class AddRemoveSettings:
    """How concepts are added and removed.

    Parameters
    ----------
    assigned
        Whose concepts a clip's supervoxels are given to: those of its ``"true"`` class, as in the
        paper, which is an oracle; or of its ``"predicted"`` class.
    steps
        Numbers of concepts, beside 0 and all; by default 1 to 5 and every fifth. A class with
        fewer concepts shows everything from there on.
    permutations
        Runs of the orders ``"random"`` and ``"matched"``. The latter shows supervoxels in random
        order, whatever their concept, each that brings the visible share nearer to that of the top
        concepts at the same step.
    """

    assigned: Assigned = "true"
    steps: tuple[int, ...] | None = None
    permutations: int = 10

    def __post_init__(self) -> None:
        checks.known("assignment", self.assigned, ("true", "predicted"))
        if self.permutations < 1:
            raise InputError(f"permutations={self.permutations}: one at least, 10 are usual")


def evaluate(
    model: Model,
    explained: Mapping[str, Scores],
    clips: Sequence[Clip],
    labels: Sequence[str],
    *,
    rng: np.random.Generator,
    settings: AddRemoveSettings = AddRemoveSettings(),
    computation: Computation = Computation(),
) -> AddRemove:
    """Add concepts to a blank input and remove them from clips, in four orders.

    With q concepts added, those voxels are visible that lie in any supervoxel of these concepts;
    with q removed, all others. Supervoxels of several resolutions overlap: a voxel appears with
    the first of its concepts, and vanishes with it. Those of the coarsest resolution are all kept
    and fill the clip, so that with all concepts added the input is the clip, and with all removed
    the blank input, to the bit. Inputs that are the same are run once.

    Parameters
    ----------
    model
        The network.
    explained
        Class to its scored concepts; discovered at one layer by one recipe.
    clips, labels
        Test clips and their classes; none of those that the concepts were found in.
    rng
        Draws random orders of the concepts, a class at a time, and random supervoxels.
    settings
        Whose concepts supervoxels are given to, steps, runs of random orders.
    computation
        Batch size, store and progress bar; the store keeps logits too.

    Raises
    ------
    InputError
        If clips and labels do not fit, clips are those of a discovery, a class (or a predicted
        one) has no concepts, or concepts come from different recipes, layers or networks.
    WriteError
        If the store cannot be written; what is in it stays valid.
    """
    first = _check(model, explained, clips, labels)
    recipe, layer = first.discovery.recipe, first.discovery.layer
    assigned, permutations = settings.assigned, settings.permutations
    store, progress = computation.store, computation.progress
    pieces = cut(model, clips, recipe, store=store, progress=progress)
    _unseen(pieces, explained)
    found = features(model, pieces, layer, recipe, computation=computation)
    at = _steps(settings.steps, max(map(len, explained.values())))
    orders = {name: _orders(explained[name], permutations, rng) for name in sorted(explained)}
    runner = _Runner(model, fill_values(model.entry, recipe.fill), computation.batch_size, store)
    shape = len(OPERATIONS), 2 + 2 * permutations, len(clips), len(at)
    correct, probability, visible = np.zeros(shape, bool), np.zeros(shape), np.zeros(shape)
    constant = []
    with bar(len(clips), progress, "adding and removing", "clip") as advance:
        for v, label in enumerate(labels):
            clip, name = clips[v], pieces.names[v]
            of = label if assigned == "true" else runner.predicted(clip)
            if of not in explained:
                raise InputError(
                    f"{name} is predicted as {of!r}, which has no concepts: explain that class "
                    "too, or assign by the true class"
                )
            parts = regions(pieces.cuts[v], name=name)
            concept = explained[of].discovery.assign(found[torch.from_numpy(pieces.owner == v)])
            shown = growing(parts, concept, orders[of])[:, np.minimum(at, len(explained[of]))]
            control = [matched(parts, shown[0], rng) for _ in range(permutations)]
            shown = np.concatenate([shown, control])
            both = np.stack([shown, ~shown])
            logits = runner.run(clip, pieces.digests[v], parts, both.reshape(-1, both.shape[-1]))
            logits = logits.reshape(*both.shape[:3], -1)
            wanted = model.labels.index(label)
            correct[:, :, v] = logits.argmax(-1) == wanted
            probability[:, :, v] = _softmax(logits)[..., wanted]
            visible[:, :, v] = parts.share(both)
            if clip.frames.min() == clip.frames.max():
                constant.append(name)
            advance(1)
    runs = np.cumsum([1, 1, permutations])
    curves = {
        (operation, order): Curve(*values)
        for o, operation in enumerate(OPERATIONS)
        for order, *values in zip(
            ORDERS,
            *(np.split(values[o], runs) for values in (correct, probability, visible)),
            strict=True,
        )
    }
    blank = runner.blank()
    notes = _notes(labels, blank, assigned, constant)
    return AddRemove(pieces.names, tuple(labels), at, curves, assigned, blank, notes)


class _Runner:
    """Logits of a network on clips of which some regions are shown."""

    def __init__(
        self, model: Model, fill: torch.Tensor, batch_size: int, store: Store | None
    ) -> None:
        self.model, self.fill = model, fill.to(model.device)
        self.batch_size, self.store = batch_size, store
        self.common = model_key(model) if store else {}

    def blank(self) -> tuple[str, float]:
        """What the network calls a blank input, and how sure it is."""
        entry = self.model.entry
        sides = (entry.crop, entry.crop) if isinstance(entry.crop, int) else entry.crop
        x = self.fill.view(1, -1, 1, 1, 1).expand(1, -1, entry.frames, *sides)
        with torch.inference_mode():
            p = self.model.logits(x.contiguous()).double().softmax(1)[0]
        return self.model.labels[int(p.argmax())], float(p.max())

    def predicted(self, clip: Clip) -> str:
        """What the network calls a clip."""
        with torch.inference_mode():
            found = self.model.logits(self.model.prepare(clip))[0]
        return self.model.labels[int(found.argmax())]

    def run(self, clip: Clip, digest: str, parts: Regions, shown: Flags) -> Matrix:
        """Logits ``(n, classes)`` with the regions ``shown`` (n, A); each distinct input once."""
        distinct, inverse = np.unique(np.packbits(shown, axis=1), axis=0, return_inverse=True)
        key = {
            **self.common,
            "kind": "logits of clips shown in part",
            "clip": digest,
            "regions": parts.index,
            "shown": distinct,
            "fill": self.fill.cpu().numpy(),
        }
        stored = self.store.find(key) if self.store else None
        if stored is None:
            masks = np.unpackbits(distinct, axis=1, count=shown.shape[1]).astype(bool)
            stored = {"logits": self._logits(clip, parts, masks)}
            if self.store:
                self.store.get_or_compute(key, stored.copy)
        found: Matrix = stored["logits"][inverse.reshape(-1)]
        return found

    def _logits(self, clip: Clip, parts: Regions, masks: Flags) -> Matrix:
        device = self.model.device
        x, index = self.model.prepare(clip)[0], torch.from_numpy(parts.index).to(device)
        table = torch.from_numpy(masks).to(device)

        def step(part: slice) -> torch.Tensor:
            with torch.inference_mode():
                return self.model.logits(masked(x, table[part][:, index], fill=self.fill))

        found = [*in_batches(step, clips=len(masks), batch_size=self.batch_size)]
        logits: Matrix = torch.cat(found).double().cpu().numpy()
        if not np.isfinite(logits).all():
            raise NotFiniteError(f"{clip_name(clip)}, shown in part: logits that are not finite")
        return logits


def _softmax(logits: Matrix) -> Matrix:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    share: Matrix = powers / powers.sum(-1, keepdims=True)
    return share


def _orders(scores: Scores, permutations: int, rng: np.random.Generator) -> Rows:
    """Orders ``(2 + R, k)`` of concepts: top, least, random ones."""
    ranking = scores.ranking
    random = [rng.permutation(len(scores)) for _ in range(permutations)]
    return np.stack([ranking, ranking[::-1], *random])


def _steps(steps: Sequence[int] | None, most: int) -> Rows:
    requested = [*range(6), *range(10, most, 5)] if steps is None else [*steps]
    if any(q < 0 for q in requested):
        raise InputError(f"steps={requested}: numbers of concepts, from 0")
    return np.array(sorted({0, most, *(min(q, most) for q in requested)}), np.int64)


def _check(
    model: Model,
    explained: Mapping[str, Scores],
    clips: Sequence[Clip],
    labels: Sequence[str],
) -> Scores:
    if len(clips) != len(labels) or not len(clips):
        raise InputError(f"{len(clips)} clips for {len(labels)} labels: one each, one at least")
    for label in labels:
        if label not in explained:
            raise UnknownNameError("class with concepts", label, explained)
    first = next(iter(explained.values()))
    for name, scores in explained.items():
        if scores.target != name:
            raise InputError(f"the concepts of {name!r} were scored for {scores.target!r}")
        own, other = scores.discovery, first.discovery
        if (own.recipe, own.layer) != (other.recipe, other.layer):
            raise InputError(f"the concepts of {name!r} come from another recipe or layer")
        if own.model != (model.entry.name, model.digest):
            raise InputError(f"the concepts of {name!r} were discovered in another network")
    return first


def _unseen(pieces: Pieces, explained: Mapping[str, Scores]) -> None:
    known = {digest for one in explained.values() for digest in one.discovery.pieces.digests}
    again = [n for n, d in zip(pieces.names, pieces.digests, strict=True) if d in known]
    if again:
        raise InputError(
            f"{len(again)} test clips are clips that concepts were found in: {'; '.join(again)}; "
            "leave them out"
        )


def _notes(
    labels: Sequence[str],
    blank: tuple[str, float],
    assigned: str,
    constant: Sequence[str],
) -> tuple[str, ...]:
    notes = []
    if blank[0] in labels:
        notes.append(
            f"a blank input is already called {blank[0]!r} (probability {blank[1]:.2f}): adding "
            "concepts to it says little of that class; choose another as the example"
        )
    if assigned == "true":
        notes.append(
            "supervoxels are given to concepts of a clip's true class, which a user would not know"
        )
    if constant:
        notes.append(f"clips of one colour, of which every part is the same: {'; '.join(constant)}")
    return tuple(notes)
