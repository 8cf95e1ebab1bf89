"""What a network says of a clip and of edited versions of it, with maps: kept, so that it is quick.

The state behind the live clip explorer, without any widget. Every prediction and map is kept by
what it was made of (the clip's content, the edit, method, layer and class), so that going back
costs no pass of the network; what a slow method costs can be asked before it runs.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vxhelpers.attribution.gradcam import gradcam_layers, volume_layer, volume_layers
from vxhelpers.attribution.registry import METHODS, Method, named, pixels
from vxhelpers.data.clip import Clip, Frames
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.evaluation.forward_counts import counted, passes
from vxhelpers.evaluation.map_similarity import checked, flat, rank_correlation
from vxhelpers.figures.colours import Scale, scale_of
from vxhelpers.models.probe import class_indices
from vxhelpers.models.zoo import Model

Rows = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]
Progress = Callable[[int], None]

EDITS = ("as it is", "reversed", "frozen", "shuffled")
LAYERED = "Grad-CAM"  # the method that takes a layer
CHOICES = tuple(method.name for method in METHODS if method.name != "Grad-CAM, middle layer")
KEPT = 96  # answers and maps that are kept, the latest


def order_of(edit: str, frames: int, *, seed: int = 0) -> Rows:
    """Which frame of the network's input each frame of the edited one is: ``(frames,)``.

    As `vxhelpers.data.clip` edits clips: ``"reversed"``; ``"frozen"``, the middle frame held;
    ``"shuffled"``, a seeded permutation.
    """
    if edit not in EDITS:
        raise UnknownNameError("edit", edit, EDITS)
    orders: Mapping[str, Callable[[], npt.NDArray[Any]]] = {
        "as it is": lambda: np.arange(frames),
        "reversed": lambda: np.arange(frames)[::-1],
        "frozen": lambda: np.full(frames, frames // 2),
        "shuffled": lambda: np.random.default_rng(seed).permutation(frames),
    }
    return orders[edit]().astype(np.int64)


@dataclass(frozen=True)
class Question:
    """What is to be explained, and how.

    Parameters
    ----------
    clip
        Index of the clip.
    edit
        One of `EDITS`.
    method
        One of `CHOICES`.
    layer
        For Grad-CAM; None for the usual one. Other methods take none.
    target
        Label of the explained class.
    """

    clip: int
    edit: str
    method: str
    layer: str | None
    target: str


@dataclass(frozen=True, eq=False)
class Version:
    """A clip as the network is shown it, with what becomes of it.

    Parameters
    ----------
    frames
        ``(T, H, W, 3)`` uint8, what the network sees.
    probabilities
        ``(classes,)`` float64.
    map
        ``(T, H, W)`` float32, raw and signed.
    """

    frames: Frames
    probabilities: npt.NDArray[np.float64]
    map: Values


@dataclass(frozen=True, eq=False)
class Answer:
    """An edited clip beside the unedited one.

    Parameters
    ----------
    question
        What was asked.
    before, after
        The clip as it is, and edited (the same where nothing was edited).
    scale
        One scale for both maps.
    correlation
        Spearman's rank correlation of the edited clip's map with that of the unedited one, each
        frame of which was taken along with its picture: 1 if the map only depends on what a frame
        shows. None where a map is the same everywhere.
    """

    question: Question
    before: Version
    after: Version
    scale: Scale
    correlation: float | None


class Explorer:
    """One network and some clips, and all that was asked of them.

    Parameters
    ----------
    model
        A network of the zoo.
    clips
        At least one.
    seed
        Of shuffled frames and of methods that draw.

    Raises
    ------
    InputError
        If there is no clip.
    """

    def __init__(self, model: Model, clips: Sequence[Clip], *, seed: int = 0) -> None:
        if not clips:
            raise InputError("no clips to explore: name a class that has some")
        self.model, self.seed = model, seed
        self.digests = [clip.digest() for clip in clips]
        self._inputs = model.prepare(clips)
        self._kept: OrderedDict[tuple[object, ...], Any] = OrderedDict()
        self._pace: dict[str, float] = {}  # seconds a pass, as last measured

    @property
    def layers(self) -> list[str]:
        """Layers that Grad-CAM can take, input to output."""
        return volume_layers(self.model)

    def passes(self, method: str) -> int:
        """Inputs, at most, that a method sends through the network for one clip; 0 for none."""

        def look() -> int:
            return passes(method, self.model, self._inputs[:1])

        found: int = self._keep(("passes", method), look)
        return found

    def cost(self, question: Question) -> tuple[int, float]:
        """Passes that a question still takes, and seconds as far as known (0 where unknown)."""
        edits = dict.fromkeys(("as it is", question.edit))
        missing = [e for e in edits if self._map_key(question, e) not in self._kept]
        count = len(missing) * self.passes(question.method)
        return count, count * self._pace.get(question.method, self._pace.get("", 0.0))

    def answer(self, question: Question, *, progress: Progress | None = None) -> Answer:
        """Predict and explain a clip as it is and edited; what is kept is not run again.

        Parameters
        ----------
        question
            What is asked.
        progress
            Called after every pass with the inputs run so far; what it raises ends the work.

        Raises
        ------
        UnknownNameError
            If an edit, method, layer or label does not exist.
        InputError
            If the method does not fit the network (says why), or there is no such clip.
        """
        if not 0 <= question.clip < len(self.digests):
            raise InputError(f"clip {question.clip} of {len(self.digests)}: there is none")
        order = order_of(question.edit, self._inputs.shape[2], seed=self.seed)

        def make() -> Answer:
            with counted(self.model, progress or (lambda _: None)):
                before = self._version(question, "as it is")
                after = self._version(question, question.edit)
            return Answer(
                question,
                before,
                after,
                scale_of(before.map, after.map, signed=True),
                _correlation(before.map[order], after.map),
            )

        key = ("answer", self.digests[question.clip], question.edit, *self._how(question))
        found: Answer = self._keep(key, make)
        return found

    # ---- what is kept --------------------------------------------------------------------------

    def _keep(self, key: tuple[object, ...], make: Callable[[], Any]) -> Any:
        if key not in self._kept:
            self._kept[key] = make()
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]

    def _how(self, question: Question) -> tuple[object, ...]:
        name = question.method
        layer = volume_layer(self.model, question.layer) if name == LAYERED else None
        return name, layer, question.target

    def _map_key(self, question: Question, edit: str) -> tuple[object, ...]:
        return ("map", self.digests[question.clip], edit, *self._how(question))

    def _input(self, question: Question, edit: str) -> torch.Tensor:
        order = order_of(edit, self._inputs.shape[2], seed=self.seed)
        return self._inputs[question.clip : question.clip + 1, :, torch.from_numpy(order)]

    def _version(self, question: Question, edit: str) -> Version:
        x = self._input(question, edit)

        def predict() -> npt.NDArray[np.float64]:
            start = time.perf_counter()
            with torch.inference_mode():
                logits = self.model.logits(x)[0].double()
            self._pace[""] = time.perf_counter() - start
            shares: npt.NDArray[np.float64] = logits.softmax(0).cpu().numpy()
            return shares

        probabilities = self._keep(("prediction", self.digests[question.clip], edit), predict)
        found = self._map(question, edit, x)
        return Version(pixels(self.model, x)[0], probabilities, found)

    def _map(self, question: Question, edit: str, x: torch.Tensor) -> Values:
        key = self._map_key(question, edit)
        (method,) = named(question.method)
        if method.name == LAYERED and key not in self._kept:
            # One pass gives the maps of all layers: to change the layer then costs none.
            for name, maps in gradcam_layers(
                self.model, x, layers=self.layers, target=question.target
            ).items():
                other = Question(question.clip, edit, LAYERED, name, question.target)
                self._keep(self._map_key(other, edit), maps[0].cpu().numpy)
        found: Values = self._keep(key, lambda: self._attribute(method, x, question.target))
        return found

    def _attribute(self, method: Method, x: torch.Tensor, target: str) -> Values:
        index = class_indices(self.model, target, clips=1)
        assert index is not None  # a label always has one
        start, rng = time.perf_counter(), np.random.default_rng(self.seed)
        maps = method.attribute(self.model, x, target=index, rng=rng)
        found: Values = checked(maps, (1, *x.shape[2:]), of=method.name)[0]
        self._pace[method.name] = (time.perf_counter() - start) / max(1, self.passes(method.name))
        return found


def _correlation(first: Values, second: Values) -> float | None:
    if flat(np.stack([first, second])).any():
        return None
    return float(rank_correlation(first[None], second[None])[0])
