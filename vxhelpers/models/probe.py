"""Activations and gradients at several named layers, in one forward and one backward."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError
from vxhelpers.models.zoo import Layer, Model

Target = int | str | Sequence[int | str] | Tensor | None
Score = Literal["logit", "log_probability"]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Probe:
    """What one pass through a network left at the probed layers.

    Parameters
    ----------
    logits
        ``(N, classes)`` outputs of the network.
    targets
        ``(N,)`` int64 indices of the classes whose score was differentiated.
    activations, gradients
        One tensor a layer, in the order asked for: ``(N, C, T, H, W)``, or ``(N, C)`` for a pooled
        layer, whatever the network's own layout. ``gradients`` holds the derivative of each clip's
        target score by that clip's activations; it is empty when none were asked for.
    """

    logits: Tensor
    targets: Tensor
    activations: dict[str, Tensor]
    gradients: dict[str, Tensor]


def probe(
    model: Model,
    x: Tensor,
    *,
    layers: Sequence[str],
    target: Target = None,
    gradients: bool = True,
    of: Score = "logit",
) -> Probe:
    """Run clips through a network once and read its activations and gradients at named layers.

    The graph starts at the first probed layer that runs: what lies before it keeps nothing for the
    backward pass and is not differentiated, and no parameter gets a ``.grad``. Clips do not mix
    (the network is in evaluation mode), so the summed score's derivative is each clip's own.

    Parameters
    ----------
    model
        A network of the zoo, in evaluation mode.
    x
        ``(N, C, T, H, W)`` prepared clips (`Model.prepare`), moved to the network's device.
    layers
        Names of probe layers of ``model``; several cost one pass together.
    target
        The class whose score is differentiated: an index, a label, one of either for each clip, or
        None for each clip's predicted class.
    gradients
        False runs the forward pass alone.
    of
        ``"logit"``, or ``"log_probability"`` for the logarithm of the softmax.

    Raises
    ------
    UnknownNameError
        If a layer or label is not the model's; the nearest names are suggested.
    InputError
        If shapes, targets or options do not fit, a layer does not run exactly once in a forward
        pass, no gradient reaches a layer, or memory runs out (with the batch size to try).
    NotFiniteError
        If NaN or infinity appears, with the clip's index and the first layer it appears in.
    """
    if of not in ("logit", "log_probability"):
        raise InputError(f"of={of!r}: a score is 'logit' or 'log_probability'")
    if not layers or len(set(layers)) < len(layers):
        raise InputError(f"layers={list(layers)}: name at least one layer, and each only once")
    if any(module.training for module in model.net.modules()):
        raise InputError(f"model {model.entry.name!r} is in training mode: call model.net.eval()")
    declared = {name: model.layer(name) for name in layers}
    wanted = class_indices(model, target, clips=len(x))

    with explain_memory(len(x), x.shape[1:]), torch.inference_mode(False):
        # Tensors made in inference mode cannot enter a graph; copies can.
        x = x.clone() if x.is_inference() else x
        logits, taps = _forward(model, x.to(model.device), declared, differentiable=gradients)
        activations = {name: tap.canonical(tap.tensor.detach()) for name, tap in taps.items()}
        # In running order: the first layer with a bad value is the one to name.
        _check_finite({f"layer {name!r}": value for name, value in activations.items()})
        _check_finite({"the logits": logits.detach()})
        targets = logits.argmax(1) if wanted is None else wanted.to(model.device).clone()
        slopes: dict[str, Tensor] = {}
        if gradients:
            with torch.enable_grad():
                # In float64: near certainty one minus a probability has no digits in float32.
                scores = logits if of == "logit" else logits.double().log_softmax(1)
                total = scores.gather(1, targets[:, None]).sum()
            slopes = _backward(total, taps)
            _check_finite({f"the gradient at layer {name!r}": slopes[name] for name in slopes})
    return Probe(
        logits=logits.detach(),
        targets=targets,
        activations={name: activations[name] for name in layers},
        gradients={name: slopes[name] for name in layers if gradients},
    )


def layer_output(model: Model, x: Tensor, *, layer: str) -> Tensor:
    """Run clips through a network and return one layer's activations, in the caller's grad mode.

    Unlike `probe`, whose graph starts at the layers, this one reaches back to ``x``; it is what an
    ascent on the pixels needs.

    Parameters
    ----------
    model
        A network of the zoo.
    x
        ``(N, C, T, H, W)`` prepared clips, on the network's device.
    layer
        Name of a probe layer.

    Returns
    -------
    Tensor
        ``(N, C, T, H, W)``, or ``(N, C)`` for a pooled layer, whatever the network's own layout.

    Raises
    ------
    UnknownNameError
        If the layer is not the model's; the nearest names are suggested.
    InputError
        If ``x`` is no batch of clips, or the layer does not run exactly once in a forward pass.
    """
    declared = model.layer(layer)
    found: list[Any] = []

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        tensor, rebuild = _open(output)
        # A copy: what follows may work in place.
        found.append(declared.canonical(rebuild(tensor.clone())))

    with model.net.get_submodule(layer).register_forward_hook(hook):
        model.logits(x)
    if len(found) != 1:
        raise InputError(
            f"layer {layer!r} of model {model.entry.name!r} runs {len(found)} times in a forward "
            "pass: choose a layer that runs once"
        )
    activations: Tensor = found[0]
    return activations


def class_indices(model: Model, target: Target, *, clips: int) -> Tensor | None:
    """Turn a target into ``(clips,)`` int64 class indices; None (the predicted class) stays None.

    Raises
    ------
    UnknownNameError
        If a label is not one of the model's.
    InputError
        If an index is out of range, or there is not one target a clip.
    """
    if target is None:
        return None
    if isinstance(target, int | str):
        targets = [target] * clips
    else:
        targets = target.tolist() if isinstance(target, Tensor) else list(target)
    if len(targets) != clips:
        raise InputError(
            f"{len(targets)} targets for {clips} clips: give one, or one for each clip"
        )
    where, labels = f"model {model.entry.name!r}", model.labels
    for item in targets:
        if isinstance(item, str) and item not in labels:
            raise UnknownNameError("label", item, labels, where=where)
        if not isinstance(item, str) and not 0 <= item < len(labels):
            raise InputError(f"class {item} of {where}: it has {len(labels)} classes, from 0")
    indices = [labels.index(item) if isinstance(item, str) else item for item in targets]
    return torch.tensor(indices, dtype=torch.int64)


def in_batches(
    step: Callable[[slice], T],
    *,
    clips: int,
    batch_size: int | None,
    shape: Sequence[int] = (),
) -> Iterator[T]:
    """Call ``step`` on consecutive slices of at most ``batch_size`` of ``clips`` clips, lazily.

    None is a single batch. An `InputError` says which batch size to try when memory runs out, and
    the ``shape`` of a clip, ``(C, T, H, W)``, where it was given.
    """
    size = clips if batch_size is None else batch_size
    if size < 1:
        raise InputError(f"batch_size={batch_size}: a batch holds at least one clip")
    for start in range(0, clips, size):
        rows = slice(start, min(start + size, clips))
        with explain_memory(rows.stop - rows.start, shape):
            result = step(rows)
        yield result


@contextmanager
def explain_memory(clips: int, shape: Sequence[int] = ()) -> Iterator[None]:
    """Turn running out of memory on ``clips`` clips into an `InputError` that says what to try.

    It tells the ``shape`` of a clip, ``(C, T, H, W)``, where it was given.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # On the CPU, torch raises a plain RuntimeError from its allocator.
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not known and not re.search("allocate memory|not enough memory", str(error)):
            raise
        advice = f"try batch_size={clips // 2}" if clips > 1 else _SMALLER
        size = ""
        if len(shape) == 4:
            channels, frames, rows, columns = shape
            size = f" (a clip has {channels} channels, {frames} frames of {rows}x{columns} pixels)"
        raise InputError(f"a batch of {clips} does not fit in memory: {advice}{size}") from error


