"""The house of ARCHITECTURE.md: what may import what, and that imports stay light."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "vxhelpers"

ARCHITECTURE = PACKAGE.parent / "ARCHITECTURE.md"


def table() -> tuple[dict[str, int], set[str]]:
    """Ranks of the modules in ARCHITECTURE.md's table, from the ground up, and the side modules.

    The modules of a row have one rank, except in the top row, where each may use those before it.
    """
    ranks: dict[str, int] = {}
    side: set[str] = set()
    for line in ARCHITECTURE.read_text().splitlines():
        row = re.match(r"\| (\d+|side|top) \| ([^|]*)", line)
        if not row:
            continue
        names = [name.rstrip("/") for name in re.findall(r"`([^`]+)`", row[2])]
        if row[1] == "side":
            side.update(names)
        for place, name in enumerate(names):
            level = 1000 if row[1] in ("side", "top") else 10 * int(row[1])
            ranks[name] = level + (place + 1 if row[1] == "top" else 0)
    return ranks, side


ROWS, SIDE = table()

# What a bare node with a GPU lacks, or what would make an import slow.
HEAVY = {
    "av",
    "captum",
    "IPython",
    "matplotlib",
    "pandas",
    "papermill",
    "plotly",
    "pytorchvideo",
    "rich",
    "sklearn",
    "typer",
    "ultralytics",
    "zennit",
}


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def member(path: Path) -> str:
    """The name in the table: the module's own, or its folder's."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> set[str]:
    """Members of the package that a module imports, also inside functions."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            first, _, rest = name.partition(".")
            if first == "vxhelpers" and rest and rest != "__version__":
                found.add(rest.split(".")[0])
    return found


def allowed(name: str) -> set[str]:
    """What a module may import; the side rows get arrays, and know of data only the clip."""
    if name in SIDE:
        return {"errors", "clip", "files", "colours"} | SIDE
    return {other for other, row in ROWS.items() if row < ROWS[name]} | {name}


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_module_imports_only_from_rows_above(path: Path) -> None:
    name = member(path)
    assert name in ROWS, f"{name} is in no row: add it to the table of ARCHITECTURE.md"
    forbidden = imports(ast.parse(path.read_text())) - allowed(name)
    assert not forbidden, f"{name} (row {ROWS[name]}) imports {sorted(forbidden)}"


def test_the_table_names_no_module_that_is_gone() -> None:
    assert set(ROWS) <= {member(path) for path in modules()}
    assert next(iter(ROWS)) == "errors" and ROWS["probe"] < ROWS["gradcam"] < ROWS["cli"]


def test_the_check_sees_every_form_of_import() -> None:
    text = (
        "import vxhelpers.zoo\nfrom vxhelpers import probe, __version__\n"
        "def f():\n    from vxhelpers.stage.scene import x\n"
    )
    assert imports(ast.parse(text)) == {"zoo", "probe", "stage"}
    assert "gradcam" not in allowed("probe")
    assert "probe" not in allowed("figures")


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_public_names_have_docstrings(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "the module says nothing of its job"
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    missing = [
        node.name
        for node in tree.body
        if isinstance(node, definitions)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert not missing


def test_rows_that_a_gpu_node_needs_import_without_the_heavy_libraries() -> None:
    last = ROWS["gradcam"]
    wanted = [dotted(path) for path in modules() if ROWS.get(member(path), 9999) <= last]
    wanted.remove("vxhelpers.colours")  # colour maps are matplotlib's
    script = (
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({sorted(HEAVY)!r}))\n"
        f"for name in {wanted!r}:\n"
        "    try:\n"
        "        importlib.import_module(name)\n"
        "    except ImportError as error:\n"
        "        print(f'{name}: {error}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=PACKAGE.parent
    )
    assert done.returncode == 0, done.stderr
    assert "vxhelpers.zoo" in wanted
    assert not done.stdout, done.stdout
