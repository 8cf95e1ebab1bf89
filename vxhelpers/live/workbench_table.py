"""A concept's scores by layer as a table: what chance scores, and what dropped clips changed."""

import html
from collections.abc import Mapping, Sequence

from vxhelpers.live.base import table
from vxhelpers.live.workbench import Line

HEAD = ("layer", "sign count", "by chance", "0 to 1", "magnitude", "by chance", "accuracy")


def scored(lines: Sequence[Line], before: Mapping[str, Line]) -> str:
    """Lay lines out as HTML, one a layer.

    Parameters
    ----------
    lines
        The scores.
    before
        Layers to the scores of all clips, for the change; empty where none was dropped.
    """
    if not lines:
        return "<p>Choose a layer.</p>"
    told = [
        f"n = {lines[0].scored} clips are scored. By chance: what 95 % of the scores of "
        f"{lines[0].randoms} random sets against each other lie in; pairs share sets, so that "
        "this is a guide and no test. Accuracy: of held-out clips, chance is 0.50.",
        *(f"{line.layer}: {line.degenerate}." for line in lines if line.degenerate),
    ]
    notes = "".join(f"<p><small>{html.escape(text)}</small></p>" for text in told)
    return table(HEAD, [_row(line, before.get(line.layer)) for line in lines]) + notes


def _row(line: Line, before: Line | None) -> list[str]:
    """A line as cells: scores with their change against all clips, and what random sets score."""

    def score(value: float, old: float | None, form: str) -> str:
        text = format(value, form) + ("" if old is None else f" ({value - old:+{form}})")
        return html.escape(text.replace("-", "−"))

    signs, sizes = line.by_chance["sign_count"], line.by_chance["magnitude"]
    low, high = (f"{v:.2g}".replace("-", "−") for v in sizes)
    doubt = "" if line.separates > 0.5 else ", does not separate"
    return [
        html.escape(line.layer),
        score(line.sign_count, None if before is None else before.sign_count, ".2f"),
        f"{signs[0]:.2f} to {signs[1]:.2f}",
        _axis(line.sign_count, *signs),
        score(line.magnitude, None if before is None else before.magnitude, ".3g"),
        f"{low} to {high}",
        f"{line.accuracy:.2f}{doubt}",
    ]


def _axis(value: float, low: float, high: float) -> str:
    """A score as a dot between 0 and 1, over the band that chance fills."""
    x, left, right = (6 + 100 * v for v in (value, low, high))
    label = f"{value:.2f}; by chance {low:.2f} to {high:.2f}"
    return (
        f'<svg width="112" height="14" role="img" aria-label="{label}">'
        f'<rect x="{left:.1f}" y="2" width="{max(1, right - left):.1f}" height="10" '
        'fill="currentColor" opacity=".25"/>'
        '<path d="M6 7H106" stroke="currentColor" opacity=".5"/>'
        f'<circle cx="{x:.1f}" cy="7" r="5" fill="#D55E00" stroke="currentColor"/></svg>'
    )
