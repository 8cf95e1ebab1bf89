"""From a clip to what the network sees: which frames, at which size, with which normalisation.

One place decides the geometry: :func:`prepare` (network input), :func:`view` (the same pixels, for
overlays) and :func:`prepare_mask` (ground truth in the network's geometry) share it, so that a
heatmap, a picture and a mask always lie on each other.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from vxhelpers.data.clip import Clip, Frames
from vxhelpers.errors import InputError

Size = int | tuple[int, int]
Short = Literal["loop", "hold"]


def sample_frames(
    clip: Clip | int,
    *,
    frames: int,
    stride: int = 1,
    start: int | None = None,
    short: Short = "loop",
) -> npt.NDArray[np.int64]:
    """Indices of the frames that the network is shown: every ``stride``-th one of a window.

    Parameters
    ----------
    clip
        The clip, or its number of frames.
    frames
        How many frames the network takes, at least 1.
    stride
        Steps between them, at least 1.
    start
        First frame of the window; None centres the window on the clip.
    short
        What follows the clip's last frame where the window is longer than the clip: ``"loop"``
        (default) begins again with frame 0, so that the motion goes on at the price of one jump;
        ``"hold"`` repeats the last frame, so that the action stops and no jump is shown.

    Returns
    -------
    ndarray
        ``(frames,)`` int64, each in ``[0, len(clip))``.

    Raises
    ------
    InputError
        If an option is out of its range.
    """
    length = clip if isinstance(clip, int) else len(clip)
    source = "clip" if isinstance(clip, int) else clip.source
    if length < 1 or frames < 1 or stride < 1:
        raise InputError(
            f"{source}: frames and stride must be at least 1, not {frames} and {stride} "
            f"(clip of {length} frames)"
        )
    if start is None:
        start = max(0, (length - (frames - 1) * stride - 1) // 2)
    elif not 0 <= start < length:
        raise InputError(f"{source}: start {start} is outside the clip of {length} frames")
    if short not in ("loop", "hold"):
        raise InputError(f"short must be 'loop' or 'hold', not {short!r}")
    indices = start + stride * np.arange(frames, dtype=np.int64)
    return indices % length if short == "loop" else np.minimum(indices, length - 1)


def prepare(
    clip: Clip,
    *,
    frames: int,
    stride: int = 1,
    resize: Size | None,
    crop: Size | None,
    mean: Sequence[float],
    std: Sequence[float],
    start: int | None = None,
    short: Short = "loop",
) -> Tensor:
    """Make a clip into network input: sampled in time, resized, cropped, normalised.

    Parameters
    ----------
    clip
        The clip.
    frames, stride, start, short
        Which frames: see :func:`sample_frames`.
    resize
        Antialiased bilinear resize of the whole frame: an int is the length of the short side
        (the aspect stays), a pair is ``(height, width)``, None leaves the size.
    crop
        Centre crop after it: an int is a square, a pair is ``(height, width)``, None keeps all.
    mean, std
        For each of R, G, B, on the scale of 0 to 1.

    Returns
    -------
    Tensor
        ``(3, frames, H, W)`` float32: ``(value / 255 - mean) / std``.

    Raises
    ------
    InputError
        If an option is out of its range or the crop is larger than the resized frame.
    """
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise InputError(
            f"mean and std need three values, std above 0: not {tuple(mean)} and {tuple(std)}"
        )
    indices = sample_frames(clip, frames=frames, stride=stride, start=start, short=short)
    pixels = _fit(_channels_first(clip.frames[indices]), resize, crop, source=clip.source)
    scale = 1.0 / (255.0 * torch.tensor(std, dtype=torch.float64))
    shift = torch.tensor(mean, dtype=torch.float64) * 255.0 * scale
    column = (3, 1, 1, 1)
    x = pixels.transpose(0, 1).to(torch.float32, memory_format=torch.contiguous_format)
    return x.mul_(scale.float().view(column)).sub_(shift.float().view(column))


def view(
    clip: Clip,
    *,
    frames: int,
    stride: int = 1,
    resize: Size | None,
    crop: Size | None,
    start: int | None = None,
    short: Short = "loop",
) -> Frames:
    """The pixels that :func:`prepare` normalises, as ``(frames, H, W, 3)`` uint8, for overlays."""
    indices = sample_frames(clip, frames=frames, stride=stride, start=start, short=short)
    pixels = _fit(_channels_first(clip.frames[indices]), resize, crop, source=clip.source)
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).numpy())


def prepare_mask(
    mask: npt.NDArray[np.bool_] | npt.NDArray[np.uint8],
    *,
    frames: int,
    stride: int = 1,
    resize: Size | None,
    crop: Size | None,
    start: int | None = None,
    short: Short = "loop",
) -> npt.NDArray[np.uint8]:
    """Bring a mask or id map of a clip into the geometry of the network's input.

    Parameters
    ----------
    mask
        ``(T, H, W)`` bool or uint8 (instance ids), for the frames of the clip.
    frames, stride, resize, crop, start, short
        As given to :func:`prepare`; resized to the nearest value, so that ids stay ids.

    Returns
    -------
    ndarray
        ``(frames, H', W')``, of the type that came in.

    Raises
    ------
    InputError
        If the mask has another shape or type, or an option is out of its range.
    """
    if mask.ndim != 3 or mask.dtype not in (np.bool_, np.uint8):
        raise InputError(
            f"a mask needs shape (T, H, W) and bool or uint8, not {mask.shape} {mask.dtype}"
        )
    indices = sample_frames(len(mask), frames=frames, stride=stride, start=start, short=short)
    planes = torch.from_numpy(mask[indices].astype(np.uint8))[:, None]
    fitted = _fit(planes, resize, crop, nearest=True, source="mask")[:, 0]
    return np.ascontiguousarray(fitted.numpy()).astype(mask.dtype)


def output_size(
    height: int, width: int, *, resize: Size | None, crop: Size | None
) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """The geometry of :func:`prepare` on frames of this size.

    Returns
    -------
    tuple
        ``((height, width) after the resize, (top, left, height, width) of the crop in it)``.

    Raises
    ------
    InputError
        If a size is below 1 or the crop is larger than the resized frame.
    """
    if isinstance(resize, int):
        short, long = sorted((height, width))
        other = int(long * resize / short)  # truncated, as torchvision does
        resized = (resize, other) if height <= width else (other, resize)
    else:
        resized = (height, width) if resize is None else (resize[0], resize[1])
    cropped = (crop, crop) if isinstance(crop, int) else (resized if crop is None else crop)
    if min(*resized, *cropped) < 1 or cropped[0] > resized[0] or cropped[1] > resized[1]:
        raise InputError(
            f"a frame of {height}x{width} resized to {resized[0]}x{resized[1]} has no centre crop "
            f"of {cropped[0]}x{cropped[1]}; make resize larger or crop smaller"
        )
    top, left = round((resized[0] - cropped[0]) / 2), round((resized[1] - cropped[1]) / 2)
    return resized, (top, left, cropped[0], cropped[1])


def _channels_first(frames: Frames) -> Tensor:
    return torch.from_numpy(frames).permute(0, 3, 1, 2)


def _fit(
    pixels: Tensor, resize: Size | None, crop: Size | None, *, nearest: bool = False, source: str
) -> Tensor:
    """Resize and centre-crop ``(T, C, H, W)`` uint8 planes."""
    height, width = pixels.shape[2:]
    try:
        resized, box = output_size(height, width, resize=resize, crop=crop)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    if resized != (height, width):
        mode = InterpolationMode.NEAREST_EXACT if nearest else InterpolationMode.BILINEAR
        pixels = F.resize(pixels, list(resized), interpolation=mode, antialias=not nearest)
    cropped: Tensor = F.crop(pixels, *box)
    return cropped
