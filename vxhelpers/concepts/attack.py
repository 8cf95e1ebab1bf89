"""What becomes of a concept's score when its clips are changed a little."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vxhelpers.concepts.adversarial import (
    DOWN,
    ORIGINAL,
    UP,
    as_seen,
    attacked,
    mean_gradient,
    seen,
)
from vxhelpers.concepts.assessment import assess
from vxhelpers.concepts.findings import Assessment
from vxhelpers.concepts.tcav import TcavSettings, tcav_of_clips
from vxhelpers.data.clip import Clip
from vxhelpers.figures.report import Report, Text, escape_markdown
from vxhelpers.figures.table import Cell, Table, table
from vxhelpers.models.probe import Target
from vxhelpers.models.zoo import Model

if TYPE_CHECKING:
    from vxhelpers.figures.illustration import Illustration

SILENT = 0.9  # held-out accuracy above which nobody would be warned


@dataclass(frozen=True)
class AttackSettings:
    """How concept clips are attacked, and how their scores are tested.

    Parameters
    ----------
    epsilon, steps
        As in `nudge`.
    permutations
        Of the test by mean difference.
    batch_size
        Clips a pass with gradients.
    """

    epsilon: int = 4
    steps: int = 6
    permutations: int = 1000
    batch_size: int = 10


@dataclass(frozen=True)
class Attack(Report):
    """What became of a concept's score when its clips were changed a little.

    Parameters
    ----------
    concept, layer
        What was attacked, and where.
    clips
        Name of each version to its clips (`attacked`).
    findings
        Of each version, by mean difference.
    logistic
        Name of each version to the sign count by logistic regression.
    """

    concept: str
    layer: str
    clips: Mapping[str, Sequence[Clip]]
    findings: Assessment
    logistic: Mapping[str, float]

    @property
    def change(self) -> npt.NDArray[np.int64]:
        """``(T, H, W, 3)``: what pushing down added to the first clip, in grey levels."""
        before, after = (self.clips[name][0].frames for name in (ORIGINAL, DOWN))
        difference: npt.NDArray[np.int64] = after.astype(np.int64) - before
        return difference

    def figure(self) -> "Illustration":
        """A frame of the first clip's versions, and 16 times the last change, about grey."""
        from vxhelpers.figures.filmstrips import filmstrip

        index = len(self.change) // 2
        frames = {name: clips[0].frames[index] for name, clips in self.clips.items()}
        frames["16 x change"] = (128 + 16 * self.change[index]).clip(0, 255).astype(np.uint8)
        return filmstrip(
            {self.concept: np.stack([*frames.values()])},
            names={self.concept: [*frames]},
            frames=len(frames),
            alt=f"A frame of {self.concept}: {', '.join(frames)}.",
        )

    def table(self) -> Table:
        """Scores of the versions by two estimators, with effect, accuracy and verdict."""
        scores = [f.score for f in self.findings]
        columns: dict[str, Sequence[Cell]] = {
            "concept clips": [f.concept for f in self.findings],
            "TCAV score, mean difference": [s.interval for s in scores],
            "logistic": [self.logistic[f.concept] for f in self.findings],
            "effect": [f"{s.effect:+.1f}" for s in scores],
            "held-out accuracy": [f.cav.accuracy[0] for f in self.findings],
            "verdict": [str(f.verdict) for f in self.findings],
        }
        return table(columns, caption="Scores of changed concept clips", sortable=False)

    def summary(self) -> Text:
        """How far the score and the verdict moved, and whether held-out accuracy warns."""
        up, down, before = (self.findings[name, self.layer] for name in (UP, DOWN, ORIGINAL))
        silent = min(up.cav.accuracy[0], down.cav.accuracy[0]) > SILENT
        return Text(
            f"The concept is *{escape_markdown(self.concept)}* at {escape_markdown(self.layer)}; "
            f"the largest change of a value is {np.abs(self.change).max()} of 255. The same "
            f"concept scores {down.score.sign_count:.2f} to {up.score.sign_count:.2f} instead of "
            f"{before.score.sign_count:.2f}, and its verdicts are *{down.verdict.outcome}* and "
            f"*{up.verdict.outcome}* instead of *{before.verdict.outcome}*. "
            + (f"**Held-out accuracy does not warn:** it stays above {SILENT}. " if silent else "")
            + "A score is worth no more than the origin of its clips."
        )


def attack(
    model: Model,
    sets: Mapping[str, Sequence[Clip]],
    clips: Sequence[Clip],
    *,
    layer: str,
    target: Target,
    settings: AttackSettings,
    rng: np.random.Generator,
) -> Attack:
    """Change a concept's clips, and score every version against the same random sets.

    Parameters
    ----------
    sets
        Name to clips: of the concept, which comes first, and of random sets.
    clips
        That are scored; they stay as they are.
    layer, target
        Probe layer, and the class, as in `mean_gradient`.
    """
    concept, *randoms = sets
    batch = TcavSettings(batch_size=settings.batch_size)
    gradient = mean_gradient(
        model, clips, layer=layer, target=target, batch_size=settings.batch_size
    )
    versions = attacked(
        model, seen(model, sets[concept]), layer=layer, gradient=gradient,
        epsilon=settings.epsilon, steps=settings.steps, rng=rng,
    )  # fmt: skip
    scores = tcav_of_clips(
        as_seen(model), versions | {name: seen(model, sets[name]) for name in randoms},
        seen(model, clips), concepts=[*versions], randoms=randoms, layers=[layer], target=target,
        settings=batch,
    )  # fmt: skip
    found = assess(scores, rng=rng, m=1, permutations=settings.permutations)
    logistic = {
        name: float(scores[layer].scores(name, "sign_count", "logistic").mean())
        for name in versions
    }
    return Attack(concept, layer, versions, found, logistic)
