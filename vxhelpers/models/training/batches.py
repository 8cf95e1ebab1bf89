"""Batches of a clip set: windows, crops and mirrors drawn from uint8 frames, then normalised."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vxhelpers.errors import InputError
from vxhelpers.models.training.clip_set import ClipSet

if TYPE_CHECKING:
    from vxhelpers.models.zoo import Entry


class Feed:
    """Batches of a clip set on the device.

    One gather takes time window, crop and mirror from the uint8 frames; floats come after it.

    Parameters
    ----------
    clips, entry
        The set and the network's entry (frames, stride, crop, mean, std).
    device
        Where the batches go; on a GPU the whole set is kept there if it takes a third of the
        free memory at most.
    flip, shift, jitter
        Of the augmentation; see :class:`vxhelpers.models.training.loop.Preset`.
    """

    def __init__(
        self,
        clips: ClipSet,
        entry: "Entry",
        *,
        device: torch.device,
        flip: bool = False,
        shift: int = 0,
        jitter: float = 0.0,
    ) -> None:
        n, T, h, w, _ = clips.frames.shape
        self.flip, self.shift, self.jitter, self.device = flip, shift, jitter, device
        writable = clips.frames if clips.frames.flags.writeable else clips.frames.copy()
        self.frames, self.labels = torch.from_numpy(writable), torch.from_numpy(clips.labels)
        if device.type == "cuda" and self.frames.nbytes < torch.cuda.mem_get_info(device)[0] / 3:
            self.frames = self.frames.to(device)
        self.lengths = np.full(n, T) if clips.lengths is None else clips.lengths
        self.steps = np.arange(entry.frames) * entry.stride
        self.size = (entry.crop,) * 2 if isinstance(entry.crop, int) else entry.crop
        self.room = h - self.size[0], w - self.size[1]
        if min(T - 1 - self.steps[-1], *self.room) < 0:
            raise InputError(
                f"clips of {T} x {h} x {w} for a network that sees {self.steps[-1] + 1} x "
                f"{self.size[0]} x {self.size[1]}: prepare the set for this network"
            )
        self.mean = torch.tensor(entry.mean, dtype=torch.float32, device=device)
        self.std = torch.tensor(entry.std, dtype=torch.float32, device=device)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(
        self, chosen: npt.NDArray[np.int64], rng: np.random.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Normalised ``(B, 3, T, H, W)`` in channels-last memory, and labels ``(B,)``.

        Augmented with draws of ``rng``; centre views without it.
        """
        n = len(chosen)
        slack = np.maximum(self.lengths[chosen] - 1 - self.steps[-1], 0)
        start = slack // 2
        corner = [np.full(n, round(room / 2)) for room in self.room]
        mirror = np.zeros(n, bool)
        if rng is not None:
            start = rng.integers(0, slack + 1)
            corner = [rng.integers(-self.shift, r + self.shift + 1, n) for r in self.room]
            mirror = (rng.random(n) < 0.5) & self.flip
        rows, cols = (
            np.clip(at[:, None] + np.arange(size), 0, size + room - 1)
            for at, size, room in zip(corner, self.size, self.room, strict=True)
        )
        cols = np.where(mirror[:, None], cols[:, ::-1], cols)
        index = (
            chosen[:, None, None, None],
            (start[:, None] + self.steps)[:, :, None, None],
            rows[:, None, :, None],
            cols[:, None, None, :],
        )
        where = tuple(torch.from_numpy(i).to(self.frames.device) for i in index)
        x = self.frames[where].to(self.device).float() / 255
        if rng is not None and self.jitter:
            draws = rng.uniform(-self.jitter, self.jitter, (2, n, 1, 1, 1, 1)).astype(np.float32)
            contrast, brightness = torch.from_numpy(draws).to(self.device)
            grey = x.mean(dim=(1, 2, 3, 4), keepdim=True)
            x = (grey + (x - grey) * (1 + contrast) + brightness).clamp_(0, 1)
        x = ((x - self.mean) / self.std).permute(0, 4, 1, 2, 3)
        return x, self.labels[torch.from_numpy(chosen)].to(self.device)
