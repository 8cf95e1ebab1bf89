"""A score opened: the clips behind it, and what each time step and place adds to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vxhelpers.concepts.arrays import Matrix
from vxhelpers.concepts.tcav import LayerScores
from vxhelpers.figures.report import Report, Text, escape_markdown
from vxhelpers.figures.table import Cell, Table, table
from vxhelpers.stats import Mean, mean_interval

if TYPE_CHECKING:
    from vxhelpers.figures.illustration import Illustration


ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class Part:
    """What lies inside a place, elsewhere, and in all, of one concept's magnitude.

    Parameters
    ----------
    inside, elsewhere, whole
        Means over the scored clips, of means over the random sets.
    steps
        ``(2, T)``: inside and elsewhere by time step.
    """

    inside: Mean
    elsewhere: Mean
    whole: Mean
    steps: Matrix


@dataclass(frozen=True, eq=False)
class Parts(Report):
    """Magnitudes of concepts at one layer, split into a place and the rest.

    Parameters
    ----------
    place
        Name of the place.
    area
        Share of the scored clips that it covers.
    found
        Name of each concept to its parts.
    """

    place: str
    area: float
    found: Mapping[str, Part]

    @property
    def steps(self) -> dict[str, dict[str, Matrix]]:
        """Concept to place to ``(T,)`` parts."""
        return {
            name: dict(zip((self.place, ELSEWHERE), part.steps, strict=True))
            for name, part in self.found.items()
        }

    def figure(self, seconds: float) -> "Illustration":
        """Parts by time step and place, over the clip's seconds."""
        from vxhelpers.figures.score_charts import parts

        return parts(self.steps, seconds=seconds, units="part of the magnitude")

    def density(self, name: str) -> float:
        """Part inside, a unit of area, over the mean; NaN where either is nothing."""
        part = self.found[name]
        if not (self.area and part.whole.value):
            return float("nan")
        return part.inside.value / self.area / part.whole.value

    def table(self) -> Table:
        """Parts with intervals, and how dense the part inside is."""
        parts = self.found.values()
        columns: dict[str, Sequence[Cell]] = {
            "concept": [*self.found],
            f"inside {self.place}": [_text(part.inside) for part in parts],
            ELSEWHERE: [_text(part.elsewhere) for part in parts],
            "all": [f"{part.whole.value:+.3g}" for part in parts],
            "inside, a unit of area over the mean": [self.density(name) for name in self.found],
        }
        return table(columns, caption="Parts of the magnitude", digits=1, sortable=False)

    def summary(self) -> Text:
        """How to read the table's last column."""
        return Text(
            f"The mask of {escape_markdown(self.place)} covers {self.area:.1%} of the scored clips."
            " The last column is 1 where a part is as large as its area would make it, were all "
            "spread evenly; negative where inside and whole have opposite signs. Intervals are "
            "over clips."
        )


def _text(part: Mean) -> str:
    return f"{part.value:+.3g} [{part.low:+.3g}, {part.high:+.3g}]"


def split(
    layers: Mapping[str, LayerScores],
    place: str,
    *,
    area: float,
    rng: np.random.Generator,
) -> Parts:
    """Split concepts' magnitudes into what lies inside a place and what lies elsewhere.

    A derivative is a sum over time steps and positions, so that its parts add up to it.

    Parameters
    ----------
    layers
        Name of each concept to the scores of the layer to be opened.
    place
        Of the ``places`` that they were scored with.
    area
        Share of the scored clips that it covers, 0 to 1.

    Raises
    ------
    UnknownNameError
        If a concept or the place does not exist.
    """
    found = {}
    for name, layer in layers.items():
        sensitivity, rows = layer.sensitivity("mean"), layer.vectors(name)
        elsewhere = sensitivity.elsewhere(place)[rows].mean(0)  # (clips, time steps)
        inside = sensitivity.inside[place][rows].mean(0)
        clips = inside.sum(1), elsewhere.sum(1)
        means = [mean_interval(values, rng=rng) for values in (*clips, clips[0] + clips[1])]
        steps = np.stack([inside.mean(0), elsewhere.mean(0)])
        found[name] = Part(means[0], means[1], means[2], steps)
    return Parts(place, area, found)
