"""What curves of adding and removing say: differences of areas, verdicts, the paper's tables."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from vxhelpers.figures.report import Metric, Report, Text, escape_markdown
from vxhelpers.figures.table import Cell, Table, table
from vxhelpers.stats import Mean, mean_interval
from vxhelpers.stce.curves import AddRemove, Operation, Order, Quantity

Claim = Literal["as claimed", "the reverse", "undecided"]
Shares = npt.NDArray[np.float64]

PAIRS: tuple[tuple[Order, Order], ...] = (
    ("top", "random"),
    ("random", "least"),
    ("top", "matched"),
)
CLAIMED: Mapping[Operation, int] = {"add": 1, "remove": -1}  # sign of the claimed differences
NAMES: Mapping[Order, str] = {
    "top": "top",
    "random": "random",
    "least": "least",
    "matched": "random, matched",
}


def claim(gap: Mean, sign: int) -> Claim:
    """Say whether a difference has the claimed sign: undecided where its interval holds 0."""
    if gap.low <= 0 <= gap.high:
        return "undecided"
    return "as claimed" if gap.value * sign > 0 else "the reverse"


@dataclass(frozen=True)
class Difference:
    """A difference of areas under two curves, over clips."""

    operation: Operation
    order: Order
    against: Order
    quantity: Quantity
    gap: Mean

    @property
    def claim(self) -> Claim:
        """Whether it is as the method claims."""
        return claim(self.gap, CLAIMED[self.operation])


def differences(result: AddRemove, *, seed: int) -> tuple[Difference, ...]:
    """All differences of areas that the method claims a sign of, with paired intervals."""
    quantities: tuple[Quantity, ...] = ("accuracy", "probability")
    found = []
    for operation in CLAIMED:
        for a, b in PAIRS:
            for quantity in quantities:
                rng = np.random.default_rng(seed)
                gap = result.difference(operation, a, b, rng=rng, quantity=quantity)
                found.append(Difference(operation, a, b, quantity, gap))
    return tuple(found)


def metrics(found: Sequence[Difference], *, n: int) -> list[Metric]:
    """Top minus matched by probability, for tables over many runs; n test clips."""
    return [
        Metric(f"STCE top minus matched area, {d.operation}", d.gap.value, d.gap.low, d.gap.high, n)
        for d in found
        if (d.order, d.against, d.quantity) == ("top", "matched", "probability")
    ]


@dataclass(frozen=True, eq=False)
class DifferencesReport(Report):
    """Whether the network does what the ranking says, by areas under curves.

    Parameters
    ----------
    result
        Curves of adding and removing.
    found
        Its differences.
    whole
        ``(V,)``: probability of the label on whole clips, to which both ends must come.
    """

    result: AddRemove
    found: tuple[Difference, ...]
    whole: Shares

    def table(self) -> Table:
        rows = [
            [d for d in self.found if (d.operation, d.order, d.against) == (operation, a, b)]
            for operation in CLAIMED
            for a, b in PAIRS
        ]
        columns: dict[str, list[str | tuple[float, float, float]]] = {
            "operation": [row[0].operation for row in rows],
            "order": [row[0].order for row in rows],
            "against": [row[0].against for row in rows],
        }
        for k, quantity in enumerate(("accuracy", "probability")):
            gaps = [row[k].gap for row in rows]
            columns[f"difference, {quantity}"] = [(g.value, g.low, g.high) for g in gaps]
            columns[f"verdict, {quantity}"] = [row[k].claim for row in rows]
        n = len(self.result.clips)
        return table(columns, caption=f"Differences of areas under curves, n = {n} test clips")

    def counts(self) -> dict[Claim, int]:
        """Verdicts by probability."""
        claims = [d.claim for d in self.found if d.quantity == "probability"]
        names: tuple[Claim, ...] = ("as claimed", "the reverse", "undecided")
        return {name: claims.count(name) for name in names}

    def gaps_at_ends(self) -> tuple[float, float]:
        """Largest difference between orders with nothing shown; from the whole clip with all."""
        blank, full = [], []
        for operation in CLAIMED:
            for order in ("top", "least", "random"):
                values = self.result[operation, order].probability
                none, every = (0, -1) if operation == "add" else (-1, 0)
                blank.append(np.ptp(values[..., none]))
                full.append(np.abs(values[..., every] - self.whole).max())
        return float(max(blank)), float(max(full))

    def summary(self) -> Text:
        counts = self.counts()
        total = sum(counts.values())
        start, end = self.gaps_at_ends()
        label, p = self.result.blank
        notes = [escape_markdown(note[:1].upper() + note[1:]) + "." for note in self.result.notes]
        return Text(
            f"By probability, {counts['as claimed']} of {total} differences are as the method "
            "claims, "
            f"{counts['the reverse']} are the reverse, and {counts['undecided']} are undecided. "
            + (
                ""
                if counts["as claimed"] == total
                else "**The ranking does not hold throughout.** "
            )
            + f"With nothing shown, orders differ by at most {start:.1g}; with everything shown, "
            "they "
            f"differ from the whole clip by at most {end:.1g}. The network calls a blank clip "
            f"*{escape_markdown(label)}* (probability {p:.2f}). " + " ".join(notes)
        )


@dataclass(frozen=True, eq=False)
class RecipesReport(Report):
    """Whether fewer and larger supervoxels reach farther: the paper's section 4.5.

    Parameters
    ----------
    curves
        ``"standard"`` and ``"small"`` to their results, on the same clips.
    whole
        ``(V,)``: probability of the label on whole clips.
    seed
        Of the bootstrap.
    """

    curves: Mapping[str, AddRemove]
    whole: Shares
    seed: int = 0

    def reach(self, name: str) -> tuple[Shares, float, int]:
        """Share of the whole clip's probability at five concepts, visible share, concepts shown."""
        result = self.curves[name]
        at = int((result.steps <= 5).sum()) - 1
        curve = result["add", "top"]
        share: Shares = curve.probability.mean(0)[:, at] / self.whole
        return share, float(curve.visible.mean((0, 1))[at]), at

    def summary(self) -> Text:
        reached = {name: self.reach(name) for name in self.curves}
        means = {
            n: mean_interval(r[0], rng=np.random.default_rng(self.seed)) for n, r in reached.items()
        }
        gap = mean_interval(
            reached["small"][0] - reached["standard"][0], rng=np.random.default_rng(self.seed)
        )
        parts = [
            f"With the {n} recipe, the top {self.curves[n].steps[at]} concepts bring {means[n]} of "
            "the whole "
            f"clip's probability on {visible:.0%} of its voxels."
            for n, (_, visible, at) in reached.items()
        ]
        parts.append(f"Small minus standard: {gap.value:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}].")
        exhausted = [n for n, r in reached.items() if r[2] == len(self.curves[n].steps) - 1]
        if exhausted:
            parts.append(
                f"With {' or '.join(exhausted)} these are all concepts and show the whole clip: "
                "the "
                "recipes cannot be compared here."
            )
        elif gap.low > 0.01:
            more = reached["small"][1] > reached["standard"][1]
            parts.append(
                "As in the paper, small reaches farther, **but its concepts also show more of the "
                "clip**, "
                "which may be the whole reason."
                if more
                else "As in the paper, small reaches farther, and it shows no more of the clip."
            )
        elif gap.high < -0.01:
            parts.append("**Against the paper, small reaches less far.**")
        else:
            parts.append("The difference that the paper found is not seen here.")
        kept = {
            n: sum(
                d.claim == "as claimed"
                for d in differences(one, seed=self.seed)
                if d.quantity == "probability"
            )
            for n, one in self.curves.items()
        }
        parts.append(
            f"Of six differences of areas, {kept['standard']} are as claimed with standard and "
            f"{kept['small']} with small."
        )
        return Text(" ".join(parts))


