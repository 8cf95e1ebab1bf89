"""What a class relies on, in sentences: the ablations of one class and network."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vxhelpers.evaluation.ablation import Reliance
from vxhelpers.figures.report import Metric, Report, Text, escape_markdown
from vxhelpers.stats import Mean

CLEAR = 0.1  # of the class's probability: a reliance whose interval lies above it is named


@dataclass(frozen=True, eq=False)
class RelianceReport(Report):
    """What sets a class apart, and what of it goes with motion, parts and the place.

    Parameters
    ----------
    action
        The class.
    trained
        The ablations of the trained network; None where there are too few clips.
    separation
        How far the class's probability sets own clips apart from others.
    reliances
        ``"trained"`` and ``"random weights"`` to what was ablated to its reliance, or None.
    others
        Number of clips of other classes.
    filmed
        Whether nobody has drawn masks: what moves most stands for the evidence.
    """

    action: str
    trained: Reliance | None
    separation: Mean | None
    reliances: Mapping[str, Mapping[str, Mean | None]]
    others: int
    filmed: bool

    @property
    def clear(self) -> list[str]:
        """What more than a tenth of the class's probability is clear to go with."""
        found = self.reliances.get("trained", {})
        return [what for what, mean in found.items() if mean and mean.low > CLEAR]

    def metrics(self) -> list[Metric]:
        """Reliances by name, for tables over many runs."""
        return [
            Metric(
                f"reliance on {what}" + ("" if kind == "trained" else ", random weights"),
                mean.value,
                mean.low,
                mean.high,
                mean.n,
            )
            for kind, found in self.reliances.items()
            for what, mean in found.items()
            if mean
        ]

    def summary(self) -> Text:
        found, whole = self.trained, self.separation
        if found is None or whole is None:
            return Text("*There are not two clips or more of the class and of other classes.*")
        clear = ", ".join(self.clear)
        sentences = [
            f"On clips of *{escape_markdown(self.action)}* the network gives the class a "
            "probability "
            f"that is {whole.value:.2f} higher than on others ({whole.low:.2f} to "
            f"{whole.high:.2f}, "
            f"n = {whole.n} and {self.others}).",
            f"**More than 0.1 of it is clear to go with: {clear}.**"
            if clear
            else "**No ablation is clear to take more than 0.1 of it.**",
        ]
        if self.filmed:
            sentences.append(
                "Nobody has drawn masks on these videos: what moves most can be hidden, and "
                "nothing "
                "is known of persons and objects."
            )
        elif "objects" not in found.contrasts:
            sentences.append("There are no objects in these clips: no value, which is not 0.")
        part = next((name for name in ("person", "what moves") if name in found.area), None)
        if part:
            own, probability = found.own, found.probability
            sentences.append(
                f"Hidden is the whole area that a part sweeps, {found.area[part]:.0%} of the clip "
                "for "
                f"{part}. Hidden frame by frame instead, it leaves a hole of its own outline that "
                "moves as it did. Of the class's probability, "
                f"{probability['normal'][own].mean():.2f} "
                "on these clips, such a hole leaves "
                f"{np.nanmean(probability[part + ' cut out'][own]):.2f} and the swept one "
                f"{np.nanmean(probability[part + ' hidden'][own]):.2f}."
            )
        return Text(
            " ".join(sentences)
            + "\n\nAn untrained network's probabilities hardly set classes apart, so that there is "
            "nothing to lose: its values beside 0 check the method and say nothing of the clips."
        )
