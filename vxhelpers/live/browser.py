"""Discovered concepts, chosen one by one: a clip shown with just these, and what is then predicted.

The state behind the live concept browser, without any widget. Test clips are cut up and their
supervoxels given to the nearest concept as in `vxhelpers.stce.add_remove`, but for any choice of
concepts instead of the first ones of an order; every choice is run once.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from vxhelpers.attribution.registry import pixels
from vxhelpers.data.clip import Clip, Frames
from vxhelpers.data.segmentation.regions import Regions, regions
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.io.cache import Store
from vxhelpers.models.zoo import Model
from vxhelpers.stce.features import Computation, Rows, cut, features
from vxhelpers.stce.masking import fill_values, masked
from vxhelpers.stce.score import Scores

Mode = Literal["add", "remove"]
Flags = npt.NDArray[np.bool_]

MODES: tuple[Mode, ...] = ("add", "remove")
ORDERS = ("top", "least", "random")


@dataclass(frozen=True, eq=False)
class Shown:
    """A clip of which some concepts are shown.

    Parameters
    ----------
    mask
        ``(T, H, W)``: what is visible.
    frames
        ``(T, H, W, 3)`` uint8, what the network sees: the fill where nothing is shown.
    probabilities
        ``(classes,)`` float64.
    """

    mask: Flags
    frames: Frames
    probabilities: npt.NDArray[np.float64]

    @property
    def visible(self) -> float:
        """Share of the clip's voxels that are visible."""
        return float(self.mask.mean())


class Browser:
    """A class's scored concepts, and test clips to show them in.

    Parameters
    ----------
    model
        The network that the concepts were discovered in.
    scores
        The concepts (`vxhelpers.stce.score.score`).
    clips
        Test clips, none of those that concepts were found in.
    store
        Where supervoxels and features are kept for the next time.

    Raises
    ------
    InputError
        If the concepts are another network's, or a clip is one that concepts were found in.
    """

    def __init__(
        self, model: Model, scores: Scores, clips: Sequence[Clip], *, store: Store | None = None
    ) -> None:
        discovery = scores.discovery
        if discovery.model != (model.entry.name, model.digest):
            raise InputError(
                f"the concepts were discovered in another network than {model.entry.name!r}"
            )
        self.model, self.scores = model, scores
        recipe = discovery.recipe
        pieces = cut(model, clips, recipe, store=store)
        again = {*pieces.digests} & {*discovery.pieces.digests}
        if again:
            raise InputError(f"{len(again)} test clips are clips that concepts were found in")
        found = features(
            model, pieces, discovery.layer, recipe, computation=Computation(store=store)
        )
        self._owned = discovery.assign(found)
        self._pieces, self._inputs = pieces, model.prepare(clips)
        self._fill = fill_values(model.entry, recipe.fill)
        self._regions: dict[int, Regions] = {}
        self._kept: dict[tuple[int, bytes], Shown] = {}

    @cached_property
    def ranking(self) -> tuple[int, ...]:
        """Indices of the concepts, most important first."""
        return tuple(int(k) for k in self.scores.ranking)

    def pick(self, order: str, count: int, rng: np.random.Generator) -> frozenset[int]:
        """The first concepts of an order: ``"top"``, ``"least"`` or ``"random"``."""
        if order not in ORDERS:
            raise UnknownNameError("order", order, ORDERS)
        ranking = [*self.ranking]
        if order == "random":
            rng.shuffle(ranking)
        chosen = ranking[::-1] if order == "least" else ranking
        return frozenset(chosen[: max(0, count)])

    def present(self, clip: int) -> frozenset[int]:
        """Concepts that a clip has supervoxels of."""
        return frozenset(int(k) for k in self._concepts_of(clip))

    def show(self, clip: int, concepts: Collection[int], mode: Mode = "add") -> Shown:
        """Show a clip with these concepts alone, or all but them; one forward pass, then kept.

        With ``"add"`` those voxels are visible that lie in any supervoxel of these concepts, with
        ``"remove"`` all others.

        Raises
        ------
        InputError
            If there is no such clip or concept.
        UnknownNameError
            If there is no such mode.
        """
        if mode not in MODES:
            raise UnknownNameError("mode", mode, MODES)
        if not 0 <= clip < len(self._inputs):
            raise InputError(f"clip {clip} of {len(self._inputs)}: there is none")
        if unknown := [k for k in concepts if not 0 <= k < len(self.scores)]:
            raise InputError(f"concepts {unknown} of {len(self.scores)}: there are none")
        parts = self._parts(clip)
        own = parts.members[np.isin(self._concepts_of(clip), [*concepts])]
        union: Flags = np.any(own, axis=0)
        visible = union if mode == "add" else ~union
        key = clip, np.packbits(visible).tobytes()
        if key not in self._kept:
            mask = visible[parts.index]
            fill = self._fill.to(self.model.device)
            x = masked(self._inputs[clip], torch.from_numpy(mask)[None], fill=fill)
            with torch.inference_mode():
                probabilities = self.model.logits(x)[0].double().softmax(0).cpu().numpy()
            self._kept[key] = Shown(mask, pixels(self.model, x)[0], probabilities)
        return self._kept[key]

    def whole(self, clip: int) -> Shown:
        """The clip as it is."""
        return self.show(clip, [], "remove")

    def member(self, concept: int, place: int = 0) -> tuple[Frames, str]:
        """A supervoxel of a concept, in the frame where most of it is seen, and its name.

        Members are those nearest to the concept's centre, nearest first.
        """
        discovery = self.scores.discovery
        if not 0 <= concept < len(discovery):
            raise InputError(f"concept {concept} of {len(discovery)}: there is none")
        row = int(discovery.members[concept][place])
        pieces = discovery.pieces
        mask = pieces.mask(row)
        x = self.model.prepare(pieces.clips[int(pieces.owner[row])])[0]
        alone = masked(x, torch.from_numpy(mask)[None], fill=self._fill.to(x.device))
        frame: Frames = pixels(self.model, alone)[0][int(mask.sum((1, 2)).argmax())]
        return frame, pieces.name(row)

    def _concepts_of(self, clip: int) -> Rows:
        owned: Rows = self._owned[self._pieces.owner == clip]
        return owned

    def _parts(self, clip: int) -> Regions:
        if clip not in self._regions:
            name = self._pieces.names[clip]
            self._regions[clip] = regions(self._pieces.cuts[clip], name=name)
        return self._regions[clip]
