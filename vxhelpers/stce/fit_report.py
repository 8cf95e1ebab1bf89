"""How well supervoxels fit objects, in a table and a sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vxhelpers.figures.report import Report, Text, escape_markdown
from vxhelpers.figures.table import Cell, Table, table
from vxhelpers.stats import Mean
from vxhelpers.stce.coverage import Fit


@dataclass(frozen=True, eq=False)
class FitReport(Report):
    """How well the best supervoxel fits each object, beside a grid that does not see colour.

    Parameters
    ----------
    found
        What `vxhelpers.stce.coverage.fits` measures.
    """

    found: Fit

    def table(self) -> Table:
        names = sorted(self.found.sizes, key=lambda name: -self.found.sizes[name])

        def cells(found: Mapping[str, Mean]) -> list[tuple[float, float, float]]:
            return [(found[n].value, found[n].low, found[n].high) for n in names]

        columns: dict[str, Sequence[Cell]] = {
            "object": names,
            "pixels a frame": [f"{self.found.sizes[n]:.0f}" for n in names],
            "clips": [self.found.best["supervoxels"][n].n for n in names],
            "IoU, best supervoxel": cells(self.found.best["supervoxels"]),
            "IoU, best of the grid": cells(self.found.best["grid"]),
            "outline found": cells(self.found.outlines["supervoxels"]),
            "outline found, grid": cells(self.found.outlines["grid"]),
        }
        return table(columns, caption="How well supervoxels fit objects")

    def summary(self) -> Text:
        ours, grid = self.found.best["supervoxels"], self.found.best["grid"]
        worst, best = (f(ours, key=lambda n: ours[n].value) for f in (min, max))
        clear = [n for n in self.found.sizes if ours[n].low > grid[n].high]
        least, most = ours[worst].value, ours[best].value
        text = f"The supervoxel that fits *{escape_markdown(worst)}* has an IoU of {least:.2f}"
        if worst != best:
            text += f", that of *{escape_markdown(best)}* {most:.2f}"
        return Text(
            f"{text}. A concept of pieces that fit badly is mostly something else. Clear of the "
            "grid: "
            f"{escape_markdown(', '.join(clear)) or 'none'}."
        )
