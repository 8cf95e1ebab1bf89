"""Costs: schedules that can be checked by hand, and estimates from records."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vxhelpers.book import timing
from vxhelpers.book.run_targets import Target
from vxhelpers.cli import app
from vxhelpers.errors import InputError

A, B = Path("a.py"), Path("b.py")
RUN = Target("running", "stage:kth", "stage_r3d", profile="quick")
BOX = Target("boxing", "stage:kth", "stage_r3d", profile="quick")
C3D = Target("boxing", "stage:kth", "stage_c3d", profile="quick")
SLOW = Target("boxing", "stage:kth", "stage_c3d")


def _record(
    chapter: str, target: Target, seconds: float, startup: float = 1, clips: float | None = 2
) -> dict[str, object]:
    stage = {"count": 4, "seconds": clips}
    told = {"seconds": seconds, "startup": startup, "clips": stage, "parameters": vars(target)}
    return {"chapter": chapter, **told}


@pytest.mark.parametrize(
    ("seconds", "workers", "end"),
    [([], 2, 0), ([3], 8, 3), ([1, 2, 3], 1, 6), ([4, 1, 1, 1], 2, 4), ([1, 1, 1, 4], 2, 5)],
)
def test_each_goes_to_the_first_free_worker(seconds: list[float], workers: int, end: float) -> None:
    assert timing.schedule(seconds, workers) == end


def test_the_likest_earlier_runs_tell_what_a_chapter_takes() -> None:
    known = [_record("a", RUN, 10), _record("a", RUN, 30), _record("a", C3D, 100)]
    wanted = [(RUN, A), (BOX, A), (C3D, A), (SLOW, A), (RUN, B)]
    found = timing.expected(wanted, known)
    assert [found[pair] for pair in wanted] == [20, 20, 100, None, None]


def test_time_left_counts_what_runs_and_fills_in_what_is_not_known() -> None:
    assert timing.left([None], [(None, 5)], [], workers=2) is None
    assert timing.left([10, 10], [(10, 4), (10, 20)], [], workers=2) == 16
    assert timing.left([None, None], [(None, 1)], [4, 6], workers=1) == 14
    assert timing.left([], [], [3], workers=2) == 0


def test_records_that_cannot_be_used_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "x"
    folder.mkdir(parents=True)
    (folder / "a.json").write_text(json.dumps(_record("a", RUN, 1)))
    (folder / "b.json").write_text("{")
    (folder / "c.json").write_text("{}")
    assert [record["chapter"] for record in timing.records(tmp_path)] == ["a"]
    assert timing.records(tmp_path / "gone") == []


def test_the_stages_are_medians_and_their_rest_is_the_network() -> None:
    known = [
        _record("a", RUN, 10, 1, 2),
        _record("a", BOX, 20, 3, 4),
        _record("b", RUN, 5, 1, None),
    ]
    known.append(_record("a", SLOW, 1000))
    assert timing.measured(known, profile="quick") == [
        timing.Chapter("a", 2, 3, 10),
        timing.Chapter("b", 1, 0, 4),
    ]
    assert timing.Chapter("a", 2, 3, 10).seconds == 15
    with pytest.raises(InputError, match=r"profile 'other' .* there are runs of quick, standard"):
        timing.measured(known, profile="other")


def test_a_forecast_that_can_be_added_up_by_hand() -> None:
    chapters = [timing.Chapter("a", 1, 2, 7), timing.Chapter("b", 1, 1, 8)]
    one = timing.forecast(chapters, classes=4, workers=1)
    assert (one.seconds, one.busy, one.bottleneck) == (80, 1, "analysis")
    assert one.shares == pytest.approx({"startup": 0.1, "clips": 0.15, "analysis": 0.75})
    eight = timing.forecast(chapters, classes=8, workers=8)
    assert (eight.seconds, eight.busy, eight.bottleneck) == (20, 1, "analysis")
    many = timing.forecast(chapters, classes=4, workers=64)
    assert (many.seconds, many.bottleneck) == (10, "longest chapter")
    assert many.busy == pytest.approx(80 / 640)
    fast = timing.forecast(chapters, classes=4, workers=1, faster=10)
    assert fast.seconds == pytest.approx(4 * (5 + 1.5)) and fast.bottleneck == "clips"
    ends = timing.forecast(chapters, classes=4, workers=1, single=[timing.Chapter("c", 20, 0, 0)])
    assert ends.seconds == 100 and ends.shares["startup"] == pytest.approx(0.28)
    with pytest.raises(InputError, match="above 0"):
        timing.forecast(chapters, classes=4, workers=0)


def test_the_plan_counts_a_chapter_of_the_whole_book_once(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "x"
    folder.mkdir(parents=True)
    for name, seconds in (("gradcam", 36), ("guide", 3600)):  # one a class, and one a book
        record = _record(name, RUN, seconds) | {"hardware": "two cores"}
        (folder / f"{name}.json").write_text(json.dumps(record))
    words = ["plan", "--profile", "quick", "--out", str(tmp_path), "--gpus", "1"]
    said = CliRunner().invoke(app, words, env={"COLUMNS": "100"})
    assert said.exit_code == 0, said.output
    assert "400 classes, 1 chapters each, and 1 once" in said.output
    assert "5.0 h" in said.output and "two cores" in said.output
    failed = CliRunner().invoke(app, ["plan", "--out", str(tmp_path)])
    assert failed.exit_code == 1 and "runs of quick" in " ".join(failed.output.split())
