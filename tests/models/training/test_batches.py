"""Batches: evaluation views equal the zoo's preparation, augmentation does what it says."""

from dataclasses import replace
from typing import Any

import learning
import numpy as np
import pytest
import torch

from vxhelpers.data.clip import Clip
from vxhelpers.data.sampling import prepare
from vxhelpers.errors import InputError
from vxhelpers.models import zoo
from vxhelpers.models.training.batches import Feed
from vxhelpers.models.training.clip_set import ClipSet
from vxhelpers.models.training.dataset import Geometry

CPU = torch.device("cpu")
UNIT = replace(learning.ENTRY, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), frames=4)


def coded(n: int = 3, t: int = 9, h: int = 14, w: int = 16, **options: Any) -> ClipSet:
    """Every voxel says where it is: red = frame, green = row, blue = column."""
    frames = np.zeros((n, t, h, w, 3), np.uint8)
    frames[..., 0] = np.arange(t)[:, None, None]
    frames[..., 1] = np.arange(h)[:, None]
    frames[..., 2] = np.arange(w)
    return ClipSet(frames, np.zeros(n, np.int64), ("a",), **options)


def places(x: torch.Tensor) -> np.ndarray:
    """Batch ``(B, 3, T, H, W)`` back to frame, row and column numbers."""
    return (x * 255).round().int().numpy()


def test_centre_view_equals_the_zoos_preparation() -> None:
    rng = np.random.default_rng(0)
    for height, width in ((40, 60), (61, 44), (33, 33)):
        entry = replace(UNIT, resize=21, crop=16, stride=2, mean=(0.4, 0.5, 0.6), std=(0.2,) * 3)
        clip = Clip(rng.integers(0, 256, (13, height, width, 3)).astype(np.uint8), 25, "noise")
        pixels, length = Geometry.of(entry, reach=3).keep(clip)
        clips = ClipSet(pixels[None], np.zeros(1, np.int64), ("a",), np.array([length]))
        x, _ = Feed(clips, entry, device=CPU).batch(np.array([0]))
        expected = prepare(
            clip, frames=4, stride=2, resize=21, crop=16, mean=entry.mean, std=entry.std
        )
        torch.testing.assert_close(x[0], expected, atol=1e-6, rtol=1e-5)


def test_centre_view_equals_the_zoos_preparation_of_the_sets_clips() -> None:
    clips = learning.bars(4, 0)
    model = learning.model()
    x, labels = Feed(clips, model.entry, device=CPU).batch(np.arange(4))
    torch.testing.assert_close(x, model.prepare(list(clips.clips)), atol=1e-6, rtol=1e-5)
    assert labels.tolist() == [0, 1, 0, 1]
    assert x.is_contiguous(memory_format=torch.channels_last_3d)


def test_windows_are_consecutive_and_reach_every_start_within_the_clip() -> None:
    clips = coded(n=1, lengths=np.array([7]))  # 9 frames kept, the last two are padding
    feed = Feed(clips, replace(UNIT, crop=12), device=CPU)
    rng = np.random.default_rng(0)
    starts = set()
    for _ in range(60):
        frames = places(feed.batch(np.array([0]), rng)[0])[0, 0, :, 0, 0]
        assert np.diff(frames).tolist() == [1, 1, 1]  # forward in time, never reversed
        starts.add(int(frames[0]))
    assert starts == {0, 1, 2, 3}


def test_crops_move_both_ways_and_hold_the_edges() -> None:
    feed = Feed(coded(n=1), replace(UNIT, crop=12), device=CPU, shift=3)
    rng = np.random.default_rng(0)
    tops, lefts = set(), set()
    for _ in range(300):
        at = places(feed.batch(np.array([0]), rng)[0])[0, :, 0]
        rows, cols = at[1, :, 0], at[2, 0]
        assert (at[1] == rows[:, None]).all() and (at[2] == cols).all()
        tops.add(int(rows[6]) - 6)
        lefts.add(int(cols[6]) - 6)
        np.testing.assert_array_equal(rows, np.clip(np.arange(12) + rows[6] - 6, 0, 13))
    assert tops == set(range(-3, 6)) and lefts == set(range(-3, 8))


