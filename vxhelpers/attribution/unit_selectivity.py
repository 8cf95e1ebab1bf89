"""How much a unit of a network answers to clips, where in them, and whether it wants movement."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.models.probe import class_indices, in_batches, layer_output
from vxhelpers.models.zoo import Model

Values = npt.NDArray[np.float64]
Extent = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Responses:
    """What a unit answers to clips.

    Parameters
    ----------
    activations
        ``(N,)`` mean activation over the layer's time and space, or logit.
    cells
        ``(N, t, h, w)`` float32, the unit's activation in each of the layer's cells; None where
        there are no cells, in a pooled layer and for a logit.
    size
        Frames, rows and columns of the clips.
    """

    activations: Values
    cells: Tensor | None
    size: tuple[int, int, int]

    def top(self, count: int = 3) -> list[int]:
        """The clips that excite the unit most, the strongest first."""
        return [int(i) for i in np.argsort(-self.activations, kind="stable")[:count]]

    def peak(self, clip: int) -> tuple[Extent, Extent, Extent]:
        """Frames, rows and columns, each half-open, of the cell that is most active in a clip.

        A cell divides the clip evenly; what it has seen, its receptive field, is larger.

        Raises
        ------
        InputError
            If the unit has no cells.
        """
        if self.cells is None:
            raise InputError("a logit, or a unit of a pooled layer, has no place in a clip")
        cells = self.cells[clip]
        found = np.unravel_index(int(cells.argmax()), cells.shape)
        t, i, j = (
            (int(k) * length // n, -(-(int(k) + 1) * length // n))
            for k, n, length in zip(found, cells.shape, self.size, strict=True)
        )
        return t, i, j


@dataclass(frozen=True, eq=False)
class Movement:
    """A unit's activations by clips as they are, and with their movement taken away.

    Parameters
    ----------
    played
        ``(N,)`` the clips as they are.
    frozen
        ``(N, stills)`` one frame for the whole clip, for several frames.
    reversed
        ``(N,)`` played backwards.
    shuffled
        ``(N, shuffles)`` frames in random order.
    """

    played: Values
    frozen: Values
    reversed: Values
    shuffled: Values

    @property
    def still(self) -> Values:
        """``(N,)`` activation by the best of the stills: what no movement is needed for."""
        best: Values = self.frozen.max(1)
        return best


def responses(
    model: Model,
    x: Tensor,
    unit: int | str,
    *,
    layer: str | None = None,
    batch_size: int | None = None,
) -> Responses:
    """Measure how much clips excite a unit, and where in them.

    Parameters
    ----------
    model
        A network of the zoo, in evaluation mode.
    x
        ``(N, C, T, H, W)`` prepared clips.
    unit
        A channel of ``layer``, from 0; without a layer a class, as its index or label.
    layer
        A probe layer; None for the logits.
    batch_size
        Clips in one pass; all of them unless told.

    Raises
    ------
    UnknownNameError, InputError
        If the layer, the unit or the label is not the model's, the network is in training mode, or
        memory runs out.
    NotFiniteError
        If a clip's activation is NaN or infinite; names the clip.
    """
    volume = unit_volume(model, unit, layer)
    with torch.no_grad():
        step = in_batches(
            lambda rows: volume(x[rows].to(model.device)),
            clips=len(x),
            batch_size=batch_size,
            shape=x.shape[1:],
        )
        cells = torch.cat([*step]).float()
    means = cells.double().reshape(len(cells), -1).mean(1).cpu().numpy()
    if not np.isfinite(means).all():
        clip = int((~np.isfinite(means)).argmax())
        raise NotFiniteError(f"clip {clip}: NaN or infinity at {unit_name(unit, layer)}")
    size = (x.shape[2], x.shape[3], x.shape[4])
    return Responses(means, cells if cells.ndim == 4 else None, size)


def movement(
    model: Model,
    x: Tensor,
    unit: int | str,
    *,
    rng: np.random.Generator,
    layer: str | None = None,
    stills: int | None = None,
    shuffles: int = 4,
    batch_size: int | None = 16,
) -> Movement:
    """Ask whether a unit wants movement: what clips excite played, frozen, reversed, shuffled.

    Cost: ``2 + stills + shuffles`` forward passes a clip.

    Parameters
    ----------
    model, unit, layer, batch_size
        As in `responses`.
    x
        ``(N, C, T, H, W)`` prepared clips.
    rng
        Draws the orders of frames, the same for all clips.
    stills
        Frames to hold still, evenly spaced; all of them unless told.
    shuffles
        Random orders, one at least.

    Raises
    ------
    UnknownNameError, InputError, NotFiniteError
        As `responses` does; `InputError` also for counts out of range.
    """
    count = x.shape[2]
    stills = count if stills is None else stills
    if not 1 <= stills <= count or shuffles < 1:
        raise InputError(
            f"stills={stills}, shuffles={shuffles}: 1 to the clip's {count} frames, and at least 1"
        )
    held = ((np.arange(stills) + 0.5) * count / stills).astype(int)
    orders = [
        np.arange(count),
        np.arange(count)[::-1].copy(),
        *(np.full(count, frame) for frame in held),
        *(rng.permutation(count) for _ in range(shuffles)),
    ]
    found = np.stack(
        [
            responses(model, x[:, :, order], unit, layer=layer, batch_size=batch_size).activations
            for order in orders
        ],
        axis=1,
    )
    return Movement(found[:, 0], found[:, 2 : 2 + stills], found[:, 1], found[:, 2 + stills :])


def unit_volume(model: Model, unit: int | str, layer: str | None) -> Callable[[Tensor], Tensor]:
    """The unit's activations ``(N, t, h, w)``, or ``(N,)`` where it has no cells."""
    if any(module.training for module in model.net.modules()):
        raise InputError(f"model {model.entry.name!r} is in training mode: call model.net.eval()")
    if layer is None:
        index = unit_index(model, unit)
        return lambda x: model.logits(x)[:, index]
    if isinstance(unit, str):
        raise InputError(f"unit {unit!r} of layer {layer!r}: a number from 0; labels are of logits")
    model.layer(layer)

    def channel(x: Tensor) -> Tensor:
        found = layer_output(model, x, layer=layer)
        if not 0 <= unit < found.shape[1]:
            raise InputError(
                f"unit {unit} of layer {layer!r}: it has {found.shape[1]} units, from 0"
            )
        return found[:, unit]

    return channel


def unit_index(model: Model, unit: int | str) -> int:
    """A class's index, from its index or label."""
    found = class_indices(model, [unit], clips=1)
    assert found is not None  # a list always has indices
    return int(found[0])


def unit_name(unit: int | str, layer: str | None) -> str:
    """A unit in words, for messages."""
    return f"the logit of {unit!r}" if layer is None else f"unit {unit} of layer {layer!r}"