@dataclass(frozen=True, eq=False)
class PaperTablesReport(Report):
    """Accuracy after 1 to 5 concepts in the layout of the paper's tables, the paper's rows beside.

    Parameters
    ----------
    result
        Curves of adding and removing.
    rows
        Rows of the paper's tables, as `paper_rows` gives them, of the setting to compare.
    paper
        All rows of the paper's tables, as `read_paper_rows` gives them, for the summary.
    """

    result: AddRemove
    rows: Sequence[Mapping[str, str]]
    paper: Sequence[Mapping[str, str]] = ()

    def table(self) -> Table:
        cells: list[list[Cell]] = []
        for operation in CLAIMED:
            for line in self.result.table(operation):
                spread = line.order in ("random", "matched")
                after = [
                    f"{accuracy:.2f}" + (f" ± {deviation:.2f}" if spread else "")
                    for accuracy, deviation in zip(line.accuracy, line.spread, strict=True)
                ]
                after += [""] * (5 - len(after))  # a class may have fewer concepts
                ends = [f"{line.baseline:.2f}", f"{line.visible[-1]:.0%}"]
                cells.append([operation, line.order, *after, *ends])
            for row in self.rows:
                if row["operation"] == operation:
                    after = [f"{float(row[f'concepts_{q}']) / 100:.2f}" for q in range(1, 6)]
                    name = f"paper, {row['model']}: {row['ordering']}"
                    cells.append(
                        [operation, name, *after, f"{float(row['baseline']) / 100:.2f}", ""]
                    )
        heads = ("operation", "order", "1", "2", "3", "4", "5", "all", "shown after the last")
        columns = dict(zip(heads, zip(*cells, strict=True), strict=True))
        n = len(self.result.clips)
        about = f"Accuracy after 1 to 5 concepts, n = {n} test clips; ± SD over random orders"
        return table(columns, caption=about)

    def summary(self) -> Text:
        if not self.paper:
            return Text("")
        broken = {operation: violations(self.paper, operation) for operation in CLAIMED}
        return Text(
            "Orders differ in what they show of the clip with the last concept, and showing more "
            "can be "
            "reason enough for a better prediction: that is what the matched control is for. In "
            "the "
            "paper's own tables, adding breaks top ≥ random ≥ least in "
            f"{broken['add'][0]} of {broken['add'][1]} cells, and removing the reverse in "
            f"{broken['remove'][0]} of {broken['remove'][1]}."
        )


