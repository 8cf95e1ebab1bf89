"""The clip: a few seconds of video in memory, and its counterfactual versions."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vxhelpers.errors import InputError

Frames = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames of one video, with where they came from.

    Parameters
    ----------
    frames
        ``(T, H, W, 3)`` uint8, RGB, 0 to 255.
    fps
        Frames a second, above 0.
    source
        Path or address of the video, for messages and provenance.
    start_s, end_s
        The half-open interval ``[start_s, end_s)`` of the source that the frames cover, in seconds;
        ``end_s`` is ``start_s + T / fps`` when not given.

    Raises
    ------
    InputError
        If the frames have another shape or type, or are empty.
    """

    frames: Frames
    fps: float
    source: str
    start_s: float = 0.0
    end_s: float = -1.0

    def __post_init__(self) -> None:
        shape, dtype = self.frames.shape, self.frames.dtype
        if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or 0 in shape:
            raise InputError(
                f"{self.source}: a clip needs uint8 frames of shape (T, H, W, 3) with T, H, W of "
                f"at least 1, not {dtype} of shape {shape}"
            )
        if not self.fps > 0:
            raise InputError(f"{self.source}: frames a second must be above 0, not {self.fps}")
        if self.end_s < 0:
            object.__setattr__(self, "end_s", self.start_s + len(self) / self.fps)

    def __len__(self) -> int:
        return len(self.frames)

    def digest(self) -> str:
        """SHA-256 of the frames and the frame rate: the clip's content, whatever it is called."""
        digest = hashlib.sha256(f"{self.frames.shape} {self.fps:.6f}".encode())
        digest.update(np.ascontiguousarray(self.frames).data)
        return digest.hexdigest()


def freeze(clip: Clip, frame: int | None = None) -> Clip:
    """Repeat one frame (the middle one unless told) over the whole clip: all motion is gone."""
    index = len(clip) // 2 if frame is None else frame
    if not -len(clip) <= index < len(clip):
        raise InputError(f"{clip.source}: frame {index} of a clip of {len(clip)} frames")
    return replace(clip, frames=np.repeat(clip.frames[index][None], len(clip), axis=0))


def reverse(clip: Clip) -> Clip:
    """Play the clip backwards: every frame stays, the direction of time is flipped."""
    return replace(clip, frames=np.ascontiguousarray(clip.frames[::-1]))


def shuffle(clip: Clip, rng: np.random.Generator) -> Clip:
    """Permute the frames: every frame stays, the order in time is gone."""
    return replace(clip, frames=clip.frames[rng.permutation(len(clip))])
