"""The concept sets of a class and the clips to score, with a shipped class where there are none."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from vxhelpers.concept_sets import make
from vxhelpers.concept_sets.crops import Kind
from vxhelpers.concept_sets.detector import load_detector
from vxhelpers.concept_sets.folder import ConceptFolder
from vxhelpers.concept_sets.groups import Groups, groups
from vxhelpers.concept_sets.settings import ConceptSetSettings, Output, RandomSets
from vxhelpers.concept_sets.tracking import tracked_labels
from vxhelpers.data.clip import Clip
from vxhelpers.data.datasets import DataSet, dependence, open_data
from vxhelpers.errors import InputError
from vxhelpers.figures.player import Gallery, gallery, player
from vxhelpers.figures.report import Report, Text, escape_markdown, not_explained
from vxhelpers.figures.table import Table
from vxhelpers.io.cache import Store
from vxhelpers.models import samples, zoo

SHIPPED = "playing tennis"  # of stage:tennis, with the shipped network and detector
TOO_FEW = "too few clips: 4 a set, and two random sets of a kind, are the least"
LOOKED_AT = 40  # clips in which objects are looked for


@dataclass(frozen=True)
class SetCounts:
    """Clips a concept, random sets, and clips to be scored; clips in which objects are sought."""

    count: int = 30
    sets: int = 10
    scoring: int = 30
    looked_at: int = LOOKED_AT

    @property
    def settings(self) -> ConceptSetSettings:
        """Settings that take fewer clips where there are no more, and record that."""
        return ConceptSetSettings(
            self.count,
            scoring=self.scoring,
            randoms=RandomSets(self.sets, targets=True),
            allow_fewer=True,
            skip_unreadable=True,
        )


@dataclass(frozen=True)
class Source:
    """Where concepts come from.

    Parameters
    ----------
    detector
        As `vxhelpers.concept_sets.detector.load_detector` takes it.
    objects
        Labels to look for; those tracked in a third of the clips, unless given.
    concepts
        A folder of concept sets instead.
    """

    detector: str | None = None
    objects: Sequence[str] | None = None
    concepts: str | Path | None = None


@dataclass(frozen=True, eq=False)
class AtHand(Report):
    """What a class is to be explained with.

    Parameters
    ----------
    action, model
        The class and the network: those that were asked for, unless ``refused``.
    made, groups
        The concept sets, and those of them that can be scored.
    scoring
        The clips to score.
    recognised
        How many of these the network predicts rightly.
    refused
        Why the class that was asked for has none; empty where it has.
    """

    action: str
    model: zoo.Model
    made: ConceptFolder
    groups: Groups
    scoring: samples.Samples
    recognised: int
    refused: str

    def clips(self, names: Sequence[str]) -> dict[str, Sequence[Clip]]:
        """The clips of sets, as the network should get them."""
        return {name: self.made[name].clips_for(self.model.entry) for name in names}

    def object(self, name: str) -> str:
        """The object of a set."""
        return self.made[name].concept.object

    def kind(self, name: str) -> Kind:
        """The kind of a set's clips."""
        return self.made[name].concept.kind

    def twins(self) -> dict[str, tuple[str, str]]:
        """Object to its dynamic and its static set, of the same tracks."""
        return {
            self.object(name): (name, other)
            for name in self.groups["dynamic"].concepts
            for other in self.groups["static"].concepts
            if self.object(other) == self.object(name)
        }

    def controls(
        self, thing: str, randoms: Sequence[str]
    ) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Sets of an object that are controls, each with random sets made alike.

        Shuffled and reversed ones against ``randoms``; centred ones against as many random sets
        that are centred, too, and of the same kind.
        """
        kind = self.kind(randoms[0])
        in_place = self.made.select("control", placement="in_place")
        centred = groups(self.made, "centred")[kind]
        pairs = (
            (tuple(item.name for item in in_place if len(item) > 3), tuple(randoms)),
            (centred.concepts, centred.randoms[: len(randoms)]),
        )
        of = [(tuple(n for n in names if self.object(n) == thing), r) for names, r in pairs]
        return [(names, r) for names, r in of if names]

    def extremes(self, values: npt.NDArray[np.float64], concept: str) -> Gallery:
        """The two scored clips with the highest and the two with the lowest derivatives.

        Parameters
        ----------
        values
            ``(S,)`` derivatives along the concept; its object is outlined, if there is a mask.
        """
        order, thing = np.argsort(values, kind="stable"), self.object(concept)
        outlined = [n for n in self.scoring.masks if n == thing] or self.scoring.decides
        players = []
        for k in (*order[::-1][:2], *order[:2]):
            name, value = self.scoring.rows[k].clip_id, f"{values[k]:+.3g}"
            players.append(
                player(
                    self.scoring.pixels[k],
                    fps=self.scoring.fps[k],
                    title=f"{value}: {name}",
                    alt=f"Scored clip {name} of {self.action}; the derivative along {concept} is "
                    f"{value}.",
                    outlines=self.scoring.outlines(k, *outlined),
                )
            )
        return gallery(players)

    def table(self) -> Table | None:
        """The sets that are scored."""
        return self.groups.table()

    def summary(self) -> Text:
        """What is scored, and a warning where it is another class than the one asked for."""
        text = (
            f"{len(self.scoring)} clips of *{escape_markdown(self.action)}* are scored; the network"
            f" recognises {self.recognised} of them. {dependence(list(self.scoring.rows), [])} Of "
            f"the tracks: {self.made.review}."
        )
        instead = f"the stage's *{SHIPPED}* with a shipped network"
        warning = not_explained(self.refused, instead=instead)
        return Text(f"{warning}\n\n{text}" if warning else text)


def at_hand(
    data: DataSet, model: zoo.Model, action: str, source: Source, amounts: SetCounts, *, seed: int
) -> AtHand:
    """Make or read the concept sets of a class.

    Where none can be had, those of a shipped class and network take their place, so that the
    method can be seen; the summary says so.
    """
    store, refused = Store(), ""
    try:
        made = _made(data, action, source, amounts, store, seed)
        refused = "" if groups(made) else TOO_FEW
    except InputError as error:
        refused = str(error)
    if refused:
        data, model, action = open_data("stage:tennis"), _shipped(), SHIPPED
        shipped = Source("stage", ("racket", "person"))
        made = _made(data, action, shipped, amounts, store, seed)
    rows = list(made.scoring) or samples.draw(
        data, label=action, limit=amounts.scoring, rng=np.random.default_rng(seed)
    )
    scoring = samples.collect(data, model, rows)
    with torch.inference_mode():
        predicted = model.logits(model.prepare(scoring.clips)).argmax(1).cpu().numpy()
    right = int((predicted == scoring.labels).sum())
    return AtHand(action, model, made, groups(made), scoring, right, refused)


def _shipped() -> zoo.Model:
    return zoo.load("stage_r3d", weights="tennis")


def _made(
    data: DataSet, action: str, source: Source, amounts: SetCounts, store: Store, seed: int
) -> ConceptFolder:
    if source.concepts is not None:
        return make.read(source.concepts)
    if source.detector is None:
        raise InputError("name a detector, or a folder of concepts")
    detector, objects = load_detector(source.detector), source.objects
    if not objects:
        rng = np.random.default_rng(seed)
        rows = samples.draw(data, label=action, limit=amounts.looked_at, rng=rng)
        objects = tracked_labels(detector, [data.clip(row) for row in rows], store=store)
    settings, output = amounts.settings, Output(store=store)
    return make.make(
        data, action, objects, detector=detector, settings=settings, seed=seed, output=output
    )
