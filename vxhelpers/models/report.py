"""What predictions say: accuracy beside scores without skill, the causal check, the siblings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vxhelpers.data.datasets import DataSet
from vxhelpers.figures.report import Metric, Report, Text
from vxhelpers.figures.table import Cell, Table, table
from vxhelpers.models.evaluate import Accuracy, CausalCheck
from vxhelpers.models.zoo import Model
from vxhelpers.stats import paired_difference, wilson

EDITS = ("frozen", "reversed", "shuffled")


@dataclass(frozen=True, eq=False)
class ClipsReport(Report):
    """The data set and the network, in numbers; ``clips`` are used, ``size`` is what it sees."""

    data: DataSet
    model: Model
    clips: int
    size: tuple[int, int]

    def summary(self) -> Text:
        counts = {split: len(self.data.rows(split)) for split in self.data.manifest.splits}
        split = ", ".join(f"{n} {name} clips" for name, n in counts.items())
        parameters = sum(p.numel() for p in self.model.net.parameters())
        height, width = self.size
        return Text(
            f"The data set `{self.data.name}` has {len(self.data.labels)} classes and {split}. "
            "Below, "
            f"{self.clips} clips of the test split are used. The network is "
            f"`{self.model.entry.name}` "
            f"with {parameters:,} parameters; it takes {self.model.entry.frames} frames of "
            f"{height} x "
            f"{width} pixels."
        )


@dataclass(frozen=True)
class AccuracyReport(Report):
    """Accuracy with its interval, beside guessing and the commonest class.

    ``dependence`` says how far the clips depend on each other.
    """

    score: Accuracy
    dependence: str = ""

    @property
    def skilled(self) -> bool:
        """Whether the interval lies above both scores without skill."""
        return self.score.low > max(self.score.chance, self.score.majority)

    def summary(self) -> Text:
        score = self.score
        text = (
            f"**Accuracy {score.value:.3f}** (95 % interval {score.low:.3f} to {score.high:.3f}, n "
            "= "
            f"{score.n}); guessing gives {score.chance:.3f}, the commonest class "
            f"{score.majority:.3f}."
        )
        if not self.skilled:
            text += (
                " The interval includes a score without skill: **explanations of this network on "
                "these clips explain guesses.**"
            )
        return Text(f"{text}\n\n{self.dependence}".strip())


@dataclass(frozen=True, eq=False)
class CausalReport(Report):
    """Whether a network needs motion, its direction and the order of frames.

    Parameters
    ----------
    check
        The causal check.
    labels
        ``(N,)`` class indices of its clips.
    """

    check: CausalCheck
    labels: npt.NDArray[np.int64]

    def drops(self) -> dict[str, float]:
        """Edit to how much accuracy it takes."""
        accuracy = self.check.accuracy
        return {edit: accuracy["normal"].value - accuracy[edit].value for edit in EDITS}

    def clear(self) -> list[str]:
        """Edits whose interval lies below that of the clips as they are."""
        accuracy = self.check.accuracy
        return [edit for edit in EDITS if accuracy[edit].high < accuracy["normal"].low]

    def metrics(self, own: int) -> list[Metric]:
        """Accuracies of one class, and what edits take from them, for tables over many runs."""
        found = []
        for edit, counts in self.check.tables.items():
            row = counts[own]
            if not (n := int(row.sum())):
                continue
            found.append(Metric(f"accuracy, {edit}", row[own] / n, *wilson(row[own], n), n))
            if edit != "normal":  # the same clips twice, so the interval is that of pairs
                hits = [
                    self.check.predictions[e][self.labels == own] == own for e in ("normal", edit)
                ]
                found.append(Metric(f"drop, {edit}", *paired_difference(*hits), n))
        return found

    def summary(self) -> Text:
        drops = ", ".join(
            f"*{edit}* loses {drop:+.3f}".replace("loses +", "loses ")
            for edit, drop in self.drops().items()
        )
        clear = self.clear()
        return Text(
            f"Against the accuracy on the clips as they are, {drops}. "
            + (
                f"Intervals are clear of each other for: {', '.join(clear)}."
                if clear
                else "No interval is clear of the one for normal clips."
            )
        )


@dataclass(frozen=True)
class SiblingsReport(Report):
    """A network and others of its task, from their model cards; the first is the network's own."""

    cards: Sequence[Mapping[str, Any]]

    def table(self) -> Table | None:
        if not self.cards:
            return None
        scores = [card["causal"]["test"]["accuracy"] for card in self.cards]
        columns: dict[str, Sequence[Cell]] = {
            "network": [card["arch"] for card in self.cards],
            "parameters": [card["parameters"] for card in self.cards],
        }
        for edit in ("normal", *EDITS):
            name = "accuracy" if edit == "normal" else edit
            columns[name] = [f"{score[edit]['value']:.3f}" for score in scores]
        columns["n"] = [score["normal"]["n"] for score in scores]
        columns["trained in"] = [
            f"{card['train_seconds']:,.0f} s, {card['device']}" for card in self.cards
        ]
        return table(columns, caption="Recorded in model cards: accuracy on the test split")

    def summary(self) -> Text:
        if not self.cards:
            return Text("No card, no recorded scores.")
        card = self.cards[0]
        return Text(
            f"This page's network was made by `{card['command']}`, seed {card['seed']}, commit "
            f"`{card['commit'][:12]}`, on {card['hardware']}."
        )


@dataclass(frozen=True, eq=False)
class PlantedCheckReport(Report):
    """The causal check of networks whose evidence was planted: motion in one, looks in the other.

    Parameters
    ----------
    motion, static
        The checks.
    twins
        Indices of two classes of the motion task that are each other's time reversal.
    """

    motion: CausalCheck
    static: CausalCheck
    twins: tuple[int, int]

    @property
    def swapped(self) -> float:
        """Share of the twins' clips that change places when played backwards."""
        counts = self.motion.tables["reversed"]
        one, other = self.twins
        moved = counts[one, other] + counts[other, one]
        return float(moved / (counts[one].sum() + counts[other].sum()))

    def summary(self) -> Text:
        frozen, held = (check.accuracy["frozen"] for check in (self.motion, self.static))
        return Text(
            f"Frozen, the *motion* network scores {frozen} (chance {frozen.chance:.3f}) and the "
            f"*static* one {held}. Reversed, {self.swapped:.0%} of the forehands and reversed "
            "forehands change places."
        )


@dataclass(frozen=True)
class SplitsReport(Report):
    """Accuracy on the ordinary split and on the one in which the place predicts no more."""

    scores: Mapping[str, Accuracy]

    def table(self) -> Table:
        columns: dict[str, Sequence[Cell]] = {
            "split": [*self.scores],
            "accuracy": [f"{score.value:.3f}" for score in self.scores.values()],
            "95 % interval": [f"{s.low:.3f} to {s.high:.3f}" for s in self.scores.values()],
            "n": [score.n for score in self.scores.values()],
        }
        return table(columns, caption="Accuracy by split, Wilson intervals")

    def summary(self) -> Text:
        first, *_, last = self.scores.values()
        return Text(
            f"Guessing gives {first.chance:.2f}. The gap between the rows, "
            f"{first.value - last.value:.3f}, "
            "is what the place is worth to this network; no score on the ordinary split shows it."
        )
