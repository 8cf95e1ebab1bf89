"""CIELAB of clips on torch, and Gaussian smoothing, as scikit-image and scipy do them."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

# Rows of sRGB's matrix (IEC 61966-2-1) over the white point D65.
_XYZ = [
    [0.412453 / 0.95047, 0.357580 / 0.95047, 0.180423 / 0.95047],
    [0.212671, 0.715160, 0.072169],
    [0.019334 / 1.08883, 0.119193 / 1.08883, 0.950227 / 1.08883],
]


def lab(frames: Tensor) -> Tensor:
    """CIELAB ``(N, 3, T, H, W)`` of ``(N, T, H, W, 3)`` uint8, each clip at its full contrast.

    As in scikit-image: compactness then means the same in pale and in vivid clips.
    """
    flat = frames.reshape(len(frames), -1)
    low, high = flat.amin(1, keepdim=True).float(), flat.amax(1, keepdim=True).float()
    level = (torch.arange(256, device=frames.device) - low) / (high - low).clamp(min=1)
    level = level.clamp(0, 1)
    linear = torch.where(level > 0.04045, ((level + 0.055) / 1.055) ** 2.4, level / 12.92)
    rgb = linear.gather(1, flat.long()).reshape(len(frames), -1, 3)
    xyz = torch.tensor(_XYZ, device=frames.device) @ rgb.transpose(1, 2)
    f = torch.where(xyz > 0.008856, xyz.clamp(min=1e-6) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = f.unbind(1)
    planes = torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)
    return planes.reshape(len(frames), 3, *frames.shape[1:4])


def smooth(planes: Tensor, sigma: Sequence[float]) -> Tensor:
    """Gaussian of ``sigma`` (t, y, x) on ``(N, C, T, H, W)``, mirrored at the ends as in scipy."""
    for axis, width in enumerate(sigma):
        if width > 0:
            size = planes.shape[2 + axis]
            table = gaussian_filter1d(np.eye(size, dtype=np.float32), width, axis=0)
            weights = torch.from_numpy(table).to(planes.device)
            if axis == 2:
                planes = planes @ weights.T
            elif axis == 1:
                planes = weights @ planes
            else:
                planes = (weights @ planes.flatten(3)).reshape(planes.shape)
    return planes
