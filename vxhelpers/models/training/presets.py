"""Training recipes: everything that decides a run besides the network, the clips and the seed."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from vxhelpers.errors import InputError, UnknownNameError


@dataclass(frozen=True)
class Preset:
    """Optimizer, schedule and augmentation of a training run.

    Time is never augmented by reversal: on some tasks the direction of time is the label.

    Parameters
    ----------
    optimizer, lr, momentum, weight_decay
        ``"sgd"`` (uses ``momentum``) or ``"adamw"``; ``lr`` is the highest learning rate.
    schedule, warmup, step_epochs
        ``"one_cycle"`` and ``"cosine"``: a rise over the share ``warmup`` of all steps (cosine and
        straight), then a cosine to 0. ``"step"``: divided by 10 every ``step_epochs`` epochs.
    epochs, batch
        Passes over the training clips; clips a step (the last steps share what is left evenly).
    label_smoothing, clip_norm
        Of the cross-entropy, 0 to 1; highest norm of the gradient, None for no clipping.
    flip, shift, jitter
        Mirror left and right with probability one half; random crop by up to so many pixels each
        way, edges held; brightness (of the full range) and contrast changed by up to this share.
    reach
        Footage: draw the network's window from so many window lengths around a clip's middle.
    channels_last, bf16
        ``torch.channels_last_3d`` weights (about 1.6 times as fast on small 3-D conv nets);
        bfloat16 autocast.
    """

    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = 2e-3
    momentum: float = 0.9
    weight_decay: float = 0.05
    schedule: Literal["one_cycle", "step", "cosine"] = "one_cycle"
    warmup: float = 0.3
    step_epochs: int = 50
    epochs: int = 12
    batch: int = 32
    label_smoothing: float = 0.05
    clip_norm: float | None = None
    flip: bool = False
    shift: int = 4
    jitter: float = 0.1
    reach: int = 2
    channels_last: bool = True
    bf16: bool = False

    def __post_init__(self) -> None:
        for name in ("lr", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"{name} must be above 0, not {value}")
        for name in ("epochs", "batch", "step_epochs", "reach"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be 1 or more, not {getattr(self, name)}")
        for name in ("momentum", "warmup", "label_smoothing", "jitter"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must be 0 to 1, not {getattr(self, name)}")
        for name in ("weight_decay", "shift"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} must be 0 or more, not {getattr(self, name)}")
        for name, kind in get_type_hints(Preset).items():
            if get_origin(kind) is Literal and getattr(self, name) not in get_args(kind):
                raise UnknownNameError(name, getattr(self, name), get_args(kind))


#: ``quick``: minutes on a CPU. ``stce``: the recipe of the STCE paper, section 4.1 (from scratch,
#: random flip and crop, 16 consecutive frames at random; no weight decay is mentioned there).
#: ``swin``: for transformers.
PRESETS: Mapping[str, Preset] = {
    "quick": Preset(),
    "stce": Preset(
        optimizer="sgd",
        lr=0.01,
        weight_decay=0.0,
        schedule="step",
        epochs=150,
        batch=64,
        label_smoothing=0.0,
        flip=True,
        jitter=0.0,
        reach=8,
        channels_last=False,
    ),
    "swin": Preset(
        lr=1e-3,
        schedule="cosine",
        warmup=0.1,
        epochs=60,
        clip_norm=1.0,
        channels_last=False,
    ),
}


def preset(name: str) -> Preset:
    """The preset of that name; change values with ``dataclasses.replace``."""
    try:
        return PRESETS[name]
    except KeyError:
        raise UnknownNameError("preset", name, PRESETS) from None


def override(preset: Preset, values: Mapping[str, str]) -> Preset:
    """The preset with some values replaced, given as text: ``{"clip_norm": "1.0"}``.

    Numbers, ``true``, ``false`` and ``null`` are read as in JSON.

    Raises
    ------
    UnknownNameError
        If the preset has no such value.
    InputError
        If a text does not fit the value's type, or the value is out of range.
    """
    types = get_type_hints(Preset)
    parsed: dict[str, Any] = {}
    for name, text in values.items():
        if name not in types:
            raise UnknownNameError("preset value", name, types)
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        kinds = get_args(types[name]) or (types[name],)
        if float in kinds and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if value not in kinds and type(value) not in kinds:
            wanted = " or ".join(getattr(kind, "__name__", repr(kind)) for kind in kinds)
            raise InputError(f"preset value {name}={text}: {wanted} is needed")
        parsed[name] = value
    return replace(preset, **parsed)


def lr_factor(preset: Preset, step: int, steps: int) -> float:
    """Learning rate at ``step`` (from 0, over the whole run) as a share of ``preset.lr``.

    ``steps`` is the number of steps an epoch.
    """
    if preset.schedule == "step":
        return float(0.1 ** (step // steps // preset.step_epochs))
    total = preset.epochs * steps
    rise = preset.warmup * total
    if step < rise:
        share = (step + 1) / math.ceil(rise)
        return (1 - math.cos(math.pi * share)) / 2 if preset.schedule == "one_cycle" else share
    return (1 + math.cos(math.pi * (step - rise) / (total - rise))) / 2
