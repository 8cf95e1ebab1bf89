"""What a program depends on: what it imports, in turn, and nothing else."""

from pathlib import Path

import pytest

from vxhelpers import sources

BOOK = Path(__file__).parents[1] / "book"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    files = {
        "__init__.py": "",
        "one.py": "from vxhelpers import two\n",
        "two.py": "def late():\n    import vxhelpers.folder.deep\n",
        "folder/__init__.py": "",
        "folder/deep.py": "import vxhelpers.one as back\n",
        "apart.py": "import vxhelpers.two\n",
        "weights.bin": "1",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_imports_are_followed_also_inside_functions_and_in_circles(package: Path) -> None:
    text = "import numpy\nfrom vxhelpers.one import thing\nfrom vxhelpers import __version__\n"
    assert sources.imported(text) == {"one", "__version__"}
    assert sources.reached(sources.imported(text), package=package) == {"one", "two", "folder"}
    assert sources.reached([], package=package) == frozenset()


@pytest.mark.parametrize(
    ("changed", "matters"),
    [("one.py", True), ("two.py", True), ("folder/deep.py", True), ("apart.py", False)],
)
def test_the_digest_changes_with_what_is_reached_alone(
    package: Path, changed: str, matters: bool
) -> None:
    before = sources.program_digest("import vxhelpers.one", package=package)
    path = package / changed
    path.write_text(path.read_text() + "# more\n")
    assert (sources.program_digest("import vxhelpers.one", package=package) != before) == matters


def test_what_is_no_python_depends_on_everything(package: Path) -> None:
    before = sources.program_digest("1 +", package=package)
    (package / "apart.py").write_text("")
    assert sources.program_digest("1 +", package=package) != before


def test_chapters_depend_on_little_of_the_package() -> None:
    machinery = {"runs", "execution", "processes", "cluster", "progress", "publish", "cli", "live"}
    for chapter in BOOK.glob("*.py"):
        found = sources.reached(sources.imported(chapter.read_text()))
        assert "provenance" in found, chapter.name
        assert not found & machinery, f"{chapter.name} imports {sorted(found & machinery)}"
    simple = sources.reached(sources.imported((BOOK / "gradcam.py").read_text()))
    assert "gradcam" in simple and not simple & {"stce", "tcav", "supervoxel"}
