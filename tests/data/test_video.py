import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import WriteVideo, blob_frames

from vxhelpers.data import video
from vxhelpers.data.clip import Clip
from vxhelpers.data.sampling import sample_frames
from vxhelpers.data.video import probe_video, read_clip, write_clip
from vxhelpers.errors import InputError, VideoError
from vxhelpers.io.files import WriteError, sha256


def ticks(clip: Clip) -> list[int]:
    """Which frames of the blob these are: their bottom rows have the value 10 t."""
    return np.round(clip.frames[:, -4, :].mean((1, 2)) / 10).astype(int).tolist()


def closeness(clip: Clip, frames: np.ndarray) -> float:
    return float(np.abs(clip.frames.astype(float) - frames).mean())


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mp4", "libx264", "yuv444p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.mkv", "libx264", "yuv420p"),
        ("a.mkv", "ffv1", "bgr0"),
    ],
)
def test_containers_and_codecs(
    write_video: WriteVideo, name: str, codec: str, pix_fmt: str
) -> None:
    frames = blob_frames()
    path = write_video(name, frames, codec=codec, pix_fmt=pix_fmt)
    clip = read_clip(path)
    assert clip.frames.shape == frames.shape and clip.fps == 25
    assert (clip.start_s, clip.end_s) == (0, 0.8) and clip.source == str(path)
    assert closeness(clip, frames) < 4
    assert ticks(clip) == list(range(20))
    info = probe_video(path)
    assert (info.width, info.height, info.frames, info.rotation) == (64, 48, 20, 0)
    assert info.duration_s == pytest.approx(0.8, abs=0.002) and info.fps == 25


def test_odd_sizes_and_grey(write_video: WriteVideo) -> None:
    frames = blob_frames(6, 45, 37)
    odd = read_clip(write_video("odd.mp4", frames, pix_fmt="yuv444p"))
    assert odd.frames.shape == (6, 45, 37, 3)
    grey = read_clip(write_video("grey.mkv", frames, codec="ffv1", pix_fmt="gray"))
    assert grey.frames.shape == (6, 45, 37, 3)
    assert np.ptp(grey.frames.astype(int), axis=3).max() == 0
    luma = frames @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey.frames[..., 0] - luma).max() < 3


def test_half_open_intervals_tile_the_video(write_video: WriteVideo) -> None:
    """Every frame is in exactly one of adjacent intervals, sought or not, at awkward rates too."""
    for fps, name in ((25, "a.mp4"), (30000 / 1001, "b.mkv"), (15, "c.avi")):
        codec = "mpeg4" if name.endswith("avi") else "libx264"
        frames = np.repeat(blob_frames(25), 4, axis=0)
        path = write_video(name, frames, fps=fps, codec=codec)
        whole = read_clip(path)
        edges = [0, 10, 35, 77, 78, 100]
        parts = [
            read_clip(path, start_s=round(a / fps, 3), end_s=round(b / fps, 3))
            for a, b in pairwise(edges)
        ]
        assert [len(part) for part in parts] == [10, 25, 42, 1, 22]
        joined = np.concatenate([part.frames for part in parts])
        assert np.array_equal(joined, whole.frames)


def test_kth_frame_ranges_are_exact(write_video: WriteVideo) -> None:
    """Frames 1-8 and 9-20, counted from 1 with both ends, are [0, 8/25) and [8/25, 20/25) s."""
    path = write_video("kth.avi", blob_frames(), codec="mpeg4")
    assert ticks(read_clip(path, start_s=0.0, end_s=0.32)) == list(range(8))
    assert ticks(read_clip(path, start_s=0.32, end_s=0.8)) == list(range(8, 20))


