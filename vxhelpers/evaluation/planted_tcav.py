"""Does Video-TCAV find what was planted? Pairs of concept sets on the stage's tasks, and claims.

On *motion* nothing but the racket's movement decides, on *static* nothing but the thing in hand and
the place. So the dynamic racket must push more than the static one, and more forwards than
backwards, on *motion* alone; and the ball's movement must do nothing on either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vxhelpers.concept_sets.make import make
from vxhelpers.concept_sets.settings import ClipVersions, ConceptSetSettings, Output, RandomSets
from vxhelpers.concept_sets.tracking import TRUTH
from vxhelpers.concepts.activations import collect
from vxhelpers.concepts.relative import PairScores, compare_pairs
from vxhelpers.concepts.tcav import TcavSettings, tcav
from vxhelpers.data.clip import Clip
from vxhelpers.data.datasets import open_data
from vxhelpers.figures.illustration import Illustration
from vxhelpers.figures.report import Report, Text
from vxhelpers.figures.table import Table, table
from vxhelpers.io.cache import Store
from vxhelpers.models import zoo

CLASSES: Mapping[str, str] = {"motion": "forehand", "static": "racket on court"}
RACKET, BACKWARDS = "racket: dynamic, static", "racket: forwards, backwards"
BALL, OTHERS = "ball: dynamic, static", "other things: dynamic, static"
QUESTIONS: Mapping[str, tuple[str, str]] = {
    RACKET: ("racket dynamic", "racket static"),
    BACKWARDS: ("racket dynamic", "racket reversed"),
    BALL: ("ball dynamic", "ball static"),
    OTHERS: ("others dynamic", "others static"),
}
UNTRAINED = "random"
LAYERS = ("layer1", "layer2", "layer3", "layer4")  # of stage_r3d
LATE = 2  # last layers, at which claims are tested

Key = tuple[str, str]  # task and weights


@dataclass(frozen=True)
class PlantedSets:
    """Concept clips of a task, and clips of its class to be scored.

    Parameters
    ----------
    task
        Of `CLASSES`.
    labels
        Of the task's classes.
    sets
        Name of each set to its clips, those of other things pooled.
    clips
        Of the class that is explained.
    """

    task: str
    labels: tuple[str, ...]
    sets: Mapping[str, Sequence[Clip]]
    clips: Sequence[Clip]


def planted_sets(task: str, *, count: int, scoring: int, seed: int, store: Store) -> PlantedSets:
    """Cut a task's concept clips along the stage's own boxes: here the method is tested."""
    data = open_data(f"stage:{task}")
    settings = ConceptSetSettings(
        count=count,
        scoring=scoring,
        randoms=RandomSets(sets=2),
        clips=ClipVersions(("in_place",), ("reversed",)),
    )
    made = make(
        data,
        CLASSES[task],
        ["racket", "ball"],
        detector=TRUTH,
        settings=settings,
        seed=seed,
        output=Output(store=store),
    )
    sets = {item.name: [*item.clips] for item in made.sets.values()}
    for kind in ("dynamic", "static"):
        sets[f"others {kind}"] = sets[f"random {kind} 00"] + sets[f"random {kind} 01"]
    return PlantedSets(task, tuple(data.labels), sets, [data.clip(row) for row in made.scoring])


def ask_all(
    *,
    count: int = 24,
    scoring: int = 30,
    layers: Sequence[str] = LAYERS,
    seed: int = 0,
    rng: np.random.Generator,
    permutations: int = 1000,
) -> "PlantedAnswers":
    """Put all questions to the trained and to an untrained network of every task.

    Parameters
    ----------
    count, scoring
        Clips a concept, and clips that are scored.
    """
    store = Store()
    given = {
        task: planted_sets(task, count=count, scoring=scoring, seed=seed, store=store)
        for task in CLASSES
    }
    answers = {
        (task, w): ask(given[task], w, layers=layers, seed=seed, rng=rng, permutations=permutations)
        for task in CLASSES
        for w in (task, UNTRAINED)
    }
    return PlantedAnswers(answers)


def ask(
    given: PlantedSets,
    weights: str,
    *,
    layers: Sequence[str],
    seed: int,
    rng: np.random.Generator,
    permutations: int,
) -> PairScores:
    """Put all `QUESTIONS` to ``stage_r3d`` with some weights: cosines with the class's gradient."""
    model = zoo.load("stage_r3d", weights=weights, labels=given.labels, seed=seed)
    held = collect(model, given.sets, layers=layers, batch_size=16)
    scores = tcav(
        model, held, given.clips, concepts=["racket dynamic"], target=CLASSES[given.task],
        randoms=["random static 00", "random static 01"],
        settings=TcavSettings(solvers=("mean",), folds=None, batch_size=10),
    )  # fmt: skip
    return compare_pairs(
        scores, QUESTIONS, rng=rng, statistic="alignment", permutations=permutations
    )


