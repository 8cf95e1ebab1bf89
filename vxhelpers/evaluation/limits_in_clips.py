"""Limits that show in clips: order in time, flicker, borders, background."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vxhelpers.evaluation.limits import HALF, Average, Limit, cell_of, short
from vxhelpers.evaluation.map_similarity import Measured
from vxhelpers.evaluation.sanity_checks import Response
from vxhelpers.figures.report import Report, Text
from vxhelpers.figures.table import Cell, Table, table
from vxhelpers.stats import Mean

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OrderReport(Report):
    """Clips played backwards: the class turns round; does the map?

    Parameters
    ----------
    rows
        Network to the share whose class changes, how alike the map stays, and another clip's.
    same, across, more
        Of the trained network's clips whose class changed: how alike the map stays, how alike
        another clip's is, and the difference.
    clips
        Number of all clips.
    """

    rows: Mapping[str, tuple[float, Mean, Mean]]
    same: Mean
    across: Mean
    more: Mean
    clips: int

    @classmethod
    def of(cls, responses: Mapping[str, Response], average: Average) -> "OrderReport":
        """Summarise responses to reversal; ``"trained"`` is among them."""
        rows = {}
        for name, response in responses.items():
            assert response.baseline is not None
            pair = average(response.similarity["rank"]), average(response.baseline["rank"])
            rows[name] = (float(response.flipped.mean()), *pair)
        trained = responses["trained"]
        assert trained.baseline is not None
        flipped = trained.flipped
        same, other = trained.similarity["rank"][flipped], trained.baseline["rank"][flipped]
        alike, across, more = (average(values) for values in (same, other, same - other))
        return cls(rows, alike, across, more, len(flipped))

    @property
    def verdict(self) -> str:
        """Whether the map changes with the class."""
        if self.same.low > HALF:
            return "the map hardly changes"
        return "the map changes" if self.same.high < HALF else "undecided"

    @property
    def limit(self) -> Limit:
        """The line of the summary."""
        measure = "map of the other class in the reversed clip, alike"
        other = f"another clip's map {short(self.across)}"
        return Limit("order in time", measure, self.same, other, self.verdict)

    def table(self) -> Table:
        columns: dict[str, Sequence[Cell]] = {
            "network": [*self.rows],
            "class changes": [f"{share:.0%}" for share, *_ in self.rows.values()],
            "map alike": [cell_of(alike) for _, alike, _ in self.rows.values()],
            "another clip's map": [cell_of(other) for *_, other in self.rows.values()],
        }
        return table(
            columns, caption=f"Rank correlation after reversal, n = {self.clips} forehands"
        )

    def summary(self) -> Text:
        stays = self.verdict == "the map hardly changes"
        first = (
            f"**The class turns round and the map stays**, by {short(self.same)}."
            if stays
            else f"The map is alike by {short(self.same)}: it does move with the class."
        )
        second = (
            "It is no more alike than the map of another clip of the same class: what stays is "
            "what the "
            "network's maps have in common, not this clip's evidence."
            if self.more.low <= 0
            else f"It is more alike than the map of another clip, by {short(self.more)}: something "
            "of the "
            "clip is in it."
        )
        return Text(f"Of the {self.same.n} clips whose class changed: {first} {second}")


@dataclass(frozen=True)
class FlickerReport(Report):
    """How much maps change from frame to frame, beside the evidence in cells as coarse.

    Parameters
    ----------
    flicker, shuffled
        What to its mean change a frame, and to that of its frames in random order.
    steps
        What to its steps in time.
    own, ideal
        Names of the last layer's map and of the evidence in its cells.
    frames
        Frames of a clip.
    """

    flicker: Mapping[str, Mean]
    shuffled: Mapping[str, Mean]
    steps: Mapping[str, int]
    own: str
    ideal: str
    frames: int

    @classmethod
    def of(cls, found: Mapping[str, Measured], average: Average, **options: Any) -> "FlickerReport":
        """Summarise the smoothness of volumes; options are the fields from ``steps`` on."""
        flicker = {name: average(one.values) for name, one in found.items()}
        shuffled = {}
        for name, one in found.items():
            assert one.baseline is not None  # of frames in random order
            shuffled[name] = average(one.baseline)
        return cls(flicker, shuffled, **options)

    @property
    def verdict(self) -> str:
        """Whether the map changes less than the evidence does in its cells."""
        own, ideal = self.flicker[self.own], self.flicker[self.ideal]
        if own.high < ideal.low:
            return "smoother than the evidence"
        return "flickers more than the evidence" if own.low > ideal.high else "undecided"

    @property
    def limit(self) -> Limit:
        """The line of the summary."""
        layer = self.own.removeprefix("map, ")
        ideal = f"{self.ideal} {short(self.flicker[self.ideal])}"
        return Limit(
            "flicker", f"change a frame, {layer}", self.flicker[self.own], ideal, self.verdict
        )

    def table(self) -> Table:
        columns: dict[str, Sequence[Cell]] = {
            "volume": [*self.flicker],
            "steps in time": [self.steps.get(name, self.frames) for name in self.flicker],
            "flicker": [*map(cell_of, self.flicker.values())],
            "in random order": [*map(cell_of, self.shuffled.values())],
        }
        return table(columns, caption="Change a frame over the mean absolute value")

    def summary(self) -> Text:
        coarse = self.steps[self.own]
        steps = "interpolated" if coarse < self.frames else "its own"
        meaning = {
            "smoother than the evidence": "**Its map does not flicker; it changes less than the "
            "evidence "
            "does in the same cells**, so it does not follow what moves. Smoothness alone is no "
            "merit: "
            "a constant map scores 0.",
            "flickers more than the evidence": "It changes more than the evidence in these cells.",
            "undecided": "Whether it changes more or less than the evidence there is open.",
        }[self.verdict]
        return Text(
            f"The last layer has {coarse} steps in time for {self.frames} frames; what is between "
            "is "
            f"{steps}. {meaning}"
        )


@dataclass(frozen=True)
class BorderReport(Report):
    """Whether a map changes more at the ends of a clip; ``changes`` is ``(T - 1,)``."""

    changes: Values

    def summary(self) -> Text:
        ends = max(self.changes[0], self.changes[-1])
        between = float(np.median(self.changes))
        meaning = (
            ", most likely a border effect: the network sees no frames beyond the clip."
            if ends > 2 * between
            else ": the ends are nothing special."
        )
        return Text(
            f"The first layer's map changes by {ends:.2f} at an end of the clip and by "
            f"{between:.2f} in "
            f"between{meaning}"
        )


@dataclass(frozen=True)
class BackgroundReport(Report):
    """Energy on the ground beyond its area, where the place decided and where it did not.

    Parameters
    ----------
    energy
        Network and split to the energy on the ground minus its area.
    ground
        Of counterfactual clips: that of the first network, of random weights, of the other one.
    goes
        Network to the shares of counterfactual predictions that follow the place and the action.
    networks
        Names of the network that took the shortcut, of the other one, and of random weights.
    beyond, versus
        Clip by clip: the first network's gain over random weights' and over the other network's.
    went, stayed
        Gain of the first network where its prediction follows the place, and where it does not.
    clips
        A split.
    """

    energy: Mapping[tuple[str, str], Mean]
    ground: tuple[Mean, ...]
    goes: Mapping[str, tuple[float, float]]
    networks: tuple[str, str, str]
    beyond: Mean
    versus: Mean
    went: Mean
    stayed: Mean
    clips: int

    @classmethod
    def of(
        cls,
        gains: Mapping[tuple[str, str], Values],
        predicted: Mapping[tuple[str, str], npt.NDArray[np.str_]],
        by_place: npt.NDArray[np.str_],
        by_action: npt.NDArray[np.str_],
        *,
        networks: tuple[str, str, str],
        average: Average,
    ) -> "BackgroundReport":
        """Summarise gains and predictions ``(N,)`` by network and split.

        ``by_place`` and ``by_action`` are the classes that a counterfactual clip's place and action
        stand for.
        """
        first, other, blank = networks
        part = "counterfactual"
        parts = dict.fromkeys(split for _, split in gains)
        energy = {(n, split): average(gains[n, split]) for n in networks for split in parts}
        goes = {}
        for name in networks:
            answer = predicted[name, part]
            goes[name] = float((answer == by_place).mean()), float((answer == by_action).mean())
        gain, follows = gains[first, part], predicted[first, part] == by_place
        went, stayed = average(gain[follows]), average(gain[~follows])
        ground = tuple(average(gains[name, part]) for name in (first, blank, other))
        beyond = average(gain - gains[blank, part])
        versus = average(gain - gains[other, part])
        return cls(energy, ground, goes, networks, beyond, versus, went, stayed, len(gain))

    @property
    def verdict(self) -> str:
        """Whether maps tell the ground that decided from one that did not."""
        if min(self.beyond.low, self.versus.low) > 0:
            return "tells what decided"
        if self.versus.low > 0:
            return "tells the networks apart, but not beyond random weights"
        return "does not tell what decided"

    @property
    def limit(self) -> Limit:
        """The line of the summary."""
        first, blank, other = self.ground
        baseline = f"other network {short(other)}, random weights {short(blank)}"
        measure = "energy on the ground minus area, shortcut network"
        return Limit("background", measure, first, baseline, self.verdict)

    def table(self) -> Table:
        names = [*self.goes]
        columns: dict[str, Sequence[Cell]] = {"network": names}
        for part in dict.fromkeys(split for _, split in self.energy):
            columns[f"energy minus area, {part}"] = [
                cell_of(self.energy[name, part]) for name in names
            ]
        columns["follows the place"] = [f"{self.goes[name][0]:.0%}" for name in names]
        columns["follows the action"] = [f"{self.goes[name][1]:.0%}" for name in names]
        return table(
            columns,
            caption="Energy on the ground minus its area, maps of the predicted class, "
            f"n = {self.clips} clips a split; predictions of the counterfactual clips",
        )

    def summary(self) -> Text:
        meaning = {
            "tells what decided": "Here maps do tell what decided.",
            "tells the networks apart, but not beyond random weights": "**They tell the two "
            "trained networks apart, but random weights watch the ground as much:** without the "
            "second "
            "network "
            "nobody could say what the map means.",
            "does not tell what decided": "**They do not tell the ground that decided from one "
            "that did "
            "not.**",
        }[self.verdict]
        rare = min(self.went.n, self.stayed.n)
        if rare > 4:
            within = (
                "a single network's maps tell the two apart on average."
                if self.went.low > self.stayed.high
                else "**within one network the map does not tell which clip took the shortcut.**"
            )
            last = (
                f"Where the prediction follows the place, the gain is {short(self.went)}; where "
                "not, "
                f"{short(self.stayed)}: {within}"
            )
        else:
            last = (
                f"{'All but ' + str(rare) if rare else 'All'} predictions of the shortcut network "
                "follow "
                "the same cue, so that the two cases cannot be compared within it."
            )
        return Text(
            f"Clip by clip the shortcut network's maps have {short(self.versus)} more of their "
            "energy on "
            f"the ground than the tennis network's, and {short(self.beyond)} more than those of "
            "random "
            f"weights. {meaning} {last}"
        )
