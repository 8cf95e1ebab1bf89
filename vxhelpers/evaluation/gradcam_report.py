"""What Grad-CAM's maps of a class come to: energy on objects, layers, controls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vxhelpers.figures.report import Metric, Report, Text, escape_markdown
from vxhelpers.figures.table import Cell, Table, table
from vxhelpers.stats import Mean

FEW = 10  # clips: fewer say next to nothing of a class
Favour = Literal["yes", "avoided", "undecided"]


def favoured(gain: Mean) -> Favour:
    """Say whether maps favour an object: whether the interval of energy minus area holds 0."""
    return "yes" if gain.low > 0 else "avoided" if gain.high < 0 else "undecided"


@dataclass(frozen=True)
class CasesReport(Report):
    """Which two clips are shown, by the rule that chose them.

    Parameters
    ----------
    action, evidence
        The class, and what carries its evidence, in words.
    recognised, clips, candidates
        Numbers of clips: recognised, all, and those that the two cases come from.
    most, least
        Energy on the evidence minus its area, of the two cases.
    """

    action: str
    evidence: str
    recognised: int
    clips: int
    candidates: int
    most: float
    least: float

    def summary(self) -> Text:
        among = (
            "A map of a wrong prediction explains an error: the two cases come from the recognised "
            "clips."
            if self.recognised
            else "**The two cases below are not recognised either**: their maps show what speaks "
            "for "
            "the class in clips that the network takes for something else."
        )
        same = " As there is only one, **both cases are the same clip**." * (self.candidates < 2)
        return Text(
            f"{self.recognised} of {self.clips} clips of *{escape_markdown(self.action)}* are "
            f"recognised. {among}{same} **The rule:** of these, the clip whose map has most energy "
            "on "
            f"the evidence ({self.evidence}) above its area, and the one that has least. They "
            "score "
            f"{self.most:+.2f} and {self.least:+.2f}."
        )


@dataclass(frozen=True)
class EnergyReport(Report):
    """Energy minus area of maps, object by object.

    Parameters
    ----------
    gains
        Object to the mean over clips.
    objects
        That of all objects that are neither a person nor ground; None where there are none.
    clips
        Number of clips.
    dependence
        How far the clips depend on each other.
    """

    gains: Mapping[str, Mean]
    objects: Mean | None
    clips: int
    dependence: str = ""

    def metrics(self) -> list[Metric]:
        """Energy minus area of each object, for tables over many runs."""
        found = {**self.gains} | ({"objects": self.objects} if self.objects else {})
        return [
            Metric(f"energy minus area, {name}", gain.value, gain.low, gain.high, gain.n)
            for name, gain in found.items()
        ]

    def table(self) -> Table:
        columns: dict[str, Sequence[Cell]] = {
            "object": [*self.gains],
            "energy minus area": [(g.value, g.low, g.high) for g in self.gains.values()],
            "favoured?": [favoured(gain) for gain in self.gains.values()],
        }
        caption = f"Energy minus area, n = {self.clips} clips, 95 % bootstrap intervals"
        return table(columns, caption=caption, digits=3)

    def summary(self) -> Text:
        few = "**So few clips say next to nothing about the class**, whatever the interval."
        return Text(f"{few * (self.clips < FEW)} {self.dependence}".strip())


@dataclass(frozen=True)
class LayersReport(Report):
    """Energy on the evidence by layer, trained and with random weights.

    Parameters
    ----------
    grids
        Layer to its steps in time, rows and columns.
    shares
        Layer to the energy share of the trained network and of random weights.
    spread
        That of an even spread.
    evidence
        In words.
    """

    grids: Mapping[str, tuple[int, ...]]
    shares: Mapping[str, tuple[Mean, Mean]]
    spread: Mean
    evidence: str

    @property
    def clear(self) -> list[str]:
        """Layers at which the trained network is clear of random weights."""
        return [name for name, (own, blank) in self.shares.items() if own.low > blank.high]

    def table(self) -> Table:
        columns: dict[str, Sequence[Cell]] = {
            "layer": [*self.grids],
            "resolution": [" x ".join(map(str, grid)) for grid in self.grids.values()],
        }
        for k, name in enumerate(("trained", "random weights")):
            means = [pair[k] for pair in self.shares.values()]
            columns[name] = [(mean.value, mean.low, mean.high) for mean in means]
        n = next(own.n for own, _ in self.shares.values())
        about = f"Share of the energy on {self.evidence}, n = {n} clips"
        return table(columns, caption=f"{about}; an even spread: {self.spread}")

    def summary(self) -> Text:
        if self.clear:
            return Text(
                f"The trained network is clear of the random one at: {', '.join(self.clear)}."
            )
        return Text(
            "At no layer is the trained network clear of the random one: **on this evidence its "
            "maps "
            "are no better than those of an untrained network.**"
        )


@dataclass(frozen=True)
class ShortcutReport(Report):
    """Whether maps single out the ground, which decided in training.

    Parameters
    ----------
    gains
        ``("trained" | "random weights", "ground" | "person")`` to energy minus area.
    label
        The class.
    """

    gains: Mapping[tuple[str, str], Mean]
    label: str

    @property
    def named(self) -> bool:
        """Whether the ground is clear of 0, of the person and of random weights."""
        ground, person = self.gains["trained", "ground"], self.gains["trained", "person"]
        blank = self.gains["random weights", "ground"]
        return ground.low > max(0, person.high, blank.high)

    def table(self) -> Table:
        columns: dict[str, Sequence[Cell]] = {
            "weights": [kind for kind, _ in self.gains],
            "object": [name for _, name in self.gains],
            "energy minus area": [(g.value, g.low, g.high) for g in self.gains.values()],
        }
        n = self.gains["trained", "ground"].n
        return table(columns, caption=f"Over {n} clips of {self.label}", digits=3)

    def summary(self) -> Text:
        ground, blank = self.gains["trained", "ground"], self.gains["random weights", "ground"]
        text = (
            "The maps name the planted evidence."
            if self.named
            else "**The maps do not single out the planted evidence**, although it decided in "
            "training."
        )
        if self.named and blank.low > 0:
            text += (
                f" **But {blank.value / ground.value:.0%} of that gain is there with random "
                "weights "
                "too**: such maps favour the ground whoever learned what, and only the rest speaks "
                "of "
                "the network."
            )
        return Text(text)


@dataclass(frozen=True)
class ReversalReport(Report):
    """Whether the map changes with the class when clips are played backwards.

    Parameters
    ----------
    flipped
        Share of the clips whose prediction changes.
    same, cross
        Correlation of a clip's two maps, and with another clip's.
    clips
        Number of clips.
    """

    flipped: float
    same: Mean
    cross: Mean
    clips: int

    def summary(self) -> Text:
        meaning = (
            "The class flips while the map stays much the same: it says where the network looked, "
            "not "
            "which way the racket went."
            if self.same.low > 0.5
            else "The map does change with the direction of time."
        )
        return Text(
            f"Reversal changes the prediction of {self.flipped:.0%} of {self.clips} forehands. The "
            "map of "
            f"the new prediction, turned round, correlates with the old one by {self.same}; with "
            "the "
            f"map of another clip by {self.cross}. {meaning}"
        )
