"""What a program depends on: what it imports, in turn, and nothing else."""

from pathlib import Path

import pytest

from vxhelpers.io import code_digest

BOOK = Path(__file__).parents[2] / "book"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    files = {
        "__init__.py": "",
        "one.py": "from vxhelpers import two\n",
        "two.py": "def late():\n    import vxhelpers.folder.deep\n",
        "folder/__init__.py": "",
        "folder/deep.py": "import vxhelpers.one as back\n",
        "apart.py": "import vxhelpers.two\n",
        "folder/beside.py": "",
        "weights.bin": "1",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_imports_are_followed_also_inside_functions_and_in_circles(package: Path) -> None:
    text = "import numpy\nfrom vxhelpers.one import thing\nfrom vxhelpers import __version__\n"
    assert code_digest.imported(text) == {"one", "one.thing", "__version__"}
    found = code_digest.reached(code_digest.imported(text), package=package)
    assert found == {"one", "two", "folder", "folder.deep"}
    assert code_digest.reached([], package=package) == frozenset()


@pytest.mark.parametrize(
    ("changed", "matters"),
    [
        ("one.py", True),
        ("two.py", True),
        ("folder/deep.py", True),
        ("folder/__init__.py", True),
        ("apart.py", False),
        ("folder/beside.py", False),
    ],
)
def test_the_digest_changes_with_what_is_reached_alone(
    package: Path, changed: str, matters: bool
) -> None:
    before = code_digest.program_digest("import vxhelpers.one", package=package)
    path = package / changed
    path.write_text(path.read_text() + "# more\n")
    assert (
        code_digest.program_digest("import vxhelpers.one", package=package) != before
    ) == matters


def test_what_is_no_python_depends_on_everything(package: Path) -> None:
    before = code_digest.program_digest("1 +", package=package)
    (package / "apart.py").write_text("")
    assert code_digest.program_digest("1 +", package=package) != before


def test_chapters_depend_on_little_of_the_package() -> None:
    machinery = {"runs", "execute", "runner", "cluster", "progress", "publish"}
    unused = {f"book.{name}" for name in machinery} | {"cli", "live"}
    for chapter in BOOK.glob("*.py"):
        found = code_digest.reached(code_digest.imported(chapter.read_text()))
        assert "data.provenance" in found, chapter.name
        assert not found & unused, f"{chapter.name} imports {sorted(found & unused)}"
    simple = code_digest.reached(code_digest.imported((BOOK / "gradcam.py").read_text()))
    assert "attribution.gradcam" in simple
    assert not simple & {"stce.score", "concepts.tcav", "data.segmentation.supervoxels"}
