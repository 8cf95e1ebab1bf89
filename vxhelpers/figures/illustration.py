"""An illustration: a figure with its alternative text, shown as HTML that carries its own data."""

import base64
import html
import io
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.figure import Figure

WIDTH = 6.4  # inches; drawn at 96 CSS pixels an inch, narrower where the page is


STYLE: dict[Any, Any] = {  # of matplotlib, while a figure is drawn
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e3e6e9",
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "vxhelpers",
}


@dataclass(frozen=True)
class Illustration:
    """A figure and what it shows, in words.

    Parameters
    ----------
    figure
        A matplotlib figure of its own, outside pyplot's list of open figures.
    alt
        What a reader who cannot see it should learn from it; plain text.
    picture
        Whether it holds photographs (WebP at two pixels a point) or lines and text (SVG).
    """

    figure: Figure
    alt: str
    picture: bool = False

    def _repr_html_(self) -> str:
        kind = "svg+xml"
        options: dict[str, Any] = {"format": "svg", "metadata": {"Date": None}}
        if self.picture:
            kind, options = "webp", {"format": "webp", "dpi": 200, "pil_kwargs": {"quality": 88}}
        buffer = io.BytesIO()
        with matplotlib.rc_context(STYLE):
            self.figure.savefig(buffer, **options)
        data = base64.b64encode(buffer.getvalue()).decode()
        width = round(96 * self.figure.get_figwidth())
        # On a phone a strip of frames would shrink to stamps: it keeps a width and scrolls instead.
        scrolls = ("min-width:34rem;", ' tabindex="0"') if self.picture else ("", "")
        return (
            "<style>.text_html:has(>.vx-card){background:none!important;padding:0!important}</style>"
            f'<div class="vx-card" style="overflow-x:auto;margin:.5rem 0"{scrolls[1]}>'
            f'<img class="dark-light" alt="{html.escape(self.alt)}" '
            f'src="data:image/{kind};base64,{data}" style="display:block;margin:0 auto;'
            f"width:{width}px;max-width:100%;{scrolls[0]}height:auto;box-sizing:border-box;background:#fff;"
            'padding:.4rem;border-radius:.5rem"></div>'
        )

    def __repr__(self) -> str:
        return f"Illustration: {self.alt}"
