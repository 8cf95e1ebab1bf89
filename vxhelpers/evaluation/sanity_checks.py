"""Does a map depend on what the network learned, on the order of time, on motion?

`cascade`: Adebayo et al., "Sanity checks for saliency maps" (NeurIPS 2018), section 3.1, the
weights randomised from the top layer down. `reversal_response` and `frozen_response` ask the same
of time: the clip is played backwards, or one of its frames stands still.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from vxhelpers.errors import InputError
from vxhelpers.evaluation.map_similarity import (
    SIMILARITIES,
    Attribute,
    Better,
    Classes,
    Flags,
    Maps,
    Values,
    alike,
    explain,
    explained_classes,
    flat,
    logits,
    unlike,
)
from vxhelpers.models.probe import Target
from vxhelpers.models.zoo import Model


@dataclass(frozen=True, eq=False)
class Cascade:
    """How alike N maps stay to what they were while S stages of a network lose what they learned.

    Parameters
    ----------
    stages
        ``"trained"``, the method called again on untouched weights (below 1 only if the method
        draws at random), then the stages from the top down, each with those before it random.
    targets
        ``(N,)`` the class explained, the same at every stage.
    predicted
        ``(1 + S, N)`` the class that the network predicts at each stage.
    similarity
        For each of the similarities ``(1 + S, N)``, to the map of the trained network.
    baseline
        For each similarity ``(N,)``: how alike the trained network's map is to that of another
        clip; None for one clip alone. A map that falls to this has lost all it had.
    flat
        ``(1 + S, N)``: the map is the same everywhere; its rank correlations are 0.
    better
        A map that speaks of what was learned changes: lower is better, past the first stage.
    """

    stages: tuple[str, ...]
    targets: Classes
    predicted: Classes
    similarity: Mapping[str, Values]
    baseline: Mapping[str, Values] | None
    flat: Flags
    better: Better = "lower"


@dataclass(frozen=True, eq=False)
class Response:
    """How N predictions and maps change with an edit of the clips in time.

    Parameters
    ----------
    edit
        What was done to the clips, in words.
    targets
        ``(2, N)`` the class explained before and after.
    predicted
        ``(2, N)`` the class predicted before and after.
    probability
        ``(2, N)`` of the class explained before, before and after.
    similarity
        For each of the similarities ``(N,)``: of the map after, brought back to the clip's own
        order of frames, to the map before.
    strength
        ``(2, N)`` mean absolute value of the map before and after, which no similarity sees.
    baseline
        For each similarity ``(N,)``: how alike the map before is to that of another clip; None for
        one clip alone.
    flat
        ``(2, N)``: the map is the same everywhere; its rank correlations are 0.
    """

    edit: str
    targets: Classes
    predicted: Classes
    probability: Values
    similarity: Mapping[str, Values]
    strength: Values
    baseline: Mapping[str, Values] | None
    flat: Flags

    @property
    def flipped(self) -> Flags:
        """``(N,)``: the edit changed the predicted class."""
        changed: Flags = self.predicted[0] != self.predicted[1]
        return changed

    @property
    def better(self) -> tuple[Better, ...]:
        """Which similarity is better, for each clip: lower where the edit changed the prediction.

        What explains a prediction has to change with it, and to stay where it stays.
        """
        return tuple("lower" if changed else "higher" for changed in self.flipped)


def cascade(
    model: Model,
    attribute: Attribute,
    x: Tensor,
    *,
    target: Target = None,
    stages: Mapping[str, Sequence[str]] | None = None,
    similarities: Sequence[str] = SIMILARITIES,
    rng: np.random.Generator,
    batch_size: int | None = None,
) -> Cascade:
    """Randomise a network from the top down and see how much of each map is left.

    A stage's weights, and the running statistics of its normalisation, become those that the
    architecture starts from before training (the paper draws from a truncated normal); the stages
    above it stay random. One draw: call it with several generators for the spread between draws.

    Parameters
    ----------
    model
        A network of the zoo; it is copied, not changed.
    attribute
        The method, called as ``attribute(model, x, target=targets)`` on the copy.
    x
        ``(N, C, T, H, W)`` prepared clips.
    target
        The class to explain: an index, a label, one of either for each clip, or None for what the
        trained network predicts. It stays the same at every stage.
    stages
        For each stage, from the top down, names of modules that become random with all they hold;
        `top_down` unless told.
    similarities
        Which of `vxhelpers.evaluation.map_similarity.alike`.
    rng
        Draws the random weights.
    batch_size
        Clips in one pass of the predictions; a method has a batch size of its own.

    Raises
    ------
    InputError
        If the network is in training mode, a stage names no module, the entry builds another
        architecture, or the method returns another shape.
    NotFiniteError
        If a map or a logit holds NaN or infinity; names the clip.
    """
    scores = logits(model, x, batch_size=batch_size)
    targets = explained_classes(model, target, scores)
    copy = replace(model, net=deepcopy(model.net))
    fresh = _untrained(model, int(rng.integers(2**31)))
    order = top_down(model) if stages is None else stages
    before = explain(attribute, copy, x, targets)
    predicted, maps = [scores.argmax(1)], [explain(attribute, copy, x, targets)]
    for names in order.values():
        for name in names:
            _copy_state(fresh, copy.net, name, where=f"model {model.entry.name!r}")
        predicted.append(logits(copy, x, batch_size=batch_size).argmax(1))
        maps.append(explain(attribute, copy, x, targets))
    found = [alike(before, after, similarities=similarities) for after in maps]
    return Cascade(
        stages=("trained", *order),
        targets=targets.numpy(),
        predicted=torch.stack(predicted).numpy(),
        similarity={name: np.stack([one[name] for one in found]) for name in similarities},
        baseline=unlike(before, similarities=similarities),
        flat=np.stack([flat(after) for after in maps]),
    )


def top_down(model: Model) -> dict[str, list[str]]:
    """Part a network into stages: what lies up to each probe layer, and ``"head"`` after the last.

    Modules are taken in the order of their definition, which is that of the forward pass in the
    zoo's networks. A stage is named by its probe layer; one without weights is left out.

    Returns
    -------
    dict
        From the top down, for each stage the names of its modules that hold weights themselves.
    """
    names = [name for name, _ in model.net.named_modules()]

    def end(layer: str) -> int:
        inside = [k for k, name in enumerate(names) if f"{name}.".startswith(f"{layer}.")]
        return inside[-1]

    ends = sorted((end(layer.name), layer.name) for layer in model.entry.layers)
    ends.append((len(names), "head"))
    parts: dict[str, list[str]] = {name: [] for _, name in ends}
    for place, (name, module) in enumerate(model.net.named_modules()):
        if [*module.parameters(recurse=False)]:
            parts[next(stage for last, stage in ends if place <= last)].append(name)
    return {name: parts[name][::-1] for _, name in reversed(ends) if parts[name]}


def reversal_response(
    model: Model,
    attribute: Attribute,
    x: Tensor,
    *,
    target: Target = None,
    follow: bool = False,
    similarities: Sequence[str] = SIMILARITIES,
    batch_size: int | None = None,
) -> Response:
    """Play clips backwards: how far do predictions and maps follow?

    The map of the reversed clip is turned back before it is compared: a method that only asks where
    something is, frame by frame, gives the same map again.

    Parameters
    ----------
    model, attribute, x, similarities, batch_size
        As in `cascade`; the network is used as it is.
    target
        The class to explain, as in `cascade`; None is what is predicted for the clip as it is.
    follow
        True explains in the edited clip what is predicted there; False the same class in both.
    """
    return _response(
        model,
        attribute,
        x,
        edit="played backwards",
        change=lambda clips: clips.flip(2),
        back=lambda maps: maps[:, ::-1],
        target=target,
        follow=follow,
        similarities=similarities,
        batch_size=batch_size,
    )


def frozen_response(
    model: Model,
    attribute: Attribute,
    x: Tensor,
    *,
    frame: int | None = None,
    target: Target = None,
    follow: bool = False,
    similarities: Sequence[str] = SIMILARITIES,
    batch_size: int | None = None,
) -> Response:
    """Replace every frame by one (the middle one unless told): what is left without motion?

    Parameters and result are those of `reversal_response`.
    """
    middle = x.shape[2] // 2 if frame is None else frame
    if not -x.shape[2] <= middle < x.shape[2]:
        raise InputError(f"frame={frame} of clips of {x.shape[2]} frames")
    return _response(
        model,
        attribute,
        x,
        edit=f"frozen at frame {middle}",
        change=lambda clips: clips[:, :, middle, None].expand_as(clips).contiguous(),
        back=lambda maps: maps,
        target=target,
        follow=follow,
        similarities=similarities,
        batch_size=batch_size,
    )


def _response(
    model: Model,
    attribute: Attribute,
    x: Tensor,
    *,
    edit: str,
    change: Callable[[Tensor], Tensor],
    back: Callable[[Maps], Maps],
    target: Target,
    follow: bool,
    similarities: Sequence[str],
    batch_size: int | None,
) -> Response:
    changed = change(x)
    scores = [logits(model, clips, batch_size=batch_size) for clips in (x, changed)]
    targets = explained_classes(model, target, scores[0])
    requested = [targets, scores[1].argmax(1) if follow else targets]
    before = explain(attribute, model, x, requested[0])
    after = back(explain(attribute, model, changed, requested[1]))
    chances = [one.double().softmax(1).gather(1, targets[:, None])[:, 0] for one in scores]
    return Response(
        edit=edit,
        targets=torch.stack(requested).numpy(),
        predicted=torch.stack([one.argmax(1) for one in scores]).numpy(),
        probability=torch.stack(chances).numpy(),
        similarity=alike(before, after, similarities=similarities),
        strength=np.stack([np.abs(m).mean((1, 2, 3), dtype=np.float64) for m in (before, after)]),
        baseline=unlike(before, similarities=similarities),
        flat=np.stack([flat(before), flat(after)]),
    )


def _untrained(model: Model, seed: int) -> nn.Module:
    """Build the entry's network anew, leaving the global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = model.entry.build(len(model.labels))
    shapes = [{k: v.shape for k, v in one.state_dict().items()} for one in (net, model.net)]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"model {model.entry.name!r}: its entry builds another architecture, so there are no "
            "untrained weights for it; give the model an entry that builds its network"
        )
    return net.to(model.device)


def _copy_state(source: nn.Module, to: nn.Module, name: str, *, where: str) -> None:
    """Copy a module's parameters and buffers, with those of all it holds."""
    try:
        old = to.get_submodule(name)
    except AttributeError as error:
        raise InputError(f"{where} has no module {name!r} to randomise") from error
    old.load_state_dict(source.get_submodule(name).state_dict())
