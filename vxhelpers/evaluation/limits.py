"""What a map's limits come to: each limit measured, its baseline beside it, and one verdict.

A verdict is decided by intervals, never by a mean alone. The rule of each limit is the property
``verdict`` of its report, and `LimitsReport` quotes the same objects that the sections show.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vxhelpers.figures.report import Report, Text, escape_markdown
from vxhelpers.figures.table import Cell, Table, table
from vxhelpers.stats import Mean, mean_interval

Values = npt.NDArray[np.float64]
Average = Callable[[npt.ArrayLike], Mean]

HALF = 0.5  # a similarity above which two maps are called alike


def average_of(rng: np.random.Generator) -> Average:
    """A function that gives means over clips with bootstrap intervals, all drawn from ``rng``.

    Of fewer than two clips the interval is the whole line: they decide nothing.
    """

    def average(values: npt.ArrayLike) -> Mean:
        found = np.asarray(values, np.float64)
        if len(found) > 1:
            return mean_interval(found, rng=rng)
        value = float(found[0]) if len(found) else float("nan")
        return Mean(value, -np.inf, np.inf, len(found))

    return average


def short(mean: Mean) -> str:
    """A mean with its interval, without the number of clips."""
    if not mean.n:
        return "unknown"
    ends = f" [{mean.low:.2f}, {mean.high:.2f}]" if mean.n > 1 else f" (n = {mean.n})"
    return f"{mean.value:.2f}{ends}".replace("-", "−")


def cell_of(mean: Mean) -> Cell:
    """A mean with its interval as a cell of a table."""
    if mean.n > 1:
        return mean.value, mean.low, mean.high
    return mean.value if mean.n else None


@dataclass(frozen=True)
class Limit:
    """One line of the summary: what was measured, against what, and the verdict."""

    name: str
    measure: str
    value: Mean
    baseline: str
    verdict: str


@dataclass(frozen=True)
class LimitsReport(Report):
    """All limits of a network and class, side by side."""

    limits: Sequence[Limit]
    model: str
    action: str
    clips: int

    def table(self) -> Table:
        columns: dict[str, Sequence[Cell]] = {
            "limit": [limit.name for limit in self.limits],
            "measure": [limit.measure for limit in self.limits],
            "value": [cell_of(limit.value) for limit in self.limits],
            "n": [limit.value.n for limit in self.limits],
            "baseline": [limit.baseline for limit in self.limits],
            "verdict": [limit.verdict for limit in self.limits],
        }
        return table(columns, caption="Limits, measured; 95 % bootstrap intervals over clips")

    def summary(self) -> Text:
        text = (
            "Background and order in time are of the stage's networks, the rest of "
            f"{escape_markdown(self.model)} on *{escape_markdown(self.action)}*."
        )
        return Text(text + " So few clips decide nothing about the class." * (self.clips < 10))


@dataclass(frozen=True)
class ClipsReport(Report):
    """The clips at hand, and how alike the maps of two of them are: the baseline throughout."""

    action: str
    model: str
    recognised: int
    clips: int
    other: Mean
    dependence: str

    def summary(self) -> Text:
        shared = ": **whatever the clip, much of the map is the same.**" * (self.other.low > HALF)
        few = " **So few clips** say little about the class." * (self.clips < 10)
        return Text(
            f"{escape_markdown(self.model)} recognises {self.recognised} of {self.clips} test "
            "clips of "
            f"*{escape_markdown(self.action)}*. The maps of two different clips are alike by "
            f"{short(self.other)}{shared or '.'}{few} {self.dependence}"
        )
