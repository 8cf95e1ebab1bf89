"""Each paper's equation is a named line that cites its source; a page says where it is."""

import ast
import importlib
import inspect
import re
import textwrap
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "book" / "architecture.md"
LINES = [
    (module, name)
    for module, names in re.findall(r"`([a-z_.]+)`: ((?:`\w+`(?:, )?)+)", PAGE.read_text())
    for name in re.findall(r"`(\w+)`", names)
]


def test_the_page_lists_the_equations() -> None:
    assert len(LINES) >= 12


@pytest.mark.parametrize(("module", "name"), LINES, ids=[name for _, name in LINES])
def test_an_equation_is_a_short_function_that_cites_its_source(module: str, name: str) -> None:
    function = getattr(importlib.import_module(f"vxhelpers.{module}"), name)
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(tree, ast.FunctionDef)
    first, last = tree.body[1].lineno, tree.end_lineno
    assert last is not None and last - first <= 14
    owner = inspect.getdoc(importlib.import_module(f"vxhelpers.{module}")) or ""
    assert re.search(r"(?i)equation|eq\.|section|\b(19|20)\d\d\b", (function.__doc__ or "") + owner)
