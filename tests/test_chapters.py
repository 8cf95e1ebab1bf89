"""Every chapter is executed in its quick profile, as `vx run` executes it."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from typer.testing import CliRunner

from vxhelpers.book import publish
from vxhelpers.cli import app

BOOK = Path(__file__).parents[1] / "book"
# Chapters that share clips or results run together, in the order in which the book has them.
GROUPS = (
    ("networks", "gradcam", "across"),
    ("concepts", "tcav"),
    ("stce",),
    ("guide",),
    ("guide_cams",),
    ("guide_gradients",),
    ("guide_hiding",),
    ("guide_relevance",),
    ("guide_inside",),
    ("limits",),
    ("evidence",),
)


def test_no_chapter_is_left_out() -> None:
    assert {name for group in GROUPS for name in group} == {
        path.stem for path in publish.chapter_scripts(BOOK)
    }


@pytest.mark.parametrize("group", GROUPS, ids="+".join)
def test_a_chapter_runs_to_its_end_and_its_figures_have_alternative_texts(
    group: tuple[str, ...], tmp_path: Path
) -> None:
    options = ["--action", "playing tennis", "--profile", "quick", "--jobs", "1"]
    chapters = [word for name in group for word in ("--chapter", name)]
    done = CliRunner().invoke(app, ["run", *options, *chapters, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    notebooks = sorted((tmp_path / "runs").rglob("*.ipynb"))
    assert {path.stem for path in notebooks} == set(group)
    for path in notebooks:
        cells = nbformat.read(path, as_version=4).cells
        figures = [cell for cell in cells if "figure" in cell.metadata.get("mystnb", {})]
        for cell in figures:
            assert _alternative_text(cell), f"{path.stem}: {cell.metadata.mystnb.figure.name}"
        assert not [cell for cell in cells if cell.cell_type == "code" and _warnings(cell)]


def _alternative_text(cell: Any) -> bool:
    """Whether what the cell shows has words for those who do not see it, or is text itself."""
    shown = "".join(output.get("data", {}).get("text/html", "") for output in cell.outputs)
    return "alt=" in shown or "aria-label=" in shown or "<img" not in shown


def _warnings(cell: Any) -> list[str]:
    return [output.text for output in cell.outputs if output.get("name") == "stderr"]
