"""What a detector found in a clip: boxes, labels, confidences."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vxhelpers.errors import InputError, UnknownNameError


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector found in the frames of one clip.

    Parameters
    ----------
    frames
        ``(D,)`` int64: in which frame, ascending; in a frame the surest first.
    boxes
        ``(D, 4)`` float32, half-open x0, y0, x1, y1 in pixels of the clip, within the frame.
    confidence
        ``(D,)`` float32 in (0, 1].
    labels
        ``(D,)`` int64: place in ``names``.
    names
        All that the detector knows.
    length, size
        Number of frames of the clip; their (height, width) in pixels.
    source, detector
        The clip's source; the detector's name and the start of its digest.
    """

    frames: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32]
    confidence: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    names: tuple[str, ...]
    length: int
    size: tuple[int, int]
    source: str
    detector: str

    def __len__(self) -> int:
        return len(self.frames)

    def of(self, *names: str) -> "Detections":
        """Only the detections of these labels.

        Raises
        ------
        UnknownNameError
            If the detector knows no such label.
        """
        wanted = _places(names, self.names, where=f"detector {self.detector}")
        return self._only(np.isin(self.labels, wanted))

    def at(self, frame: int) -> "Detections":
        """Only the detections in one frame (negative: from the end).

        Raises
        ------
        InputError
            If the clip has no such frame.
        """
        if not -self.length <= frame < self.length:
            raise InputError(f"{self.source}: frame {frame} of a clip of {self.length} frames")
        return self._only(self.frames == frame % self.length)

    def _only(self, chosen: npt.NDArray[np.bool_]) -> "Detections":
        return replace(
            self,
            frames=self.frames[chosen],
            boxes=self.boxes[chosen],
            confidence=self.confidence[chosen],
            labels=self.labels[chosen],
        )


def _places(wanted: Iterable[str], known: tuple[str, ...], *, where: str) -> list[int]:
    places = []
    for name in wanted:
        if name not in known:
            raise UnknownNameError("label", name, known, where=where)
        places.append(known.index(name))
    return places
