"""Planted evidence through STCE: do the concepts that rank high decide, and show what decides?

    python studies/stce_planted.py [--nets r3d c3d] [--seeds 0 1 2] [--weights FOLDER] [--no-train]

The embedded networks are trained on ``motion`` (only the racket's movement tells the classes apart)
and on ``static`` (only the thing in hand and the place do), with several training seeds. In each of
them all classes are explained: concepts are discovered in training clips, scored against
supervoxels of the other classes, and added to and removed from test clips. The same is done to
networks that were never trained.

One cell is a network, a seed, a task; cells are written one by one, and a second call goes on with
those that are missing or whose weights have changed; what an interrupted cell had computed is in
the cache. Seed 0 is what the package ships; other seeds are looked for in ``--weights`` as
``stage_<net>-<task>-s<seed>.safetensors``, and trained where they are not there, as in
``tcav_planted.py``.

A cell costs one forward pass a supervoxel and a distinct input: with n supervoxels a clip, 60 n to
discover, 3 x 1000 random ones, 36 n of the test clips, and for each of these at most 2 x 22 x 6
sets of concepts and 2 ends. Rendered clips have about 110 supervoxels, which makes 6,700 + 3,000 +
4,000 + at most 9,600: 23,000 passes or less, of 10 ms (R3D), 14 ms (C3D) or 31 ms (I3D) of one
core. ``--quick`` (6 training and 4 test clips a class, 3 random orders, 20 random groups) takes a
quarter and writes another file: a trial.

What is written
---------------
``book/results/stce_planted.json``, at most 200 kB:

``planned``, ``missing``
    Nets, seeds and tasks of the study, and the cells that are not there (each ``net``, ``task``,
    ``seed``, ``weights``).
``options``, ``recipe``, ``claims``
    What all cells have in common: numbers of clips a class, groups and orders; the recipe; and
    what is claimed, as a sentence for every check.
``columns``
    Names of the columns of the tables below.
``summary``
    For trained networks, for trained networks without the classes that they give a blank input, and
    for random weights: number of ``classes`` (of all cells); for each check, columns ``summary``,
    in how many it holds and in how many it can be told; and ``median_rho``, the median over classes
    of the rank correlations with the evidence, by score and by mean derivative.
``runs``
    ``command``, ``commit``, ``hardware``, ``versions``, ``day`` of the calls that cells were made
    in; a cell's ``run`` is an index into them.
``cells``
    Each with ``net``, ``task``, ``seed``, ``weights`` (``"trained"``, ``"random"``), ``digest`` (of
    the weights), ``blank`` (the class of a blank input, and its probability), ``steps`` (numbers of
    concepts) and ``curves`` (over them, of all classes' clips together: for each operation and
    order, rows ``curves``), ``pooled`` (areas, differences and checks of all test clips together,
    supervoxels given to concepts of the ``true`` or of the ``predicted`` class), ``forwards`` that
    were run (what the cache had is not among them), ``seconds``, and ``classes``.

A class has ``n`` test clips and ``baseline``, the accuracy on them; ``areas`` under the curves, 0
to 1, up to the last concept, for each operation and order; ``differences`` of areas, with paired
bootstrap intervals over clips; ``supervoxels`` that were clustered; ``concepts``, best first;
their ``verdicts``, and how many are ``significant``; ``cav_accuracy``, held out, in the mean;
``degenerate``, whether scores are 0 or 1 by construction; ``decides``, the objects that carry the
evidence; ``agreement``, rank correlations of concepts' scores and mean derivatives with the share
of their voxels on the evidence, and on each object, with intervals, and the object's share of all
voxels (null where all concepts are alike); and ``checks``: name to a pair of true, false or null.
The first of a pair is by accuracy, the second by the label's probability; of ``evidence``, by score
and by mean derivative.

Where the place is evidence (``static``), most of a clip is: what is not is the person.
"""

import argparse
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import records
import torch
from networks import ROOT, WEIGHTS, network
from records import tidy

from vxhelpers.data.clip import Clip
from vxhelpers.data.datasets import open_data
from vxhelpers.data.manifest import Row
from vxhelpers.errors import InputError, VxError
from vxhelpers.io.cache import Store
from vxhelpers.models import samples, zoo
from vxhelpers.stats import mean_interval
from vxhelpers.stce.add_remove import AddRemoveSettings, evaluate
from vxhelpers.stce.coverage import FEWEST, Agreement, agreement, coverage
from vxhelpers.stce.curves import OPERATIONS, ORDERS, AddRemove, Operation, Order, Quantity
from vxhelpers.stce.discovery import discover
from vxhelpers.stce.features import SMALL, Computation, Recipe
from vxhelpers.stce.random_groups import ScoringSettings
from vxhelpers.stce.score import Scores, score

