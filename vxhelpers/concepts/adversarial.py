"""How little it takes to move a concept's score: concept clips changed by less than the eye sees.

Brown and Kvinge, "Brittle interpretations" (2021): who can change the clips of a concept can choose
what TCAV says, while the network and the clips that are scored stay as they are. Projected gradient
steps (Madry et al., 2018) push each concept clip's activations along a direction, such as the
scored class's gradient; every pixel stays within ``epsilon`` grey levels of what it was. They
attack the vector of one classifier and one random set; we push along the gradient that the scores
are made of, so that any classifier is moved, and keep whole grey levels, so that the changed clips
are videos that could be stored.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vxhelpers.data.clip import Clip
from vxhelpers.data.sampling import view
from vxhelpers.errors import InputError
from vxhelpers.models.probe import Target, class_indices, in_batches, probe
from vxhelpers.models.zoo import Model


def as_seen(model: Model) -> Model:
    """Make the same network take clips that are of its own frames and size already, as they are."""
    return replace(model, entry=replace(model.entry, stride=1, resize=model.entry.crop))


def seen(model: Model, clips: Sequence[Clip]) -> list[Clip]:
    """The clips as the network sees them: its frames and size, for `as_seen`."""
    entry = model.entry
    return [
        replace(
            clip,
            frames=view(
                clip,
                frames=entry.frames,
                stride=entry.stride,
                resize=entry.resize,
                crop=entry.crop,
            ),
            fps=clip.fps / entry.stride,
        )
        for clip in clips
    ]


def mean_gradient(
    model: Model, clips: Sequence[Clip], *, layer: str, target: Target, batch_size: int = 8
) -> Tensor:
    """Mean gradient of a class's logit at a layer: ``(C, T, H, W)``, or ``(C,)`` of a pooled one.

    Parameters
    ----------
    model, clips
        The network and the clips that are scored.
    layer
        Probe layer.
    target
        The class, as `vxhelpers.models.probe.probe` takes it.
    """

    def step(rows: slice) -> Tensor:
        batch = [clips[index] for index in range(rows.start, rows.stop)]
        wanted = None if indices is None else indices[rows]
        found = probe(model, model.prepare(batch), layers=[layer], target=wanted)
        return found.gradients[layer].sum(0)

    indices = class_indices(model, target, clips=len(clips))
    total = torch.stack([*in_batches(step, clips=len(clips), batch_size=batch_size)]).sum(0)
    return total / len(clips)


def nudge(
    model: Model,
    clips: Sequence[Clip],
    *,
    layer: str,
    direction: Tensor,
    epsilon: int = 4,
    steps: int = 10,
    batch_size: int = 8,
) -> list[Clip]:
    """Change clips a little, so that a layer's activations move along a direction.

    Parameters
    ----------
    model
        A network of the zoo.
    clips
        Concept clips, in the network's geometry already (`seen`).
    layer
        Probe layer whose activations are to move.
    direction
        ``(C, T, H, W)`` or, at a pooled layer, ``(C,)``: where to, such as the scoring clips' mean
        gradient (`mean_gradient`), or minus that.
    epsilon
        Grey levels, of 255, that a value may change at most.
    steps
        Of the ascent: each moves every value by one grey level or leaves it.

    Returns
    -------
    list of Clip
        Of the same size and length; whole grey levels, within 0 to 255.

    Raises
    ------
    InputError
        If clips are not in the network's geometry, the direction is of another shape than the
        layer's activations, or an option is out of range.
    """
    if not 1 <= epsilon <= 255 or steps < 1:
        raise InputError(f"epsilon={epsilon} and steps={steps}: 1 to 255 levels, at least 1 step")
    entry = model.entry
    sides = (entry.crop, entry.crop) if isinstance(entry.crop, int) else entry.crop
    for clip in clips:
        if clip.frames.shape[:3] != (entry.frames, *sides):
            raise InputError(
                f"{clip.source}: frames of {clip.frames.shape[:3]} where model {entry.name!r} sees "
                f"{(entry.frames, *sides)}; bring clips to that with adversarial.seen"
            )
    mean, std = (
        torch.tensor(v, device=model.device).view(3, 1, 1, 1) for v in (entry.mean, entry.std)
    )

    def step(rows: slice) -> list[Clip]:
        batch = [clips[index] for index in range(rows.start, rows.stop)]
        stack = np.stack([clip.frames for clip in batch])
        start = torch.from_numpy(stack).to(model.device).float().permute(0, 4, 1, 2, 3)
        low, high = (start - epsilon).clamp(min=0), (start + epsilon).clamp(max=255)
        pixels = start.clone()
        for _ in range(steps):
            pixels.requires_grad_()
            with torch.enable_grad():
                moved = _activations(model, (pixels / 255 - mean) / std, layer)
                if moved.shape[1:] != direction.shape:
                    raise InputError(
                        f"direction of {tuple(direction.shape)} at layer {layer!r}, whose "
                        f"activations are {tuple(moved.shape[1:])}"
                    )
                total = (moved * direction.to(moved)).sum()
                (slope,) = torch.autograd.grad(total, pixels)
            pixels = (pixels.detach() + slope.sign()).clamp(low, high)
        frames = pixels.permute(0, 2, 3, 4, 1).cpu().numpy().astype(np.uint8)
        return [replace(c, frames=f) for c, f in zip(batch, frames, strict=True)]

    return [
        clip for part in in_batches(step, clips=len(clips), batch_size=batch_size) for clip in part
    ]


ORIGINAL, NOISE, UP, DOWN = "as they were", "noise", "pushed up", "pushed down"


def attacked(
    model: Model,
    clips: Sequence[Clip],
    *,
    layer: str,
    gradient: Tensor,
    epsilon: int,
    steps: int,
    rng: np.random.Generator,
) -> dict[str, list[Clip]]:
    """Versions of concept clips: as they were, with noise, pushed along a gradient and against it.

    Parameters
    ----------
    model, clips, layer, epsilon, steps
        As in `nudge`.
    gradient
        Of the scored class at the layer (`mean_gradient`).
    """
    shaken = []
    for clip in clips:
        noise = rng.choice([-epsilon, epsilon], clip.frames.shape)
        shaken.append(replace(clip, frames=(clip.frames + noise).clip(0, 255).astype(np.uint8)))
    pushed = {
        name: nudge(
            model, clips, layer=layer, direction=sign * gradient, epsilon=epsilon, steps=steps
        )
        for name, sign in ((UP, 1), (DOWN, -1))
    }
    return {ORIGINAL: [*clips], NOISE: shaken, **pushed}


def _activations(model: Model, x: Tensor, layer: str) -> Tensor:
    """Activations at one layer, in the graph of ``x``; no hook outlives the call."""
    declared, found = model.layer(layer), []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        # A copy, so that an in-place operation that follows cannot reach it.
        found.append(declared.canonical(output).clone())

    handle = model.net.get_submodule(layer).register_forward_hook(keep)
    try:
        model.logits(x)
    finally:
        handle.remove()
    if len(found) != 1:
        raise InputError(f"layer {layer!r} runs {len(found)} times: probe one that runs once")
    return found[0]
