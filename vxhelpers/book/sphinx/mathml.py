"""Sphinx extension: equations as MathML, drawn by the browser, so that no page loads MathJax.

It also mends two holes: the theme writes a page's title into its print header unescaped, and titles
hold class names, which are text from data; docutils gives entries of a bibliography a role that a
list may not hold.

Loaded by ``_config.yml``. Numbers, labels and ``{eq}`` references are Sphinx's own and stay as they
are; only the drawing changes. LaTeX that the converter does not know is a warning, and thus an
error in the strict build, never an equation that looks almost right.
"""

import re
from typing import Any

from docutils import nodes

from vxhelpers.errors import InputError

# Alignment inside an equation, spelled as the one environment that the converter aligns.
_ALIGNED = re.compile(r"\\(begin|end)\{(?:aligned|split|align)\}")
_LEFTOVER = re.compile(r"<m[io][^>]*>(?:[^<]*\\[^<]*|&)</m[io]>|<m[io] />(?=<m[io]>&#x0002A;)")


def to_mathml(latex: str, *, block: bool) -> str:
    """Convert one formula to MathML.

    Parameters
    ----------
    latex
        The formula without dollar signs.
    block
        True for a displayed equation, False inside a line of text.

    Returns
    -------
    str
        One ``<math>`` element; the LaTeX stays in ``alttext`` for search and screen readers.

    Raises
    ------
    InputError
        If the formula does not parse or holds a command that the converter does not know.
    """
    from html import escape

    from latex2mathml.converter import convert

    source = _ALIGNED.sub(r"\\\1{align*}", latex.strip()).replace(
        r"\operatorname*", r"\operatorname"
    )
    try:
        mathml = convert(source, display="block" if block else "inline")
    except Exception as error:
        raise InputError(f"formula {latex!r} does not parse: {error!r}") from error
    if unknown := _LEFTOVER.search(mathml):
        shown = re.sub("<[^>]*>", "", unknown.group())
        raise InputError(
            f"formula {latex!r}: {shown!r} has no MathML form here; write it otherwise"
        )
    return mathml.replace("<math ", f'<math alttext="{escape(latex.strip())}" ', 1)


def _mathml(node: nodes.Element, *, block: bool) -> str:
    from html import escape

    from sphinx.util.logging import getLogger

    try:
        return to_mathml(node.astext(), block=block)
    except InputError as error:
        getLogger(__name__).warning(str(error), location=node)
        return f"<code>{escape(node.astext())}</code>"


def visit_inline(self: Any, node: nodes.math) -> None:
    """Write a formula inside a line."""
    self.body.append(f'<span class="vx-math">{_mathml(node, block=False)}</span>')
    raise nodes.SkipNode


def visit_block(self: Any, node: nodes.math_block) -> None:
    """Write a displayed equation with its number and anchor."""
    from sphinx.util.math import get_node_equation_number

    self.body.append(self.starttag(node, "div", CLASS="vx-equation"))
    self.body.append(_mathml(node, block=True))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode


def mend(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Escape the title that the theme's print header shows as it is; make citations items."""
    from html import escape

    if "pagetitle" in context:
        context["pagetitle"] = escape(str(context["pagetitle"]))
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app: Any) -> dict[str, bool]:
    """Register the renderer ``mathml``; chosen by ``html_math_renderer`` in the configuration."""
    app.add_html_math_renderer(
        "mathml", inline_renderers=(visit_inline, None), block_renderers=(visit_block, None)
    )
    app.connect("html-page-context", mend, priority=900)  # after the theme has set it
    return {"parallel_read_safe": True, "parallel_write_safe": True}