def test_mirroring_is_a_coin_a_clip_and_off_unless_asked() -> None:
    entry = replace(UNIT, crop=(14, 16))
    for flip in (False, True):
        feed = Feed(coded(n=400), entry, device=CPU, flip=flip)
        x = places(feed.batch(np.arange(400), np.random.default_rng(0))[0])
        first = x[:, 2, 0, 0, 0]
        assert set(first.tolist()) == ({0, 15} if flip else {0})
        if flip:
            assert 0.4 < (first == 15).mean() < 0.6
            mirrored = x[first == 15][0]
            np.testing.assert_array_equal(mirrored[2, 0, 0], np.arange(16)[::-1])
            assert np.diff(mirrored[0, :, 0, 0]).tolist() == [1, 1, 1]  # in space, not in time


def test_jitter_changes_light_within_its_bounds_and_nothing_else() -> None:
    frames = np.full((200, 4, 12, 12, 3), 100, np.uint8)
    frames[..., :6, :] = 140
    clips = ClipSet(frames, np.zeros(200, np.int64), ("a",))
    feed = Feed(clips, UNIT, device=CPU, jitter=0.2)
    x, _ = feed.batch(np.arange(200), np.random.default_rng(0))
    mean = x.mean(dim=(1, 2, 3, 4)) - 120 / 255
    contrast = (x[:, 0, 0, 0, 0] - x[:, 0, 0, 0, -1]) / (40 / 255)
    assert 0.15 < mean.abs().max() <= 0.2 + 1e-6
    assert 0.78 < contrast.min() < 0.85 and 1.15 < contrast.max() < 1.22
    assert (x.std(dim=2) == 0).all()  # one change for the whole clip
    white = Feed(ClipSet(frames + 110, clips.labels, ("a",)), UNIT, device=CPU, jitter=0.2)
    x, _ = white.batch(np.arange(200), np.random.default_rng(0))
    assert x.max() == 1 and x.min() > 0


def test_evaluation_never_augments_and_batches_do_not_matter() -> None:
    clips = learning.bars(6, 3)
    feed = Feed(clips, learning.ENTRY, device=CPU, flip=True, shift=5, jitter=0.5)
    whole, _ = feed.batch(np.arange(6))
    parts = [feed.batch(np.array([i]))[0] for i in range(6)]
    assert torch.equal(whole, torch.cat(parts))


def test_augmentation_follows_its_generator_and_leaves_the_set_alone() -> None:
    clips = learning.bars(6, 3)
    before = clips.frames.copy()
    feed = Feed(clips, learning.ENTRY, device=CPU, flip=True, shift=2, jitter=0.2)
    one, other, third = (
        feed.batch(np.arange(6), np.random.default_rng(seed))[0] for seed in (1, 1, 2)
    )
    assert torch.equal(one, other) and not torch.equal(one, third)
    np.testing.assert_array_equal(clips.frames, before)


def test_read_only_sets_are_fed_without_a_warning() -> None:
    clips = learning.bars(4, 0)
    clips.frames.flags.writeable = False
    Feed(clips, learning.ENTRY, device=CPU).batch(np.arange(4))


@pytest.mark.parametrize("change", [{"frames": 10}, {"stride": 4}, {"crop": 15}])
def test_a_set_of_another_geometry_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(InputError, match="clips of 9 x 14 x 16 for a network that sees"):
        Feed(coded(), replace(UNIT, **change), device=CPU)  # type: ignore[arg-type]


def test_every_embedded_entry_can_be_fed() -> None:
    for name in zoo.names():
        if name.startswith("stage_"):
            entry = zoo.ENTRIES[name]
            clip = Clip(np.zeros((16, 112, 112, 3), np.uint8), 25, "black")
            pixels, length = Geometry.of(entry).keep(clip)
            clips = ClipSet(pixels[None], np.zeros(1, np.int64), ("a",), np.array([length]))
            assert Feed(clips, entry, device=CPU).batch(np.array([0]))[0].shape == (
                1, 3, 16, 64, 64,
            )  # fmt: skip
