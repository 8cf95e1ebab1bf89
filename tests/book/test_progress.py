"""Progress: what the live table says of a run, and the log that programs read."""

import errno
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from vxhelpers.book import progress
from vxhelpers.book.execute import Failure, Job, Run
from vxhelpers.book.run_targets import Target
from vxhelpers.book.runner import Cell
from vxhelpers.io.files import WriteError

CHAPTER = Path("tiny.py")
NASTY = Target("[red]a[/red]\nb", "stage:kth", "m")
OTHER = Target("boxing", "stage:kth", "m")
PAIRS = [(NASTY, CHAPTER), (OTHER, CHAPTER)]


def _run(target: Target, status: Any, **more: Any) -> Run:
    record = {"seconds": 30.0, "key": "k"} if status != "failed" else {}
    return Run(target, CHAPTER, Path("n"), status, record, **more)


def _text(board: progress.Board) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(board.table())
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_table_says_what_runs_and_what_is_left() -> None:
    now = [0.0]
    board = progress.Board(PAIRS, {}, 1, clock=lambda: now[0])
    assert "0 of 2 chapters; time left not known yet" in _text(board)
    board.take(PAIRS[0])
    now[0] = 65.0
    assert "starts" in _text(board)
    board.take(Cell(Job(*PAIRS[0], "", "", "", Path()), 3, 12))
    shown = _text(board)
    assert "[red]a[/red]" in shown and "3 of 12" in shown and "1 min 05 s" in shown
    board.take(_run(NASTY, "done"))
    assert "1 of 2 chapters; 30 s left" in _text(board)
    board.take(_run(OTHER, "failed"))
    assert "2 of 2 chapters, 1 failed; 0 s left" in _text(board)
    known = progress.Board(PAIRS, dict.fromkeys(PAIRS, 4000.0), 1, clock=lambda: 0)
    assert "2 h 13 min left" in _text(known)


def _log(out: Path) -> list[dict[str, Any]]:
    lines = (out / "logs" / "run.log").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_the_log_has_a_line_an_event(tmp_path: Path) -> None:
    console = Console(file=io.StringIO())
    with progress.shown(console, PAIRS, out=tmp_path, workers=1) as report:
        assert not (tmp_path / "logs").exists()  # nothing before the folder is held
        report(PAIRS[0])
        report(_run(NASTY, "done", warning="tiny.py was edited"))
        report(_run(OTHER, "failed", failure=Failure("[3] assert x", "it broke", None)))
    begin, start, done, failed, end = _log(tmp_path)
    assert [e["event"] for e in _log(tmp_path)] == ["begin", "start", "done", "failed", "end"]
    assert (begin["chapters"], begin["workers"]) == (2, 1)
    assert (start["class"], start["chapter"]) == (NASTY.action, "tiny")
    assert (done["seconds"], done["key"], done["warning"]) == (30, "k", "tiny.py was edited")
    assert (failed["cell"], failed["error"]) == ("[3] assert x", "it broke")
    assert (end["done"], end["kept"], end["failed"]) == (1, 0, 1)
    assert all(e["time"].endswith("+00:00") for e in _log(tmp_path))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "done 30 s  [red]a[/red]" in said and "(tiny.py was edited)" in said


@pytest.mark.parametrize(
    ("error", "event"), [(KeyboardInterrupt(), "interrupted"), (ValueError("why"), "stopped")]
)
def test_how_a_run_ended_early_is_in_the_log(
    tmp_path: Path, error: BaseException, event: str
) -> None:
    with pytest.raises(type(error)):  # noqa: SIM117
        with progress.shown(Console(file=io.StringIO()), PAIRS, out=tmp_path, workers=1) as report:
            report(PAIRS[0])
            raise error
    last = _log(tmp_path)[-1]
    assert last["event"] == event and last.get("why") in (None, "ValueError: why")


def test_a_full_disk_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(WriteError, match=r"cannot write .*run\.log: No space left"):  # noqa: SIM117
        with progress.shown(Console(file=io.StringIO()), PAIRS, out=tmp_path, workers=1) as report:
            monkeypatch.setattr(Path, "open", full)
            report(PAIRS[0])