def test_frames_and_rate(write_video: WriteVideo) -> None:
    path = write_video("a.mp4", blob_frames())
    assert ticks(read_clip(path, frames=3)) == [0, 1, 2]
    assert ticks(read_clip(path, start_s=0.2, frames=3)) == [5, 6, 7]
    half = read_clip(path, fps=12.5)
    assert ticks(half) == list(range(0, 20, 2)) and half.fps == 12.5 and half.end_s == 0.8
    double = read_clip(path, fps=50, start_s=0.4, end_s=0.48)
    assert ticks(double) == [10, 10, 11, 11]
    assert ticks(read_clip(path, fps=12.5, frames=4, start_s=0.08)) == [2, 4, 6, 8]


def test_variable_rate_is_read_by_presentation_time(write_video: WriteVideo) -> None:
    """Ten frames at 25/s, a second of stillness, ten more: at 10/s the still frame fills it."""
    times = [0.04 * k for k in range(10)] + [1.4 + 0.04 * k for k in range(10)]
    path = write_video("v.mkv", blob_frames(), codec="ffv1", pix_fmt="bgr0", times=times)
    clip = read_clip(path, fps=10, end_s=1.7)
    wanted = [sum(t <= k / 10 + 1e-9 for t in times) - 1 for k in range(17)]
    assert ticks(clip) == wanted and wanted[5:14] == [9] * 9
    constant = read_clip(path)
    seen = ticks(constant)
    assert seen == sorted(seen) and seen.count(9) > len(seen) / 3
    assert len(constant) / constant.fps == pytest.approx(1.8, abs=0.15)


@pytest.mark.parametrize(
    ("matrix", "turn", "rotation"),
    [
        ((0, -1, 1, 0), lambda f: np.rot90(f, 1, (1, 2)), 90),
        ((-1, 0, 0, -1), lambda f: np.rot90(f, 2, (1, 2)), 180),
        ((0, 1, -1, 0), lambda f: np.rot90(f, 3, (1, 2)), 270),
        ((-1, 0, 0, 1), lambda f: f[:, :, ::-1], None),
        ((1, 0, 0, 1), lambda f: f, 0),
    ],
)
def test_rotation_metadata_is_applied(
    write_video: WriteVideo, matrix: tuple[int, ...], turn, rotation: int | None
) -> None:
    a, b, c, d = (65536 * x for x in matrix)
    frames = blob_frames(6)
    path = write_video("r.mp4", frames, matrix=(a, b, 0, c, d, 0, 0, 0, 1 << 30))
    clip = read_clip(path)
    assert clip.frames.shape == turn(frames).shape
    assert closeness(clip, turn(frames)) < 4
    info = probe_video(path)
    assert (info.height, info.width) == clip.frames.shape[1:3]
    assert rotation is None or info.rotation == rotation


def test_one_frame_and_short_clips_work(write_video: WriteVideo) -> None:
    for name, codec in (("one.mp4", "libx264"), ("one.avi", "mpeg4")):
        clip = read_clip(write_video(name, blob_frames(1), codec=codec))
        assert clip.frames.shape == (1, 48, 64, 3) and clip.fps > 0
        assert sample_frames(clip, frames=16).tolist() == [0] * 16
    short = read_clip(write_video("short.mp4", blob_frames(3)), frames=16)
    assert len(short) == 3
    tiny = read_clip(write_video("tiny.mp4", blob_frames(5)), start_s=0.045, end_s=0.046)
    assert ticks(tiny) == [1]


def test_writing_is_lossless_and_repeatable(moving_blob: Clip, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (5, 33, 47, 3), dtype=np.uint8)
    for clip in (moving_blob, Clip(noise, 30000 / 1001, "noise"), Clip(noise[:1], 16, "one")):
        path = tmp_path / "clip.mkv"
        write_clip(clip, path)
        back = read_clip(path)
        assert np.array_equal(back.frames, clip.frames)
        assert back.fps == pytest.approx(clip.fps, rel=1e-6)
        first = sha256(path)
        write_clip(clip, path)
        assert sha256(path) == first and list(tmp_path.iterdir()) == [path]


