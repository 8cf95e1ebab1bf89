"""The live browser of discovered concepts: check boxes, and the clip with what they show."""

import html
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np

from vxhelpers.data.clip import Clip
from vxhelpers.data.datasets import DataSet, open_data
from vxhelpers.data.splits import divide
from vxhelpers.errors import InputError
from vxhelpers.io.cache import Store
from vxhelpers.live.base import (
    Check,
    Latest,
    alert,
    block,
    boxed,
    chances,
    described,
    figure,
    image,
    shown,
    status,
)
from vxhelpers.live.browser import MODES, ORDERS, Browser, Mode, Shown
from vxhelpers.models import zoo
from vxhelpers.stce import score
from vxhelpers.stce.discovery import discover
from vxhelpers.stce.features import SMALL, Computation
from vxhelpers.stce.random_groups import ScoringSettings

RECIPE = replace(SMALL, segments=(15, 30), concepts=8, nearest=20)


@shown
def browse(
    action: str = "playing tennis",
    dataset: str | Path = "stage:tennis",
    *,
    root: str | Path | None = None,
    model: str = "stage_r3d",
    weights: str | None = "tennis",
    clips: int = 8,
    randoms: int = 6,
    groups: int = 10,
    test: int = 4,
    seed: int = 0,
) -> Any:
    """Add and remove discovered concepts of a class and watch the prediction.

    Parameters
    ----------
    action, dataset, root, model, weights
        The class, its clips and the network, as for `vxhelpers.live.explore`.
    clips, randoms, groups
        Clips of the class to find concepts in, clips of other classes and groups of their
        supervoxels to score them against: few, so that the page opens soon.
    test
        Clips to show concepts in, of other videos.
    seed
        Of all draws.

    Returns
    -------
    ipywidgets.VBox
        The browser; a message in its place where no concepts can be found.
    """
    data, net, store = open_data(dataset, root=root), zoo.load(model, weights=weights), Store()
    rng = np.random.default_rng(seed)
    own, rows = divide(data, action, scoring=test, allow_fewer=True, rng=rng)
    kept, chosen = Computation(store=store), _draw(data, own, clips, rng)
    found = discover(net, None, chosen, rng=rng, recipe=RECIPE, computation=kept)
    others = _others(data, action, {row.split for row in own}, randoms, rng)
    settings = ScoringSettings(groups=groups, draws=499)
    scores = score.score(
        found, net, action, randoms=others, rng=rng, settings=settings, computation=kept
    )
    browser = Browser(net, scores, [data.clip(row) for row in rows], store=store)
    return View(browser, [row.clip_id for row in rows], action, seed).box


def _draw(data: DataSet, rows: Sequence[Any], limit: int, rng: np.random.Generator) -> list[Clip]:
    chosen = sorted(rng.choice(len(rows), min(limit, len(rows)), replace=False))
    return [data.clip(rows[i]) for i in chosen]


def _others(
    data: DataSet, action: str, splits: set[str], limit: int, rng: np.random.Generator
) -> list[Clip]:
    pool = [row for row in data.rows() if row.label != action and row.split in splits]
    if not pool:
        raise InputError(f"{data.name}: no clips of other classes to score concepts against")
    return _draw(data, pool, limit, rng)


