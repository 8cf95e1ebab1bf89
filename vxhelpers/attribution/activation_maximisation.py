"""Activation maximisation on video: clips made to excite a unit of a network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vxhelpers.attribution.unit_selectivity import responses, unit_index, unit_name, unit_volume
from vxhelpers.data.clip import Frames
from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.models.probe import explain_memory
from vxhelpers.models.zoo import Model

Values = npt.NDArray[np.float64]

CONTRASTS = (0.1, 1.0, 4.0)  # of the noise to start from: fainter first


@dataclass(frozen=True, eq=False)
class Preferred:
    """A clip made to excite a unit, and what to hold it against.

    Parameters
    ----------
    layer, unit
        The layer, None for the logits, and the channel or class.
    frames
        ``(T, H, W, 3)`` uint8: the clip to look at.
    x
        ``(C, T, H, W)`` float32: the same 8-bit clip as the network takes it.
    activation
        The unit's activation by ``x``.
    curve
        ``(steps,)`` activations along the ascent, before each step, of the jittered clip.
    real
        ``(N,)`` activations by the real clips that were given.
    noise
        ``(n,)`` activations by clips of uniform noise, every pixel drawn by itself.
    """

    layer: str | None
    unit: int
    frames: Frames
    x: Tensor
    activation: float
    curve: Values
    real: Values
    noise: Values


def maximise(
    model: Model,
    unit: int | str,
    *,
    against: Tensor,
    rng: np.random.Generator,
    layer: str | None = None,
    steps: int = 128,
    rate: float = 0.1,
    space: float = 10.0,
    time: float = 10.0,
    jitter: int = 2,
    noise: int = 8,
    batch_size: int | None = 16,
) -> Preferred:
    r"""Make a clip that excites a unit, by gradient ascent on its pixels from faint noise.

    .. math:: \max_x \; \frac{a(x)}{\hat a} - \kappa \, \big(\overline{(\nabla_h x)^2}
              + \overline{(\nabla_w x)^2}\big) - \chi \, \overline{(\nabla_t x)^2}

    with :math:`a` the unit's mean activation over time and space, :math:`\hat a` its largest size
    on the real clips and on noise, and differences of neighbouring pixels (0 to 1) along rows,
    columns and frames, squared and averaged. Erhan et al., "Visualizing higher-layer features of a
    deep network", 2009, is the ascent; weighing roughness in space and in time apart is
    Feichtenhofer et al., "Deep insights into convolutional networks for video recognition", IJCV
    2020: :math:`\chi = 0` lets a unit ask for the fastest movement, a large :math:`\chi` for slow.
    As in Olah, Mordvintsev and Schubert, "Feature visualization", Distill 2017, the clip is shifted
    a little at random before each step, pixels are the sigmoid of free variables, so that black and
    white are never passed, and these are the clip's Fourier coefficients over their frequency, so
    that coarse structure is found as easily as fine. The steps are Adam's.

    captum has no release with this. **Deviations**: the frequency is that of space and time
    together; no rotation or scaling, which would be movement; what is reported is measured on the
    clip as 8-bit frames.

    Cost: ``steps`` forward and backward passes, and a forward for each real and noise clip.

    Parameters
    ----------
    model
        A network of the zoo, in evaluation mode; it is not changed.
    unit, layer
        As in `vxhelpers.attribution.unit_selectivity.responses`.
    against
        ``(N, C, T, H, W)`` prepared real clips, one at least, whose size the new clip has.
    rng
        Draws start, jitter and noise.
    steps, rate
        Number and size of steps.
    space, time
        Weights :math:`\kappa` and :math:`\chi`, 0 or more.
    jitter
        Largest shift along rows and columns in pixels, 0 or more; what leaves comes in again on the
        other side.
    noise
        Clips of noise to measure, one at least.
    batch_size
        Real and noise clips in one pass.

    Raises
    ------
    UnknownNameError, InputError, NotFiniteError
        As `vxhelpers.attribution.unit_selectivity.responses` does; `InputError` also for options
        out of range, and for a unit that is silent on noise of any contrast, so that there is no
        slope to climb.
    """
    if steps < 1 or rate <= 0 or min(space, time, jitter) < 0 or noise < 1:
        raise InputError(
            f"steps={steps}, rate={rate}, space={space}, time={time}, jitter={jitter}, "
            f"noise={noise}: steps and noise are at least 1, rate above 0, others 0 or more"
        )
    size = [*against.shape[1:]]
    if against.ndim != 5 or 0 in against.shape or size[0] != len(model.entry.mean):
        raise InputError(
            f"against is {tuple(against.shape)}: give (N, {len(model.entry.mean)}, T, H, W) "
            "prepared clips, one at least"
        )
    real = responses(model, against, unit, layer=layer, batch_size=batch_size).activations
    grain = torch.from_numpy(rng.random((noise, *size), dtype=np.float32)).to(model.device)
    grain = _input(model, grain)
    chance = responses(model, grain, unit, layer=layer, batch_size=batch_size).activations
    scale = float(max(np.abs(real).max(), np.abs(chance).max())) or 1.0
    volume = unit_volume(model, unit, layer)
    start = rng.standard_normal(size, dtype=np.float32)
    shifts = rng.integers(-jitter, jitter + 1, (steps, 2)).tolist()
    with explain_memory(1, size), torch.inference_mode(False), torch.enable_grad():
        for contrast in CONTRASTS:
            pixels, curve = _ascend(
                lambda x: volume(_input(model, x)).mean() / scale,
                torch.from_numpy(contrast * start).to(model.device),
                shifts=shifts,
                rate=rate,
                roughness=(time, space, space),
            )
            if len(curve):
                break
        else:
            raise InputError(
                f"{unit_name(unit, layer)} of model {model.entry.name!r} is silent on noise of any "
                "contrast: there is no slope to climb; choose another unit"
            )
    if not np.isfinite(curve).all():
        raise NotFiniteError(f"{unit_name(unit, layer)}: NaN or infinity on the way up; lower rate")
    shown = (255 * pixels).round()
    x = _input(model, shown / 255)
    return Preferred(
        layer=layer,
        unit=int(unit) if layer else unit_index(model, unit),
        frames=np.ascontiguousarray(shown[0].permute(1, 2, 3, 0).byte().cpu().numpy()),
        x=x[0],
        activation=float(responses(model, x, unit, layer=layer).activations[0]),
        curve=scale * curve,
        real=real,
        noise=chance,
    )


def _ascend(
    score: Callable[[Tensor], Tensor],
    noise: Tensor,
    *,
    shifts: list[list[int]],
    rate: float,
    roughness: tuple[float, float, float],
) -> tuple[Tensor, Values]:
    """Climb from noise ``(C, T, H, W)``: pixels of 0 to 1, and scores, none if no slope."""
    size, axes = noise.shape[1:], (-3, -2, -1)
    weight = _per_frequency(size).to(noise.device)
    spectrum = torch.fft.rfftn(noise[None], dim=axes, norm="ortho")
    free = torch.view_as_real(spectrum).clone().requires_grad_()

    def pixels() -> Tensor:
        coefficients = torch.view_as_complex(free) * weight
        volume: Tensor = torch.fft.irfftn(coefficients, s=size, dim=axes, norm="ortho")
        return volume.sigmoid()

    climber = torch.optim.Adam([free], lr=rate)
    curve: list[float] = []
    for shift in shifts:
        drawn = pixels()
        clip = drawn.detach().requires_grad_()
        a = score(clip.roll(shift, (3, 4)))
        (up,) = torch.autograd.grad(a, clip) if a.requires_grad else (torch.zeros_like(clip),)
        if not curve and not bool(up.any()):
            break
        (down,) = torch.autograd.grad(_roughness(clip, roughness), clip)
        (free.grad,) = torch.autograd.grad(drawn, free, down - up)
        climber.step()
        curve.append(float(a.detach()))
    return pixels().detach(), np.array(curve)


def _per_frequency(size: Sequence[int]) -> Tensor:
    """One over the frequency of each of `torch.fft.rfftn`'s coefficients, of mean square 1."""
    axes = [torch.fft.fftfreq(n) for n in size[:-1]] + [torch.fft.rfftfreq(size[-1])]
    squares = torch.stack(torch.meshgrid(*axes, indexing="ij")).square().sum(0)
    weight = 1 / squares.sqrt().clamp(min=1 / max(size))
    return weight / weight.square().mean().sqrt()


def _roughness(clip: Tensor, weights: Sequence[float]) -> Tensor:
    """Mean squared differences of neighbours along T, H and W of ``(1, C, T, H, W)``, weighted."""
    total = 0 * clip.sum()
    for axis, weight in zip((2, 3, 4), weights, strict=True):
        if clip.shape[axis] > 1:
            total = total + weight * clip.diff(dim=axis).square().mean()
    return total


def _input(model: Model, pixels: Tensor) -> Tensor:
    """Normalise pixels of 0 to 1 as the model's own preparation does."""
    mean, std = (
        torch.tensor(values, dtype=pixels.dtype, device=pixels.device).view(-1, 1, 1, 1)
        for values in (model.entry.mean, model.entry.std)
    )
    return (pixels - mean) / std
