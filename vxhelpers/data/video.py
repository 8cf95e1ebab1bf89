"""Video files to frames and back, with PyAV.

Why not pytorchvideo's ``EncodedVideo`` here: it ignores rotation metadata, turns a decoding failure
into a missing clip (logged at debug level), gives every frame as float32 and does not bring
variable frame rates onto a constant one.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vxhelpers.data.clip import Clip, Frames
from vxhelpers.errors import InputError, VideoError
from vxhelpers.io.files import replacing

EXTENSIONS = (".mp4", ".avi", ".webm", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv")
_MOST_BYTES = 4 << 30


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds.

    Parameters
    ----------
    duration_s
        From the first frame's start to the last frame's end, in seconds.
    fps
        Mean frames a second.
    width, height
        In pixels, as shown (rotation applied). Pixels are taken as square.
    frames
        Number of video packets in the file, which is the number of frames.
    rotation
        Degrees counterclockwise that the file asks to turn its frames: 0, 90, 180 or 270.
    codec
        FFmpeg's name of the codec.
    """

    duration_s: float
    fps: float
    width: int
    height: int
    frames: int
    rotation: int
    codec: str


def probe_video(path: str | Path) -> VideoInfo:
    """Read what a video holds: every packet is counted, the first frame is decoded.

    Raises
    ------
    VideoError
        If the file is missing, empty, no video, truncated, or has sound only.
    """
    path = Path(path)
    first, starts, ends, count = None, [0.0], [0.0], 0
    with _opened(path) as (container, stream):
        tick, origin, rate = float(stream.time_base), stream.start_time or 0, _rate(stream)
        for packet in container.demux(stream):
            if first is None:
                first = next(iter(packet.decode()), None)
            if packet.size and not packet.is_discard:
                stamp = packet.pts if packet.pts is not None else packet.dts
                starts.append(count / rate if stamp is None else (stamp - origin) * tick)
                ends.append(starts[-1] + (float(packet.duration or 0) * tick or 1 / rate))
                count += 1
        if first is None:
            raise VideoError(f"{path}: holds no frame that can be decoded; obtain the file again")
        _check_whole(path, container, stream, max(ends))
        codec = stream.codec_context.name
    height, width = _upright(np.empty((first.height, first.width, 0), np.uint8), first).shape[:2]
    return VideoInfo(max(ends), rate, width, height, count, first.rotation % 360, codec)


def read_clip(
    path: str | Path,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    frames: int | None = None,
    fps: float | None = None,
) -> Clip:
    """Decode the frames of a half-open interval.

    Parameters
    ----------
    path
        MP4, AVI, WebM, MKV or whatever else FFmpeg reads; grey becomes R = G = B; rotation and
        mirroring that the file's display matrix asks for are applied.
    start_s, end_s
        Seconds from the first frame: the frames that start in ``[start_s, end_s)``, to a quarter
        of a frame. None is the first frame, and the end of the video.
    frames
        Stop after this many frames. A video that ends earlier gives fewer: what happens then is
        the decision of :func:`vxhelpers.data.sampling.sample_frames`.
    fps
        Frames a second wanted: the frame on the screen at each time ``start_s + k / fps``. None
        keeps every frame once where the file's rate is constant; a file of variable rate is
        brought onto its mean rate.

    Returns
    -------
    Clip
        At least one frame; its ``end_s`` tells how far the frames reach.

    Raises
    ------
    VideoError
        If the file is missing, empty, truncated, no video or damaged; if it has sound only; or if
        the interval starts or ends (by more than two frames and 0.1 s) after the video's end.
    InputError
        If the interval is empty or reversed, another option is out of range, or the frames asked
        for need more than 4 GiB.
    """
    path = Path(path)
    start = 0.0 if start_s is None else start_s
    end = math.inf if end_s is None else end_s
    if not 0 <= start < end or math.isinf(start):
        raise InputError(f"{path}: [{start_s}, {end_s}) s is no interval of a video")
    if (frames is not None and frames < 1) or (fps is not None and not 0 < fps < math.inf):
        raise InputError(f"{path}: frames and fps must be above 0, not {frames} and {fps}")
    with _opened(path) as (container, stream):
        rate = _rate(stream)
        stop = end if frames is None else min(end, start + (frames + 1) / (fps or rate))
        times, images, until, ended = _collect(path, container, stream, start, stop)
        if ended and end_s is None:
            _check_whole(path, container, stream, until)
    if not images:
        raise VideoError(f"{path}: ends at {until:.3f} s, before the start at {start:.3f} s")
    if ended and end_s is not None and end_s > until + max(0.1, 2 / rate):
        raise VideoError(
            f"{path}: ends at {until:.3f} s, but [{start:.3f}, {end_s:.3f}) s was asked for; "
            "correct the interval (vx data verify lists such rows) or obtain the whole file"
        )
    slack = _slack(rate, start, end)
    steady = bool(np.all(np.abs(np.diff(times) * rate - 1) < 0.5))
    if fps is None and steady:
        picked = np.flatnonzero(times >= start - slack)
        picked = picked if len(picked) else np.array([0])
    else:
        rate = rate if fps is None else fps
        wanted = start + np.arange(max(1, math.ceil((until - start - slack) * rate))) / rate
        picked = np.maximum(np.searchsorted(times, wanted + slack, side="right") - 1, 0)
    result = np.stack([images[index] for index in picked[:frames]])
    return Clip(result, rate, str(path), start, start + len(result) / rate)