class View:
    """Check boxes with members of the concepts, and the clip; ``box`` is the widget.

    Parameters
    ----------
    browser
        Concepts and clips.
    names
        Of the clips.
    action
        The class.
    seed
        Of random choices.
    """

    def __init__(self, browser: Browser, names: Sequence[str], action: str, seed: int) -> None:
        self.browser, self.names, self.action = browser, names, action
        self.rng = np.random.default_rng(seed)
        self.answer: tuple[int, Mode, Shown] | None = None
        self.quiet = False
        self.compute = Latest(self._compute, self._fail)
        self.draw = Latest(self._draw, self._fail)
        frames = browser.model.entry.frames
        self.clip = described(
            ipywidgets.Dropdown, "Clip", options=[(name, k) for k, name in enumerate(names)]
        )
        self.mode = described(ipywidgets.ToggleButtons, "Concepts chosen", options=MODES)
        self.mode.tooltips = ("to a blank clip", "from the clip")
        count = len(browser.scores)
        self.q = described(ipywidgets.IntSlider, "q", min=0, max=count, value=min(3, count))
        self.buttons = {order: ipywidgets.Button(description=f"{order} q") for order in ORDERS}
        self.frame = described(
            ipywidgets.IntSlider, "Frame", min=1, max=frames, value=frames // 2 + 1
        )
        self.play = ipywidgets.Play(
            min=1, max=frames, value=frames // 2 + 1, interval=200, tooltip="Play the frames"
        )
        ipywidgets.jslink((self.play, "value"), (self.frame, "value"))
        self.line, self.pictures = ipywidgets.HTML(), ipywidgets.HTML()
        self.prediction = ipywidgets.HTML()
        self.boxes: dict[int, Any] = {}
        self.notes: dict[int, Any] = {}
        cells = [self._concept(rank, k) for rank, k in enumerate(browser.ranking, start=1)]
        for control in (self.clip, self.mode, *self.boxes.values()):
            control.observe(self._ask, "value")
        self.frame.observe(self._redraw, "value")
        for order, button in self.buttons.items():
            button.on_click(lambda _, order=order: self._choose(order))
        wrap = ipywidgets.Layout(flex_flow="row wrap", align_items="center")
        top = ipywidgets.Layout(flex_flow="row wrap", align_items="flex-start")
        self.box = boxed(
            "browse",
            [
                ipywidgets.Box([self.clip, self.mode], layout=wrap),
                ipywidgets.Box([self.q, *self.buttons.values()], layout=wrap),
                ipywidgets.Box([self.play, self.frame], layout=wrap),
                self.line,
                ipywidgets.Box([self.pictures, self.prediction], layout=top),
                ipywidgets.Box(cells, layout=top),
                ipywidgets.HTML(block(self._told())),
            ],
        )
        self._choose("top")

    def _concept(self, rank: int, k: int) -> Any:
        """A concept's member, check box and score."""
        line = self.browser.scores.ranked()[rank - 1]
        frame, name = self.browser.member(k)
        picture = image(frame, alt=f"A member of {line.name}: {name}.", side=96)
        self.boxes[k] = ipywidgets.Checkbox(
            value=False, indent=False, description=f"rank {rank}", layout={"width": "150px"}
        )
        self.notes[k] = ipywidgets.HTML()
        doubt = "" if line.verdict.interpreted else ", not more than chance"
        text = (
            f"{line.name}: {line.score:.2f} ± {line.spread:.2f}{doubt}; of {line.supervoxels} "
            f"pieces, {line.videos} clips"
        )
        told = f'<div style="width:150px"><small>{html.escape(text)}</small></div>'
        children = [ipywidgets.HTML(block(picture)), self.boxes[k], ipywidgets.HTML(block(told)),
                    self.notes[k]]  # fmt: skip
        return ipywidgets.VBox(children, layout={"margin": "0 8px 8px 0"})

    def _told(self) -> str:
        scores = self.browser.scores
        lines = [
            f"Score: share of {len(scores.clips)} clips of {self.action} that rise along the "
            f"concept, mean ± standard deviation over {scores.by_group.shape[1]} random groups.",
            *(f"{note}." for note in (*scores.discovery.notes, *scores.notes)),
        ]
        return "".join(f"<p><small>{html.escape(text)}</small></p>" for text in lines)

    # ---- what controls do ----------------------------------------------------------------------

    def _choose(self, order: str) -> None:
        chosen = self.browser.pick(order, self.q.value, self.rng)
        self.quiet = True
        for k, box in self.boxes.items():
            box.value = k in chosen
        self.quiet = False
        self._ask()

    def _ask(self, _: object = None) -> None:
        if not self.quiet:
            chosen = frozenset(k for k, box in self.boxes.items() if box.value)
            self.compute.ask((self.clip.value, chosen, self.mode.value))

    def _redraw(self, _: object = None) -> None:
        if self.answer is not None:
            self.draw.ask((*self.answer, self.frame.value))

    # ---- in threads of their own ---------------------------------------------------------------

    def _compute(self, request: tuple[int, frozenset[int], Mode], _: Check) -> None:
        clip, chosen, mode = request
        start = time.perf_counter()
        found, whole = self.browser.show(clip, chosen, mode), self.browser.whole(clip)
        took = time.perf_counter() - start
        there = self.browser.present(clip)
        for k, note in self.notes.items():
            note.value = block("" if k in there else "<small>not in this clip</small>")
        ranks = [r for r, k in enumerate(self.browser.ranking, start=1) if k in chosen]
        named = f"ranks {', '.join(map(str, ranks))}" if ranks else "nothing"
        self.answer = clip, mode, found
        self.line.value = status(
            f"{named} {'added' if mode == 'add' else 'removed'}: {found.visible:.0%} of the clip "
            f"is visible; {took:.2f} s."
        )
        labels = self.browser.model.labels
        self.prediction.value = block(
            chances(labels, list(found.probabilities), list(whole.probabilities),
                    strong=labels.index(self.action))
            + "<p>Change: against the whole clip.</p>"
        )  # fmt: skip
        self._redraw()

    def _draw(self, request: tuple[int, Mode, Shown, int], _: Check) -> None:
        clip, mode, found, frame = request
        t, count = frame - 1, len(found.frames)
        place = f"frame {frame} of {count}"
        whole, name = self.browser.whole(clip), self.names[clip]
        what = "the chosen concepts alone" if mode == "add" else "all but the chosen concepts"
        self.pictures.value = block(
            figure(whole.frames[t], f"the clip, {place}", alt=f"Clip {name}, {place}.")
            + figure(
                found.frames[t],
                f"{what}, {found.visible:.0%} visible",
                alt=f"Clip {name}, {place}: {what}, {found.visible:.0%} of it visible.",
            )
        )

    def _fail(self, error: Exception) -> None:
        self.answer = None
        self.pictures.value = self.prediction.value = ""
        self.line.value = block(alert(error))
