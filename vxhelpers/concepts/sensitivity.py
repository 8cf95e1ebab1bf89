"""TCAV's scores: what directional derivatives at the clips of a class come to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from vxhelpers.checks import known
from vxhelpers.concepts.arrays import Matrix
from vxhelpers.concepts.cav import Cavs
from vxhelpers.concepts.directional_derivatives import Derivatives, directional_derivative
from vxhelpers.errors import InputError

Statistic = Literal["sign_count", "magnitude"]


def clip_scores(derivatives: npt.ArrayLike, statistic: Statistic) -> Matrix:
    """What the score is the mean of: 1 where the derivative is above 0, else 0; or itself."""
    if statistic not in ("sign_count", "magnitude"):
        raise InputError(f"statistic={statistic!r}: one of sign_count, magnitude")
    values = np.asarray(derivatives, np.float64)
    return (values > 0).astype(np.float64) if statistic == "sign_count" else values


def tcav_score(derivatives: npt.ArrayLike, statistic: Statistic = "sign_count") -> Matrix:
    r"""TCAV score of directional derivatives ``(..., S)`` at the S clips of a class: ``(...)``.

    ``"sign_count"`` is Kim et al. (2018), Eq. 2, the share of clips whose score rises along the
    vector, :math:`|\{x \in X : S(x) > 0\}| / |X|`. ``"magnitude"`` is the mean derivative, which
    they leave aside; captum's is the same times the length of the classifier's weights.
    """
    score: Matrix = np.asarray(clip_scores(derivatives, statistic).mean(-1))
    return score


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Derivatives of S clips' scores along P concept vectors of unit length, at one layer.

    Parameters
    ----------
    cavs
        The concept vectors.
    clips
        Names of the scoring clips.
    steps
        ``(P, S, T)``: their parts by time step of the layer.
    inside
        Name of each place to its share of ``steps``; what lies elsewhere is the rest.
    lengths
        ``(S,)`` lengths of the gradients.
    """

    cavs: Cavs
    clips: tuple[str, ...]
    steps: Matrix
    inside: Mapping[str, Matrix]
    lengths: Matrix

    @property
    def derivatives(self) -> Matrix:
        """``(P, S)``: change of the score a unit of activation along the vector."""
        total: Matrix = self.steps.sum(2)
        return total

    @property
    def sign_count(self) -> Matrix:
        """``(P,)`` share of clips whose derivative is above 0: the TCAV score."""
        return tcav_score(self.derivatives)

    @property
    def magnitude(self) -> Matrix:
        """``(P,)`` mean derivative, signed."""
        return tcav_score(self.derivatives, "magnitude")

    @property
    def alignment(self) -> Matrix:
        """``(P, S)`` cosine of gradient and vector, to compare layers; 0 where there is none."""
        length = np.where(self.lengths > 0, self.lengths, np.inf)
        cosines: Matrix = self.derivatives / length
        return cosines

    def elsewhere(self, place: str) -> Matrix:
        """``(P, S, T)``: what is left of ``steps`` outside a place."""
        known("place", place, self.inside)
        rest: Matrix = self.steps - self.inside[place]
        return rest


def sensitivity(found: Derivatives, layer: str, cavs: Cavs) -> Sensitivity:
    """Open the products at a layer into derivatives along concept vectors of that layer."""
    slopes = found[layer]
    if cavs.weights.shape[1] != slopes.steps.shape[2]:
        raise InputError(
            f"concept vectors over {cavs.weights.shape[1]} clips do not fit products with "
            f"{slopes.steps.shape[2]}"
        )
    return Sensitivity(
        cavs,
        found.clips,
        directional_derivative(slopes.steps, cavs.weights),
        {p: directional_derivative(share, cavs.weights) for p, share in slopes.inside.items()},
        slopes.lengths,
    )
