"""What a network makes of clips as concepts come and go: curves, areas under them, tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.stats import Mean, mean_interval

Rows = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Operation = Literal["add", "remove"]
Order = Literal["top", "least", "random", "matched"]
Quantity = Literal["accuracy", "probability"]

OPERATIONS: tuple[Operation, ...] = ("add", "remove")
ORDERS: tuple[Order, ...] = ("top", "least", "random", "matched")


@dataclass(frozen=True, eq=False)
class Curve:
    """What V clips come to as concepts are added or removed, in R runs of an order.

    Parameters
    ----------
    correct
        ``(R, V, Q)``: whether the prediction is the clip's label, after each of Q steps.
    probability
        ``(R, V, Q)``: of the label.
    visible
        ``(R, V, Q)``: share of the clip's voxels that are shown.
    """

    correct: Flags
    probability: Matrix
    visible: Matrix

    def values(self, quantity: Quantity) -> Matrix:
        """``(R, V, Q)`` of what is named."""
        if quantity not in ("accuracy", "probability"):
            raise InputError(f"quantity={quantity!r}: 'accuracy' or 'probability'")
        return self.correct.astype(np.float64) if quantity == "accuracy" else self.probability


@dataclass(frozen=True)
class Line:
    """One line of a table in the layout of the paper's.

    Parameters
    ----------
    operation, order
        What is done in which order.
    accuracy
        Micro-accuracy after 1, 2, ... concepts, 0 to 1; mean over the runs.
    spread
        Its standard deviation over the runs; zeros where there is one.
    visible
        Mean share of voxels shown.
    baseline
        Micro-accuracy on whole clips.
    """

    operation: Operation
    order: Order
    accuracy: tuple[float, ...]
    spread: tuple[float, ...]
    visible: tuple[float, ...]
    baseline: float


@dataclass(frozen=True, eq=False)
class AddRemove:
    """Curves of V clips over Q numbers of concepts.

    Parameters
    ----------
    clips, labels
        Names and labels of the V clips.
    steps
        ``(Q,)`` numbers of concepts, from 0 to all.
    curves
        For each operation and order.
    assigned
        ``"true"`` or ``"predicted"``: whose class's concepts supervoxels were given to.
    blank
        The label that the network gives a blank input, and its probability.
    notes
        What to know before these are read, in sentences.
    """

    clips: tuple[str, ...]
    labels: tuple[str, ...]
    steps: Rows
    curves: Mapping[tuple[Operation, Order], Curve]
    assigned: Literal["true", "predicted"]
    blank: tuple[str, float]
    notes: tuple[str, ...]

    def __getitem__(self, key: tuple[Operation, Order]) -> Curve:
        if key not in self.curves:
            known = [" ".join(one) for one in self.curves]
            raise UnknownNameError("curve", " ".join(key), known)
        return self.curves[key]

    @property
    def baseline(self) -> float:
        """Micro-accuracy on whole clips."""
        return float(self["add", "top"].correct[0, :, -1].mean())

    def mean(
        self, operation: Operation, order: Order, quantity: Quantity = "accuracy"
    ) -> tuple[Matrix, Matrix]:
        """Mean over clips and runs ``(Q,)``, and the standard deviation over runs ``(Q,)``."""
        by_run = self[operation, order].values(quantity).mean(1)
        spread = by_run.std(0, ddof=1) if len(by_run) > 1 else np.zeros(len(self.steps))
        return by_run.mean(0), spread

    def areas(
        self,
        operation: Operation,
        order: Order,
        quantity: Quantity = "accuracy",
        *,
        upto: int | None = None,
    ) -> Matrix:
        """Area under each clip's curve ``(V,)``, 0 to 1: trapezoids over the share of concepts.

        Parameters
        ----------
        upto
            Number of concepts where it ends; all unless given. The paper's tables end at 5.
        """
        seen = self.steps <= (self.steps[-1] if upto is None else upto)
        steps = self.steps[seen]
        if len(steps) < 2:
            raise InputError(f"upto={upto}: no curve from 0 to there; steps are {self.steps}")
        values = self[operation, order].values(quantity).mean(0)[:, seen]
        width = np.diff(steps) / (steps[-1] - steps[0])
        area: Matrix = ((values[:, 1:] + values[:, :-1]) / 2) @ width
        return area

    def difference(
        self,
        operation: Operation,
        a: Order,
        b: Order,
        *,
        rng: np.random.Generator,
        quantity: Quantity = "accuracy",
        upto: int | None = None,
    ) -> Mean:
        """Area under the curve of ``a`` minus ``b``, with its paired bootstrap interval over clips.

        Where ranks mean something, top is above random above least when adding, and the other way
        round when removing.
        """
        first, second = (self.areas(operation, o, quantity, upto=upto) for o in (a, b))
        return mean_interval(first - second, rng=rng)

    def table(self, operation: Operation, *, upto: int = 5) -> tuple[Line, ...]:
        """Lines of the paper's Tables 1 to 6, with spread and visible share."""
        seen = (self.steps >= 1) & (self.steps <= upto)
        lines = []
        for order in ORDERS:
            mean, spread = self.mean(operation, order)
            visible = self[operation, order].visible.mean((0, 1))
            cells = [tuple(values[seen].tolist()) for values in (mean, spread, visible)]
            lines.append(Line(operation, order, cells[0], cells[1], cells[2], self.baseline))
        return tuple(lines)
