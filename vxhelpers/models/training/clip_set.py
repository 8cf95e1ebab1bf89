"""Clips with labels, decoded or rendered once, for training and evaluation."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vxhelpers.data.clip import Clip, Frames
from vxhelpers.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    pass


Labels = npt.NDArray[np.int64]


NOMINAL_FPS = 25.0  # of the clips taken back out of a set, which keeps no time stamps


@dataclass(frozen=True, eq=False)
class ClipSet:
    """Clips with labels, near the geometry of one network.

    Parameters
    ----------
    frames
        ``(N, T, H, W, 3)`` uint8, 0 to 255; may be memory-mapped. ``T`` may be longer than the
        network's window (its place is then drawn at random in training), ``H`` and ``W`` larger
        than its crop; the centre is taken in evaluation.
    labels
        ``(N,)`` int64, indices into ``names``.
    names
        Class labels.
    lengths
        ``(N,)`` int64: frames from the start of each row that show the clip, the rest is padding;
        all ``T`` of them when not given.
    sources
        What each clip is called in messages.
    """

    frames: Frames
    labels: Labels
    names: tuple[str, ...]
    lengths: Labels | None = None
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = self.frames.shape
        if not shape[0]:
            raise InputError("a clip set without clips: is the split of the manifest empty?")
        if self.frames.dtype != np.uint8 or len(shape) != 5 or shape[4] != 3:
            raise InputError(
                "a clip set needs uint8 frames of shape (N, T, H, W, 3), "
                f"not {self.frames.dtype} of shape {shape}"
            )
        if self.labels.shape != shape[:1]:
            raise InputError(f"{shape[0]} clips with labels of shape {self.labels.shape}")
        if self.labels.min() < 0 or self.labels.max() >= len(self.names):
            raise InputError(f"labels must be 0 to {len(self.names) - 1}, one of {self.names}")

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def counts(self) -> dict[str, int]:
        """Clips a class."""
        counts = np.bincount(self.labels, minlength=len(self.names))
        return dict(zip(self.names, map(int, counts), strict=True))

    def only(self, names: tuple[str, ...]) -> "ClipSet":
        """The clips of some classes, which become the labels in this order."""
        for name in names:
            if name not in self.names:
                raise UnknownNameError("class", name, self.names)
        chosen = [i for i, label in enumerate(self.labels) if self.names[label] in names]
        return ClipSet(
            self.frames[chosen],
            np.array([names.index(self.names[self.labels[i]]) for i in chosen], np.int64),
            names,
            None if self.lengths is None else self.lengths[chosen],
            tuple(self.sources[i] for i in chosen) if self.sources else (),
        )

    @property
    def clips(self) -> Sequence[Clip]:
        """The clips one by one, for :func:`vxhelpers.models.evaluate.predict` (nominal frame
        rate)."""
        return _Clips(self)

    def digest(self) -> str:
        """SHA-256 of the labels and of a grid of the pixels: the set's content, cheaply."""
        digest = hashlib.sha256(repr((self.frames.shape, self.names)).encode())
        digest.update(self.labels.tobytes())
        digest.update(self.frames[:, ::4, ::7, ::7].tobytes())
        return digest.hexdigest()


class _Clips(Sequence[Clip]):
    def __init__(self, clips: ClipSet) -> None:
        self.set = clips

    def __len__(self) -> int:
        return len(self.set)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        s = self.set
        source = s.sources[index] if s.sources else f"clip {index}"
        length = len(s.frames[index]) if s.lengths is None else int(s.lengths[index])
        return Clip(s.frames[index][:length], NOMINAL_FPS, source)
