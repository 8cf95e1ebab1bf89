"""Planted evidence through every method: does it name where, when, and whether it is movement?

    python studies/evidence_planted.py [--nets r3d c3d] [--seeds 0 1 2] [--methods Grad-CAM RISE]

All methods of `vxhelpers.attribution.registry`, network-independent baselines too, and those of
concepts (`vxhelpers.evaluation.planted_concepts`: they answer what they can) explain the same test
clips of the three planted tasks (``motion``, ``static``, ``shortcut``) in the embedded networks
with several training seeds, and in networks that were never trained. The questions, and that chance
is one half in each, are those of `vxhelpers.evaluation.planted`.

One cell is a network, a training seed and a method, on all tasks; cells are written one by one, and
a second call goes on with those that are missing or whose weights have changed. Seed 0 is what the
package ships; other seeds are looked for in ``--weights`` as
``stage_<net>-<task>-s<seed>.safetensors``, and trained with the command of the shipped weights'
card, and another ``--seed``, where they are not there.

What is written
---------------
``book/results/evidence_planted.json``, at most 400 kB:

``planned``, ``missing``
    Nets, seeds, tasks and methods of the study, and the cells that are not there.
``options``
    ``count``, the clips of each task, of which methods of hundreds of passes a map explain the
    first ``few``; ``clips``, the seed that they are drawn with.
``questions``
    Each question as a sentence.
``columns``
    Names of the columns of ``rows``.
``runs``
    ``command``, ``commit``, ``hardware``, ``versions``, ``day`` of the calls that cells were made
    in; a cell's ``run`` is an index into them.
``cells``
    Each with ``net``, ``seed``, ``weights`` (``"trained"``, ``"random"``), ``method``, ``family``,
    ``digest`` (of the weights of all tasks), ``right`` (for each task the share of the very clips
    whose class the network gives right: where it is low there is little to explain), and ``rows``,
    one an answer: mean over clips and its 95 % interval, null where the method failed, and then
    ``failed`` says why. ``seconds`` are those of one clip's map, on a machine that did other work.
"""

import argparse
import hashlib
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import records
import torch
from networks import ROOT, WEIGHTS, network
from records import tidy

from vxhelpers.attribution import registry
from vxhelpers.errors import VxError
from vxhelpers.evaluation.planted import QUESTIONS, Line, Trial, judge, trial
from vxhelpers.evaluation.planted_concepts import ENTRANTS
from vxhelpers.models.zoo import Model

OUT = ROOT / "book" / "results" / "evidence_planted.json"
NETS = ("r3d", "c3d", "i3d")
SEEDS = (0, 1, 2)
TASKS = ("motion", "static", "shortcut")
SORTS = ("trained", "random")
COLUMNS = ["task", "question", "value", "low", "high", "n", "seconds"]
METHODS = {method.name: method for method in (*registry.METHODS, *ENTRANTS.values())}
# A hundred passes a map, or more.
DEAR = (*ENTRANTS, "occlusion", "Score-CAM", "LIME", "kernel SHAP", "RISE")


@dataclass(frozen=True, order=True)
class Cell:
    """One method in one network, with a training seed or random weights."""

    net: str
    seed: int
    weights: str
    method: str

    def __str__(self) -> str:
        return f"{self.method}, {self.net} seed {self.seed}, {self.weights}"


@dataclass(frozen=True)
class Net:
    """What `networks` looks up: the network of a cell on one task."""

    net: str
    task: str
    seed: int
    weights: str


@dataclass(frozen=True)
class Options:
    """What all cells have in common."""

    count: int = 8  # clips a task
    few: int = 4  # of them, for methods of hundreds of passes a map
    clips: int = 0  # seed they are drawn with


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill in the cells that are missing."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog='example: python studies/evidence_planted.py --nets r3d --methods "deep Taylor"',
    )
    parser.add_argument("--nets", nargs="+", choices=NETS, default=NETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[*SEEDS])
    parser.add_argument("--methods", nargs="+", choices=[*METHODS], default=[*METHODS])
    parser.add_argument("--kinds", nargs="+", choices=SORTS, default=SORTS)
    parser.add_argument(
        "--weights", type=Path, default=WEIGHTS, help="of other seeds than 0 [default: %(default)s]"
    )
    parser.add_argument("--no-train", action="store_true", help="leave out what has no weights")
    parser.add_argument("--out", type=Path, default=OUT, help="[default: %(default)s]")
    parser.add_argument("--threads", type=int, default=1, help="of torch [default: 1]")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    words = sys.argv[1:] if arguments is None else arguments
    run = records.run_of("evidence_planted", words, ("python", "torch", "numpy"))
    study(
        cells_of(given.nets, given.seeds, given.kinds, given.methods),
        Options(),
        out=given.out,
        run=run,
        folder=given.weights,
        train=not given.no_train,
    )


