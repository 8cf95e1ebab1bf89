"""The recorded study of many networks (``studies/stce_planted.py``), read and summarised."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vxhelpers.figures.report import Report, Text, escape_markdown
from vxhelpers.figures.table import Cell, Table, table
from vxhelpers.stce.coverage import Agreement, agreement

Interval = tuple[float, float, float]  # mean, lowest, highest
BY_PROBABILITY = 1  # of a pair of checks: by accuracy, by probability
CHECKS = ("order", "significant", "matched")


@dataclass(frozen=True)
class Explained:
    """One class of one network of the study: the recorded cell and the recorded class."""

    cell: Mapping[str, Any]
    label: str
    found: Mapping[str, Any]

    @property
    def rho(self) -> float | None:
        """Rank correlation of mean derivatives with the share on the evidence."""
        value: float | None = self.found["agreement"]["evidence"][3]
        return value

    def holds(self, check: str, second: int = BY_PROBABILITY) -> bool | None:
        """Whether a claim holds; None where that cannot be told."""
        value: bool | None = self.found["checks"][check][second]
        return value


@dataclass(frozen=True)
class RecordedStudy(Report):
    """All classes of the planted tasks in several networks and training seeds, as recorded.

    Parameters
    ----------
    record
        The content of ``stce_planted.json``; its form is described in the study's script.
    """

    record: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> "RecordedStudy":
        """Read the recorded file."""
        return cls(json.loads(path.read_text(encoding="utf-8")))

    @cached_property
    def classes(self) -> tuple[Explained, ...]:
        """Every class of every network."""
        return tuple(
            Explained(cell, label, found)
            for cell in self.record["cells"]
            for label, found in cell["classes"].items()
        )

    def of(self, task: str | None, weights: str = "trained") -> tuple[Explained, ...]:
        """Classes of a task, or of all, in networks with ``"trained"`` or ``"random"`` weights."""
        return tuple(
            one
            for one in self.classes
            if one.cell["weights"] == weights and task in (None, one.cell["task"])
        )

    def groups(self) -> dict[str, tuple[Explained, ...]]:
        """Name to classes: each task in trained networks, then each in untrained ones."""
        tasks = self.record["planned"]["tasks"]
        found = {task: self.of(task) for task in tasks}
        found |= {f"{task}, untrained": self.of(task, "random") for task in tasks}
        return {name: some for name, some in found.items() if some}

    def correlations(self) -> dict[str, dict[str, Interval]]:
        """Group to network to the rank correlation with the evidence, over seeds and classes."""
        return {name: by_net(some, lambda one: one.rho) for name, some in self.groups().items()}

    def gains(self) -> dict[str, dict[str, Interval]]:
        """Operation and control to network to the area that top gains; above 0 as claimed."""
        return {
            f"{operation}, against {control}": by_net(
                self.of(None),
                lambda one, key=f"{operation} top - {control}", sign=sign: (  # type: ignore[misc]
                    sign * one.found["differences"][key][3]
                ),
            )
            for operation, sign in (("add", 1), ("remove", -1))
            for control in ("random", "matched")
        }

    def table(self) -> Table:
        rows = [
            (net, name, [one for one in some if one.cell["net"] == net])
            for name, some in self.groups().items()
            for net in dict.fromkeys(one.cell["net"] for one in some)
        ]
        columns: dict[str, Sequence[Cell]] = {
            "network": [f"{net}, {name}" for net, name, _ in rows]
        }
        for operation, side in (("add", ">"), ("remove", "<")):
            for check, title in zip(
                CHECKS, ("order", f"{side} random", f"{side} matched"), strict=True
            ):
                key = f"{operation}_{check}"
                columns[f"{operation}: {title}"] = [_count(some, key) for *_, some in rows]
        columns["evidence"] = [_count(some, "evidence") for *_, some in rows]
        rhos = [[one.rho for one in some if one.rho is not None] for *_, some in rows]
        columns["median correlation"] = [float(np.median(rho)) if rho else None for rho in rhos]
        return table(
            columns,
            caption="Recorded: classes in which a claim holds, of those in which it can be told, "
            "by probability. Order: top, random, least in the mean; then top against a control, "
            "95 % interval on the claimed side; evidence: rank correlation of 0.5 or more.",
        )

    def held(self, check: str, who: str = "trained", second: int = BY_PROBABILITY) -> str:
        """In how many classes a claim holds, of those in which it can be told: ``"3 of 9"``."""
        counts = self.record["summary"][who]["checks"][check]
        return f"{counts[second]} of {counts[2 + second]}"

    def summary(self) -> Text:
        total, bare = (self.record["summary"][who] for who in ("trained", "random"))
        options, missing = self.record["options"], self.record["missing"]
        runs = "; ".join(
            f"`{run['command']}` (commit {run['commit']}, {run['hardware']}, {run['day']})"
            for run in self.record["runs"]
        )
        apart = "trained, not of a blank input"
        parts = [
            f"Recorded by {runs}; {options['train']} clips to discover in and {options['test']} "
            "test clips "
            f"a class, {options['groups']} random groups, {options['permutations']} random orders; "
            "the small "
            f"recipe with the {options['nearest']} nearest supervoxels.",
            f"**{len(missing)} planned cells are not recorded yet.**" if missing else "",
            f"In trained networks, the order holds in {self.held('add_order')} classes when adding "
            "and "
            f"in {self.held('remove_order')} when removing. Top beats random in "
            f"{self.held('add_significant')} and {self.held('remove_significant')}, and random "
            "supervoxels "
            f"that show as much in {self.held('add_matched')} and {self.held('remove_matched')}.",
            "By accuracy in place of probability: "
            + "; ".join(
                f"{self.held(f'add_{check}', second=0)}, {self.held(f'remove_{check}', second=0)}"
                for check in CHECKS
            )
            + ".",
            f"The median rank correlation with the evidence is {_pair(total['median_rho'])} by "
            "score and "
            "by mean derivative"
            + (f", in untrained networks {_pair(bare['median_rho'])}." if bare["classes"] else "."),
            "Without classes that the network gives a blank input, the order holds in "
            f"{self.held('add_order', apart)} and {self.held('remove_order', apart)}.",
        ]
        return Text(" ".join(filter(None, parts)))


@dataclass(frozen=True)
class FailuresReport(Report):
    """Every trained class in which an order does not hold, and what might be behind it."""

    study: RecordedStudy

    def table(self) -> Table:
        rows = list(self._failures())
        columns: dict[str, Sequence[Cell]] = {
            "network": [
                f"{c['net']}, {c['task']}, seed {c['seed']}" for c in (r.cell for r, _ in rows)
            ],
            "class": [one.label for one, _ in rows],
            "fails": [", ".join(broken) for _, broken in rows],
            "accuracy": [one.found["baseline"] for one, _ in rows],
            "probability of a blank clip": [
                one.cell["blank"][1] if one.cell["blank"][0] == one.label else None
                for one, _ in rows
            ],
            "area, random order, adding": [one.found["areas"]["add random"][1] for one, _ in rows],
            "largest share on the evidence": [
                f"{_best(one):.0%} of {_area(one):.0%}" for one, _ in rows
            ],
        }
        return table(columns, caption="Recorded: classes in which an order does not hold")

    def _failures(self) -> Iterator[tuple[Explained, list[str]]]:
        for one in self.study.of(None):
            broken = [op for op in ("add", "remove") if not one.holds(f"{op}_order")]
            if broken:
                yield one, broken

    def agreements(self) -> tuple[Agreement | None, Agreement | None]:
        """Over classes: the correlation of rho with coverage of the evidence, and with the gain."""
        known = [one for one in self.study.of(None) if one.rho is not None]
        rho = np.array([one.rho for one in known])
        shares = np.array([_best(one) / _area(one) for one in known])
        gains = np.array([one.found["differences"]["add top - random"][3] for one in known])
        return agreement(rho, shares), agreement(rho, gains)

    def _task(self, task: str) -> str:
        some = self.study.of(task)
        seen = {
            order: np.mean(
                [
                    cell["curves"][f"add {order}"][2][cell["steps"].index(5)]
                    for cell in self.study.record["cells"]
                    if (cell["task"], cell["weights"]) == (task, "trained")
                ]
            )
            for order in ("top", "random")
        }
        counts = {
            check: sum(one.holds(check) is True for one in some)
            for check in ("add_order", "remove_order", "add_matched", "remove_matched")
        }
        return (
            f"On *{escape_markdown(task)}* five top concepts show {seen['top']:.0%} of a clip and "
            "five of a "
            f"random order {seen['random']:.0%}. The order holds in {counts['add_order']} of "
            f"{len(some)} "
            f"classes when adding and in {counts['remove_order']} when removing; top is clear of "
            f"supervoxels that show as much in {counts['add_matched']} and "
            f"{counts['remove_matched']}."
        )

    def summary(self) -> Text:
        by_share, by_gain = self.agreements()
        tasks = [self._task(t) for t in self.study.record["planned"]["tasks"] if self.study.of(t)]
        tasks.append(
            "Over all trained classes, the ranking's agreement with the evidence has a rank "
            "correlation "
            f"of {by_share} with how much better than chance the best concept covers the evidence, "
            "and of "
            f"{by_gain} with what the top order gains over random ones when adding. Classes of one "
            "network "
            "are not independent."
        )
        return Text(" ".join(tasks))


def by_net(
    some: Sequence[Explained], value: Callable[[Explained], float | None]
) -> dict[str, Interval]:
    """Mean, lowest and highest of each network, over seeds and classes."""
    found: dict[str, list[float]] = {}
    for one in some:
        if (known := value(one)) is not None:
            found.setdefault(one.cell["net"], []).append(known)
    return {net: (float(np.mean(v)), min(v), max(v)) for net, v in found.items()}


def _count(some: Sequence[Explained], check: str) -> str:
    held = [one.holds(check) for one in some]
    return f"{sum(v is True for v in held)}/{sum(v is not None for v in held)}"


def _pair(values: Sequence[float]) -> str:
    return f"{values[0]:+.2f} and {values[1]:+.2f}"


def _best(one: Explained) -> float:
    """The largest share of a concept's voxels that lie on the evidence."""
    return float(max(concept[2] for concept in one.found["concepts"]))


def _area(one: Explained) -> float:
    """The evidence's share of the clips."""
    return float(one.found["agreement"]["evidence"][6])