def write_clip(clip: Clip, path: str | Path) -> None:
    """Write a clip without loss (FFV1 in Matroska): reading it gives the same frames.

    The bytes depend on the frames and the rate alone, so files can be compared by hash.

    Raises
    ------
    InputError
        If the name does not end in ``.mkv``.
    WriteError
        If the place cannot be written; nothing half-written is left.
    """
    import av
    from av.video.reformatter import VideoReformatter

    path = Path(path)
    if path.suffix.lower() != ".mkv":
        raise InputError(f"{path}: clips are written as FFV1 in Matroska; name the file *.mkv")
    height, width = clip.frames.shape[1:3]
    options = {"fflags": "+bitexact"}
    with (
        replacing(path) as temporary,
        av.open(str(temporary), "w", format="matroska", options=options) as file,
    ):
        rate = Fraction(clip.fps).limit_denominator(1001)
        stream: Any = file.add_stream("ffv1", rate=rate, options={"threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "bgr0"
        reformatter = VideoReformatter()  # one for all frames: making it costs more than using it
        for image in clip.frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            file.mux(stream.encode(reformatter.reformat(frame, format="bgr0", threads=1)))
        file.mux(stream.encode(None))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a file's video stream; what FFmpeg reports inside becomes a VideoError on this file."""
    import av
    from av.error import FFmpegError
    from av.stream import Disposition

    if not path.is_file():
        raise VideoError(
            f"{path}: {'is a folder, not a video' if path.is_dir() else 'no such file'}"
        )
    if path.stat().st_size == 0:
        raise VideoError(f"{path}: is empty (0 bytes); obtain the file again")
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            cover = Disposition.attached_pic
            streams = [s for s in container.streams.video if not s.disposition & cover]
            if container.format.name == "tty":  # FFmpeg draws text files as pictures of text
                raise VideoError(f"{path}: is a text file, not a video")
            if not streams:
                raise VideoError(f"{path}: has no video stream (sound only?)")
            streams[0].thread_type = "AUTO"
            yield container, streams[0]
    except FFmpegError as error:
        raise VideoError(
            f"{path}: cannot be read as a video ({error.strerror or error}); the file is damaged, "
            "cut short or of another kind than its name says: obtain it again"
        ) from error


def _collect(
    path: Path, container: Any, stream: Any, start: float, end: float
) -> tuple[npt.NDArray[np.float64], list[Frames], float, bool]:
    """The frames on the screen in ``[start, end)``.

    Returns their times (s), the pictures, until when the last one is shown, and whether the
    video ended there.
    """
    from av.video.reformatter import VideoReformatter

    rate, reformatter = _rate(stream), VideoReformatter()
    slack = _slack(rate, start, end)
    kept: list[tuple[float, Frames]] = []
    waiting: tuple[float, Any] | None = None  # on the screen at the start, unless a later one is
    until, ended, used = 0.0, True, 0
    for time, frame in _timed(container, stream, start):
        ended = time < end - slack
        if waiting is not None and (time > start + slack or not ended):
            kept.append((waiting[0], _picture(waiting[1], reformatter)))
            waiting = None
        if not ended:
            until = end
            break
        until = time + (float((frame.duration or 0) * frame.time_base) or 1 / rate)
        if time <= start + slack:
            waiting = time, frame
            continue
        kept.append((time, _picture(frame, reformatter)))
        used += kept[-1][1].nbytes
        if used > _MOST_BYTES:
            raise InputError(
                f"{path}: more than {_MOST_BYTES >> 30} GiB of frames were asked for; read a "
                "shorter interval (start_s, end_s) or fewer frames"
            )
    if waiting is not None and until > start + slack:
        kept.append((waiting[0], _picture(waiting[1], reformatter)))
    return np.array([time for time, _ in kept]), [image for _, image in kept], until, ended


def _timed(container: Any, stream: Any, start: float) -> Iterator[tuple[float, Any]]:
    """Frames with their times (s), from one that is on the screen at ``start`` or before."""
    tick, origin, rate = float(stream.time_base), stream.start_time or 0, _rate(stream)
    sought = start > 2.0  # a second early: some containers seek past the time asked for
    if sought:
        container.seek(origin + int((start - 1.0) / tick), stream=stream, backward=True)
    for index, frame in enumerate(container.decode(stream)):
        stamp = frame.pts if frame.pts is not None else frame.dts
        time = index / rate if stamp is None else (stamp - origin) * tick
        if sought and index == 0 and (stamp is None or time > start):
            container.seek(0)  # the index of the file is of no use: decode from the beginning
            yield from _timed(container, stream, 0.0)
            return
        yield time, frame


def _picture(frame: Any, reformatter: Any) -> Frames:
    """RGB pixels of a decoded frame, turned upright."""
    pixels = reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
    return np.ascontiguousarray(_upright(pixels, frame))


def _upright(pixels: Frames, frame: Any) -> Frames:
    """Apply the frame's display matrix ``(x, y) -> (a x + c y, b x + d y)``, in quarter turns."""
    from av.sidedata.sidedata import Type

    side = frame.side_data.get(Type.DISPLAYMATRIX)
    if side is None:
        return pixels
    a, b, _, c, d = np.frombuffer(bytes(side), np.int32)[:5].tolist()
    if abs(b) > abs(a):
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    return pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _rate(stream: Any) -> float:
    """Mean frames a second as the container tells; 25 where it does not (one-frame files)."""
    return float(stream.average_rate or stream.guessed_rate or 25)


def _slack(rate: float, start: float, end: float) -> float:
    """How far (s) a time stamp may be off: containers round them, and so do manifests."""
    return min(0.25 / rate, (end - start) / 2)


def _check_whole(path: Path, container: Any, stream: Any, ends_s: float) -> None:
    """Raise if the container promises more video than could be read."""
    promised = []
    if stream.duration is not None:
        promised.append(float(stream.duration * stream.time_base))
    if (text := stream.metadata.get("DURATION", "")).count(":") == 2:  # Matroska's statistics
        hours, minutes, seconds = map(float, text.split(":"))
        promised.append(3600 * hours + 60 * minutes + seconds)
    if container.duration is not None and (promised or len(container.streams) == 1):
        promised.append(container.duration / 1e6)
    if container.format.name == "avi" and stream.frames:  # its duration is of what is there
        promised = [stream.frames / _rate(stream)]
    if promised and ends_s < min(promised) - max(0.1, 2 / _rate(stream), 0.02 * min(promised)):
        raise VideoError(
            f"{path}: is truncated: the header promises {min(promised):.2f} s of video, "
            f"{ends_s:.2f} s can be read; obtain the file again"
        )
