"""Planted evidence through Video-TCAV: is it found where it was planted, and only there?

    python studies/tcav_planted.py [--nets r3d c3d] [--seeds 0 1 2] [--weights FOLDER] [--no-train]

Every embedded network is trained on ``motion`` (only the racket's movement tells the classes apart)
and on ``static`` (only the thing in hand and the place do), with several training seeds, and asked
about the dynamic and the static racket, and about a ball that tells nothing. The boxes are the
stage's own, so that what is tested is the method and not a detector; one network is asked again
with the shipped detector's boxes. The same questions go to networks that were never trained.

One cell is a network, a seed, a task; cells are written one by one, and a second call goes on with
those that are missing or whose weights have changed. Seed 0 is what the package ships; other seeds
are looked for in ``--weights`` as ``stage_<net>-<task>-s<seed>.safetensors`` and trained with the
command of the shipped weights' card, and another ``--seed``, where they are not there.

What is written
---------------
``book/results/tcav_planted.json``, at most 300 kB:

``planned``, ``missing``
    Nets, seeds and tasks of the study, and the cells that are not there (each ``net``, ``task``,
    ``seed``, ``weights``, ``boxes``).
``options``, ``actions``, ``claims``
    What all cells have in common: numbers of clips and permutations; the class that is explained in
    each task; and what is claimed of each task, as a sentence for every check.
``columns``
    Names of the columns of the tables ``against_random``, ``pairs``, ``random_pairs``, ``group``.
``runs``
    ``command``, ``commit``, ``hardware``, ``versions``, ``day`` of the calls that cells were made
    in; a cell's ``run`` is an index into them.
``cells``
    Each with ``net``, ``task``, ``seed``, ``weights`` (``"trained"``, ``"random"``), ``boxes``
    (``"ground truth"``, ``"stage"``), ``digest`` (of the weights), ``test`` (accuracy on the test
    split: ``normal``, ``frozen``, ``reversed``, ``shuffled``), ``clips`` (of the concept sets),
    ``layers`` (volume layers, input to output), ``late`` (how many of them are the last third),
    ``degenerate`` (for each layer whether sign counts are 0 or 1 by construction), the tables, and
    ``checks`` (name to true, false or null; null where it cannot be told).

Tables map a name to one row a layer. ``against_random``: a concept against the random sets of its
kind (verdicts as in `vxhelpers.concepts.assessment`). ``pairs``: a set against another, such as
``"racket dynamic / racket static"``; above 0 in magnitude, above 0.5 in sign count the first one
pushes more towards the class. ``p`` is of the magnitude along unit vectors, with labels permuted:
where the sets lie far apart every permutation is about their difference, so that it has little
power just there. ``p_twins`` is of the difference of the twins' linearised scores, not divided by
its length, with each track's two clips swapped at random: exact, and about nothing else. (The first
two cells ever computed, C3D and R3D on motion with seed 0, had been seen with ``p`` alone when
``p_twins`` was added; the checks were regrouped then, too: ``towards`` left ``dynamic``, and the
ball's check became three. By the first grouping both cells fail.)
``random_pairs``: the random sets' dynamic clips against their static ones, which
says what *any* movement does. ``group``: relative scores, each set of
the group against all others (the paper's Figure 9).
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import records
import torch
from networks import ROOT, WEIGHTS, network
from records import tidy

from vxhelpers.concept_sets.crops import Colour, Placement
from vxhelpers.concept_sets.folder import ConceptFolder
from vxhelpers.concept_sets.make import make
from vxhelpers.concept_sets.settings import ClipVersions, ConceptSetSettings, RandomSets
from vxhelpers.concept_sets.tracking import TRUTH
from vxhelpers.concepts.activations import Activations, collect, gram
from vxhelpers.concepts.assessment import assess
from vxhelpers.concepts.cav import Problem, against, cosine, fit
from vxhelpers.concepts.directional_derivatives import (
    Derivatives,
    derivatives,
    directional_derivative,
)
from vxhelpers.concepts.permutation_tests import permuted
from vxhelpers.concepts.sensitivity import tcav_score
from vxhelpers.concepts.tcav import TcavSettings, tcav
from vxhelpers.data.clip import Clip
from vxhelpers.data.datasets import open_data
from vxhelpers.errors import VxError
from vxhelpers.io.files import sha256
from vxhelpers.models import zoo
from vxhelpers.models.evaluate import causal_check
from vxhelpers.models.training.experiment import clips_of
from vxhelpers.stats import bonferroni

OUT = ROOT / "book" / "results" / "tcav_planted.json"
SORTS = ("trained", "random", "detector")
NETS = ("c3d", "r3d", "i3d", "swin3d")
TASKS = {"motion": "forehand", "static": "racket on court"}  # and the class that is explained
OBJECTS = ("racket", "ball")
DETECTED = ("r3d",)  # asked again with a detector's boxes
ALPHA = 0.05
CONTROLS = ("shuffled", "reversed")
KINDS = {
    "dynamic": ("racket dynamic", "racket shuffled", "racket reversed", "ball dynamic"),
    "static": ("racket static", "ball static"),
}
ALONE = ("ball reversed",)  # of no random set
MOVES, BALL = "racket dynamic / racket static", "ball dynamic / ball static"
TURNED, MIXED = "racket dynamic / racket reversed", "racket dynamic / racket shuffled"
BALL_TURNED = "ball dynamic / ball reversed"
PAIRS = (MOVES, TURNED, MIXED, BALL, BALL_TURNED)
CENTRED = ("racket dynamic centred / racket static centred",)
GROUP = ("racket dynamic", "racket static", "ball dynamic", "ball static", "random dynamic 00")
JUDGED = ("racket dynamic", "racket static", "ball dynamic", "ball static")
COLUMNS = {
    "against_random": [
        "sign_count", "sign_count_low", "sign_count_high", "magnitude", "effect", "accuracy",
        "agreement", "p", "verdict",
    ],
    "pairs": [
        "sign_count", "magnitude", "alignment", "accuracy", "accuracy_low", "p",
        "p_twins", "sign_count_logistic", "magnitude_logistic", "agreement",
    ],
    "random_pairs": ["sign_count", "magnitude", "lowest", "highest"],
    "group": ["sign_count", "magnitude", "accuracy"],
}  # fmt: skip
CLAIMS = {
    "beats": "in the last third of the layers the dynamic racket scores above the static one: sign "
    "count above 0.5 and magnitude above 0, by mean difference and by logistic regression",
    "separates": "there the dynamic racket's vectors tell its held-out clips from the static ones "
    "(interval above chance), and more than half of those against random sets do from random ones",
    "significant": "there the gap between a track's dynamic and static clip is above 0 by the test "
    "of twins, corrected for all pairs and layers of the claims",
    "controls": "there the gap exceeds that of each random set between its own dynamic and static "
    "clips, and the dynamic racket beats its own clips played backwards, by the same test",
    "dynamic": "all four: the dynamic racket beats the static one, and every control agrees",
    "towards": "there the dynamic racket is found to push towards the class against random sets, "
    "by the label-permutation test",
    "distractor": "there the ball's movement is null: neither static nor played backwards does the "
    "ball differ from itself dynamic, by the test of twins",
    "distractor_movement": "there the gap between dynamic and static ball is no larger than what "
    "movement makes of random sets, or not significant",
    "distractor_random": "there neither ball concept is found to push towards the class against "
    "random sets",
}
EXPECTED = {
    "motion": {"dynamic": True, "towards": True, "distractor": True, "distractor_movement": True,
               "distractor_random": True},
    "static": {"dynamic": False, "distractor": True, "distractor_movement": True,
               "distractor_random": True},
}  # fmt: skip
Table = dict[str, list[list[Any]]]


@dataclass(frozen=True, order=True)
class Cell:
    """One network, seed and task, with trained or random weights and boxes of some kind."""

    net: str
    task: str
    seed: int
    weights: str = "trained"
    boxes: str = TRUTH

    @property
    def entry(self) -> str:
        return f"stage_{self.net}"

    def __str__(self) -> str:
        return f"{self.net} {self.task} seed {self.seed}, {self.weights}, boxes: {self.boxes}"


@dataclass(frozen=True)
class Options:
    """Numbers that all cells have in common."""

    count: int = 30
    sets: int = 20
    scoring: int = 30
    permutations: int = 500


@dataclass(frozen=True, eq=False)
class Material:
    """The clips of a task, in memory: concept sets, random sets, and clips to score."""

    sets: Mapping[str, Sequence[Clip]]
    scoring: Sequence[Clip]
    made: Mapping[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill in the cells that are missing."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="example: python studies/tcav_planted.py --nets r3d --seeds 0 --no-train",
    )
    parser.add_argument("--nets", nargs="+", choices=NETS, default=NETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=[*TASKS])
    parser.add_argument(
        "--kinds",
        nargs="+",
        choices=SORTS,
        default=SORTS,
        help="trained networks, random weights, trained networks with a detector's boxes",
    )
    parser.add_argument(
        "--weights", type=Path, default=WEIGHTS, help="of other seeds than 0 [default: %(default)s]"
    )
    parser.add_argument("--no-train", action="store_true", help="leave out what has no weights")
    parser.add_argument("--out", type=Path, default=OUT, help="[default: %(default)s]")
    parser.add_argument("--count", type=int, default=30, help="clips a concept [default: 30]")
    parser.add_argument("--sets", type=int, default=20, help="random sets [default: 20]")
    parser.add_argument("--scoring", type=int, default=30, help="clips scored [default: 30]")
    parser.add_argument("--permutations", type=int, default=500, help="[default: 500]")
    parser.add_argument("--batch", type=int, default=16, help="clips a pass [default: 16]")
    parser.add_argument("--threads", type=int, default=1, help="of torch [default: 1]")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    options = Options(given.count, given.sets, given.scoring, given.permutations)
    words = sys.argv[1:] if arguments is None else arguments
    run = records.run_of("tcav_planted", words, ("python", "torch", "numpy"))
    study(
        cells_of(given.nets, given.seeds, given.tasks, given.kinds),
        options,
        out=given.out,
        run=run,
        folder=given.weights,
        train=not given.no_train,
        batch=given.batch,
    )


def cells_of(
    nets: Sequence[str], seeds: Sequence[int], tasks: Sequence[str], kinds: Sequence[str]
) -> list[Cell]:
    """The cells of some nets, seeds, tasks and kinds, trained networks first."""
    sorts = {"trained": ("trained", TRUTH), "random": ("random", TRUTH)}
    sorts |= {"detector": ("trained", "stage")}
    return [
        Cell(net, task, seed, *sorts[kind])
        for kind in SORTS
        for task in tasks
        for seed in seeds
        for net in nets
        if kind in kinds and (kind != "detector" or net in DETECTED)
    ]


# What is planned: untrained networks are a baseline, of which one draw is enough.
ALL = (
    *cells_of(NETS, (0, 1, 2), tuple(TASKS), ("trained", "detector")),
    *cells_of(NETS, (0,), tuple(TASKS), ("random",)),
)


def study(
    cells: Sequence[Cell],
    options: Options,
    *,
    out: Path,
    run: Mapping[str, Any],
    folder: Path,
    train: bool,
    batch: int = 16,
) -> dict[str, Any]:
    """Compute cells one by one and write each into ``out`` as soon as it is there."""
    held: dict[tuple[str, str], Material] = {}
    record = load(out, options)
    for cell in cells:
        model = network(cell, folder, train=train)
        if model is None:
            print(f"{cell}: no weights", flush=True)
            continue
        if records.done(record, cell, model.digest):
            print(f"{cell}: there already", flush=True)
            continue
        if (cell.task, cell.boxes) not in held:
            if {boxes for _, boxes in held} - {cell.boxes}:
                held.clear()  # a gigabyte each
            held[cell.task, cell.boxes] = material(cell.task, cell.boxes, options)
        begun = datetime.now(UTC)
        found = compute(cell, model, held[cell.task, cell.boxes], options, batch=batch)
        found["seconds"] = round((datetime.now(UTC) - begun).total_seconds())
        record = records.add(load(out, options), cell, found, run)
        records.write(record, out, planned=ALL, order=order)
        print(f"{cell}: {found['checks']}", flush=True)
    record = load(out, options)
    records.write(record, out, planned=ALL, order=order)
    return record


# ---- clips ---------------------------------------------------------------------------------------


def material(task: str, boxes: str, options: Options) -> Material:
    """Make or find the concept sets of a task and decode them."""
    data = open_data(f"stage:{task}")

    def ask(placement: Placement, sets: int, fill: Colour | None = None) -> ConceptFolder:
        return make(
            data,
            TASKS[task],
            OBJECTS,
            detector=boxes,
            settings=ConceptSetSettings(
                count=options.count,
                scoring=options.scoring,
                randoms=RandomSets(sets),
                clips=ClipVersions((placement,), CONTROLS, fill=fill),
            ),
        )

    made = ask("in_place", options.sets)
    centred = ask("centred", 0, tuple(made.provenance["fill"]))  # the same pieces, cut otherwise
    sets = {}
    for kind, concepts in KINDS.items():  # a kind's sets side by side
        randoms = [item.name for item in made.select("random") if item.concept.kind == kind]
        sets |= {name: list(made[name].clips) for name in (*concepts, *randoms)}
    sets |= {name: list(made[name].clips) for name in ALONE}
    entry = zoo.ENTRIES[f"stage_{NETS[0]}"]  # all have one geometry
    for pair in CENTRED:
        sets |= {name: list(centred[name].clips_for(entry)) for name in pair.split(" / ")}
    for pair in (*PAIRS, *CENTRED):
        a, b = ((made.sets | centred.sets)[name] for name in pair.split(" / "))
        assert [x["piece"] for x in a.provenance] == [x["piece"] for x in b.provenance]
    known = made.provenance
    facts = {"got": known["got"], "scored": len(made.scoring), "key": known["key"][:16]}
    return Material(sets, [data.clip(row) for row in made.scoring], facts)


# ---- one cell ------------------------------------------------------------------------------------


def compute(
    cell: Cell, model: zoo.Model, clips: Material, options: Options, *, batch: int
) -> dict[str, Any]:
    """Everything that is said of one cell."""
    layers = [layer.name for layer in model.entry.layers if layer.layout != "NC"]
    late, target = math.ceil(len(layers) / 3), TASKS[cell.task]
    rng = np.random.default_rng(cell.seed)
    held = collect(model, clips.sets, layers=layers, batch_size=batch)
    found = derivatives(model, clips.scoring, held, target=target, batch_size=batch)
    m = len(JUDGED) * late
    concepts: Table = {}
    for kind, names in KINDS.items():
        randoms = [name for name in clips.sets if name.startswith(f"random {kind}")]
        scores = tcav(
            model,
            held.only([*names, *randoms]),
            clips.scoring,
            concepts=names,
            randoms=randoms,
            target=target,
            settings=TcavSettings(batch_size=batch),
        )
        for item in assess(scores, rng=rng, m=m, permutations=options.permutations):
            score = item.score
            row = [score.sign_count, score.low, score.high, score.magnitude, score.effect]
            row += [item.cav.accuracy[0], item.cav.agreement, item.verdict.p, item.verdict.outcome]
            concepts.setdefault(item.concept, []).append(tidy(row))
    pairs = {
        pair: [tidy(compare(held, found, layer, pair, rng, options)) for layer in layers]
        for pair in (*PAIRS, *CENTRED)
    }
    result = {
        "digest": model.digest[:16],
        "test": None if cell.weights == "random" else tested(cell, model, batch),
        "clips": clips.made,
        "layers": layers,
        "late": late,
        "degenerate": [bool(found[layer].degenerate) for layer in layers],
        "against_random": concepts,
        "pairs": pairs,
        "random_pairs": [tidy(movement(held, found, layer)) for layer in layers],
        "group": group(held, found),
    }
    return {**result, "checks": checks(result, cell.task)}


def compare(
    held: Activations,
    found: Derivatives,
    layer: str,
    pair: str,
    rng: np.random.Generator,
    options: Options,
) -> list[Any]:
    """A row of ``pairs``: one set against another at one layer."""
    a, b = pair.split(" / ")
    few, products, problem = apart(held, found, layer, a, b)
    K = gram(few)
    mean, logistic = (fit(K, [problem], solver=solver) for solver in ("mean", "logistic"))
    slopes, by_logistic = (directional_derivative(products, v.weights)[0] for v in (mean, logistic))
    lengths = found[layer].lengths
    test = permuted(
        K, products, problem.positive, [problem.negative], rng=rng,
        permutations=options.permutations,
    )["magnitude"]  # fmt: skip
    assert mean.held_out is not None
    return [
        tcav_score(slopes),
        tcav_score(slopes, "magnitude"),
        np.where(lengths > 0, slopes / np.where(lengths > 0, lengths, 1), 0).mean(),
        mean.held_out.accuracy[0],
        mean.held_out.low[0],
        test.p,
        twins_swapped(products[:, problem.positive] - products[:, problem.negative], rng),
        tcav_score(by_logistic),
        tcav_score(by_logistic, "magnitude"),
        cosine(K, mean, logistic)[0],
    ]


def twins_swapped(
    gaps: npt.NDArray[np.float64], rng: np.random.Generator, times: int = 1999
) -> float:
    """Two-sided p of a mean ``(scored clips, twins)`` gap: every twin's sign is drawn anew."""
    each = gaps.mean(0)
    drawn = rng.choice([-1.0, 1.0], (times, len(each))) @ each
    return float((1 + (np.abs(drawn) >= abs(each.sum()) * (1 - 1e-9)).sum()) / (1 + times))


