"""Fixtures: a clip, video files of every kind, real footage where it is at hand."""

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from vxhelpers.data.clip import Clip, Frames

os.environ["VX_DEVICE"] = "cpu"  # for fixtures of whole modules, too


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every test has a cache of its own and sees none of the user's folders."""
    monkeypatch.setenv("VX_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("VX_DATA", raising=False)
    monkeypatch.delenv("VX_WEIGHTS", raising=False)


@pytest.fixture
def real() -> Path:
    """Folder of real footage beside the checkout; the test is skipped where there is none."""
    folder = Path(__file__).parents[2] / "shared" / "real"
    if not folder.is_dir():
        pytest.skip("no real footage beside the checkout (../shared/real)")
    return folder


def blob_frames(frames: int = 20, height: int = 48, width: int = 64) -> Frames:
    """A bright square moving right over a dark ground, two pixels a frame; grey codes the time."""
    video = np.full((frames, height, width, 3), 20, np.uint8)
    for t in range(frames):
        x = min(2 * t, width - 12)
        video[t, 12:24, x : x + 12] = (230, 200, 40)
        video[t, -8:] = 10 * t % 250
    return video


@pytest.fixture
def moving_blob() -> Clip:
    """A clip of 20 frames, 48x64, at 25 frames a second: a square moves right, the bottom rows
    have the value ``10 * t``."""
    return Clip(blob_frames(), 25.0, "moving blob")


class WriteVideo(Protocol):
    """Write frames to a file of a test's own folder."""

    def __call__(
        self,
        name: str,
        frames: Frames,
        *,
        fps: float = 25,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        times: Sequence[float] | None = None,
        matrix: Sequence[int] | None = None,
        options: dict[str, str] | None = None,
    ) -> Path: ...


@pytest.fixture
def write_video(tmp_path: Path) -> WriteVideo:
    """Encode with PyAV; ``times`` (s) makes the rate variable, ``matrix`` asks for a rotation."""
    import av

    def write(
        name: str,
        frames: Frames,
        *,
        fps: float = 25,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        times: Sequence[float] | None = None,
        matrix: Sequence[int] | None = None,
        options: dict[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w", options=options or {}) as file:
            rate = Fraction(fps).limit_denominator(1001)
            quality = {"crf": "4"} if codec.startswith("lib") else {}
            stream: Any = file.add_stream(codec, rate=rate, options=quality)
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = pix_fmt
            if codec == "mpeg4":
                stream.bit_rate = 8_000_000
            if matrix is not None:
                stream.set_display_matrix(matrix)
            if times is not None:
                stream.codec_context.time_base = Fraction(1, 1000)
            for k, image in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                if times is not None:
                    frame.pts, frame.time_base = round(1000 * times[k]), Fraction(1, 1000)
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
        return path

    return write
