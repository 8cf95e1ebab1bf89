"""Limits of maps: random weights, harmless changes of the clip, chosen maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vxhelpers.evaluation.limits import HALF, Average, Limit, cell_of, short
from vxhelpers.evaluation.manipulation import Manipulation
from vxhelpers.evaluation.sanity_checks import Cascade
from vxhelpers.figures.report import Report, Text
from vxhelpers.figures.table import Cell, Table, table
from vxhelpers.stats import Mean

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CascadeReport(Report):
    """How alike maps stay while weights become random, from the top down, without sign.

    Parameters
    ----------
    curves
        Similarity to stage to its mean.
    other, other_absolute
        How alike another clip's map is, by rank and by rank of absolute values.
    last
        Similarity to the mean with all weights random.
    draws
        For each draw of weights the mean rank correlation, all weights random.
    clips
        Number of clips.
    """

    curves: Mapping[str, Mapping[str, Mean]]
    other: Mean
    other_absolute: Mean
    last: Mapping[str, Mean]
    draws: tuple[float, ...]
    clips: int

    @classmethod
    def of(cls, draws: Sequence[Cascade], average: Average, *, clips: int) -> "CascadeReport":
        """Summarise one or more draws of random weights, each for the same clips."""
        first = draws[0]
        stages = ["trained", *(f"+ {s}" if k else s for k, s in enumerate(first.stages[1:]))]
        left = {n: np.abs([d.similarity[n] for d in draws]).mean(0) for n in first.similarity}
        curves = {
            name: {stage: average(row) for stage, row in zip(stages, values, strict=True)}
            for name, values in left.items()
        }
        baseline = first.baseline
        other = average([] if baseline is None else np.abs(baseline["rank"]))
        last = {name: average(values[-1]) for name, values in left.items()}
        absolute = average([] if baseline is None else baseline["absolute_rank"])
        single = tuple(float(np.abs(d.similarity["rank"][-1]).mean()) for d in draws)
        return cls(curves, other, absolute, last, single, clips)

    @property
    def verdict(self) -> str:
        """Whether the map depends on what was learned."""
        both = self.last["rank"], self.last["absolute_rank"]
        if max(mean.high for mean in both) < HALF:
            return "the map depends on what was learned"
        if max(mean.low for mean in both) > HALF:
            return "much of the map stays"
        return "undecided"

    @property
    def limit(self) -> Limit:
        """The line of the summary."""
        measure = "map with all weights random, alike, either sign"
        other = f"another clip's map {short(self.other)}"
        return Limit("random weights", measure, self.last["rank"], other, self.verdict)

    def chart(self) -> dict[str, dict[str, tuple[float, float, float]]]:
        """Curves for `vxhelpers.figures.score_charts.curves`, intervals kept within -1 to 1."""
        names = {
            "rank": "rank correlation",
            "absolute_rank": "of absolute values",
            "ssim": "structural similarity",
        }
        return {
            names[name]: {s: (m.value, max(m.low, -1), min(m.high, 1)) for s, m in curve.items()}
            for name, curve in self.curves.items()
        }

    def summary(self) -> Text:
        rank, absolute, looks = (self.last[n] for n in ("rank", "absolute_rank", "ssim"))
        count = len(self.draws)
        single = " and ".join(f"{value:.2f}" for value in self.draws)
        meaning = {
            "the map depends on what was learned": "That passes the check.",
            "much of the map stays": "**That does not pass the check.**",
            "undecided": "That is no clear answer.",
        }[self.verdict]
        parts = [
            "With all weights random, maps are alike the trained network's, or its negative, by "
            f"{short(rank)} in rank and by {short(absolute)} in the rank of absolute values (n = "
            f"{self.clips} clips, {count} draw{'s' if count > 1 else ''} of weights); those of "
            "different "
            f"clips by {short(self.other)} and {short(self.other_absolute)}.",
            f"The single draws come to {single} in rank." if count > 1 else "",
            meaning,
            ""
            if rank.low <= looks.value <= rank.high
            else f"By structural similarity they are alike by {short(looks)}: the choice of the "
            "measure "
            "decides how hard the check is.",
        ]
        return Text(" ".join(filter(None, parts)))


@dataclass(frozen=True)
class StabilityReport(Report):
    """How alike maps stay under changes that leave the content alone.

    Parameters
    ----------
    alike, kept
        Change to how alike the map stays, and to the share whose prediction is kept.
    other
        How alike another clip's map is.
    preprocessing
        Names of the changes that belong to preprocessing.
    clips
        Number of clips.
    """

    alike: Mapping[str, Mean]
    kept: Mapping[str, float]
    other: Mean
    preprocessing: Sequence[str]
    clips: int

    def verdict(self, change: str) -> str:
        """A map holds if it is more alike than one half and than the map of another clip."""
        mean, bar = self.alike[change], max(HALF, self.other.value)
        if mean.low > bar:
            return "the map holds"
        return "the map moves" if mean.high < bar else "undecided"

    @property
    def limits(self) -> list[Limit]:
        """The lines of the summary."""
        return [
            Limit(
                f"preprocessing: {name}" if name in self.preprocessing else name,
                "map alike",
                mean,
                f"another clip's map {short(self.other)}",
                f"{self.verdict(name)}; prediction kept in {self.kept[name]:.0%}",
            )
            for name, mean in self.alike.items()
        ]

    def table(self) -> Table:
        columns: dict[str, Sequence[Cell]] = {
            "change": [*self.alike],
            "prediction kept": [f"{self.kept[name]:.0%}" for name in self.alike],
            "map alike": [*map(cell_of, self.alike.values())],
            "verdict": [*map(self.verdict, self.alike)],
        }
        return table(columns, caption=f"Rank correlation of maps, n = {self.clips} clips")

    def summary(self) -> Text:
        return Text(
            f"The maps of two different clips are alike by {short(self.other)}. A map *holds* if "
            "it is "
            "more alike than 0.5 and than the map of another clip."
        )


@dataclass(frozen=True)
class ChosenMapReport(Report):
    """Whether a small change makes the map a chosen one while the prediction stays.

    Parameters
    ----------
    energy, nearness, probability
        As it is, changed, with noise of the same size: the map's energy in the chosen place, its
        correlation with the chosen map, the probability of the class.
    kept
        Shares whose predicted class is kept.
    largest
        The largest change, in grey levels.
    area
        The chosen place's share of a frame.
    clips
        Number of clips.
    """

    energy: Sequence[Mean]
    nearness: Sequence[Mean]
    probability: Sequence[Mean]
    kept: Sequence[float]
    largest: float
    area: float
    clips: int

    @classmethod
    def of(
        cls, found: Manipulation, energy: Sequence[Values], area: float, average: Average
    ) -> "ChosenMapReport":
        """Summarise a manipulation; ``energy`` is the share of each map in the chosen place."""
        inside = [average(values) for values in energy]
        near = [average(values) for values in found.nearness]
        probability = [average(values) for values in found.probability]
        kept = [float(values.mean()) for values in found.kept]
        largest = float(found.largest.max())
        return cls(inside, near, probability, kept, largest, area, len(found.largest))

    @property
    def verdict(self) -> str:
        """Whether the map can be chosen."""
        _, changed, noise = self.nearness
        if changed.low > max(HALF, noise.high):
            return "the map can be chosen"
        return "moved, not chosen" if changed.low > noise.high else "undecided"

    @property
    def limit(self) -> Limit:
        """The line of the summary."""
        _, changed, noise = self.nearness
        measure = "correlation with a corner, same prediction"
        other = f"noise of the same size {short(noise)}"
        return Limit("a chosen map", measure, changed, other, self.verdict)

    def table(self) -> Table:
        columns: dict[str, Sequence[Cell]] = {
            "clip": ["as it is", "changed", "noise of the same size"],
            "correlation with the corner": [*map(cell_of, self.nearness)],
            "energy in it": [*map(cell_of, self.energy)],
            "probability": [*map(cell_of, self.probability)],
            "class kept": [f"{share:.0%}" for share in self.kept],
        }
        return table(columns, caption=f"A map of our choice, n = {self.clips} clips")

    def summary(self) -> Text:
        meaning = (
            "**With the same prediction the map points where we chose**, and noise of that size "
            "does "
            "nothing of the kind: who supplies the clip can supply the explanation."
            if self.verdict == "the map can be chosen"
            else "The map did not become the chosen one within so few steps and grey levels."
        )
        return Text(
            f"No value was changed by more than {self.largest:.0f} grey levels. The corner is "
            f"{self.area:.2f} of the area. {meaning}"
        )