OUT = ROOT / "book" / "results" / "stce_planted.json"
TRIAL = ROOT / "build" / "studies" / "stce_planted_quick.json"
SORTS = ("trained", "random")
NETS = ("c3d", "r3d", "i3d")
SEEDS = (0, 1, 2)
TASKS = ("motion", "static")
QUANTITIES: tuple[Quantity, ...] = ("accuracy", "probability")
PAIRS: tuple[tuple[Order, Order], ...] = (("top", "random"), ("top", "matched"))
ASSIGNED = ("true", "predicted")
OBJECTS = ("person", "racket", "broom", "flag", "ball", "ground")
RHO = 0.5
COLUMNS = {
    "curves": ["accuracy", "probability", "visible"],
    "areas": [*QUANTITIES],
    "differences": [
        "accuracy", "accuracy_low", "accuracy_high",
        "probability", "probability_low", "probability_high",
    ],
    "concepts": ["score", "derivative", "evidence"],
    "agreement": [
        "score", "score_low", "score_high", "derivative", "derivative_low", "derivative_high",
        "area",
    ],
    "checks": ["accuracy", "probability"],
    "summary": ["holds_first", "holds_second", "told_first", "told_second"],
}  # fmt: skip
CLAIMS = {
    "add_order": "adding the top concepts first gives a larger area under the curve than random "
    "orders, in the mean, and these a larger one than the least first",
    "add_significant": "adding: the interval of top minus random lies above 0",
    "add_matched": "adding: the interval of the top order minus random supervoxels that show as "
    "much lies above 0",
    "remove_order": "removing the top concepts first gives a smaller area under the curve than "
    "random orders, in the mean, and these a smaller one than the least first",
    "remove_significant": "removing: the interval of top minus random lies below 0",
    "remove_matched": "removing: the interval of the top order minus random supervoxels of the "
    "same size lies below 0",
    "evidence": "the rank correlation of concepts' scores (or mean derivatives) with the share of "
    f"their voxels that lies on the planted evidence is {RHO} at least",
}
Flags = npt.NDArray[np.bool_]
Table = dict[str, list[Any]]


@dataclass(frozen=True, order=True)
class Cell:
    """One network, seed and task, with trained or random weights."""

    net: str
    task: str
    seed: int
    weights: str = "trained"

    @property
    def entry(self) -> str:
        return f"stage_{self.net}"

    def __str__(self) -> str:
        return f"{self.net} {self.task} seed {self.seed}, {self.weights}"


@dataclass(frozen=True)
class Options:
    """Numbers that all cells have in common; of clips, a class."""

    train: int = 20
    test: int = 12
    groups: int = 50
    permutations: int = 10
    concepts: int = SMALL.concepts
    nearest: int = 20  # so that the random groups are disjoint

    @property
    def recipe(self) -> Recipe:
        return replace(SMALL, concepts=self.concepts, nearest=self.nearest)


QUICK = Options(train=6, test=4, groups=20, permutations=3)