def test_writing_fails_whole(moving_blob: Clip, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"name the file \*.mkv"):
        write_clip(moving_blob, tmp_path / "clip.mp4")
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="file"):
        write_clip(moving_blob, tmp_path / "file" / "clip.mkv")
    assert len(list(tmp_path.iterdir())) == 1


def both(path: Path, match: str) -> None:
    for read in (read_clip, probe_video):
        with pytest.raises(VideoError, match=match) as caught:
            read(path)
        assert str(path) in str(caught.value)


def test_files_that_are_no_video(tmp_path: Path) -> None:
    both(tmp_path / "gone.mp4", "no such file")
    both(tmp_path, "is a folder")
    (tmp_path / "empty.mp4").touch()
    both(tmp_path / "empty.mp4", r"empty \(0 bytes\)")
    (tmp_path / "text.mp4").write_text("this is a text, not a video\n" * 200)
    both(tmp_path / "text.mp4", "cannot be read as a video|is a text file")
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(b"\0\1" * 8000)
    (tmp_path / "sound.wav").rename(tmp_path / "sound.mp4")
    both(tmp_path / "sound.mp4", "no video stream")


def test_audio_only_mp4(tmp_path: Path) -> None:
    import av

    path = tmp_path / "audio.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 4096), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 16000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    both(path, "no video stream")


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("plain.mp4", "libx264", {}),
        ("front.mp4", "libx264", {"movflags": "faststart"}),
        ("a.avi", "mpeg4", {}),
        ("a.mkv", "libx264", {}),
        ("a.webm", "libvpx-vp9", {}),
    ],
)
def test_truncated_files(
    write_video: WriteVideo, name: str, codec: str, options: dict[str, str]
) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), dtype=np.uint8)
    path = write_video(name, frames, codec=codec, options=options)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    both(path, "truncated|cut short")


def test_damaged_data_is_an_error_or_all_frames(write_video: WriteVideo) -> None:
    path = write_video("a.mkv", blob_frames(), codec="ffv1", pix_fmt="bgr0")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(400)
    path.write_bytes(content)
    try:
        assert len(read_clip(path)) == 20
    except VideoError as error:
        assert str(path) in str(error)


def test_intervals_outside_the_video(write_video: WriteVideo) -> None:
    path = write_video("a.mp4", blob_frames())
    with pytest.raises(VideoError, match=r"ends at 0.800 s, before the start at 3.000 s"):
        read_clip(path, start_s=3.0)
    with pytest.raises(VideoError, match=r"ends at 0.800 s, but \[0.400, 2.000\) s.*verify"):
        read_clip(path, start_s=0.4, end_s=2.0)
    assert len(read_clip(path, start_s=0.4, end_s=0.82)) == 10
    for start, end in ((-1.0, 0.5), (0.5, 0.5), (0.6, 0.4), (float("nan"), 1.0)):
        with pytest.raises(InputError, match="no interval of a video"):
            read_clip(path, start_s=start, end_s=end)
    with pytest.raises(InputError, match="above 0"):
        read_clip(path, fps=0)
    with pytest.raises(InputError, match="above 0"):
        read_clip(path, frames=0)


def test_a_video_too_large_for_memory(
    write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "_MOST_BYTES", 50_000)
    with pytest.raises(InputError, match="read a shorter interval"):
        read_clip(write_video("a.mp4", blob_frames()))


def test_real_footage(real: Path) -> None:
    for name in ("footage/deadlift.mp4", "footage/arm_wrestling.mp4", "kth_like/walking.avi"):
        info = probe_video(real / name)
        whole = read_clip(real / name, end_s=3.3)
        part = read_clip(real / name, start_s=2.6, end_s=3.2)
        assert whole.frames.shape[1:3] == (info.height, info.width)
        near = round(2.6 * info.fps)
        candidates = range(near - 2, near + 3)
        first = next(k for k in candidates if np.array_equal(whole.frames[k], part.frames[0]))
        assert np.array_equal(part.frames, whole.frames[first : first + len(part)])
        assert len(part) == pytest.approx(0.6 * info.fps, abs=1)
