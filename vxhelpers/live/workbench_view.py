"""The live TCAV workbench: concept clips to drop and add, and scores that follow."""

import html
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np

from vxhelpers.attribution.gradcam import volume_layers
from vxhelpers.attribution.registry import pixels
from vxhelpers.concept_sets import make
from vxhelpers.concept_sets.at_hand import SetCounts, Source
from vxhelpers.concept_sets.crops import Kind
from vxhelpers.concept_sets.groups import groups
from vxhelpers.concept_sets.settings import ClipVersions
from vxhelpers.concept_sets.tracking import TRUTH
from vxhelpers.concepts.solvers import SOLVERS
from vxhelpers.data.clip import Clip
from vxhelpers.data.datasets import DataSet, open_data
from vxhelpers.errors import InputError
from vxhelpers.io.cache import Store
from vxhelpers.live.base import (
    Check,
    Latest,
    alert,
    block,
    boxed,
    described,
    image,
    shown,
    status,
    table,
)
from vxhelpers.live.workbench import LayerRow, Selection, Workbench
from vxhelpers.models import zoo
from vxhelpers.models.samples import draw

HEAD = ("layer", "sign count", "by chance", "0 to 1", "magnitude", "by chance", "accuracy")
LAYERS = 4  # the last ones with space and time, as in the chapter


SOURCE = Source(TRUTH)
AMOUNTS = SetCounts(16, 8, 20)


@shown
def workbench(
    action: str = "playing tennis",
    dataset: str | Path = "stage:tennis",
    *,
    root: str | Path | None = None,
    model: str = "stage_r3d",
    weights: str | None = "tennis",
    source: Source = SOURCE,
    amounts: SetCounts = AMOUNTS,
    seed: int = 0,
) -> Any:
    """Drop and add concept clips, choose solver, layers and random sets; scores follow.

    Parameters
    ----------
    action, dataset, root, model, weights
        The class, its clips and the network, as for `vxhelpers.live.explore`.
    source
        Where concepts come from: the stage's own boxes, and what decides on the stage, unless
        given.
    amounts
        Clips a concept, random sets, and clips to be scored.
    seed
        Of all draws.

    Returns
    -------
    ipywidgets.VBox
        The workbench; a message in its place where there are no concepts to be had.
    """
    data, net = open_data(dataset, root=root), zoo.load(model, weights=weights)
    if source.concepts is not None:
        made = make.read(source.concepts)
    elif source.detector is None:
        raise InputError("name a detector, or a folder of concepts: without one there are none")
    else:
        objects = source.objects or _deciding(data, action)
        settings = replace(amounts.settings, clips=ClipVersions(("in_place",), ()))
        made = make.make(
            data, action, objects, detector=source.detector, settings=settings, seed=seed
        )
    rows = list(made.scoring) or draw(
        data, label=action, limit=amounts.scoring, rng=np.random.default_rng(seed)
    )
    found = groups(made)
    if not found:
        raise InputError(f"{made.folder}: no concept of 4 clips with two random sets of its kind")

    def clips(names: Sequence[str]) -> dict[str, Sequence[Clip]]:
        return {name: made[name].clips_for(net.entry) for name in names}

    kinds = {
        kind: GroupClips(clips(found[kind].concepts), clips(found[kind].randoms))
        for kind in sorted(found)  # dynamic ones first
    }
    return WorkbenchView(net, kinds, [data.clip(row) for row in rows], action).box


def _deciding(data: DataSet, action: str) -> list[str]:
    """What decides in a rendered class; other videos need objects named."""
    scene = data.scene(data.rows("test", action)[0])
    if scene is None:
        raise InputError(f"{data.name}: name the objects to look for, such as objects=['person']")
    return list(scene.planted.decides)


@dataclass(frozen=True, eq=False)
class GroupClips:
    """Concepts and random sets of one kind, to be set against each other."""

    concepts: Mapping[str, Sequence[Clip]]
    randoms: Mapping[str, Sequence[Clip]]


