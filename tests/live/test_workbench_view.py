"""The workbench's table: what stands in it, and where the dot and the band of chance are."""

import re
from dataclasses import replace

from vxhelpers.live.workbench import LayerRow
from vxhelpers.live.workbench_view import HEAD, scores_table

LINE = LayerRow("layer<1>", 0.75, -0.004, {"sign_count": (0.25, 0.5), "magnitude": (-0.001, 0.001)},
            0.8, 1.0, 12, 16, 6, "")  # fmt: skip


def cells(text: str) -> list[list[str]]:
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", text.split("<tbody>")[1])
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in rows]


def test_a_line_is_a_row() -> None:
    (row,) = cells(scores_table([LINE], {}))
    assert len(row) == len(HEAD)
    assert row[:3] == ["layer&lt;1&gt;", "0.75", "0.25 to 0.50"]
    assert row[4:] == ["−0.004", "−0.001 to 0.001", "0.80"]
    rect = re.search(r'rect x="([\d.]+)".*?width="([\d.]+)"', row[3])
    dot = re.search(r'circle cx="([\d.]+)"', row[3])
    assert rect and dot and (float(rect[1]), float(rect[2]), float(dot[1])) == (31, 25, 81)
    assert "0.75; by chance 0.25 to 0.50" in row[3]


def test_changes_and_doubts_are_said() -> None:
    before = {LINE.layer: replace(LINE, sign_count=0.5, magnitude=-0.001)}
    doubtful = replace(LINE, separates=0.4, degenerate="all gradients are alike")
    text = scores_table([doubtful], before)
    (row,) = cells(text)
    assert row[1] == "0.75 (+0.25)" and row[4] == "−0.004 (−0.003)"
    assert row[6] == "0.80, does not separate"
    assert "n = 16 clips" in text and "6 random sets" in text
    assert "layer&lt;1&gt;: all gradients are alike." in text
    assert (
        "alike" not in scores_table([LINE], {}) and scores_table([], {}) == "<p>Choose a layer.</p>"
    )
