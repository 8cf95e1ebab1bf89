"""What chapters cost, from their records: the time that is left, and what more machines change."""

import heapq
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vxhelpers.book.run_targets import Target
from vxhelpers.errors import InputError


def records(out: Path) -> list[dict[str, Any]]:
    """The records of all finished runs of a build folder; damaged ones are left out."""
    found = []
    for path in sorted((out / "runs").glob("*/[!.]*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if {"chapter", "seconds", "startup", "clips", "parameters"} <= record.keys():
                found.append(record)
        except (OSError, ValueError, AttributeError):
            continue
    return found


def expected(
    pairs: Iterable[tuple[Target, Path]], known: Sequence[Mapping[str, Any]]
) -> dict[tuple[Target, Path], float | None]:
    """Seconds that each chapter will take: the median of what it took, for targets most like it.

    Parameters
    ----------
    pairs
        What is to be run.
    known
        Records of earlier runs.

    Returns
    -------
    dict
        None for a chapter that was never run with this profile.
    """
    groups: dict[tuple[object, ...], list[float]] = {}
    for record in known:
        for group in _likeness(record["chapter"], record["parameters"]):
            groups.setdefault(group, []).append(float(record["seconds"]))
    return {
        (target, chapter): next(
            (
                statistics.median(groups[group])
                for group in _likeness(chapter.stem, vars(target))
                if group in groups
            ),
            None,
        )
        for target, chapter in pairs
    }


def _likeness(chapter: str, values: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """What a run is like, from the same class down to the same chapter in the same profile."""
    told = (values.get("profile"), values.get("model"), values.get("dataset"), values.get("action"))
    return [(chapter, *told[:count]) for count in (4, 3, 2, 1)]


def schedule(seconds: Sequence[float], workers: int) -> float:
    """Time until the last of these is done, each going in its turn to the first free worker."""
    free = [0.0] * max(1, min(workers, len(seconds)))
    for cost in seconds:
        heapq.heapreplace(free, free[0] + cost)
    return max(free)


def left(
    waiting: Sequence[float | None],
    running: Sequence[tuple[float | None, float]],
    done: Sequence[float],
    *,
    workers: int,
) -> float | None:
    """Seconds until all is done; None where nothing is known of any chapter.

    Parameters
    ----------
    waiting
        What the chapters that have not started are expected to take, in their order.
    running
        What those that run are expected to take, and for how long they have been running.
    done
        What those took that are done; their mean stands in for what is not known.
    workers
        Chapters at a time.
    """
    told = [cost for cost in (*waiting, *(cost for cost, _ in running)) if cost is not None]
    if not (told or done):
        return None
    typical = statistics.mean(done or told)
    going = [max(0.0, (typical if cost is None else cost) - spent) for cost, spent in running]
    return schedule(going + [typical if cost is None else cost for cost in waiting], workers)


@dataclass(frozen=True)
class Chapter:
    """What one chapter costs each time that it runs, in seconds, by stage.

    ``startup``: the process, its kernel and the imports. ``clips``: decoding or rendering.
    ``analysis``: the rest, which is the network's passes and what is computed from them.
    """

    name: str
    startup: float
    clips: float
    analysis: float

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.startup + self.clips + self.analysis


def measured(known: Sequence[Mapping[str, Any]], *, profile: str = "standard") -> list[Chapter]:
    """The median cost of each chapter, from records of one profile.

    Raises
    ------
    InputError
        If there is none of this profile.
    """
    rows: dict[str, list[tuple[float, float, float]]] = {}
    profiles = sorted({str(record["parameters"].get("profile")) for record in known})
    for record in known:
        if record["parameters"].get("profile") == profile:
            start, clips = record["startup"], record["clips"]["seconds"] or 0.0
            rest = max(0.0, record["seconds"] - start - clips)
            rows.setdefault(record["chapter"], []).append((start, clips, rest))
    if not rows:
        others = f"; there are runs of {', '.join(profiles)} (--profile)" if profiles else ""
        raise InputError(
            f"no finished run of profile {profile!r} to measure; `vx run` makes some{others}"
        )
    return [
        Chapter(name, *(statistics.median(stage) for stage in zip(*found, strict=True)))
        for name, found in rows.items()
    ]


@dataclass(frozen=True)
class Forecast:
    """What a collection would take on so many workers.

    Parameters
    ----------
    workers
        One chapter at a time each.
    seconds
        Until the last chapter is done.
    busy
        Share of the workers' time that is used, 0 to 1.
    shares
        Share of the work that each stage is, 0 to 1.
    bottleneck
        What to make faster first: a stage by its name, or ``"longest chapter"`` where more workers
        would not help, because that one alone takes nearly all of the time.
    """

    workers: int
    seconds: float
    busy: float
    shares: Mapping[str, float]
    bottleneck: str


def forecast(
    chapters: Sequence[Chapter],
    *,
    classes: int,
    workers: int,
    single: Sequence[Chapter] = (),
    faster: float = 1.0,
) -> Forecast:
    """Simulate the chapters of many classes on many workers: list scheduling of independent jobs.

    A simple model: every class costs what the measured ones cost, workers are alike and never wait
    for a disk or for one another, and only the analysis is faster on other hardware.

    Parameters
    ----------
    chapters
        Of every class, as :func:`measured` gives them.
    classes
        How many.
    workers
        Processes with a GPU (or a share of the cores) each.
    single
        Chapters that the book holds once, whatever its classes; they come last.
    faster
        How many times as fast the analysis is there as where it was measured.

    Raises
    ------
    InputError
        If a number is not above 0.
    """
    if min(classes, workers) < 1 or faster <= 0:
        raise InputError(f"classes ({classes}), workers ({workers}), faster ({faster}): above 0")
    there = [
        Chapter(c.name, c.startup, c.clips, c.analysis / faster)
        for c in (*[*chapters] * classes, *single)
    ]
    costs = [chapter.seconds for chapter in there]
    total, end = sum(costs), schedule(costs, workers)
    stages = {
        "startup": sum(c.startup for c in there) / total,
        "clips": sum(c.clips for c in there) / total,
        "analysis": sum(c.analysis for c in there) / total,
    }
    alone = max(costs) > 0.9 * end and workers > 1
    return Forecast(
        workers,
        end,
        total / (end * workers),
        stages,
        "longest chapter" if alone else max(stages, key=stages.__getitem__),
    )