def apart(
    held: Activations, found: Derivatives, layer: str, a: str, b: str
) -> tuple[torch.Tensor, npt.NDArray[np.float64], Problem]:
    """Activations and products of two sets' clips, and the problem of telling them apart."""
    first, second = held.rows(a), held.rows(b)
    rows = np.concatenate([first, second])
    place = np.arange(len(rows))
    problem = Problem(f"{a} against {b}", place[: len(first)], place[len(first) :])
    return held.layers[layer][torch.from_numpy(rows)], found[layer].products[:, rows], problem


def movement(held: Activations, found: Derivatives, layer: str) -> list[Any]:
    """A row of ``random_pairs``: each random set's dynamic clips against its static ones."""
    counts, sizes = [], []
    for name in held.sets:
        if name.startswith("random dynamic"):
            static = name.replace("dynamic", "static")
            few, products, problem = apart(held, found, layer, name, static)
            cav = fit(gram(few), [problem], folds=None).weights
            slopes = directional_derivative(products, cav)[0]
            counts.append(tcav_score(slopes))
            sizes.append(tcav_score(slopes, "magnitude"))
    return [np.mean(counts), np.mean(sizes), np.min(sizes), np.max(sizes)]


def group(held: Activations, found: Derivatives) -> Table:
    """Relative scores of the group: each set against all others, as in the paper's Figure 9."""
    rows = np.concatenate([held.rows(name) for name in GROUP])
    few = held.only(GROUP)
    problems = [against(few.sets, name, [o for o in GROUP if o != name]) for name in GROUP]
    table: Table = {name: [] for name in GROUP}
    for layer, x in few.layers.items():
        cavs = fit(gram(x), problems)
        slopes = directional_derivative(found[layer].products[:, np.unique(rows)], cavs.weights)
        assert cavs.held_out is not None
        scores = tcav_score(slopes), tcav_score(slopes, "magnitude"), cavs.held_out.accuracy
        for name, *row in zip(GROUP, *scores, strict=True):
            table[name].append(tidy(row))
    return table


