"""The live clip explorer: controls, and pictures of what a network makes of an edited clip."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np

from vxhelpers.data.clip import Clip
from vxhelpers.data.datasets import open_data
from vxhelpers.figures.colours import blend
from vxhelpers.live.base import (
    Check,
    Latest,
    alert,
    block,
    boxed,
    chances,
    colour_bar,
    described,
    figure,
    seldom,
    shown,
    status,
)
from vxhelpers.live.explorer import CHOICES, EDITS, LAYERED, Answer, Explorer, Question
from vxhelpers.models import zoo
from vxhelpers.models.samples import draw

SLOW = 10  # passes from which a method says what it costs


@shown
def explore(
    action: str = "playing tennis",
    dataset: str | Path = "stage:tennis",
    *,
    root: str | Path | None = None,
    model: str = "stage_r3d",
    weights: str | None = "tennis",
    clips: int = 4,
    seed: int = 0,
) -> Any:
    """Edit clips, choose a network, a method and a layer, and see prediction and map change.

    Parameters
    ----------
    action, dataset, root
        The class, and where its clips are (`vxhelpers.data.datasets.open_data`).
    model, weights
        The network (`vxhelpers.models.zoo.load`). Networks that ship with the same weights' name,
        and the same one with random weights, are there to compare.
    clips
        So many test clips of the class are drawn, and one each of up to three others.
    seed
        Of the draw, of shuffled frames, and of methods that draw.

    Returns
    -------
    ipywidgets.VBox
        The explorer; a message in its place where data or weights cannot be used.
    """
    data = open_data(dataset, root=root)
    rng = np.random.default_rng(seed)
    rows = draw(data, label=action, limit=clips, rng=rng)
    for label in [name for name in data.labels if name != action][:3]:
        rows += draw(data, label=label, limit=1, rng=rng)
    names = [f"{row.label}: {row.clip_id}" for row in rows]
    return View(
        _networks(model, weights), names, [data.clip(row) for row in rows], action, seed
    ).box


def _networks(model: str, weights: str | None) -> dict[str, tuple[str, str | None]]:
    """Names for the list, to an entry and its weights; the one asked for is first."""
    found = {f"{model}, {weights or 'published weights'}": (model, weights)}
    if weights is not None and weights != "random":
        others = [name for name in zoo.names() if weights in zoo.shipped(name) and name != model]
        found |= {f"{name}, {weights}": (name, weights) for name in others}
        found[f"{model}, random weights"] = (model, "random")
    return found


class View:
    """Controls and pictures; ``box`` is the widget.

    Parameters
    ----------
    networks
        Names to entries and weights; the first is shown.
    names, clips
        The clips, and what they are called.
    action
        The class to explain at first.
    seed
        As for `vxhelpers.live.explorer.Explorer`.
    """

    def __init__(
        self,
        networks: dict[str, tuple[str, str | None]],
        names: Sequence[str],
        clips: Sequence[Clip],
        action: str,
        seed: int,
    ) -> None:
        self.networks, self.names, self.clips = networks, names, clips
        self.action, self.seed = action, seed
        self.explorers: dict[str, Explorer] = {}
        self.answer: Answer | None = None
        self.quiet = False
        self.compute = Latest(self._compute, self._fail)
        self.draw = Latest(self._draw, self._fail)
        explorer = self._explorer(next(iter(networks)))
        labels = explorer.model.labels
        frames = explorer.model.entry.frames
        self.model = described(ipywidgets.Dropdown, "Network", options=list(networks))
        self.clip = described(
            ipywidgets.Dropdown, "Clip", options=[(name, k) for k, name in enumerate(names)]
        )
        self.edit = described(ipywidgets.ToggleButtons, "The clip", options=EDITS)
        self.edit.style.button_width = "90px"
        self.method = described(ipywidgets.Dropdown, "Method", options=_methods(explorer))
        self.layer = described(
            ipywidgets.Dropdown, "Layer", options=explorer.layers, value=explorer.layers[-1]
        )
        self.target = described(
            ipywidgets.Dropdown,
            "Class explained",
            options=labels,
            value=action if action in labels else labels[0],
        )
        self.frame = described(
            ipywidgets.IntSlider, "Frame", min=1, max=frames, value=frames // 2 + 1
        )
        self.play = ipywidgets.Play(
            min=1, max=frames, value=frames // 2 + 1, interval=200, tooltip="Play the frames"
        )
        ipywidgets.jslink((self.play, "value"), (self.frame, "value"))
        self.opacity = described(
            ipywidgets.FloatSlider, "Opacity of the map", min=0, max=1, step=0.05, value=0.8
        )
        self.bar = described(ipywidgets.IntProgress, "Passes", min=0, max=1)
        self.bar.layout.visibility = "hidden"
        self.line = ipywidgets.HTML(status("Running the network."))
        self.pictures, self.prediction = ipywidgets.HTML(), ipywidgets.HTML()
        requested = (self.clip, self.edit, self.method, self.layer, self.target)
        for control in requested:
            control.observe(self._ask, "value")
        self.model.observe(self._change_network, "value")
        for control in (self.frame, self.opacity):
            control.observe(self._redraw, "value")
        rows = ((self.model, self.clip), (self.edit,), (self.method, self.layer, self.target),
                (self.play, self.frame, self.opacity), (self.line, self.bar))  # fmt: skip
        wrap = ipywidgets.Layout(flex_flow="row wrap", align_items="center")
        below = ipywidgets.Layout(flex_flow="row wrap", align_items="flex-start")
        self.box = boxed(
            "explore",
            [
                *(ipywidgets.Box(row, layout=wrap) for row in rows),
                ipywidgets.Box([self.pictures, self.prediction], layout=below),
            ],
        )
        self._ask()

    # ---- what controls do ----------------------------------------------------------------------

    def _explorer(self, name: str) -> Explorer:
        if name not in self.explorers:
            entry, weights = self.networks[name]
            first = self.explorers.get(next(iter(self.networks)))
            labels = first.model.labels if first and weights == "random" else None
            net = zoo.load(entry, weights=weights, labels=labels, seed=self.seed)
            self.explorers[name] = Explorer(net, self.clips, seed=self.seed)
        return self.explorers[name]

    def _change_network(self, _: object) -> None:
        try:
            explorer = self._explorer(self.model.value)
        except Exception as error:
            self._fail(error)
            return
        self.quiet = True
        labels, target = explorer.model.labels, self.target.value
        self.target.options = labels
        self.target.value = target if target in labels else labels[0]
        layer = self.layer.value
        self.layer.options = explorer.layers
        self.layer.value = layer if layer in explorer.layers else explorer.layers[-1]
        method = self.method.value
        self.method.options = _methods(explorer)
        self.method.value = method
        self.play.max = self.frame.max = explorer.model.entry.frames
        self.quiet = False
        self._ask()

    def _ask(self, _: object = None) -> None:
        if self.quiet:
            return
        self.layer.disabled = self.method.value != LAYERED
        question = Question(
            self.clip.value,
            self.edit.value,
            self.method.value,
            self.layer.value if self.method.value == LAYERED else None,
            self.target.value,
        )
        self.compute.ask((self._explorer(self.model.value), question))

    def _redraw(self, _: object = None) -> None:
        if self.answer is not None:
            self.draw.ask((self.answer, self.frame.value, self.opacity.value))

    # ---- in threads of their own ---------------------------------------------------------------

    def _compute(self, request: tuple[Explorer, Question], check: Check) -> None:
        explorer, question = request
        passes, seconds = explorer.cost(question)
        slow = passes >= SLOW
        if slow:
            known = f", about {max(1, round(seconds))} s" if seconds else ""
            self.line.value = status(
                f"{question.method} runs the network on up to {passes} inputs{known}. "
                "Any control but frame and opacity stops it."
            )
            self.bar.max, self.bar.value = passes, 0
        self.bar.layout.visibility = "visible" if slow else "hidden"

        def move(done: int) -> None:
            self.bar.value = done

        draw = seldom(move)

        def progress(done: int) -> None:
            check()
            if slow:
                draw(done)

        start = time.perf_counter()
        try:
            self.answer = explorer.answer(question, progress=progress)
        finally:
            self.bar.layout.visibility = "hidden"
        took = f"{time.perf_counter() - start:.2f} s" if passes else "kept, no pass"
        self.line.value = status(f"{question.method}: {took}.")
        self.prediction.value = block(self._predicted(explorer.model, self.answer))
        self._redraw()

    def _draw(self, request: tuple[Answer, int, float], _: Check) -> None:
        answer, frame, opacity = request
        question, scale = answer.question, answer.scale
        name = self.names[question.clip]
        shown_in = f" at {question.layer}" if question.layer else ""
        parts = []
        versions = {"as it is": answer.before, question.edit: answer.after}
        for edit, version in versions.items():
            t = min(frame, len(version.frames)) - 1
            still = version.frames[t]
            place = f"frame {t + 1} of {len(version.frames)}"
            told = f"{place} of {name}, {edit}"
            mapped = blend(still, version.map[t], scale, opacity=opacity)
            parts += [
                figure(still, f"{edit}, {place}", alt=f"The clip: {told}."),
                figure(
                    mapped,
                    f"{edit}, {question.method}{shown_in}",
                    alt=f"{question.method}{shown_in} for {question.target}: {told}; the map is "
                    f"from {version.map[t].min():.2g} to {version.map[t].max():.2g} here.",
                ),
                "<br>",
            ]
        units = f"{question.method}, for {question.target}"
        self.pictures.value = block("".join(parts) + colour_bar(scale, units))

    def _predicted(self, model: zoo.Model, answer: Answer) -> str:
        question = answer.question
        edited = question.edit != "as it is"
        before = answer.before.probabilities if edited else None
        explained = model.labels.index(question.target)
        text = chances(model.labels, answer.after.probabilities, before, strong=explained)  # type: ignore[arg-type]
        if not edited:
            return text
        rho = answer.correlation
        told = (
            "A map is the same everywhere: it correlates with nothing."
            if rho is None
            else f"Rank correlation of the two maps, frames taken along: {rho:+.2f}."
        )
        note = "Change: against the clip as it is."
        return f"{text}<p>{note}</p><p>{told.replace('-', '−')}</p>"

    def _fail(self, error: Exception) -> None:
        self.answer = None
        self.pictures.value = self.prediction.value = ""
        self.line.value = block(alert(error))


def _methods(explorer: Explorer) -> list[tuple[str, str]]:
    """What the list of methods says, with what each costs."""
    found = []
    for name in CHOICES:
        passes = explorer.passes(name)
        told = f" ({passes} passes)" if passes >= SLOW else ""
        found.append((name + (told if passes else " (network-independent)"), name))
    return found
