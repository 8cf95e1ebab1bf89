"""Two builds of the book are the same, or what differs is named."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

SCRIPT = Path(__file__).with_name("same_results.py")
METRIC = "application/vnd.vxhelpers.metric+json"


def build(folder: Path, *, value: float = 0.5, text: str = "accuracy 0.75 of 12 clips") -> Path:
    """A build folder of one chapter that shows a metric and a sentence."""
    metric = {"name": "accuracy", "value": value, "low": 0.4, "high": 0.6, "n": 12}
    outputs = [
        nbformat.v4.new_output("display_data", data={METRIC: metric}),
        nbformat.v4.new_output("display_data", data={"text/html": f"<p>{text}</p>"}),
    ]
    cell = nbformat.v4.new_code_cell("1", outputs=outputs)
    path = folder / "runs" / "tennis" / "networks.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return folder


@pytest.mark.parametrize(
    ("changes", "same"),
    [({}, True), ({"value": 0.5001}, False), ({"text": "accuracy 0.74 of 12 clips"}, False)],
)
def test_what_differs_is_found(tmp_path: Path, changes: dict[str, str], same: bool) -> None:
    before, after = build(tmp_path / "a"), build(tmp_path / "b", **changes)  # type: ignore[arg-type]
    done = subprocess.run([sys.executable, SCRIPT, before, after], capture_output=True, text=True)
    assert (done.returncode == 0) == same, done.stdout


def test_two_empty_folders_are_not_the_same(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, SCRIPT, tmp_path, tmp_path], capture_output=True)
    assert done.returncode
