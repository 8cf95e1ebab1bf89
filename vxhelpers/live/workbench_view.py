"""The live TCAV workbench: concept clips to drop and add, and scores that follow."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np

from vxhelpers.attribution.gradcam import volume_layers
from vxhelpers.attribution.registry import pixels
from vxhelpers.concept_sets import make
from vxhelpers.concept_sets.crops import Kind
from vxhelpers.concept_sets.tracking import TRUTH
from vxhelpers.concepts.solvers import SOLVERS
from vxhelpers.data.clip import Clip
from vxhelpers.data.datasets import DataSet, open_data
from vxhelpers.errors import InputError
from vxhelpers.io.cache import Store
from vxhelpers.live.base import Check, Latest, alert, block, boxed, described, image, shown, status
from vxhelpers.live.workbench import Choice, Line, Workbench
from vxhelpers.live.workbench_table import scored
from vxhelpers.models import zoo
from vxhelpers.models.samples import draw

LAYERS = 4  # the last ones with space and time, as in the chapter
KINDS: tuple[Kind, ...] = ("dynamic", "static")


@shown
def workbench(
    action: str = "playing tennis",
    dataset: str | Path = "stage:tennis",
    *,
    root: str | Path | None = None,
    model: str = "stage_r3d",
    weights: str | None = "tennis",
    detector: str | None = TRUTH,
    objects: Sequence[str] | None = None,
    concepts: str | Path | None = None,
    count: int = 16,
    sets: int = 8,
    scoring: int = 20,
    seed: int = 0,
) -> Any:
    """Drop and add concept clips, choose solver, layers and random sets; scores follow.

    Parameters
    ----------
    action, dataset, root, model, weights
        The class, its clips and the network, as for `vxhelpers.live.explore`.
    detector, objects
        Who finds concepts in clips, and which (`vxhelpers.concept_sets.make.make`): the stage's own
        boxes, and what decides on the stage, unless told.
    concepts
        A folder of concept sets instead.
    count, sets, scoring
        Clips a concept, random sets, and clips to be scored.
    seed
        Of all draws.

    Returns
    -------
    ipywidgets.VBox
        The workbench; a message in its place where there are no concepts to be had.
    """
    data, net = open_data(dataset, root=root), zoo.load(model, weights=weights)
    if concepts is not None:
        made = make.read(concepts)
    elif detector is None:
        raise InputError("name a detector, or a folder of concepts: without one there are none")
    else:
        made = make.make(
            data, action, objects or _deciding(data, action), detector=detector, count=count,
            sets=sets, scoring=scoring, placements=("in_place",), controls=(),
            random_targets=True, allow_fewer=True, skip_unreadable=True, seed=seed,
        )  # fmt: skip
    rows = list(made.scoring) or draw(
        data, label=action, limit=scoring, rng=np.random.default_rng(seed)
    )
    groups = {kind: found for kind in KINDS if (found := _group(made, kind, net)) is not None}
    if not groups:
        raise InputError(f"{made.folder}: no concept of 4 clips with two random sets of its kind")
    return View(net, groups, [data.clip(row) for row in rows], action).box


def _deciding(data: DataSet, action: str) -> list[str]:
    """What decides in a rendered class; other videos need objects named."""
    scene = data.scene(data.rows("test", action)[0])
    if scene is None:
        raise InputError(f"{data.name}: name the objects to look for, such as objects=['person']")
    return list(scene.planted.decides)


@dataclass(frozen=True, eq=False)
class Group:
    """Concepts and random sets of one kind, to be set against each other."""

    concepts: Mapping[str, Sequence[Clip]]
    randoms: Mapping[str, Sequence[Clip]]


def _group(made: make.ConceptFolder, kind: Kind, net: zoo.Model) -> Group | None:
    concepts, randoms = (
        {
            one.name: one.clips_for(net.entry)
            for one in made.select(role, kind=kind, placement="in_place")
            if len(one) > 3
        }
        for role in ("concept", "random")
    )  # fmt: skip
    return Group(concepts, randoms) if concepts and len(randoms) > 1 else None


class View:
    """Controls, thumbnails and scores; ``box`` is the widget.

    Parameters
    ----------
    model
        The network.
    groups
        For each kind of clips, its concepts and random sets.
    clips
        To be scored.
    action
        The class.
    """

    def __init__(
        self, model: zoo.Model, groups: Mapping[Kind, Group], clips: Sequence[Clip], action: str
    ) -> None:
        self.net, self.groups, self.clips, self.action = model, groups, clips, action
        self.benches: dict[Kind, Workbench] = {}
        self.whole: dict[tuple[Kind, Choice], list[Line]] = {}  # of concepts with all clips
        self.thumbs: dict[tuple[Kind, str], list[str]] = {}
        self.dropped: dict[tuple[Kind, str], frozenset[int]] = {}
        self.quiet = False
        self.compute = Latest(self._compute, self._fail)
        layers = volume_layers(model)[-LAYERS:]
        first = groups[next(iter(groups))]
        self.kind = described(ipywidgets.ToggleButtons, "Clips", options=list(groups))
        self.concept = described(ipywidgets.Dropdown, "Concept", options=list(first.concepts))
        self.solver = described(ipywidgets.Dropdown, "Solver", options=list(SOLVERS))
        most = len(first.randoms)
        self.randoms = described(ipywidgets.IntSlider, "Random sets", min=2, max=most, value=most)
        self.layers = described(
            ipywidgets.SelectMultiple, "Layers", options=layers, value=layers, rows=len(layers) + 1
        )
        self.back = ipywidgets.Button(description="Take all clips back")
        self.line, self.scores = ipywidgets.HTML(), ipywidgets.HTML()
        most = max(len(c) for group in groups.values() for c in group.concepts.values())
        self.pictures = [ipywidgets.HTML() for _ in range(most)]
        self.boxes = [
            ipywidgets.Checkbox(
                value=True, indent=False, description=f"clip {k + 1}", layout={"width": "100px"}
            )
            for k in range(most)
        ]
        cells = [
            ipywidgets.VBox(pair, layout={"margin": "0 8px 6px 0"})
            for pair in zip(self.pictures, self.boxes, strict=True)
        ]
        for control in (self.concept, self.solver, self.randoms, self.layers):
            control.observe(self._ask, "value")
        self.kind.observe(self._change_kind, "value")
        for box in self.boxes:
            box.observe(self._mark, "value")
        self.back.on_click(self._take_back)
        wrap = ipywidgets.Layout(flex_flow="row wrap", align_items="flex-start")
        self.box = boxed(
            "workbench",
            [
                ipywidgets.Box([self.kind, self.concept, self.solver], layout=wrap),
                ipywidgets.Box([self.randoms, self.layers], layout=wrap),
                self.line,
                self.scores,
                self.back,
                ipywidgets.Box(cells, layout=wrap),
            ],
        )
        self._ask()

    # ---- what controls do ----------------------------------------------------------------------

    @property
    def _here(self) -> tuple[Kind, str]:
        return self.kind.value, self.concept.value

    def _change_kind(self, _: object) -> None:
        group = self.groups[self.kind.value]
        self.quiet = True
        self.concept.options = list(group.concepts)
        self.concept.value = next(iter(group.concepts))
        self.randoms.max = len(group.randoms)
        self.quiet = False
        self._ask()

    def _mark(self, _: object) -> None:
        if not self.quiet:
            count = len(self.groups[self.kind.value].concepts[self.concept.value])
            left_out = [k for k, box in enumerate(self.boxes[:count]) if not box.value]
            self.dropped[self._here] = frozenset(left_out)
            self._ask()

    def _take_back(self, _: object) -> None:
        self.dropped.pop(self._here, None)
        self._ask()

    def _ask(self, _: object = None) -> None:
        if self.quiet:
            return
        kind, concept = self._here
        dropped = self.dropped.get(self._here, frozenset())
        self.quiet = True
        for k, box in enumerate(self.boxes):
            box.value = k not in dropped
        self.quiet = False
        choice = Choice(concept, dropped, self.solver.value, self.randoms.value)
        self.compute.ask((kind, choice, self.layers.value))

    # ---- in a thread of its own ----------------------------------------------------------------

    def _compute(self, request: tuple[Kind, Choice, Sequence[str]], check: Check) -> None:
        kind, choice, layers = request
        self._show_clips(kind, choice)
        bench = self._bench(kind)
        check()
        start = time.perf_counter()
        lines = bench.lines(choice)
        took = time.perf_counter() - start
        plain = kind, Choice(choice.concept, frozenset(), choice.solver, choice.randoms)
        if plain not in self.whole:
            self.whole[plain] = bench.lines(plain[1])
        before = {line.layer: line for line in self.whole[plain]} if choice.dropped else {}
        self.scores.value = block(scored([x for x in lines if x.layer in layers], before))
        self.line.value = status(
            f"{choice.concept}: {lines[0].clips} clips against {choice.randoms} random sets, "
            f"{lines[0].scored} clips of {self.action} scored; {took:.2f} s, no pass."
        )

    def _bench(self, kind: Kind) -> Workbench:
        if kind not in self.benches:
            group = self.groups[kind]
            count = sum(map(len, (*group.concepts.values(), *group.randoms.values(), self.clips)))
            self.line.value = status(f"Running the network on {count} clips, once.")
            self.benches[kind] = Workbench(
                self.net, group.concepts, group.randoms, self.clips, target=self.action,
                layers=self.layers.options, store=Store(),
            )  # fmt: skip
        return self.benches[kind]

    def _show_clips(self, kind: Kind, choice: Choice) -> None:
        key = kind, choice.concept
        if key not in self.thumbs:
            clips = self.groups[kind].concepts[choice.concept]
            self.thumbs[key] = [self._thumb(clips[k], key, k) for k in range(len(clips))]
        found = self.thumbs[key]
        for k, (picture, box) in enumerate(zip(self.pictures, self.boxes, strict=True)):
            there = k < len(found)
            box.layout.display = "" if there else "none"
            fade = ' style="opacity:.3"' if k in choice.dropped else ""
            picture.value = block(f"<div{fade}>{found[k]}</div>") if there else ""

    def _thumb(self, clip: Clip, key: tuple[Kind, str], place: int) -> str:
        kind, concept = key
        frames = pixels(self.net, self.net.prepare(clip))[0]
        last = len(frames) - 1
        chosen = [0, last // 2, last] if kind == "dynamic" else [last // 2]
        told = f"Clip {place + 1} of {concept}: " + (
            "first, middle and last frame." if kind == "dynamic" else "one frame, repeated."
        )
        return image(np.concatenate(frames[chosen], axis=1), alt=told, side=64 * len(chosen))

    def _fail(self, error: Exception) -> None:
        self.scores.value = ""
        self.line.value = block(alert(error))
