"""Sets of clips against each other: relative scores of a group, and tests of pairs.

Kim et al. (2018), section 3.6: vectors between concepts in place of vectors between a concept and
random clips, so that what the sets have in common (a crop's frame, a court) cancels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from vxhelpers.checks import known
from vxhelpers.concepts.arrays import Matrix
from vxhelpers.concepts.cav import against, fit
from vxhelpers.concepts.permutation_tests import swapped
from vxhelpers.concepts.sensitivity import Sensitivity, sensitivity
from vxhelpers.concepts.significance import PHRASES, Verdict, judge
from vxhelpers.concepts.solvers import Solver
from vxhelpers.concepts.tcav import NOT_VALIDATED, Tcav
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.figures.report import Metric, Report, Text, escape_markdown
from vxhelpers.figures.table import Interval, Table, table
from vxhelpers.stats import mean_interval, wilson

if TYPE_CHECKING:
    from vxhelpers.figures.illustration import Illustration


UNITS, SHARES = "relative TCAV score", (-0.03, 1.05)


@dataclass(frozen=True, eq=False)
class RelativeScores(Report):
    """Relative TCAV scores of a group of sets, each against all others of it.

    Parameters
    ----------
    group
        Names of the sets.
    random
        Those of them that are random sets.
    layers
        Name of each layer to the sensitivity to the group's vectors, in order.
    """

    group: tuple[str, ...]
    random: tuple[str, ...]
    layers: Mapping[str, Sensitivity]

    def __getitem__(self, layer: str) -> Sensitivity:
        known("layer", layer, self.layers, where="these relative scores")
        return self.layers[layer]

    @property
    def intervals(self) -> dict[str, dict[str, Interval]]:
        """Set to layer to the sign count with Wilson's 95 % interval over the scored clips."""
        return {
            name: {
                layer: share_interval(found.derivatives[place])
                for layer, found in self.layers.items()
            }
            for place, name in enumerate(self.group)
        }

    @property
    def doubtful(self) -> list[tuple[str, str]]:
        """Set and layer of vectors that do not separate the set from the rest on held-out clips."""
        return [
            (name, layer)
            for layer, found in self.layers.items()
            for name, separates in zip(self.group, separated(found), strict=True)
            if not separates
        ]

    def figure(self) -> "Illustration":
        """Sign counts as bars by layer; grey where the vectors do not separate."""
        from vxhelpers.figures.score_charts import bars

        return bars(self.intervals, doubtful=self.doubtful, units=UNITS, limits=SHARES)

    def table(self) -> Table:
        """Sign counts by set and layer."""
        rows = self.intervals
        columns = {layer: [rows[name][layer] for name in self.group] for layer in self.layers}
        return table({"set": self.group, **columns}, caption="Relative TCAV scores")

    def summary(self) -> Text:
        """Which sets score highest in the last layer, and what a random set scores there."""
        last, doubtful = [*self.layers][-1], self.doubtful
        scores = {name: row[last][0] for name, row in self.intervals.items()}
        sure = {name: v for name, v in scores.items() if (name, last) not in doubtful}
        if not sure:
            return Text(f"Nothing separates in the last layer, {escape_markdown(last)}.")
        most = max(sure.values())
        top = ", ".join(escape_markdown(name) for name, v in sure.items() if v == most)
        text = (
            f"In the last layer, {escape_markdown(last)}, the highest score is {most:.2f} ({top})"
        )
        for name in self.random:
            doubt = ", and it does not separate" if (name, last) in doubtful else ""
            text += f"; that of {escape_markdown(name)} is {scores[name]:.2f}{doubt}"
        return Text(text + ".")


def beside(found: Mapping[str, RelativeScores], layer: str) -> "Illustration":
    """Draw the relative scores of several networks at one layer beside each other."""
    from vxhelpers.figures.score_charts import bars

    def lines(name: str) -> str:
        return name.replace(" ", "\n")

    return bars(
        {
            who: {lines(name): row[layer] for name, row in scores.intervals.items()}
            for who, scores in found.items()
        },
        doubtful=[
            (who, lines(name))
            for who, scores in found.items()
            for name, at in scores.doubtful
            if at == layer
        ],
        units=UNITS,
        limits=SHARES,
    )


def share_interval(derivatives: Matrix) -> Interval:
    """Sign count of ``(S,)`` derivatives with Wilson's 95 % interval over the clips."""
    k, n = int((derivatives > 0).sum()), len(derivatives)
    return (k / n, *wilson(k, n))


def separated(found: Sensitivity) -> npt.NDArray[np.bool_]:
    """``(P,)``: whether the vectors separate held-out clips; raises InputError if not validated."""
    if found.cavs.held_out is None:
        raise InputError(NOT_VALIDATED)
    return found.cavs.held_out.separates


def relative(scores: Tcav, group: Sequence[str], *, solver: Solver = "mean") -> RelativeScores:
    """Relative TCAV: each set of a group against all others of it, at every layer.

    Figures 7 and 8 of Saha et al. (2024): a group of concepts that includes a random one.

    Parameters
    ----------
    group
        Names of sets, at least two, without common clips; problem ``i`` is the i-th of them.
    """
    if len(group) < 2:
        raise InputError(f"a group of {len(group)}: relative scores need two sets or more")
    problems = [
        against(scores.sets, name, [o for o in group if o != name], names=scores.names)
        for name in group
    ]
    randoms = {name for layer in scores.layers.values() for name in layer.randoms}
    return RelativeScores(
        tuple(group),
        tuple(name for name in group if name in randoms),
        {
            name: sensitivity(
                scores.derivatives,
                name,
                fit(layer.K, problems, solver=solver, C=scores.settings.C),
            )
            for name, layer in scores.layers.items()
        },
    )


