"""Limits across maps: agreement of a class's maps, and the same measures for other networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vxhelpers.evaluation.limits import HALF, Average, Limit, cell_of, short
from vxhelpers.figures.report import Report, Text
from vxhelpers.figures.table import Cell, Table, table
from vxhelpers.stats import Mean

Values = npt.NDArray[np.float64]

OWN, BLANK, OTHERS = "maps of the class", "random weights", "with maps of other classes"


@dataclass(frozen=True)
class AgreementReport(Report):
    """What maps of different clips of a class have in common.

    Parameters
    ----------
    pairs
        Kind of pairs to their mean rank correlation.
    typical
        ``(N,)``: how alike each map is to the mean map.
    typical_mean, gain
        Its mean; that of the energy on the evidence minus its area.
    gains
        ``(N,)``: the energy on the evidence minus its area.
    evidence
        What it is, in words.
    """

    pairs: Mapping[str, Mean]
    typical: Values
    typical_mean: Mean | None
    gain: Mean
    gains: Values
    evidence: str

    @classmethod
    def of(
        cls,
        pairs: Mapping[str, Values],
        typical: Values,
        gains: Values,
        *,
        evidence: str,
        average: Average,
    ) -> "AgreementReport":
        """Summarise rank correlations of pairs of maps."""
        means = {name: average(values) for name, values in pairs.items()}
        mean = average(typical) if len(typical) > 1 else None
        return cls(means, typical, mean, average(gains), gains, evidence)

    def _pair(self, name: str) -> Mean:
        return self.pairs.get(name, Mean(float("nan"), -np.inf, np.inf, 0))

    @property
    def verdict(self) -> str:
        """Whether maps of the class agree more than those of other classes or random weights."""
        own, blank, other = map(self._pair, (OWN, BLANK, OTHERS))
        if blank.low > own.high:
            return "maps agree more with random weights"
        if own.low > other.high:
            return "maps of the class agree more than with those of others"
        if other.n > 1 and own.n > 1:
            return "maps of the class agree no more than maps of different classes"
        return "too few clips"

    @property
    def limit(self) -> Limit:
        """The line of the summary."""
        own, blank, other = map(self._pair, (OWN, BLANK, OTHERS))
        measure = f"agreement of {len(self.gains)} maps of the class"
        baseline = f"with other classes' {short(other)}, random weights {short(blank)}"
        return Limit("local, not global", measure, own, baseline, self.verdict)

    def table(self) -> Table:
        columns: dict[str, Sequence[Cell]] = {
            "pairs": [*self.pairs],
            "mean rank correlation": [*map(cell_of, self.pairs.values())],
        }
        return table(columns, caption="Agreement of maps, 95 % bootstrap intervals over clips")

    def summary(self) -> Text:
        own, blank, other = map(self._pair, (OWN, BLANK, OTHERS))
        parts = []
        if own.low > other.high:
            parts.append("Maps of the class agree more with each other than with other classes'.")
        elif other.n > 1 and own.n > 1:
            parts.append(
                "Maps of the class agree no more with each other than with other classes'."
            )
        if blank.low > own.high:
            parts.append(
                "**Agreement is no proof of knowledge:** random weights' maps agree even more."
            )
        if self.typical_mean is not None:
            least = f"{self.typical.min():.2f}".replace("-", "−")
            parts.append(
                f"The mean of all maps is alike single maps by {short(self.typical_mean)}, and "
                "alike the "
                f"least similar by {least}, which it hides."
            )
        low, high = np.quantile(self.gains, [0.05, 0.95])
        favour = float((self.gains > 0).mean())
        parts.append(
            f"The share of the energy on {self.evidence}, minus its area, is {short(self.gain)} on "
            "average "
            f"and {low:+.2f} to {high:+.2f} over the middle nine tenths of {len(self.gains)} clips."
        )
        parts.append(
            f"{favour:.0%} of single maps favour the evidence, so that one map may say either."
            if 0.05 < favour < 0.95
            else "Single maps mostly say the same of the evidence."
        )
        return Text(" ".join(parts))


MEASURES = (
    "reversed",
    "another clip",
    "flicker",
    "noise",
    "random weights",
    "evidence",
    "chosen map",
)


@dataclass(frozen=True)
class NetworksReport(Report):
    """The same measures for several networks and layers.

    Parameters
    ----------
    values
        Network and layer to the values of `MEASURES`, an array of clips each.
    means
        Their means with intervals.
    unsigned
        Mean of the absolute rank correlation with random weights.
    clips, chosen
        Numbers of clips, and of clips whose map is chosen.
    decides
        What the evidence is.
    """

    values: Mapping[tuple[str, str], Sequence[Values]]
    means: Mapping[tuple[str, str], Sequence[Mean]]
    unsigned: Mapping[tuple[str, str], Mean]
    clips: int
    chosen: int
    decides: Sequence[str]

    @classmethod
    def of(
        cls, values: Mapping[tuple[str, str], Sequence[Values]], average: Average, **options: Any
    ) -> "NetworksReport":
        """Summarise the measures of each network and layer; options are the last fields."""
        means = {key: [average(one) for one in row] for key, row in values.items()}
        at = MEASURES.index("random weights")
        unsigned = {key: average(np.abs(row[at])) for key, row in values.items()}
        return cls(values, means, unsigned, **options)

    def table(self) -> Table:
        columns: dict[str, Sequence[Cell]] = {
            "network, layer": [f"{net}, {layer}" for net, layer in self.values]
        }
        for k, name in enumerate(MEASURES):
            columns[name] = [float(np.mean(row[k])) for row in self.values.values()]
        return table(
            columns, caption=f"Means over n = {self.clips} forehands, by network and layer"
        )

    def _where(self, holds: Mapping[tuple[str, str], bool]) -> str:
        return (
            ", ".join(f"{net} `{layer}`" for (net, layer), one in holds.items() if one) or "nowhere"
        )

    def summary(self) -> Text:
        at = MEASURES.index("evidence")
        keeps = self._where({key: row[0].low > HALF for key, row in self.means.items()})
        finds = self._where({key: row[at].low > 0 for key, row in self.means.items()})
        stays = self._where({key: mean.low > HALF for key, mean in self.unsigned.items()})
        return Text(
            "*reversed*, *noise*, *random weights*: how alike the map stays in rank; *evidence*: "
            "energy on "
            f"{' and '.join(self.decides)} minus area; *chosen map*: correlation with the corner, "
            "of the "
            f"first {self.chosen}, in fewer steps than above. The map hardly changes (above 0.5, "
            "with its "
            f"whole interval) when the class turns round: {keeps}. It favours the evidence: "
            f"{finds}. It "
            f"stays, or becomes its negative, when all weights are random: {stays}."
        )