def read_paper_rows(path: Path) -> list[dict[str, str]]:
    """Rows of the paper's Tables 1 to 6, from a CSV whose comments begin with ``#``."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [*csv.DictReader(line for line in lines if not line.startswith("#"))]


def paper_rows(
    rows: Sequence[Mapping[str, str]], dataset: str, setting: str, model: str = "R3D"
) -> list[Mapping[str, str]]:
    """Rows of a data set and setting, of one network: ``model`` where the paper has it."""
    found = [row for row in rows if (row["dataset"], row["setting"]) == (dataset, setting)]
    models = [row["model"] for row in found]
    chosen = model if model in models else next(iter(models), "")
    return [row for row in found if row["model"] == chosen]


def violations(rows: Sequence[Mapping[str, str]], operation: Operation) -> tuple[int, int]:
    """Cells of the paper's tables that break its order (top, random, least), and all cells."""
    some = [row for row in rows if row["operation"] == operation]
    values = np.array([[float(row[f"concepts_{q}"]) for q in range(1, 6)] for row in some])
    top, middle, least = (
        values[[row["ordering"] == order for row in some]] for order in ("top", "random", "least")
    )
    sign = CLAIMED[operation]
    broken = (sign * (top - middle) < 0) | (sign * (middle - least) < 0)
    return int(broken.sum()), top.size
