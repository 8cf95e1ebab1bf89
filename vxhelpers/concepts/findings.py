"""Findings of concepts at layers, as `vxhelpers.concepts.assessment.assess` makes them: to read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite, sqrt
from typing import TYPE_CHECKING

from vxhelpers.checks import known
from vxhelpers.concepts.significance import PHRASES, Verdict
from vxhelpers.concepts.solvers import Solver
from vxhelpers.errors import UnknownNameError
from vxhelpers.figures.report import Metric, Report, Text, escape_markdown
from vxhelpers.figures.table import Cell, Interval, Table, table

if TYPE_CHECKING:
    from vxhelpers.figures.illustration import Illustration


@dataclass(frozen=True)
class Score:
    """TCAV scores of a concept at one layer, beside those of random concepts.

    Parameters
    ----------
    sign_count, low, high
        Mean over the random sets, and its 95 % interval over random sets and scoring clips.
    magnitude
        Mean derivative along the unit vectors, signed.
    alignment
        Mean cosine between gradients and vectors, to compare layers.
    band
        Where 95 % of random concepts have their sign count.
    effect
        Magnitude in standard deviations of random concepts' magnitudes.
    """

    sign_count: float
    low: float
    high: float
    magnitude: float
    alignment: float
    band: tuple[float, float]
    effect: float

    @property
    def interval(self) -> Interval:
        """The sign count with its interval."""
        return self.sign_count, self.low, self.high


@dataclass(frozen=True)
class CavQuality:
    """Whether a concept's vectors at one layer stand for anything.

    Parameters
    ----------
    accuracy
        Held-out accuracy with its interval, means over the random sets.
    separates
        Whether more than half of the vectors tell the concept's clips from random ones.
    agreement
        Mean cosine between mean difference and logistic regression; NaN without both.
    same_sign
        Whether the magnitudes of these two have one sign; True without both.
    """

    accuracy: Interval
    separates: bool
    agreement: float
    same_sign: bool

    @property
    def disagree(self) -> bool:
        """Whether the two estimators point in different directions."""
        return self.agreement < sqrt(0.5)


@dataclass(frozen=True)
class PValues:
    """Further p of a concept at one layer, for comparison with the verdict's.

    Parameters
    ----------
    sign_count
        Of the permutation test of the sign count, uncorrected: weak where counts are 0 or 1.
    random
        Of the magnitude among random concepts' (`vxhelpers.concepts.permutation_tests.redrawn`),
        uncorrected.
    welch, welch_corrected
        The paper's t-test of the sign counts, optimistic. NaN with two random sets, of which there
        is one pair.
    """

    sign_count: float
    random: float
    welch: float
    welch_corrected: float


@dataclass(frozen=True)
class Finding:
    """One concept at one layer, with all that is needed to judge it.

    Parameters
    ----------
    concept, layer, solver
        What was scored, and by which estimator of the CAV.
    score, cav, p
        Scores, quality of the vectors, and further tests.
    verdict
        By the permutation test of the magnitude, corrected.
    degenerate
        Why the sign count says little at this layer; empty where it does not.
    """

    concept: str
    layer: str
    solver: Solver
    score: Score
    cav: CavQuality
    p: PValues
    verdict: Verdict
    degenerate: str


@dataclass(frozen=True)
class Assessment(Report):
    """Findings of concepts at layers, tested together.

    Parameters
    ----------
    findings
        Of each concept at each layer.
    permutations
        That each was tested with.
    clips
        Number of clips that were scored.
    """

    findings: tuple[Finding, ...]
    permutations: int
    clips: int

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    @property
    def concepts(self) -> tuple[str, ...]:
        """Names of the concepts."""
        return tuple(dict.fromkeys(found.concept for found in self.findings))

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers."""
        return tuple(dict.fromkeys(found.layer for found in self.findings))

    def __getitem__(self, key: tuple[str, str]) -> Finding:
        """The finding of a concept at a layer."""
        by_key = {(found.concept, found.layer): found for found in self.findings}
        if key in by_key:
            return by_key[key]
        concept, layer = key
        known("layer", layer, self.layers, where="this assessment")
        raise UnknownNameError("concept", concept, self.concepts, where=f"layer {layer!r}")

    def only(self, *, concepts: Sequence[str] | None = None, layer: str = "") -> "Assessment":
        """The findings of some concepts, in their order, at one layer or all."""
        names = self.concepts if concepts is None else concepts
        layers = (layer,) if layer else self.layers
        return replace(self, findings=tuple(self[n, x] for x in layers for n in names))

    def __or__(self, other: "Assessment") -> "Assessment":
        """Findings of two assessments, these first."""
        return replace(self, findings=self.findings + other.findings)

    @property
    def intervals(self) -> dict[str, dict[str, Interval]]:
        """Concept to layer to sign count with its interval."""
        return {c: {f.layer: f.score.interval for f in self._of(c)} for c in self.concepts}

    @property
    def accuracy(self) -> dict[str, dict[str, Interval]]:
        """Concept to layer to held-out accuracy with its interval."""
        return {c: {f.layer: f.cav.accuracy for f in self._of(c)} for c in self.concepts}

    @property
    def doubtful(self) -> list[tuple[str, str]]:
        """Concept and layer of vectors that do not separate."""
        return [(f.concept, f.layer) for f in self.findings if not f.cav.separates]

    def accuracy_figure(self) -> "Illustration":
        """Held-out accuracy by layer."""
        from vxhelpers.figures.score_charts import curves

        return curves(
            self.accuracy,
            doubtful=self.doubtful,
            units="held-out accuracy",
            line=("guessing", 0.5),
            limits=(0.3, 1.05),
        )

    def depth_figure(self) -> "Illustration":
        """Sign counts by layer, with the band of the first concept's random concepts."""
        from vxhelpers.figures.score_charts import curves

        return curves(
            self.intervals,
            doubtful=self.doubtful,
            bands={f.layer: f.score.band for f in self._of(self.concepts[0])},
            units="TCAV score",
            line=("half of the clips", 0.5),
            limits=(-0.03, 1.05),
        )

    def significance_figure(self) -> "Illustration":
        """Scores at one layer against random concepts, with corrected p and effect."""
        from vxhelpers.figures.score_charts import Judged, significance

        rows = {}
        for f in self.findings:
            effect, separates = f.score.effect, f.cav.separates
            p = f.verdict.corrected
            rows[f.concept] = Judged(
                f.score.interval, f.score.band, p, effect, separates, f.verdict.interpreted
            )
        return significance(rows)

    def strongest(self) -> Finding:
        """The finding with the largest effect of either sign, of those that separate if any do."""
        return max(self.findings, key=lambda f: (f.cav.separates, abs(f.score.effect)))

    def metrics(self) -> list[Metric]:
        """Numbers of the strongest push towards the class, chosen after the fact; none if none."""
        sure = [f.score for f in self.findings if f.cav.separates]
        if not sure:
            return []
        best = max(sure, key=lambda score: score.effect)
        return [
            Metric("TCAV score, best concept", *best.interval, n=self.clips),
            Metric("TCAV score, random concepts", sum(best.band) / 2, *best.band),
            Metric("TCAV effect, best concept", best.effect, n=self.clips),
        ]

    def table(self) -> Table | None:
        """Score, random concepts' scores, effect, accuracy and verdict of every finding."""
        if not self.findings:
            return None
        scores = [f.score for f in self.findings]
        columns: dict[str, Sequence[Cell]] = {
            "concept": [f.concept for f in self.findings],
            "layer": [f.layer for f in self.findings],
            "TCAV score": [s.interval for s in scores],
            "random concepts": [f"{s.band[0]:.2f} to {s.band[1]:.2f}" for s in scores],
            "effect": [_signed(s.effect) for s in scores],
            "held-out accuracy": [f.cav.accuracy[0] for f in self.findings],
            "verdict": [str(f.verdict) for f in self.findings],
        }
        if len(self.layers) == 1:
            del columns["layer"]
        return table(columns, caption="Concepts against random sets", sortable=False)

    def effects(self) -> Table:
        """Effects by concept and layer; a star where significant after correction."""

        def text(f: Finding) -> str:
            star = "*" if f.verdict.interpreted else ""
            return _signed(f.score.effect) + star if f.cav.separates else "does not separate"

        columns = {x: [text(self[c, x]) for c in self.concepts] for x in self.layers}
        return table(
            {"concept": self.concepts, **columns},
            caption="Effects; a star: significant after correction",
            sortable=False,
        )

    def summary(self) -> Text:
        """Which concepts push where, by which test, and what the paper's test would say."""
        if not self.findings:
            return Text("No concept was assessed.")
        parts = []
        for layer in self.layers:
            found = [f for f in self.findings if f.layer == layer]
            names = {
                outcome: [escape_markdown(f.concept) for f in found if f.verdict.outcome == outcome]
                for outcome in PHRASES
            }
            groups = "; ".join(f"{PHRASES[o]}: {', '.join(n) or 'none'}" for o, n in names.items())
            parts.append(f"At {escape_markdown(layer)}, {groups}.")
        verdict = self.findings[0].verdict
        welch_test = sum(f.p.welch_corrected <= f.verdict.alpha for f in self.findings)
        sure = sum(f.verdict.interpreted for f in self.findings)
        parts.append(
            "The p are of the permutation test of the magnitude, corrected for m = "
            f"{verdict.m} hypotheses, from {self.permutations} permutations. The paper's t-test "
            f"would call {welch_test} of {len(self)} significant, this one {sure}."
        )
        if verdict.smallest > verdict.alpha:
            parts.append(
                "**No permutation of so few could have been significant:** the smallest p here is "
                f"{verdict.smallest:.2g}."
            )
        return Text(" ".join(parts))

    def estimators(self) -> Text:
        """How far mean difference and logistic regression agree."""
        both = [f for f in self.findings if isfinite(f.cav.agreement)]
        if not both:
            return Text("There are no two estimators to compare.")
        least = min(both, key=lambda f: f.cav.agreement)
        text = (
            f"The cosine between the two estimators is {least.cav.agreement:.2f} at the least "
            f"({_place(least)}) and {max(f.cav.agreement for f in both):.2f} at most. "
        )
        if apart := [_place(f) for f in both if f.cav.disagree]:
            names = "; ".join(apart[:4]) + (" and others" if len(apart) > 4 else "")
            text += f"Less than half of one lies along the other for {len(apart)} of {len(both)}: "
            text += f"{names}. "
        differ = sum(not f.cav.same_sign for f in both)
        return Text(
            f"{text}They disagree on the sign of the magnitude in {differ} of {len(both)} cases."
        )

    def _of(self, concept: str) -> list[Finding]:
        return [f for f in self.findings if f.concept == concept]


def _place(found: Finding) -> str:
    return f"{escape_markdown(found.concept)} at {escape_markdown(found.layer)}"


def _signed(value: float) -> str:
    return f"{value:+.1f}"
