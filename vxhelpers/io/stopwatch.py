"""How long a process spent in its named stages, and how often: what a run costs, and where."""

import atexit
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: Where the process leaves its times when it ends; not set, it leaves none.
VARIABLE = "VX_TIMES"
_times: dict[str, tuple[int, float]] = {}


@contextmanager
def timed(stage: str) -> Iterator[None]:
    """Add the body's time, and one to the count, to a stage of this process.

    Examples
    --------
    >>> with timed("clips"):
    ...     frames = list(range(8))
    """
    started = time.perf_counter()
    try:
        yield
    finally:
        count, seconds = _times.get(stage, (0, 0.0))
        _times[stage] = (count + 1, seconds + time.perf_counter() - started)


def times() -> dict[str, tuple[int, float]]:
    """For each stage of this process: how often, and seconds in all."""
    return dict(_times)


@atexit.register
def _leave() -> None:
    """Leave the times in the file that the environment names, for the process that started us."""
    if VARIABLE in os.environ and _times:
        with suppress(OSError):  # who asked is gone, and its folder too
            Path(os.environ[VARIABLE]).write_text(json.dumps(_times), encoding="utf-8")