@dataclass(frozen=True)
class PlantedAnswers(Report):
    """Answers of trained and untrained networks, held against what was planted.

    Parameters
    ----------
    answers
        Task and weights (the task's own, or ``"random"``) to the scores of `QUESTIONS`.
    """

    answers: Mapping[Key, PairScores]

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest end of the trained networks' intervals, and a little more."""
        found = [f.score for (task, w), a in self.answers.items() if task == w for f in a.scores]
        return min(low for _, low, _ in found) - 0.05, max(high for *_, high in found) + 0.05

    @property
    def late(self) -> tuple[str, ...]:
        """The layers that claims are tested at."""
        return next(iter(self.answers.values())).layers[-LATE:]

    def figure(self, task: str) -> Illustration:
        """Cosines of a task's trained network by layer, on one scale for all tasks."""
        return self.answers[task, task].figure(limits=self.limits)

    def claims(self) -> dict[str, bool]:
        """What must hold if TCAV says what decides, at each of the last layers."""
        quiet = {"chance", "not separated"}

        def outcomes(key: Key, question: str) -> set[str]:
            return {self.answers[key][question, x].verdict.outcome for x in self.late}

        motion, static = ("motion", "motion"), ("static", "static")
        untrained = [outcomes(key, q) for key in self.answers if key[1] == UNTRAINED
                     for q in QUESTIONS]  # fmt: skip
        return {
            "on *motion* the dynamic racket pushes more than the static one": outcomes(
                motion, RACKET
            )
            == {"towards"},
            "and more forwards than backwards": outcomes(motion, BACKWARDS) == {"towards"},
            "on *static* it does neither": "towards"
            not in outcomes(static, RACKET) | outcomes(static, BACKWARDS),
            "the ball's movement is null on *motion*": outcomes(motion, BALL) <= quiet,
            "and on *static*": outcomes(static, BALL) <= quiet,
            "untrained networks answer none of it": all(found <= quiet for found in untrained),
        }

    def table(self) -> Table:
        """Cosine, corrected p and outcome of every question at every layer."""
        rows = [(key, question) for key in self.answers for question in QUESTIONS]
        layers = next(iter(self.answers.values())).layers
        columns = {
            "task": [task for (task, _), _ in rows],
            "weights": ["untrained" if w == UNTRAINED else "trained" for (_, w), _ in rows],
            "sets": [question for _, question in rows],
            **{x: [self.answers[key][q, x].text for key, q in rows] for x in layers},
        }
        return table(columns, caption="Cosines with the gradient, p corrected", sortable=False)

    def summary(self) -> Text:
        """Which claims hold."""
        claims = self.claims()
        listed = "; ".join(f"{c}: **{'yes' if holds else 'no'}**" for c, holds in claims.items())
        m = next(iter(self.answers.values())).scores[0].verdict.m
        text = (
            f"Cosines and p, corrected for the {m} hypotheses of a network. Held against what was "
            f"planted, at each of the last layers, {' and '.join(self.late)}: {listed}. "
            f"{sum(claims.values())} of {len(claims)} hold."
        )
        motion = self.answers["motion", "motion"]
        pushed = [x for x in self.late if motion[OTHERS, x].verdict.outcome == "towards"]
        if pushed:
            text += (
                f" Note that on *motion*, at {' and '.join(pushed)}, other things push, too, when "
                "they move: dynamic against static asks in part about movement as such, and "
                "forwards against backwards is the cleaner question."
            )
        if not all(claims.values()):
            text += (
                " **Where one does not hold, the score names something that we did not plant.** "
                "The network may use it all the same; but such a score is not to be read as the "
                "evidence that decides."
            )
        return Text(text)