class WorkbenchView:
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
        self,
        model: zoo.Model,
        groups: Mapping[Kind, GroupClips],
        clips: Sequence[Clip],
        action: str,
    ) -> None:
        self.net, self.groups, self.clips, self.action = model, groups, clips, action
        self.benches: dict[Kind, Workbench] = {}
        self.whole: dict[tuple[Kind, Selection], list[LayerRow]] = {}  # of concepts with all clips
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
            control.observe(self._request, "value")
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
        self._request()

    # ---- what controls do ----------------------------------------------------------------------

    @property
    def _current(self) -> tuple[Kind, str]:
        return self.kind.value, self.concept.value

    def _change_kind(self, _: object) -> None:
        group = self.groups[self.kind.value]
        self.quiet = True
        self.concept.options = list(group.concepts)
        self.concept.value = next(iter(group.concepts))
        self.randoms.max = len(group.randoms)
        self.quiet = False
        self._request()

    def _mark(self, _: object) -> None:
        if not self.quiet:
            count = len(self.groups[self.kind.value].concepts[self.concept.value])
            left_out = [k for k, box in enumerate(self.boxes[:count]) if not box.value]
            self.dropped[self._current] = frozenset(left_out)
            self._request()

    def _take_back(self, _: object) -> None:
        self.dropped.pop(self._current, None)
        self._request()

    def _request(self, _: object = None) -> None:
        if self.quiet:
            return
        kind, concept = self._current
        dropped = self.dropped.get(self._current, frozenset())
        self.quiet = True
        for k, box in enumerate(self.boxes):
            box.value = k not in dropped
        self.quiet = False
        selection = Selection(concept, dropped, self.solver.value, self.randoms.value)
        self.compute.ask((kind, selection, self.layers.value))

    # ---- in a thread of its own ----------------------------------------------------------------

    def _compute(self, request: tuple[Kind, Selection, Sequence[str]], check: Check) -> None:
        kind, selection, layers = request
        self._show_clips(kind, selection)
        bench = self._bench(kind)
        check()
        start = time.perf_counter()
        rows = bench.rows(selection)
        took = time.perf_counter() - start
        plain = kind, Selection(selection.concept, frozenset(), selection.solver, selection.randoms)
        if plain not in self.whole:
            self.whole[plain] = bench.rows(plain[1])
        before = {row.layer: row for row in self.whole[plain]} if selection.dropped else {}
        self.scores.value = block(scores_table([x for x in rows if x.layer in layers], before))
        self.line.value = status(
            f"{selection.concept}: {rows[0].clips} clips against {selection.randoms} random sets, "
            f"{rows[0].scored} clips of {self.action} scored; {took:.2f} s, no pass."
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

    def _show_clips(self, kind: Kind, selection: Selection) -> None:
        key = kind, selection.concept
        if key not in self.thumbs:
            clips = self.groups[kind].concepts[selection.concept]
            self.thumbs[key] = [self._thumb(clips[k], key, k) for k in range(len(clips))]
        found = self.thumbs[key]
        for k, (picture, box) in enumerate(zip(self.pictures, self.boxes, strict=True)):
            exists = k < len(found)
            box.layout.display = "" if exists else "none"
            fade = ' style="opacity:.3"' if k in selection.dropped else ""
            picture.value = block(f"<div{fade}>{found[k]}</div>") if exists else ""

    def _thumb(self, clip: Clip, key: tuple[Kind, str], place: int) -> str:
        kind, concept = key
        frames = pixels(self.net, self.net.prepare(clip))[0]
        last = len(frames) - 1
        chosen = [0, last // 2, last] if kind == "dynamic" else [last // 2]
        alt = f"Clip {place + 1} of {concept}: " + (
            "first, middle and last frame." if kind == "dynamic" else "one frame, repeated."
        )
        return image(np.concatenate(frames[chosen], axis=1), alt=alt, side=64 * len(chosen))

    def _fail(self, error: Exception) -> None:
        self.scores.value = ""
        self.line.value = block(alert(error))


def scores_table(rows: Sequence[LayerRow], before: Mapping[str, LayerRow]) -> str:
    """Lay rows out as HTML, one a layer.

    Parameters
    ----------
    rows
        The scores.
    before
        Layers to the scores of all clips, for the change; empty where none was dropped.
    """
    if not rows:
        return "<p>Choose a layer.</p>"
    notes = [
        f"n = {rows[0].scored} clips are scored. By chance: what 95 % of the scores of "
        f"{rows[0].randoms} random sets against each other lie in; pairs share sets, so that "
        "this is a guide and no test. Accuracy: of held-out clips, chance is 0.50.",
        *(f"{row.layer}: {row.degenerate}." for row in rows if row.degenerate),
    ]
    small = "".join(f"<p><small>{html.escape(text)}</small></p>" for text in notes)
    return table(HEAD, [_cells(row, before.get(row.layer)) for row in rows]) + small


def _cells(row: LayerRow, before: LayerRow | None) -> list[str]:
    """A row as cells: scores with their change against all clips, and what random sets score."""

    def score(value: float, old: float | None, form: str) -> str:
        text = format(value, form) + ("" if old is None else f" ({value - old:+{form}})")
        return html.escape(text.replace("-", "−"))

    signs, sizes = row.by_chance["sign_count"], row.by_chance["magnitude"]
    low, high = (f"{v:.2g}".replace("-", "−") for v in sizes)
    doubt = "" if row.separates > 0.5 else ", does not separate"
    return [
        html.escape(row.layer),
        score(row.sign_count, None if before is None else before.sign_count, ".2f"),
        f"{signs[0]:.2f} to {signs[1]:.2f}",
        _axis(row.sign_count, *signs),
        score(row.magnitude, None if before is None else before.magnitude, ".3g"),
        f"{low} to {high}",
        f"{row.accuracy:.2f}{doubt}",
    ]


def _axis(value: float, low: float, high: float) -> str:
    """A score as a dot between 0 and 1, over the band that chance fills."""
    x, left, right = (6 + 100 * v for v in (value, low, high))
    label = f"{value:.2f}; by chance {low:.2f} to {high:.2f}"
    return (
        f'<svg width="112" height="14" role="img" aria-label="{label}">'
        f'<rect x="{left:.1f}" y="2" width="{max(1, right - left):.1f}" height="10" '
        'fill="currentColor" opacity=".25"/>'
        '<path d="M6 7H106" stroke="currentColor" opacity=".5"/>'
        f'<circle cx="{x:.1f}" cy="7" r="5" fill="#D55E00" stroke="currentColor"/></svg>'
    )
