"""How a run goes on: a live table for people, and a log of one line an event for programs."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from vxhelpers.book import timing
from vxhelpers.book.run_targets import Target
from vxhelpers.book.runs import Cell, Event, Run
from vxhelpers.io.files import WriteError

_SHOWN = 12  # running chapters in the live table, at most

Pair = tuple[Target, Path]


@dataclass
class Board:
    """The state of a run, as its events tell it.

    Parameters
    ----------
    pairs
        What is to be run.
    expected
        Seconds that each is expected to take; None where it never ran.
    workers
        Chapters at a time.
    clock
        Gives seconds; a test gives its own.
    """

    pairs: Sequence[Pair]
    expected: dict[Pair, float | None]
    workers: int
    clock: Callable[[], float] = time.monotonic
    started: dict[Pair, float] = field(default_factory=dict)
    cells: dict[Pair, tuple[int, int]] = field(default_factory=dict)
    ended: dict[Pair, Run] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, Cell):
            self.cells[event.job.target, event.job.chapter] = (event.number, event.total)
        elif isinstance(event, Run):
            self.ended[event.target, event.chapter] = event
        else:
            self.started.setdefault(event, self.clock())

    def running(self) -> list[Pair]:
        """What has started and not ended, longest first."""
        return [pair for pair in self.started if pair not in self.ended]

    def left(self) -> float | None:
        """Seconds until all is done; None where nothing is known yet."""
        known = set(self.started) | set(self.ended)
        now = self.clock()
        return timing.left(
            [self.expected.get(pair) for pair in dict.fromkeys(self.pairs) if pair not in known],
            [(self.expected.get(pair), now - self.started[pair]) for pair in self.running()],
            [run.record["seconds"] for run in self.ended.values() if run.status == "done"],
            workers=max(self.workers, len(self.running())),
        )

    def table(self) -> RenderableType:
        """The running chapters, and what is left, for a terminal."""
        table = Table(box=None, padding=(0, 2, 0, 0))
        for column in ("class", "chapter", "cell", "time"):
            table.add_column(column, overflow="ellipsis", no_wrap=True, max_width=48)
        running = self.running()
        for pair in running[:_SHOWN]:
            target, chapter = pair
            number, total = self.cells.get(pair, (0, 0))
            stage = f"{number} of {total}" if total else "starts"
            spent = _words(self.clock() - self.started[pair])
            table.add_row(*map(Text, (target.label, chapter.stem, stage, spent)))
        if len(running) > _SHOWN:
            table.add_row(f"and {len(running) - _SHOWN} more")
        counts = {s: sum(r.status == s for r in self.ended.values()) for s in ("failed", "kept")}
        text = f"{len(self.ended)} of {len(dict.fromkeys(self.pairs))} chapters"
        text += "".join(f", {count} {status}" for status, count in counts.items() if count)
        seconds = self.left()
        text += "; time left not known yet" if seconds is None else f"; {_words(seconds)} left"
        return Group(table, Text(text, style="bold"))


def _words(seconds: float) -> str:
    """A time for people: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    hours = timedelta(seconds=whole) // timedelta(hours=1)
    return f"{hours} h {whole % 3600 // 60:02d} min"


@contextmanager
def shown(
    console: Console, pairs: Sequence[Pair], *, out: Path, workers: int
) -> Iterator[Callable[[Event], None]]:
    """Show a run on a terminal and log it to ``out/logs/run.log``, event by event.

    Gives what is to be called with each event. Elsewhere than on a terminal, only the lines of
    finished chapters are printed. The log has one JSON object a line, with ``time`` (UTC) and
    ``event``: begin, start, done, kept, failed, interrupted, stopped or end.
    """
    board = Board(pairs, timing.expected(pairs, timing.records(out)), workers)
    log = out / "logs" / "run.log"

    def report(event: Event) -> None:
        if not (board.started or board.ended):
            begin = {"pid": os.getpid(), "host": socket.gethostname()}
            _write(log, "begin", chapters=len(dict.fromkeys(pairs)), workers=workers, **begin)
        board.take(event)
        if isinstance(event, Run):
            _write(log, event.status, **_said(event))
            if event.status != "kept":
                cost = f" {event.record['seconds']:.0f} s" if event.record else ""
                text = f"{event.status}{cost}  {event.target.label}: {event.chapter.stem}"
                text += f" ({event.warning})" if event.warning else ""
                console.print(text, markup=False, highlight=False, soft_wrap=True)
        elif not isinstance(event, Cell):
            _write(log, "start", **_named(*event))

    live: AbstractContextManager[Any] = nullcontext()
    if console.is_terminal:
        live = Live(
            get_renderable=board.table, console=console, refresh_per_second=2, transient=True
        )
    ending, why = "end", ""
    try:
        with live:
            yield report
    except BaseException as error:
        ending = "interrupted" if isinstance(error, KeyboardInterrupt) else "stopped"
        why = "" if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"
        raise
    finally:
        if board.started or board.ended:
            counts = {s: sum(r.status == s for r in board.ended.values()) for s in _STATUSES}
            try:
                _write(log, ending, **counts, **({"why": why} if why else {}))
            except WriteError:
                if ending == "end":  # else the first error says it
                    raise


_STATUSES = ("done", "kept", "failed")


def _named(target: Target, chapter: Path) -> dict[str, Any]:
    return {
        "class": target.action,
        "dataset": target.dataset,
        "model": target.model,
        "weights": target.weights,
        "chapter": chapter.stem,
    }


def _said(run: Run) -> dict[str, Any]:
    said = _named(run.target, run.chapter)
    if run.status != "failed":
        said |= {"key": run.record["key"], "seconds": run.record["seconds"]}
    if run.failure:
        said |= {"cell": run.failure.cell, "error": run.failure.error}
        said |= {"notebook": str(run.failure.notebook) if run.failure.notebook else None}
    return said | ({"warning": run.warning} if run.warning else {})


def _write(log: Path, event: str, **said: Any) -> None:
    """Append one line to the log, at once and in one piece."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = json.dumps({"time": now, "event": event, **said}, ensure_ascii=False) + "\n"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab", buffering=0) as file:
            file.write(line.encode())
    except OSError as error:
        raise WriteError(
            f"cannot write {log}: {error.strerror or error}; free some space or name another place"
        ) from error