@dataclass(frozen=True, eq=False)
class Material:
    """The clips of a task, in memory.

    Parameters
    ----------
    train
        For each class, clips to discover concepts in.
    masks
        For each class, object to ``(N, T, H, W)`` of these clips; ``evidence`` is what decides.
    decides
        For each class, the objects that make up the evidence.
    test, labels
        Clips to add to and remove from, of all classes, and their classes.
    """

    train: Mapping[str, Sequence[Clip]]
    masks: Mapping[str, Mapping[str, Flags]]
    decides: Mapping[str, tuple[str, ...]]
    test: Sequence[Clip]
    labels: Sequence[str]


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill in the cells that are missing."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="example: python studies/stce_planted.py --nets r3d --seeds 0 --no-train",
    )
    parser.add_argument("--nets", nargs="+", choices=NETS, default=NETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[*SEEDS])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=[*TASKS])
    parser.add_argument(
        "--kinds",
        nargs="+",
        choices=SORTS,
        default=SORTS,
        help="trained networks, random weights (seed 0 alone)",
    )
    parser.add_argument(
        "--weights", type=Path, default=WEIGHTS, help="of other seeds than 0 [default: %(default)s]"
    )
    parser.add_argument("--no-train", action="store_true", help="leave out what has no weights")
    parser.add_argument("--quick", action="store_true", help="a trial with few clips")
    parser.add_argument("--out", type=Path, help=f"[default: {OUT}, of a trial {TRIAL}]")
    parser.add_argument("--batch", type=int, default=32, help="inputs a pass [default: 32]")
    parser.add_argument("--threads", type=int, default=1, help="of torch [default: 1]")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    words = sys.argv[1:] if arguments is None else arguments
    run = records.run_of("stce_planted", words, ("python", "torch", "numpy", "scikit-learn"))
    study(
        cells_of(given.nets, given.seeds, given.tasks, given.kinds),
        QUICK if given.quick else Options(),
        out=given.out or (TRIAL if given.quick else OUT),
        run=run,
        folder=given.weights,
        train=not given.no_train,
        batch=given.batch,
        store=Store(),
    )


def cells_of(
    nets: Sequence[str], seeds: Sequence[int], tasks: Sequence[str], kinds: Sequence[str]
) -> list[Cell]:
    """The cells of some nets, seeds, tasks and kinds, trained networks first."""
    return [
        Cell(net, task, seed, kind)
        for kind in SORTS
        for task in tasks
        for seed in seeds
        for net in nets
        if kind in kinds and (kind == "trained" or seed == 0)
    ]


ALL = tuple(cells_of(NETS, SEEDS, TASKS, SORTS))


def study(
    cells: Sequence[Cell],
    options: Options,
    *,
    out: Path,
    run: Mapping[str, Any],
    folder: Path,
    train: bool,
    batch: int = 32,
    store: Store | None = None,
) -> dict[str, Any]:
    """Compute cells one by one and write each into ``out`` as soon as it is there."""
    held: dict[str, Material] = {}
    record = load(out, options)
    for cell in cells:
        model = network(cell, folder, train=train)
        if model is None:
            print(f"{cell}: no weights", flush=True)
            continue
        if records.done(record, cell, model.digest):
            print(f"{cell}: there already", flush=True)
            continue
        if cell.task not in held:
            held = {cell.task: material(cell.task, model, options)}  # all nets have one geometry
        begun = datetime.now(UTC)
        found = compute(cell, model, held[cell.task], options, batch=batch, store=store)
        found["seconds"] = round((datetime.now(UTC) - begun).total_seconds())
        record = records.add(load(out, options), cell, found, run)
        write(record, out)
        for label, one in found["classes"].items():
            print(f"{cell}, {label}: {one['checks']}", flush=True)
    record = load(out, options)
    write(record, out)
    return record


# ---- clips ---------------------------------------------------------------------------------------


def material(task: str, model: zoo.Model, options: Options) -> Material:
    """Render the clips of a task, with the masks of those that concepts come from."""
    data = open_data(f"stage:{task}")
    train, masks, decides = {}, {}, {}
    test: list[Clip] = []
    labels: list[str] = []
    for label in data.labels:
        found = samples.collect(data, model, spread(data.rows("train", label), options.train))
        evidence: Flags = np.logical_or.reduce([found.masks[name] for name in found.decides])
        train[label], decides[label] = found.clips, found.decides
        objects = {name: found.masks[name] for name in OBJECTS if name in found.masks}
        masks[label] = {"evidence": evidence, **objects}
        rows = spread(data.rows("test", label), options.test)
        test += [data.clip(row) for row in rows]
        labels += [label] * len(rows)
    return Material(train, masks, decides, test, labels)


def spread(rows: Sequence[Row], count: int) -> list[Row]:
    """Take so many rows, evenly spaced: subjects and places take turns in them."""
    if count > len(rows):
        raise InputError(f"{len(rows)} clips of class {rows[0].label!r} where {count} are wanted")
    return [rows[i] for i in np.linspace(0, len(rows) - 1, count).round().astype(int)]


# ---- one cell ------------------------------------------------------------------------------------


