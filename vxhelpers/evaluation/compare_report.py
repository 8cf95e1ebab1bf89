"""What a comparison of methods on the same clips says: recovery of evidence, cost, fit."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from vxhelpers.data.provenance import hardware
from vxhelpers.evaluation.compare import Answers, above, mean_over_clips, ranked, recovered
from vxhelpers.evaluation.map_similarity import logits
from vxhelpers.evaluation.planted import Trial
from vxhelpers.figures.report import Report, Text, escape_markdown
from vxhelpers.figures.table import Cell, Table, table

FEW = 6  # clips: fewer say next to nothing


@dataclass(frozen=True, eq=False)
class RecoveryReport(Report):
    """How well maps find known evidence, beside random weights and network-independent baselines.

    Beside the values their size alone: there a method that knows where, but not for or against, is
    not punished for its signs.

    Parameters
    ----------
    trial
        The clips and their evidence.
    decides
        Names of the objects that carry the evidence.
    answers, blank
        Methods, and the same with random weights.
    baselines
        Network-independent baselines: one column of each will do.
    """

    trial: Trial
    decides: Sequence[str]
    answers: Answers
    blank: Answers
    baselines: Answers

    @property
    def clips(self) -> int:
        """Clips that have evidence to find."""
        return len(recovered(self.trial.evidence.astype(float), self.trial.evidence))

    @property
    def learned(self) -> list[str]:
        """Methods above chance and above themselves with random weights, clip by clip."""
        evidence = self.trial.evidence
        flat = np.zeros(evidence.shape)
        chance = {name: replace(one, maps=flat) for name, one in self.answers.items()}
        beyond = above(self.answers, chance, evidence)
        return [name for name in above(self.answers, self.blank, evidence) if name in beyond]

    @property
    def best_baseline(self) -> str | None:
        """The network-independent baseline that finds the evidence best."""
        return next(iter(ranked(self.baselines, self.trial.evidence)), None)

    @property
    def clear(self) -> list[str]:
        """Methods above the best network-independent baseline, clip by clip."""
        if (best := self.best_baseline) is None:
            return []
        others = dict.fromkeys(self.answers, self.baselines[best])
        return above(self.answers, others, self.trial.evidence)

    def table(self) -> Table:
        rows: list[list[Cell]] = []
        for name, one in {**self.answers, **self.baselines}.items():
            if one.maps is None:
                rows.append([name, "does not fit", None, None, None])
                continue
            control = self.blank[name].maps if name in self.blank else None
            absolute = None if control is None else np.abs(control)
            rows.append([name, *map(self._cell, (one.maps, np.abs(one.maps), control, absolute))])
        names = ("map", "values", "their size", "values, random weights", "size, random weights")
        columns = dict(zip(names, zip(*rows, strict=True), strict=True))
        about = f"Area under the ROC curve, {self.clips} clips, 95 % intervals over these alone"
        return table(columns, caption=about)

    def _cell(self, maps: np.ndarray | None) -> Cell:
        mean = None if maps is None else mean_over_clips(recovered(maps, self.trial.evidence))
        return None if mean is None else (mean.value, mean.low, mean.high)

    def evidence(self) -> str:
        """Say what maps are held against, what that is worth, how many clips are recognised."""
        trial, names = self.trial, " and ".join(f"*{escape_markdown(n)}*" for n in self.decides)
        right = logits(trial.model, trial.x, batch_size=16).argmax(1) == trial.target
        known = f"Of {len(right)} clips {int(right.sum())} are recognised"
        known += (
            "." if right.all() else "; of the others, maps explain another class than predicted."
        )
        if trial.kind == "unknown":
            return (
                "**Nothing was planted in these clips, and nobody has drawn where their evidence "
                "is.** "
                "The maps are held against where a clip moves most, at most a tenth of it: a "
                "stand-in "
                f"that may be wrong, so that nothing below says whether a map is right. {known}"
            )
        if trial.kind == "natural":
            return (
                f"**Nothing was planted in these scenes.** The maps are held against {names}, "
                "which "
                "could decide; whether it does is not known, so a low number is no proof against a "
                f"map. {known}"
            )
        verb = "decides" if len(self.decides) == 1 else "decide"
        return (
            f"Here the evidence is planted: of all that is in these clips, {names} {verb}, and all "
            f"else carries no evidence. {known}"
        )

    def summary(self) -> Text:
        if self.clips < 2:
            verdict = "**Fewer than two of these clips have evidence: nothing can be said.**"
            return Text(f"{self.evidence()} {verdict}")
        clear = self.clear
        parts = [
            self.evidence(),
            "Better than chance and than the same map of a network with random weights, clip by "
            "clip: "
            f"{'; '.join(self.learned) or 'none'}. Better than the best network-independent "
            "baseline "
            f"({self.best_baseline or '-'}): {'; '.join(clear) or 'none'}.",
            ""
            if clear
            else "**On these clips a map that never sees the network finds the evidence as well as "
            "this family does.**",
            f"**{self.clips} clips say next to nothing**, whatever the intervals."
            if self.clips < FEW
            else "",
        ]
        return Text(" ".join(filter(None, parts)))


@dataclass(frozen=True, eq=False)
class CostReport(Report):
    """Passes through the network and clips a second of each method that ran, in this run."""

    answers: Answers

    def table(self) -> Table:
        ran = {name: one for name, one in self.answers.items() if one.maps is not None}
        rates = [1 / one.seconds for one in ran.values()]
        columns: dict[str, Sequence[Cell]] = {
            "method": [*ran],
            "clips forward": [f"{one.forwards:.3g}" for one in ran.values()],
            "clips back": [f"{one.backwards:.3g}" for one in ran.values()],
            "clips a second": [f"{rate:.0f}" if rate > 10 else f"{rate:.2g}" for rate in rates],
        }
        return table(columns, caption="Cost of one clip's map")

    def summary(self) -> Text:
        return Text(
            f"On {hardware()}, {torch.get_num_threads()} of them at work; other programs on the "
            "machine slow it down."
        )


@dataclass(frozen=True, eq=False)
class NetworksFitReport(Report):
    """Which networks each method fits: network to answers on one clip."""

    tried: Mapping[str, Answers]

    def reasons(self) -> list[str]:
        """What errors say, each once, in the order of methods and networks."""
        names = dict.fromkeys(name for answers in self.tried.values() for name in answers)
        failed = [
            answers[name].failed
            for name in names
            for answers in self.tried.values()
            if answers[name].maps is None
        ]
        return list(dict.fromkeys(map(short_reason, failed)))

    def table(self) -> Table:
        reasons = self.reasons()
        names = list(dict.fromkeys(name for answers in self.tried.values() for name in answers))

        def cell(answers: Answers, name: str) -> str:
            one = answers[name]
            if one.maps is not None:
                return "maps"
            return f"error {1 + reasons.index(short_reason(one.failed))}"

        columns: dict[str, Sequence[Cell]] = {"method": names}
        columns |= {
            net: [cell(answers, name) for name in names] for net, answers in self.tried.items()
        }
        return table(columns, caption="Methods by networks, one clip each")

    def summary(self) -> Text:
        listed = [f"{k}. {escape_markdown(why)}" for k, why in enumerate(self.reasons(), 1)]
        return Text("\n".join(["The errors say:", "", *listed]) if listed else "")


def short_reason(reason: str) -> str:
    """First clause of an error's text, without the network's name."""
    what = re.sub(r"^model '\w+': ", "", reason)
    return re.sub(r"model '\w+'", "this network", what).partition(": ")[0].partition("; ")[0]