def tested(cell: Cell, model: zoo.Model, batch: int) -> dict[str, float]:
    """Accuracy on the test split and the causal check: from the card if it is of this very file."""
    path = Path(model.weights)
    card = path.with_suffix(".json")
    if card.is_file():
        known = json.loads(card.read_text())
        if known["file"]["sha256"] == sha256(path):
            causal = known["causal"]["test"]["accuracy"]
            return {name: round(share["value"], 4) for name, share in causal.items()}
    clips, labels = clips_of(open_data(f"stage:{cell.task}"), "test", labels=model.labels)
    check = causal_check(model, clips, labels, rng=np.random.default_rng(0), batch=batch)
    return {name: round(share.value, 4) for name, share in check.accuracy.items()}


# ---- what is claimed -----------------------------------------------------------------------------


def checks(cell: Mapping[str, Any], task: str) -> dict[str, bool]:
    """Each of `CLAIMS` as it was found, and ``as_expected``: whether all of `EXPECTED` were."""
    late = range(len(cell["layers"]) - cell["late"], len(cell["layers"]))
    m = len((MOVES, TURNED, BALL, BALL_TURNED)) * cell["late"]

    def pairs(name: str) -> list[dict[str, Any]]:
        rows = [cell["pairs"][name][layer] for layer in late]
        return [dict(zip(COLUMNS["pairs"], row, strict=True)) for row in rows]

    def verdicts(name: str) -> list[str]:
        return [cell["against_random"][name][layer][-1] for layer in late]

    def above(row: Mapping[str, Any]) -> bool:
        return bool(row["magnitude"] > 0 and row["sign_count"] > 0.5)

    def passes(row: Mapping[str, Any]) -> bool:
        return bonferroni(row["p_twins"], m) <= ALPHA and row["accuracy_low"] > 0.5

    highest = [cell["random_pairs"][layer][-1] for layer in late]
    moves, turned, ball = pairs(MOVES), pairs(TURNED), pairs(BALL)
    found = {
        "beats": all(
            above(row) and row["magnitude_logistic"] > 0 and row["sign_count_logistic"] > 0.5
            for row in moves
        ),
        "separates": all(row["accuracy_low"] > 0.5 for row in moves)
        and "not separated" not in verdicts("racket dynamic"),
        "significant": all(row["magnitude"] > 0 and passes(row) for row in moves),
        "controls": all(above(row) and passes(row) for row in turned)
        and all(row["magnitude"] > most for row, most in zip(moves, highest, strict=True)),
        "towards": {*verdicts("racket dynamic")} == {"towards"},
        "distractor": not any(passes(row) for row in (*ball, *pairs(BALL_TURNED))),
        "distractor_movement": not any(
            passes(row) and row["magnitude"] > most for row, most in zip(ball, highest, strict=True)
        ),
        "distractor_random": "towards" not in verdicts("ball dynamic") + verdicts("ball static"),
    }
    parts = ("beats", "separates", "significant", "controls")
    found["dynamic"] = all(found[name] for name in parts)
    found["as_expected"] = all(found[name] == want for name, want in EXPECTED[task].items())
    return {name: found[name] for name in (*CLAIMS, "as_expected")}


# ---- the file ------------------------------------------------------------------------------------


def load(path: Path, options: Options) -> dict[str, Any]:
    """Read what is there, its checks made anew; raises InputError for other options."""
    common = {
        "study": "tcav_planted",
        "planned": {"nets": [*NETS], "seeds": [0, 1, 2], "tasks": [*TASKS]},
        "missing": [],
        "options": vars(options),
        "actions": TASKS,
        "claims": CLAIMS,
        "expected": EXPECTED,
        "columns": COLUMNS,
    }
    record = records.load(path, common)
    for cell in record["cells"]:
        cell["checks"] = checks(cell, cell["task"])
    return record


def order(cell: Cell) -> tuple[Any, ...]:
    """Ground truth and trained weights first; then by task, net, seed."""
    made = cell.boxes != TRUTH, cell.weights != "trained"
    return *made, [*TASKS].index(cell.task), NETS.index(cell.net), cell.seed


if __name__ == "__main__":
    try:
        main()
    except VxError as error:
        sys.exit(f"error: {error}")