def compute(
    cell: Cell,
    model: zoo.Model,
    clips: Material,
    options: Options,
    *,
    batch: int,
    store: Store | None,
) -> dict[str, Any]:
    """Everything that is said of one cell."""
    explained: dict[str, Scores] = {}
    results: dict[str, AddRemove] = {}
    kept = Computation(batch, store)
    with counted(model) as forwards:
        for place, label in enumerate(clips.train):
            rng = np.random.default_rng([cell.seed, place])
            found = discover(
                model, None, clips.train[label], rng=rng, recipe=options.recipe, computation=kept
            )
            others = [clip for name in clips.train if name != label for clip in clips.train[name]]
            explained[label] = score(
                found, model, label, randoms=others, rng=rng,
                settings=ScoringSettings(groups=options.groups), computation=kept,
            )  # fmt: skip
        for assigned in ASSIGNED:  # the same orders: where the prediction is right, nothing changes
            results[assigned] = evaluate(
                model, explained, clips.test, clips.labels,
                rng=np.random.default_rng([cell.seed, len(explained)]),
                settings=AddRemoveSettings(assigned, permutations=options.permutations),  # type: ignore[arg-type]
                computation=kept,
            )  # fmt: skip
    whose = np.array(clips.labels)
    classes = {}
    for label, scores in explained.items():
        one = judged(results["true"], whose == label)
        one |= described(scores, clips.masks[label], clips.decides[label])
        classes[label] = one | {"checks": checks(one)}
    pooled = {name: judged(one, np.full(len(whose), True)) for name, one in results.items()}
    blank = results["true"].blank
    return {
        "digest": model.digest[:16],
        "blank": [blank[0], *fixed([blank[1]])],
        "steps": results["true"].steps.tolist(),
        "curves": curves(results["true"]),
        "pooled": {name: one | {"checks": checks(one)} for name, one in pooled.items()},
        "classes": classes,
        "forwards": sum(forwards),
    }


@contextmanager
def counted(model: zoo.Model) -> Iterator[list[int]]:
    """Inputs of each of the network's passes."""
    passes: list[int] = []
    handle = model.net.register_forward_hook(lambda _net, x, _out: passes.append(len(x[0])))
    try:
        yield passes
    finally:
        handle.remove()


def judged(result: AddRemove, mine: Flags) -> dict[str, Any]:
    """Areas under the curves of some of the clips, and differences with their intervals."""

    def area(operation: Operation, order: Order, quantity: Quantity) -> npt.NDArray[np.float64]:
        return result.areas(operation, order, quantity)[mine]

    areas: Table = {}
    differences: Table = {}
    for operation in OPERATIONS:
        for order in ORDERS:
            row = [area(operation, order, quantity).mean() for quantity in QUANTITIES]
            areas[f"{operation} {order}"] = fixed(row)
        for a, b in PAIRS:
            row = []
            for quantity in QUANTITIES:
                gap = area(operation, a, quantity) - area(operation, b, quantity)
                mean = mean_interval(gap, rng=np.random.default_rng(0))
                row += [mean.value, mean.low, mean.high]
            differences[f"{operation} {a} - {b}"] = fixed(row)
    baseline = result["add", "top"].correct[0, mine, -1].mean()
    return {
        "n": int(mine.sum()),
        "baseline": fixed([baseline])[0],
        "areas": areas,
        "differences": differences,
    }


def described(scores: Scores, masks: Mapping[str, Flags], decides: Sequence[str]) -> dict[str, Any]:
    """A class's concepts, and whether they rank like what they show."""
    covered = coverage(scores.discovery, masks)
    table = scores.ranked()
    evidence = covered.shares["evidence"]
    concepts = [
        [*fixed([line.score]), *tidy([line.derivative]), *fixed([evidence[line.concept]])]
        for line in table
    ]
    agree: Table = {}
    for name, share in covered.shares.items():
        row = []
        for values in (scores.score, scores.derivative):
            row += triple(agreement(values, share) if len(scores) >= FEWEST else None)
        agree[name] = [*row, *fixed([covered.areas[name]])]
    return {
        "supervoxels": len(scores.discovery.pieces),
        "concepts": concepts,
        "verdicts": dict(Counter(line.verdict.outcome for line in table)),
        "significant": sum(line.verdict.interpreted for line in table),
        "cav_accuracy": fixed([scores.accuracy.mean()])[0],
        "degenerate": bool(scores.degenerate),
        "decides": [*decides],
        "agreement": agree,
    }


def triple(found: Agreement | None) -> list[Any]:
    """A correlation with its interval; three nulls where there is none."""
    return [None] * 3 if found is None else fixed([found.rho, found.low, found.high], 2)