_SMALLER = "give the network fewer frames or smaller clips, or probe fewer layers at once"


@dataclass(frozen=True, eq=False)
class _Tap:
    """A probed layer's tensor, and how a tensor like it reads in the canonical layout."""

    tensor: Tensor
    canonical: Callable[[Tensor], Tensor]


def _forward(
    model: Model, x: Tensor, layers: Mapping[str, Layer], *, differentiable: bool
) -> tuple[Tensor, dict[str, _Tap]]:
    """Run the net once, tapping the layers in running order; no hook outlives the call."""
    taps: dict[str, _Tap] = {}

    def tap(name: str, layer: Layer) -> Callable[[nn.Module, Any, Any], Any]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            if name in taps:
                raise InputError(
                    f"layer {name!r} of model {model.entry.name!r} runs more than once in a "
                    "forward pass: probe a layer that runs once"
                )
            tensor, rebuild = _open(output)
            if differentiable and not tensor.requires_grad:
                # The graph starts here; the enclosing no_grad restores the mode afterwards.
                tensor = tensor.detach().requires_grad_()
                torch.set_grad_enabled(True)
            taps[name] = _Tap(tensor, lambda value: layer.canonical(rebuild(value)))
            # What follows works on a copy, so that an in-place layer cannot reach the tap.
            return rebuild(tensor.clone())

        return hook

    with ExitStack() as hooks, torch.no_grad():
        for name, layer in layers.items():
            module = model.net.get_submodule(layer.name)
            hooks.enter_context(module.register_forward_hook(tap(name, layer)))
        logits = model.logits(x)
    for name in layers:
        if name not in taps:
            raise InputError(f"layer {name!r} of model {model.entry.name!r} does not run")
    return logits, taps


def _backward(total: Tensor, taps: Mapping[str, _Tap]) -> dict[str, Tensor]:
    """Differentiate ``total`` by every tap in one backward pass, no further than the first."""
    tensors = [tap.tensor for tap in taps.values()]
    connected = total.requires_grad
    slopes = torch.autograd.grad(total, tensors, allow_unused=True) if connected else ()
    gradients = {}
    for (name, tap), slope in zip_longest(taps.items(), slopes):
        if slope is None:
            raise InputError(
                f"no gradient reaches layer {name!r}: the score does not depend on it through "
                "differentiable operations; probe another layer"
            )
        gradients[name] = tap.canonical(slope)
    return gradients


def _open(output: Any) -> tuple[Tensor, Callable[[Tensor], Any]]:
    """Split a module's output into its tensor, which may lead a tuple, and how to put one back."""
    if isinstance(output, Tensor):
        return output, lambda value: value
    tensor, *rest = output
    return tensor, lambda value: type(output)((value, *rest))


def _check_finite(values: Mapping[str, Tensor]) -> None:
    """Raise on NaN or infinity, naming the first place and clip; one pass, one synchronisation."""
    # A sum is finite only if all its terms are; the terms are looked at one by one only if not.
    sums = torch.stack([value.sum(dtype=torch.float32) for value in values.values()])
    if bool(sums.isfinite().all()):
        return
    for place, value in values.items():
        bad = ~value.isfinite().flatten(1).all(1)
        if bool(bad.any()):
            raise NotFiniteError(
                f"NaN or infinity in {place} for clip {int(bad.nonzero()[0])} of the batch: "
                "check that clip's pixels and the weights"
            )