def cells_of(
    nets: Sequence[str], seeds: Sequence[int], kinds: Sequence[str], names: Sequence[str]
) -> list[Cell]:
    """Cells of some nets, seeds, kinds and methods, in the order they are computed in."""
    cells = [
        Cell(net, seed, kind, name)
        for seed in seeds
        for kind in SORTS
        for net in nets
        for name in names
        if kind in kinds and (kind == "trained" or seed == 0)
    ]
    return sorted(cells, key=order)


def order(cell: Cell) -> tuple[Any, ...]:
    """Dear methods last; of others shipped networks first, then further seeds, then random ones."""
    sort = SORTS.index(cell.weights)
    dear = cell.method in DEAR
    return dear, sort, cell.seed, NETS.index(cell.net), [*METHODS].index(cell.method)


ALL = tuple(cells_of(NETS, SEEDS, SORTS, [*METHODS]))


def study(
    cells: Sequence[Cell],
    options: Options,
    *,
    out: Path,
    run: Mapping[str, Any],
    folder: Path,
    train: bool,
) -> dict[str, Any]:
    """Compute cells one by one and write each into ``out`` as soon as it is there."""
    held: dict[tuple[str, int, str], tuple[list[Trial], str, dict[str, float]]] = {}
    record = load(out, options)
    for cell in cells:
        which = (cell.net, cell.seed, cell.weights)
        if which not in held:
            held = {which: material(cell, options, folder, train=train)}
        trials, of_weights, right = held[which]
        if not trials:
            print(f"{cell}: no weights", flush=True)
            continue
        if records.done(record, cell, of_weights):
            continue
        if cell.method in DEAR:
            trials = [first(one, options.few) for one in trials]
        lines = ask(cell.method, trials, seed=options.clips)
        found = {"family": METHODS[cell.method].family, "digest": of_weights[:16], "right": right}
        found["rows"] = [row(line) for line in lines]
        if failed := [line.failed for line in lines if line.failed]:
            found["failed"] = failed[0]
        record = records.add(load(out, options), cell, found, run)
        records.write(record, out, planned=ALL, order=order)
        print(f"{cell}: {statistics.fmean(line.skill for line in lines):+.2f}", flush=True)
    record = load(out, options)
    records.write(record, out, planned=ALL, order=order)
    return record


def material(
    cell: Cell, options: Options, folder: Path, *, train: bool
) -> tuple[list[Trial], str, dict[str, float]]:
    """The trials of a cell's networks, a digest of their weights, and how often they are right."""
    nets = {
        task: network(Net(cell.net, task, cell.seed, cell.weights), folder, train=train)
        for task in TASKS
    }
    trials, right = [], {}
    for task, model in nets.items():
        if model is None:
            return [], "", {}
        rng = np.random.default_rng(options.clips)  # the same clips in all networks
        one = trial(task, model, count=options.count, rng=rng)
        with torch.inference_mode():
            named = model.logits(one.x).argmax(1).cpu()
        right[task] = float((named == one.target).float().mean())
        trials.append(one)
    return trials, digest([one.model for one in trials]), right


def digest(models: Sequence[Model]) -> str:
    """One digest of the weights of several networks."""
    return hashlib.sha256("".join(model.digest for model in models).encode()).hexdigest()


def ask(name: str, trials: Sequence[Trial], *, seed: int) -> list[Line]:
    """A method's answers to all questions that it is asked."""
    rng = np.random.default_rng(seed)
    if name in ENTRANTS:
        return ENTRANTS[name].lines(trials, rng=rng)
    return judge(registry.named(name)[0], trials, rng=rng)


def first(one: Trial, count: int) -> Trial:
    """The first clips of a trial."""
    part = (one.x[:count], one.target[:count], one.evidence[:count])
    return Trial(one.task, one.kind, one.model, *part)


def row(line: Line) -> list[Any]:
    """A row of a cell's table; None stands for what a failed method does not say."""
    score = line.score
    numbers = [None] * 4 if score is None else [score.value, score.low, score.high, score.n]
    told = [None if v is None else tidy([v])[0] for v in (*numbers, line.seconds)]
    return [line.task, line.question, *told]


def load(path: Path, options: Options) -> dict[str, Any]:
    """Read what is there; raises InputError where it was made with other options."""
    planned = {"nets": [*NETS], "seeds": [*SEEDS], "tasks": [*TASKS], "methods": [*METHODS]}
    common = {
        "study": "evidence_planted",
        "planned": planned,
        "missing": [],
        "options": vars(options),
        "questions": QUESTIONS,
        "columns": COLUMNS,
    }
    return records.load(path, json.loads(json.dumps(common)))


if __name__ == "__main__":
    try:
        main()
    except VxError as error:
        sys.exit(f"error: {error}")