def fixed(row: Sequence[float] | npt.NDArray[np.float64], digits: int = 3) -> list[float]:
    """Shares and their differences, to so many decimals."""
    return [round(float(value), digits) + 0.0 for value in row]  # no negative zero


def curves(result: AddRemove) -> dict[str, list[list[Any]]]:
    """Means over clips and runs, for each operation and order: a row a quantity."""
    return {
        f"{operation} {order}": [
            *(fixed(result.mean(operation, order, quantity)[0], 2) for quantity in QUANTITIES),
            fixed(result[operation, order].visible.mean((0, 1)), 2),
        ]
        for operation in OPERATIONS
        for order in ORDERS
    }


# ---- what is claimed -----------------------------------------------------------------------------


def checks(found: Mapping[str, Any]) -> dict[str, list[bool | None]]:
    """Each of `CLAIMS` as it was found, twice; pooled classes have no concepts of their own."""
    result: dict[str, list[bool | None]] = {name: [] for name in CLAIMS}
    for k, quantity in enumerate(QUANTITIES):
        for operation, sign in (("add", 1), ("remove", -1)):
            rows = found["differences"]
            top, random, least = (
                sign * found["areas"][f"{operation} {order}"][k]
                for order in ("top", "random", "least")
            )
            result[f"{operation}_order"].append(top > random > least)
            for name, pair in (("significant", "top - random"), ("matched", "top - matched")):
                row = dict(zip(COLUMNS["differences"], rows[f"{operation} {pair}"], strict=True))
                low, high = row[f"{quantity}_low"], row[f"{quantity}_high"]
                result[f"{operation}_{name}"].append(low > 0 if operation == "add" else high < 0)
    if "agreement" not in found:
        del result["evidence"]
        return result
    row = dict(zip(COLUMNS["agreement"], found["agreement"]["evidence"], strict=True))
    for name in ("score", "derivative"):
        result["evidence"].append(None if row[name] is None else row[name] >= RHO)
    return result


def summary(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """In how many classes of all cells each claim holds, for each sort of networks."""
    every = [
        (cell["weights"], label == cell["blank"][0], one)
        for cell in cells
        for label, one in cell["classes"].items()
    ]
    sorts = {sort: [one for kind, _, one in every if kind == sort] for sort in SORTS}
    sorts["trained, not of a blank input"] = [
        one for kind, blank, one in every if kind == "trained" and not blank
    ]
    found = {}
    for sort, classes in sorts.items():
        told = {name: [one["checks"][name] for one in classes] for name in CLAIMS}
        rows = {
            name: [sum(pair[k] is True for pair in pairs) for k in (0, 1)]
            + [sum(pair[k] is not None for pair in pairs) for k in (0, 1)]
            for name, pairs in told.items()
        }
        medians = []
        for name in ("score", "derivative"):
            place = COLUMNS["agreement"].index(name)
            known = [one["agreement"]["evidence"][place] for one in classes]
            known = [rho for rho in known if rho is not None]
            medians.append(fixed([statistics.median(known)])[0] if known else None)
        found[sort] = {"classes": len(classes), "checks": rows, "median_rho": medians}
    return found


# ---- the file ------------------------------------------------------------------------------------


def load(path: Path, options: Options) -> dict[str, Any]:
    """Read what is there; raises InputError where it was made with other options."""
    common = {
        "study": "stce_planted",
        "planned": {"nets": [*NETS], "seeds": [*SEEDS], "tasks": [*TASKS]},
        "missing": [],
        "options": vars(options),
        "recipe": {"segments": [*options.recipe.segments], "threshold": options.recipe.threshold},
        "claims": CLAIMS,
        "columns": COLUMNS,
        "summary": {},
    }
    record = records.load(path, common)
    for cell in record["cells"]:
        for one in (*cell["classes"].values(), *cell["pooled"].values()):
            one["checks"] = checks(one)
    return record


def order(cell: Cell) -> tuple[Any, ...]:
    """Trained weights first; then by task, net, seed."""
    return cell.weights != "trained", TASKS.index(cell.task), NETS.index(cell.net), cell.seed


def write(record: dict[str, Any], path: Path) -> None:
    """Write the file, with what it comes to."""
    record["summary"] = summary(record["cells"])
    records.write(record, path, planned=ALL, order=order)


if __name__ == "__main__":
    try:
        main()
    except VxError as error:
        sys.exit(f"error: {error}")
