"""What the study of planted evidence recorded of Video-TCAV (``studies/tcav_planted.py``)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vxhelpers.concept_sets.tracking import TRUTH
from vxhelpers.figures.illustration import Illustration
from vxhelpers.figures.report import Report, Text
from vxhelpers.figures.score_charts import bars
from vxhelpers.figures.table import Interval, Table, table
from vxhelpers.io.code_digest import PACKAGE

CLAIMS: Mapping[str, str] = {
    "dynamic": "movement",
    "towards": "against random sets",
    "distractor": "ball null",
    "distractor_movement": "ball as any movement",
    "distractor_random": "ball as random sets",
}
PAIRS: Mapping[str, str] = {
    "static": "racket dynamic / racket static",
    "backwards": "racket dynamic / racket reversed",
}
RECORD = PACKAGE.parent / "book" / "results" / "tcav_planted.json"
LEARNED = 0.9  # accuracy from which a network is said to have learned its task

Cell = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class TcavRecord(Report):
    """The recorded cells: a network, a task, a training seed.

    Parameters
    ----------
    record
        As the study's docstring describes it.
    """

    record: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path = RECORD) -> "TcavRecord":
        """Read a recorded study, that of the book unless told."""
        return cls(json.loads(path.read_text(encoding="utf-8")))

    @property
    def cells(self) -> list[Cell]:
        """Those with the stage's own boxes."""
        return [cell for cell in self.record["cells"] if cell["boxes"] == TRUTH]

    @property
    def trained(self) -> list[Cell]:
        """Of these the trained networks'."""
        return [cell for cell in self.cells if cell["weights"] == "trained"]

    @property
    def cosines(self) -> dict[str, dict[str, Interval]]:
        """Task and pair to network: mean, least and most over seeds and late layers."""
        column = self.record["columns"]["pairs"].index("alignment")
        values: dict[str, dict[str, list[float]]] = {}
        for cell in self.trained:
            for name, pair in PAIRS.items():
                rows = cell["pairs"][pair][-cell["late"] :]
                nets = values.setdefault(f"{cell['task']}: dynamic, {name}", {})
                nets.setdefault(cell["net"], []).extend(row[column] for row in rows)
        return {
            pair: {net: (float(np.mean(v)), min(v), max(v)) for net, v in nets.items()}
            for pair, nets in values.items()
        }

    def figure(self) -> Illustration:
        """Cosines as bars by network."""
        return bars(self.cosines, units="cosine with the gradient")

    def table(self) -> Table:
        """In how many cells of a network and task each claim was found to hold."""
        keys = dict.fromkeys((c["net"], c["task"], c["weights"]) for c in self.cells)
        groups = [
            [c for c in self.cells if (c["net"], c["task"], c["weights"]) == key] for key in keys
        ]
        columns = {
            "network": [
                f"{net}, {task}" + ("" if weights == "trained" else ", untrained")
                for net, task, weights in keys
            ],
            "seeds": [", ".join(str(c["seed"]) for c in group) for group in groups],
            **{
                title: [_mean([c["test"][name] for c in group if c["test"]]) for group in groups]
                for title, name in (("accuracy", "normal"), ("frozen", "frozen"))
            },
            **{
                text: [_count([c["checks"][name] for c in group], "/") for group in groups]
                for name, text in CLAIMS.items()
            },
        }
        return table(columns, caption="Recorded: cells in which a claim holds", filtered=False)

    def summary(self) -> Text:
        """Where the study was run, and what it found."""
        record = self.record
        runs = "; ".join(
            f"`{run['command']}` (commit {run['commit']}, {run['hardware']}, {run['day']})"
            for run in record["runs"]
        )
        seeds = _listed({c["seed"] for c in self.trained})
        text = (
            f"Recorded by {runs}; training seeds {seeds} of {_listed(record['planned']['seeds'])}; "
            f"{record['options']['count']} clips a concept, {record['options']['sets']} random "
            "sets. "
        )
        if record["missing"]:
            text += f"**{len(record['missing'])} planned cells are not recorded yet.** "
        return Text(
            text + "Numbers are of cells in which a claim was found to hold; on *static*, movement "
            f"must not.\n\n{self._movement()} {self._claims()}{self._detected()}"
        )

    def _movement(self) -> str:
        holds = {
            task: [c["checks"]["dynamic"] for c in self.trained if c["task"] == task]
            for task in self.record["planned"]["tasks"]
        }
        text = "The effect of movement holds in " + " and in ".join(
            f"{_count(found)} trained networks on *{task}*" for task, found in holds.items()
        )
        poor = [c for c in self.trained if c["test"]["normal"] < LEARNED]
        if not poor:
            return f"{text}."
        names = ", ".join(
            f"{c['net']} on *{c['task']}*, seed {c['seed']} ({c['test']['normal']:.2f})"
            for c in poor
        )
        learned = [
            c["checks"]["dynamic"] for c in self.trained if c["task"] == "motion" and c not in poor
        ]
        return (
            f"{text}. Some had not learned their task: {names}; of those that had learned "
            f"*motion*, it holds in {_count(learned)}."
        )

    def _claims(self) -> str:
        expected = self.record["expected"]
        planted = [c["checks"]["as_expected"] for c in self.trained]
        found = {
            text: [
                c["checks"][name] == expected[c["task"]][name]
                for c in self.trained
                if name in expected[c["task"]]
            ]
            for name, text in CLAIMS.items()
        }
        each = "; ".join(f"{text}, {_count(holds)}" for text, holds in found.items() if holds)
        return f"All claims come out as planted in {_count(planted)} cells; one by one: {each}."

    def _detected(self) -> str:
        truth = {(c["net"], c["task"], c["seed"]): c["checks"] for c in self.trained}
        others = [c for c in self.record["cells"] if c["boxes"] != TRUTH]
        same = [
            c["checks"][name] == truth[key][name]
            for c in others
            for key in [(c["net"], c["task"], c["seed"])]
            if key in truth
            for name in CLAIMS
        ]
        if not same:
            return ""
        nets = ", ".join(sorted({c["net"] for c in others}))
        return (
            f" With boxes of the shipped detector in place of the stage's own, {_count(same)} "
            f"claims come out the same ({nets})."
        )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _count(holds: Sequence[bool | None], word: str = " of ") -> str:
    return f"{sum(map(bool, holds))}{word}{len(holds)}"


def _listed(values: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(values)))
