"""The house of ARCHITECTURE.md: the order of folders, and imports that stay light."""

import ast
import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "vxhelpers"
ARCHITECTURE = PACKAGE.parent / "ARCHITECTURE.md"

# From the ground up: a folder or module imports only from its own line and from lines before it.
FLOORS = (
    {"errors"},
    {"checks"},
    {"stats", "io"},
    {"data"},
    {"figures"},
    {"models"},
    {"attribution", "concepts", "concept_sets", "book"},
    {"stce"},
    {"evaluation"},
    {"live"},
    {"cli"},
)
FLOOR = {name: level for level, names in enumerate(FLOORS) for name in names}

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


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_folders_import_only_from_floors_below() -> None:
    forbidden = [
        f"{dotted(path)} imports {name}"
        for path in modules()
        for name in imports(ast.parse(path.read_text()))
        if name != member(path) and FLOOR[name] >= FLOOR[member(path)]
    ]
    assert not forbidden


def test_the_house_has_these_rooms_and_no_other() -> None:
    assert set(FLOOR) == {member(path) for path in modules()}
    table = re.findall(r"^\| `(\w+)/?` \|", ARCHITECTURE.read_text(), re.M)
    assert [FLOOR[name] for name in table] == sorted(FLOOR[name] for name in FLOOR)


def test_the_check_sees_every_form_of_import() -> None:
    text = (
        "import vxhelpers.models.zoo\nfrom vxhelpers import figures, __version__\n"
        "def f():\n    from vxhelpers.data.stage.scene import x\n"
    )
    assert imports(ast.parse(text)) == {"models", "figures", "data"}


def test_modules_and_public_names_have_docstrings() -> None:
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    missing = []
    for path in modules():
        tree = ast.parse(path.read_text())
        public = [n for n in tree.body if isinstance(n, definitions) and n.name[0] != "_"]
        missing += [
            f"{dotted(path)}.{getattr(node, 'name', '')}"
            for node in (tree, *public)
            if not ast.get_docstring(node)
        ]
    assert not missing


def test_what_a_gpu_node_needs_imports_without_the_heavy_libraries() -> None:
    light = {"errors", "stats", "io", "data", "models", "concepts"}
    needed = [dotted(path) for path in modules() if member(path) in light]
    needed.append("vxhelpers.attribution.gradcam")
    script = (
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({sorted(HEAVY)!r}))\n"
        f"for name in {needed!r}:\n"
        "    try:\n"
        "        importlib.import_module(name)\n"
        "    except ImportError as error:\n"
        "        print(f'{name}: {error}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=PACKAGE.parent
    )
    assert done.returncode == 0, done.stderr
    assert not done.stdout, done.stdout