PairStatistic = Literal["sign_count", "alignment"]


@dataclass(frozen=True)
class PairScore:
    """How much one set pushes a score more than another, at one layer.

    Parameters
    ----------
    pair, layer
        What was compared, and where.
    score
        Sign count with Wilson's interval, or mean cosine of gradients and vector with its
        bootstrap interval, over the scored clips.
    verdict
        By the permutation test of the two sets (`swapped`), corrected.
    """

    pair: str
    layer: str
    score: Interval
    verdict: Verdict

    @property
    def text(self) -> str:
        """Score and p, or that the vector does not separate."""
        value = f"{self.score[0]:.2f}"
        if self.verdict.outcome == "not separated":
            return f"{value}, {PHRASES['not separated']}"
        return f"{value}, p = {self.verdict.corrected:.2g}: {self.verdict.outcome}"


@dataclass(frozen=True)
class PairScores(Report):
    """Pairs of sets against each other at every layer.

    Parameters
    ----------
    scores
        Pair by pair, layer by layer.
    statistic
        What they are: share of clips whose score rises from the second set to the first, or mean
        cosine of gradients and vector.
    """

    scores: tuple[PairScore, ...]
    statistic: PairStatistic

    @property
    def pairs(self) -> tuple[str, ...]:
        """Names of the pairs."""
        return tuple(dict.fromkeys(found.pair for found in self.scores))

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers."""
        return tuple(dict.fromkeys(found.layer for found in self.scores))

    def __getitem__(self, key: tuple[str, str]) -> PairScore:
        """The score of a pair at a layer."""
        found = {(score.pair, score.layer): score for score in self.scores}
        if key not in found:
            raise UnknownNameError("pair and layer", str(key), [*map(str, found)])
        return found[key]

    @property
    def intervals(self) -> dict[str, dict[str, Interval]]:
        """Pair to layer to score."""
        return {p: {x: self[p, x].score for x in self.layers} for p in self.pairs}

    @property
    def not_separated(self) -> list[tuple[str, str]]:
        """Pairs and layers whose vectors do not tell held-out clips apart."""
        return [(f.pair, f.layer) for f in self.scores if f.verdict.outcome == "not separated"]

    @property
    def not_significant(self) -> list[tuple[str, str]]:
        """Those, and the ones that cannot be told from chance."""
        return [(f.pair, f.layer) for f in self.scores if not f.verdict.interpreted]

    def figure(
        self, *, units: str = "", limits: tuple[float, float] | None = None
    ) -> "Illustration":
        """Sign counts as bars, or cosines as curves; grey where there is nothing to interpret."""
        from vxhelpers.figures.score_charts import bars, curves

        if self.statistic == "sign_count":
            return bars(
                self.intervals,
                doubtful=self.not_separated,
                units=units or "clips that the first pushes up",
                line=("no preference", 0.5),
                limits=limits or SHARES,
            )
        return curves(
            self.intervals,
            doubtful=self.not_significant,
            units=units or "cosine with the gradient",
            line=("no push", 0.0),
            doubt="grey: not significant",
            limits=limits,
        )

    def metrics(self, name: str, *, n: int) -> list[Metric]:
        """Mean score in the last layer of the pairs that separate there, from n clips, if any."""
        last = [f for f in self.scores if f.layer == self.layers[-1]]
        values = [f.score[0] for f in last if f.verdict.outcome != "not separated"]
        return [Metric(name, float(np.mean(values)), n=n)] if values else []

    def table(self) -> Table | None:
        """Score, corrected p and outcome by pair and layer."""
        if not self.scores:
            return None
        columns = {x: [self[p, x].text for p in self.pairs] for x in self.layers}
        return table({"pair": self.pairs, **columns}, caption="Pairs of sets", sortable=False)

    def summary(self) -> Text:
        """For which pairs the first set pushes more, or less, in the last layer."""
        if not self.scores:
            return Text("There is no pair to compare.")
        last = self.layers[-1]

        def listed(outcome: str) -> str:
            names = [p for p in self.pairs if self[p, last].verdict.outcome == outcome]
            return ", ".join(map(escape_markdown, names)) or "none"

        return Text(
            f"In the last layer, {escape_markdown(last)}, the first of a pair pushes significantly "
            f"towards the class, more than the second, for: {listed('towards')}; away from it for: "
            f"{listed('away')}."
        )


def compare_pairs(
    scores: Tcav,
    pairs: Mapping[str, tuple[str, str]],
    *,
    rng: np.random.Generator,
    statistic: PairStatistic = "sign_count",
    permutations: int = 1000,
) -> PairScores:
    """Hold pairs of sets against each other at every layer: Figure 9 of Saha et al. (2024).

    Parameters
    ----------
    scores
        Of which the sets' activations and the scored clips' gradients are taken.
    pairs
        Name of each pair to the names of its two sets, without common clips.
    statistic
        What is shown beside the test: share of clips whose score rises from the second set to the
        first, or mean cosine of gradients and vector.
    permutations
        Of the two sets' clips; p are corrected for all pairs at all layers.
    """
    found = []
    m = len(pairs) * len(scores.layers)
    for name, (first, second) in pairs.items():
        for layer, along in relative(scores, (first, second)).layers.items():
            rows = scores.sets[first], scores.sets[second]
            test = swapped(scores[layer].products, *rows, rng=rng, permutations=permutations)
            verdict = judge(test, m=m, separates=bool(separated(along)[0]))
            if statistic == "alignment":
                mean = mean_interval(along.alignment[0], rng=rng)
                score = mean.value, mean.low, mean.high
            else:
                score = share_interval(along.derivatives[0])
            found.append(PairScore(name, layer, score, verdict))
    return PairScores(tuple(found), statistic)
