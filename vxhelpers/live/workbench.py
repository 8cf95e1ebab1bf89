"""TCAV with concept clips dropped and added again: scores follow without a pass of the network.

The state behind the live workbench, without any widget. Activations, Gram matrices and the products
of gradients with activations are computed once (`vxhelpers.concepts.activations`,
`vxhelpers.concepts.directional_derivatives`); fewer clips are fewer rows of them, so that vectors
are found anew in the dual. The scores are those of `vxhelpers.concepts.tcav.tcav` on the reduced
set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from vxhelpers.checks import known
from vxhelpers.concepts.activations import collect, gram
from vxhelpers.concepts.arrays import FEWEST, Matrix
from vxhelpers.concepts.cav import fit
from vxhelpers.concepts.directional_derivatives import derivatives
from vxhelpers.concepts.sensitivity import Sensitivity, Statistic, sensitivity
from vxhelpers.concepts.solvers import SOLVERS, Solver
from vxhelpers.concepts.tcav import RANDOM_SETS, LayerScores, pairs
from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError
from vxhelpers.io.cache import Store
from vxhelpers.models.zoo import Model

SHARE = 0.95  # of the scores of random sets that their interval holds


@dataclass(frozen=True)
class Selection:
    """What is to be scored.

    Parameters
    ----------
    concept
        Name of a set.
    dropped
        Places of clips in it that are left out.
    solver
        How vectors are found (`vxhelpers.concepts.cav.fit`).
    randoms
        How many of the random sets are used, the first ones.
    """

    concept: str
    dropped: frozenset[int] = frozenset()
    solver: Solver = "mean"
    randoms: int = RANDOM_SETS


@dataclass(frozen=True)
class LayerRow:
    """What a selection comes to at one layer.

    Parameters
    ----------
    layer
        Its name.
    sign_count, magnitude
        Mean over the random sets that the concept is set against.
    by_chance
        For ``"sign_count"`` and ``"magnitude"`` the interval that holds 95 % of the scores of
        random sets against each other.
    accuracy
        Held-out accuracy of the vectors, mean over the random sets.
    separates
        Share of the vectors that tell the concept from their random set.
    clips, scored, randoms
        Clips of the concept that are left, clips that are scored, and random sets.
    degenerate
        Why sign counts say little at this layer; empty where they do not.
    """

    layer: str
    sign_count: float
    magnitude: float
    by_chance: Mapping[Statistic, tuple[float, float]]
    accuracy: float
    separates: float
    clips: int
    scored: int
    randoms: int
    degenerate: str


class Workbench:
    """A network, sets of clips, and clips of the class to be scored.

    Parameters
    ----------
    model
        A network of the zoo.
    concepts, randoms
        Names to clips: of one kind, static or dynamic, as they are set against each other; at least
        one concept and two random sets.
    clips
        Scoring clips of the class; none of them a concept's.
    target
        The class.
    layers
        Names of probe layers.
    store
        Where activations are kept for the next time.

    Raises
    ------
    InputError, UnknownNameError, NotFiniteError
        As `vxhelpers.concepts.activations.collect` and
        `vxhelpers.concepts.directional_derivatives.derivatives`; `InputError` also if there are too
        few sets.
    """

    def __init__(
        self,
        model: Model,
        concepts: Mapping[str, Sequence[Clip]],
        randoms: Mapping[str, Sequence[Clip]],
        clips: Sequence[Clip],
        *,
        target: str,
        layers: Sequence[str],
        store: Store | None = None,
    ) -> None:
        if not concepts or len(randoms) < RANDOM_SETS:
            raise InputError(
                f"{len(concepts)} concepts and {len(randoms)} random sets: at least one concept "
                f"and {RANDOM_SETS} random sets are needed"
            )
        self.concepts, self.randoms = tuple(concepts), tuple(randoms)
        held = collect(model, {**concepts, **randoms}, layers=layers, batch_size=16, store=store)
        self.found = derivatives(model, clips, held, target=target)
        self._held, self._device = held, model.device
        self._sets = replace(held, layers={})
        self._grams: dict[str, Matrix] = {}
        self._nulls: dict[tuple[str, Solver, int], Sensitivity] = {}
        for layer in held.layers:
            self._gram(layer)

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers, as given."""
        return tuple(self._held.layers)

    def size(self, concept: str) -> int:
        """Clips of a concept, none dropped."""
        known("concept", concept, self.concepts)
        return len(self._sets.rows(concept))

    def scores(self, selection: Selection) -> dict[str, LayerScores]:
        """Score the clips that are left of a concept, at every layer; no pass of the network.

        Raises
        ------
        UnknownNameError
            If there is no such concept or solver.
        InputError
            If fewer than 4 clips are left, there are not as many random sets, or a clip to drop
            does not exist.
        """
        count = self.size(selection.concept)
        known("solver", selection.solver, SOLVERS)
        if not RANDOM_SETS <= selection.randoms <= len(self.randoms):
            raise InputError(
                f"{selection.randoms} random sets: there are {len(self.randoms)}, and "
                f"{RANDOM_SETS} at least are needed"
            )
        if any(not 0 <= place < count for place in selection.dropped):
            raise InputError(f"{selection.concept} has clips 0 to {count - 1}: {selection.dropped}")
        left = [place for place in range(count) if place not in selection.dropped]
        if len(left) < FEWEST:
            raise InputError(
                f"{len(left)} clips of {selection.concept!r} are left: a concept vector needs "
                f"{FEWEST}; take some back"
            )
        randoms = self.randoms[: selection.randoms]
        sets = {name: self._sets.sets[name] for name in randoms}
        rows = self._sets.sets[selection.concept][left]
        reduced = replace(self._sets, sets={selection.concept: rows, **sets})
        problems = pairs(reduced, [(selection.concept, name) for name in randoms])
        found = {}
        for name in self.layers:
            K = self._gram(name)
            vectors = fit(K, problems, solver=selection.solver)
            found[name] = LayerScores(
                name,
                (selection.concept,),
                randoms,
                K,
                self.found[name].products,
                {selection.solver: sensitivity(self.found, name, vectors)},
                {selection.solver: self._null(name, selection.solver, selection.randoms)},
                self.found[name].degenerate,
            )
        return found

    def rows(self, selection: Selection) -> list[LayerRow]:
        """The scores as rows of a table, one a layer; raises as `scores`."""
        rows, concept, solver = [], selection.concept, selection.solver
        for name, layer in self.scores(selection).items():
            held_out = layer.held_out(concept, solver)
            statistics: tuple[Statistic, ...] = ("sign_count", "magnitude")
            edge = (1 - SHARE) / 2
            by_chance = {}
            for statistic in statistics:
                low, high = np.quantile(layer.null(statistic, solver), [edge, 1 - edge])
                by_chance[statistic] = (float(low), float(high))
            rows.append(
                LayerRow(
                    name,
                    float(layer.scores(concept, "sign_count", solver).mean()),
                    float(layer.scores(concept, "magnitude", solver).mean()),
                    by_chance,
                    float(held_out.accuracy.mean()),
                    float(held_out.separates.mean()),
                    self.size(concept) - len(selection.dropped),
                    len(self.found.clips),
                    selection.randoms,
                    layer.degenerate,
                )
            )
        return rows

    def _gram(self, layer: str) -> Matrix:
        if layer not in self._grams:
            self._grams[layer] = gram(self._held.layers[layer], device=self._device)
        return self._grams[layer]

    def _null(self, layer: str, solver: Solver, count: int) -> Sensitivity:
        """Sensitivity to the vectors of all pairs of random sets, which no dropped clip changes."""
        key = layer, solver, count
        if key not in self._nulls:
            problems = pairs(self._sets, [*combinations(self.randoms[:count], 2)])
            K = self._gram(layer)
            vectors = fit(K, problems, solver=solver, folds=None)
            self._nulls[key] = sensitivity(self.found, layer, vectors)
        return self._nulls[key]
