"""A concept's score beside its controls: other versions of its clips, and random weights."""

from dataclasses import dataclass

from vxhelpers.concepts.findings import Assessment, Finding
from vxhelpers.figures.report import Report, Text, escape_markdown
from vxhelpers.figures.table import Table


@dataclass(frozen=True)
class Controls(Report):
    """A concept beside versions of its clips, and beside itself in an untrained network.

    Parameters
    ----------
    concept
        The one that is controlled.
    versions
        Findings of it and of its versions, at one layer.
    untrained
        The finding with random weights.
    """

    concept: str
    versions: Assessment
    untrained: Finding

    def table(self) -> Table | None:
        """The findings of all versions."""
        return self.versions.table()

    def summary(self) -> Text:
        """Which versions have the concept's verdict, and whether random weights have."""
        own = self.versions[self.concept, self.untrained.layer]
        name, outcome = escape_markdown(self.concept), own.verdict.outcome
        same = [
            escape_markdown(f.concept)
            for f in self.versions
            if f.concept != self.concept and f.verdict.outcome == outcome
        ]
        f, s = self.untrained, self.untrained.score
        text = (
            f"The same verdict as *{name}* have: {', '.join(same) or 'none'}. Where a shuffled or "
            "static version does as well, the score is not about that movement. With random "
            f"weights, *{name}* scores {s.sign_count:.2f} [{s.low:.2f}, {s.high:.2f}], effect "
            f"{s.effect:+.1f}, held-out accuracy {f.cav.accuracy[0]:.2f}: {f.verdict}."
        )
        if f.verdict.outcome == outcome:
            text += " **That is the same verdict: the score is no news of what was learned.**"
        elif s.sign_count >= own.score.sign_count:
            text += " Its score is as high; it is the test that tells the two apart."
        return Text(text)
