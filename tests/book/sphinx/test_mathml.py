"""Formulas become MathML that a browser draws; what the converter does not know is refused."""

from xml.etree import ElementTree

import pytest

from vxhelpers.book.sphinx.mathml import to_mathml
from vxhelpers.errors import InputError

SPACE = "{http://www.w3.org/1998/Math/MathML}"


@pytest.mark.parametrize(
    "latex",
    [
        r"L^c = \mathrm{ReLU}\left(\sum_k \alpha_k^c A^k\right)",
        r"\hat p \pm z \sqrt{\frac{\hat p (1 - \hat p)}{n}}",
        r"\begin{cases} 1 & x > 0 \\ 0 & \text{otherwise} \end{cases}",
        r"\lVert v \rVert_2, \mathbb{R}^{N \times C}, \operatorname{sign}(x)",
    ],
)
def test_formulas_are_well_formed(latex: str) -> None:
    tree = ElementTree.fromstring(to_mathml(latex, block=True))
    assert tree.tag == f"{SPACE}math"
    assert tree.get("display") == "block"
    assert tree.get("alttext") == latex
    assert "\\" not in "".join(tree.itertext())


def test_a_fraction_has_its_two_parts() -> None:
    fraction = ElementTree.fromstring(to_mathml(r"\frac{a}{b}", block=False)).find(
        f".//{SPACE}mfrac"
    )
    assert fraction is not None
    assert ["".join(part.itertext()) for part in fraction] == ["a", "b"]


@pytest.mark.parametrize("name", ["aligned", "align", "split"])
def test_aligned_equations_are_a_table(name: str) -> None:
    latex = rf"\begin{{{name}}} a &= b \\ c &= d \end{{{name}}}"
    rows = ElementTree.fromstring(to_mathml(latex, block=True)).findall(f".//{SPACE}mtr")
    assert ["".join(row.itertext()) for row in rows] == ["a=b", "c=d"]


@pytest.mark.parametrize("latex", [r"\nosuch{x}", r"a \unknown b", r"\left( x", "a & b"])
def test_unknown_latex_is_refused(latex: str) -> None:
    with pytest.raises(InputError, match="formula"):
        to_mathml(latex, block=False)


def test_starred_operators_are_names() -> None:
    text = "".join(
        ElementTree.fromstring(to_mathml(r"\operatorname*{argmax}_c y", block=True)).itertext()
    )
    assert text == "argmaxcy"
