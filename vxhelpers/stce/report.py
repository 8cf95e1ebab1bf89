"""What STCE's results say: the tables and sentences that chapters, studies and live pages quote."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vxhelpers.figures.report import Report, Text, escape_markdown
from vxhelpers.figures.table import Cell, Table, table
from vxhelpers.stce.coverage import FEWEST, Agreement, Coverage, agreement
from vxhelpers.stce.features import Pieces
from vxhelpers.stce.score import Ranked, Scores

FIRST = 5  # concepts shown at each end of a long ranking


def ends(ranked: Sequence[Ranked]) -> list[Ranked]:
    """The first and the last five lines of a ranking; all of them where they are ten or fewer."""
    return [*ranked[:FIRST], *ranked[-FIRST:]] if len(ranked) > 2 * FIRST else [*ranked]


@dataclass(frozen=True, eq=False)
class PiecesReport(Report):
    """How many supervoxels a class's clips are cut into.

    Parameters
    ----------
    action
        The class.
    pieces
        Supervoxels of its clips.
    randoms, tests
        Numbers of clips of other classes, and of test clips.
    note
        How far the clips depend on each other.
    """

    action: str
    pieces: Pieces
    randoms: int
    tests: int
    note: str = ""

    def table(self) -> Table:
        cuts = self.pieces.cuts
        made = [
            np.mean([cut.labels[k].max() + 1 for cut in cuts]) for k in range(len(cuts[0].labels))
        ]
        columns: dict[str, Sequence[Cell]] = {
            "supervoxels asked for": cuts[0].segments,
            "made, mean of clips": [*map(int, made)],
        }
        return table(columns, caption="Supervoxels of a clip, by resolution")

    def summary(self) -> Text:
        kept = [len(cut) for cut in self.pieces.cuts]
        return Text(
            f"{len(kept)} clips of *{escape_markdown(self.action)}* and {self.randoms} of other "
            "classes "
            f"are segmented; none of the {self.tests} test clips is among them. After duplicates "
            "are "
            f"dropped, {np.mean(kept):.0f} supervoxels a clip are left ({min(kept)} to "
            f"{max(kept)}). "
            f"{self.note}"
        )


def _verdict(line: Ranked) -> str:
    if not line.separates:
        return "does not separate"
    return f"{line.verdict.outcome}, p = {line.verdict.corrected:.2g}"


@dataclass(frozen=True, eq=False)
class ScoresReport(Report):
    """The ranking of a class's concepts, beside other explanations of the class.

    Parameters
    ----------
    explanations
        Name to scores, the one that is tabulated first.
    untrained
        The name of the explanation of random weights.
    """

    explanations: Mapping[str, Scores]
    untrained: str

    @property
    def main(self) -> Scores:
        """The explanation that is tabulated."""
        return next(iter(self.explanations.values()))

    def table(self) -> Table:
        lines = ends(self.main.ranked())
        effects = [self.main.chances[line.concept].effect for line in lines]
        columns: dict[str, Sequence[Cell]] = {
            "rank": [line.rank for line in lines],
            "concept (1 = largest cluster)": [line.concept + 1 for line in lines],
            "score ± SD over groups": [f"{line.score:.2f} ± {line.spread:.2f}" for line in lines],
            "mean derivative": [f"{line.derivative:+.3g}" for line in lines],
            "effect, SD of random concepts": [f"{effect:+.1f}" for effect in effects],
            "held-out accuracy": [f"{line.accuracy:.2f}" for line in lines],
            "verdict, corrected p": [*map(_verdict, lines)],
            "supervoxels": [line.supervoxels for line in lines],
            "clips": [line.videos for line in lines],
        }
        return table(columns, caption=f"The first and the last of {len(self.main)} concepts")

    def summary(self) -> Text:
        main, bare = self.main, self.explanations[self.untrained]
        text = (
            f"p is corrected for {len(main)} concepts. Of these, {main.perfect} score 1, so that "
            "only "
            f"the mean derivative ranks them, and {main.significant} are more than chance. With "
            "random "
            f"weights, {bare.perfect} of {len(bare)} score 1 and {bare.significant} are more than "
            "chance"
        )
        text += ": **a score of 1 alone is no evidence of learning.**" if bare.perfect else "."
        notes = [f"- {escape_markdown(note)}" for note in (*main.discovery.notes, *main.notes)]
        return Text("\n".join([text, "", *notes]))


@dataclass(frozen=True, eq=False)
class ChoicesReport(Report):
    """Whether the ranking depends on choices in which we deviate from the paper.

    Parameters
    ----------
    main
        The ranking.
    others
        Name of a choice to the scores by it; None where there are too few clips for it.
    logit, clips
        Names of the choices "the logit's gradient" and "whole clips as negatives".
    """

    main: Scores
    others: Mapping[str, Scores | None]
    logit: str
    clips: str

    def table(self) -> Table:
        enough = len(self.main) >= FEWEST
        found = {
            name: agreement(self.main.derivative, scores.derivative) if enough else None
            for name, scores in self.others.items()
            if scores
        }
        columns: dict[str, Sequence[Cell]] = {
            "choice": [*found],
            "rank correlation of mean derivatives": [
                str(rho or "undefined") for rho in found.values()
            ],
        }
        return table(columns, caption="The ranking by other choices against ours")

    def summary(self) -> Text:
        scores, entire = self.others[self.logit], self.others[self.clips]
        assert scores is not None
        if scores.degenerate:
            steps = ", ".join(f"{value:.2g}" for value in np.unique(scores.by_group))
            why = escape_markdown(scores.degenerate.split(":")[0])
            text = f"With the logit, the scores against single groups are {steps}, for {why}."
        else:
            text = "More than a linear layer follows here: the logit's scores are graded, too."
        if entire is None:
            return Text(text)
        easier = entire.accuracy.mean() > self.main.accuracy.mean() + 0.02
        return Text(
            f"{text} Held-out accuracy of concept vectors is {entire.accuracy.mean():.1%} against "
            "whole "
            f"clips and {self.main.accuracy.mean():.1%} against supervoxels: "
            + (
                "telling filled from whole clips is an easier task, which is not the intended one."
                if easier
                else "filled clips are no easier to tell from whole clips than from filled ones "
                "here."
            )
        )


@dataclass(frozen=True, eq=False)
class EvidenceReport(Report):
    """What concepts show, by masks, and whether scores rank them by the evidence.

    Parameters
    ----------
    main
        Scores of the concepts that are tabulated.
    objects
        What their members lie on.
    agreements
        Explanation to the agreement of score, and of mean derivative, with the share on evidence.
    decides
        Names of the objects that carry the evidence.
    trained, untrained
        The two explanations that are compared.
    natural
        Whether nothing was planted in the class.
    """

    main: Scores
    objects: Coverage
    agreements: Mapping[str, tuple[Agreement | None, Agreement | None]]
    decides: Sequence[str]
    trained: str
    untrained: str
    natural: bool = False

    def table(self) -> Table:
        lines = ends(self.main.ranked())
        names = [name for name, area in self.objects.areas.items() if area]
        lifts = [self._lift(line.concept, names) for line in lines]
        columns: dict[str, list[str]] = {
            "rank": [f"{line.rank}" for line in lines] + ["all of the clips"]
        }
        for name in names:
            shares = [self.objects.shares[name][line.concept] for line in lines]
            columns[name] = [f"{share:.1%}" for share in (*shares, self.objects.areas[name])]
        columns["most above its area"] = [f"{name} ({lift:.1f} x)" for name, lift in lifts] + [""]
        return table(columns, caption="Share of the voxels of each concept's members, by object")

    def _lift(self, concept: int, names: Sequence[str]) -> tuple[str, float]:
        lift = {n: float(self.objects.shares[n][concept] / self.objects.areas[n]) for n in names}
        name = max(lift, key=lambda n: lift[n])
        return name, lift[name]

    def correlations(self) -> Table:
        """Rank correlations of scores with the share that lies on the evidence."""
        columns: dict[str, Sequence[Cell]] = {
            "explanation": [*self.agreements],
            "score": [str(by[0] or "undefined") for by in self.agreements.values()],
            "mean derivative": [str(by[1] or "undefined") for by in self.agreements.values()],
        }
        about = " and ".join(self.decides)
        return table(
            columns, caption=f"Spearman's rank correlation with the share on {about}, 95 % interval"
        )

    def summary(self) -> Text:
        trained, bare = self.agreements[self.trained][1], self.agreements[self.untrained][1]
        text = {
            "undefined": "",
            "clear": "The trained network's correlation is clear of the untrained network's.",
            "not clear": "**The trained network's correlation is not clear of the untrained "
            "network's:** that scores follow the evidence need not come from learning.",
            "none": "**The correlation is not above zero for the trained network.**",
        }[learned(trained, bare)]
        if self.natural:
            text += (
                " Nothing was planted in this class: the evidence *could* decide, or the ground."
            )
        return Text(text.strip())

    def _repr_html_(self) -> str:
        parts = (self.table(), self.correlations(), self.summary())
        return "".join(part._repr_html_() for part in parts)


def learned(
    trained: Agreement | None, untrained: Agreement | None
) -> Literal["undefined", "clear", "not clear", "none"]:
    """Say whether a trained network's correlation is above 0 and above an untrained network's."""
    if trained is None or untrained is None:
        return "undefined"
    if trained.low > untrained.high:
        return "clear"
    return "not clear" if trained.rho > 0 else "none"


@dataclass(frozen=True, eq=False)
class PlantedReport(Report):
    """Whether concepts on planted evidence rank higher in the network that learned the task.

    Parameters
    ----------
    agreements
        Object to the agreement of mean derivatives with the share on it, trained and untrained.
    evidence
        The object that decides.
    concepts, clips
        Numbers of concepts and of clips.
    """

    agreements: Mapping[str, tuple[Agreement | None, Agreement | None]]
    evidence: str
    concepts: int
    clips: int

    def table(self) -> Table:
        columns: dict[str, Sequence[Cell]] = {
            "share on": [n + " (decides)" * (n == self.evidence) for n in self.agreements],
            "trained": [str(pair[0] or "undefined") for pair in self.agreements.values()],
            "random weights": [str(pair[1] or "undefined") for pair in self.agreements.values()],
        }
        about = f"{self.concepts} concepts of {self.clips} clips"
        return table(columns, caption=f"Rank correlation of mean derivatives with shares, {about}")

    def summary(self) -> Text:
        trained, bare = self.agreements[self.evidence]
        hit = trained is not None and trained.low > 0
        only = hit and (bare is None or (trained is not None and bare.high < trained.low))
        first = (
            "Concepts on the planted evidence rank higher in the trained network"
            if hit
            else "**Concepts on the planted evidence do not rank reliably higher in the trained "
            "network**"
        )
        second = (
            ", clear of the untrained network."
            if only
            else ", **but not clear of the untrained one**."
        )
        return Text(first + (second if hit else "."))
