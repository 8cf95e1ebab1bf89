"""Pages of the package from its docstrings: what is on them, and that they are sound."""

import ast
import io
import re
from pathlib import Path

import pytest

from vxhelpers.book.sphinx import reference

BOOK = Path(__file__).parents[3] / "book"
SOURCE = '''"""What it is for. And more."""
from collections.abc import Mapping
from dataclasses import dataclass
from typing import overload
import numpy.typing as npt
from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError

Masks = npt.NDArray[bool]
SIDE = 64
_HIDDEN = 3


@dataclass(frozen=True)
class Box:
    """A box.

    Parameters
    ----------
    clip, side
        Where it is.
    """

    clip: Clip
    side: int = SIDE
    _kept: int = 0

    @property
    def area(self) -> float:
        """Its area."""
        return 0

    def quiet(self):
        return 0


@overload
def cut(x: int) -> "Box": ...


def cut(x: "Mapping[str, Masks]", *, rng=None) -> "Box":
    """Cut it.

    Raises
    ------
    InputError
        If not.
    """


def _private():
    """Not shown."""
'''


def test_a_page_has_what_the_module_offers_with_names_that_can_be_links() -> None:
    text = reference.pages({"boxes": ast.parse(SOURCE)})["boxes"]
    shown = re.findall(r"^ *\.\. py:.*$", text, re.MULTILINE)
    assert shown == [
        ".. py:module:: vxhelpers.boxes",
        ".. py:type:: Masks",
        ".. py:data:: SIDE",
        ".. py:class:: Box(clip: vxhelpers.data.clip.Clip, side: int = SIDE)",
        "   .. py:property:: area",
        ".. py:function:: cut(x: Mapping[str, vxhelpers.boxes.Masks], *, rng=None) -> "
        "vxhelpers.boxes.Box",
    ]
    assert ":param side: Where it is." in text
    assert ":raises vxhelpers.errors.InputError: If not." in text
    assert "``npt.NDArray[bool]``" in text
    assert not re.search("_HIDDEN|_kept|_private|quiet|Not shown", text)


def test_names_that_are_passed_on_lead_to_where_they_are_defined() -> None:
    trees = {
        "near": ast.parse("from vxhelpers.far import Thing"),
        "user": ast.parse(
            "from vxhelpers.near import Thing\n"
            'def f(x: Thing):\n    """See `vxhelpers.near.Thing`."""\n'
        ),
    }
    text = reference.pages(trees)["user"]
    assert "f(x: vxhelpers.far.Thing)" in text
    assert "See `vxhelpers.far.Thing`." in text


def test_the_leading_page_lists_every_module_once(tmp_path: Path) -> None:
    source = (BOOK / "api.md").read_text(encoding="utf-8")
    text, documents = reference.write(tmp_path, source)
    listed = re.findall(r"<(api/[\w.]+)>`", text)
    assert sorted(listed) == sorted(documents)
    assert len(set(documents)) == len(documents) == len(reference.modules())
    assert "<!--" not in text
    name = "attribution.gradcam"
    assert f"| {{doc}}`{name} <api/{name}>` | Grad-CAM on video: where, in space" in text
    assert text.index("## `data`: ") < text.index("## `models`: ") < text.index("## `live`: ")
    assert all((tmp_path / f"{document}.rst").is_file() for document in documents)


def test_names_of_the_package_in_docstrings_lead_somewhere() -> None:
    trees = {n: ast.parse(p.read_text("utf-8")) for n, p in reference.modules().items()}
    known, wanted = {f"vxhelpers.{name}" for name in trees}, {}
    for name, text in reference.pages(trees).items():
        owner = ""
        for indent, shown in re.findall(r"^( *)\.\. py:(?!module)\w+:: (\w+)", text, re.MULTILINE):
            owner = owner if indent else f"{shown}."
            known.add(f"vxhelpers.{name}.{owner if indent else ''}{shown}")
        wanted |= dict.fromkeys(re.findall(r"`~?(vxhelpers(?:\.\w+)+)`", text), name)
    lost = {
        target: page
        for target, page in wanted.items()
        if target not in known  # fields of a class stand in its own description
        and target.rpartition(".")[0] not in known
        and not target.startswith("vxhelpers.cli")
    }
    assert not lost
    assert len(wanted) > 50


def test_docstrings_are_sound_and_arguments_have_links(tmp_path: Path) -> None:
    sphinx = pytest.importorskip("sphinx.application", reason="the book's tools are not installed")
    from docutils import nodes

    documents = reference.write(tmp_path, reference.MODULES)[1]
    listed = "\n".join(f"   {document}" for document in documents)
    (tmp_path / "index.rst").write_text(f"All\n===\n\n.. toctree::\n\n{listed}\n", "utf-8")
    warnings = io.StringIO()
    app = sphinx.Sphinx(
        tmp_path, None, tmp_path / "out", tmp_path / "trees", "dummy",
        {"extensions": ["vxhelpers.book.sphinx.reference"], "default_role": "py:obj", "language":
        "en"}, status=None, warning=warnings,
    )  # fmt: skip
    app.build()
    said = re.sub(r"\x1b\[[\d;]*m", "", warnings.getvalue()).splitlines()
    # Another test of this process may have set Sphinx up before.
    twice = "WARNING: while setting up extension sphinx."
    assert not [line for line in said if not line.startswith(twice)]
    tree = app.env.get_and_resolve_doctree("api/concepts.tcav", app.builder)
    links = {node["reftitle"] for node in tree.findall(nodes.reference) if "reftitle" in node}
    assert {"vxhelpers.models.zoo.Model", "vxhelpers.models.probe.Score"} <= links


def test_arguments_are_no_list_without_terms() -> None:
    paren = '<span class="sig-paren">(</span>'
    body = f"{paren}\n\n<dl>\n<dd><em>x</em>,</dd>\n</dl>\n\n)<dl><dt>term</dt><dd>word</dd></dl>"
    context = {"body": body}
    reference._plain_arguments(None, "page", "", context, None)
    assert '<span class="sig-argument"><em>x</em>,</span>' in context["body"]
    assert context["body"].count("<dl>") == 1  # what is a list stays one
    assert "<dt>term</dt><dd>word</dd>" in context["body"]
