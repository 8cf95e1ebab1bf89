from typing import Any

import numpy as np
import pytest
import torch
from reference import slic as slow
from scipy import ndimage
from skimage.segmentation import slic as theirs

from vxhelpers.data import stage
from vxhelpers.data.clip import Frames
from vxhelpers.data.segmentation import slic as module
from vxhelpers.data.segmentation.cielab import lab, smooth
from vxhelpers.data.segmentation.metrics import boundary_recall, undersegmentation_error
from vxhelpers.data.segmentation.slic import seed_grid, slic
from vxhelpers.errors import InputError


def soft_noise(seed: int, shape: tuple[int, ...]) -> Frames:
    """Blotches of colour, larger than a pixel."""
    noise = np.random.default_rng(seed).normal(size=(*shape, 3))
    noise = ndimage.gaussian_filter(noise, (*[1.5] * len(shape), 0))
    scaled = 255 * (noise - noise.min()) / (noise.max() - noise.min())
    return scaled.astype(np.uint8)


@pytest.mark.parametrize(
    ("shape", "segments", "steps", "grid"),
    [
        ((6, 12, 12), 18, 2, (2, 3, 3)),
        ((4, 13, 17), 20, 1, (1, 4, 5)),
        ((9, 8, 7), 16, 4, (4, 2, 2)),
    ],
)
@pytest.mark.parametrize("iterations", [1, 4])
def test_centres_are_those_of_the_slow_reference(
    shape: tuple[int, int, int],
    segments: int,
    steps: int,
    grid: tuple[int, int, int],
    iterations: int,
):
    frames = soft_noise(segments, shape)
    found = slic(
        frames,
        segments,
        steps=steps,
        compactness=12,
        sigma=0.7,
        iterations=iterations,
        connected=False,
    )
    assert seed_grid(shape, segments, steps) == grid
    planes = smooth(lab(torch.tensor(frames[None])), (0.7, 0.7, 0.7))[0].numpy().astype(float)
    expected = slow.slic(planes, grid, compactness=12, iterations=iterations)
    expected = np.unique(expected, return_inverse=True)[1].reshape(shape)
    assert np.mean(found == expected) > 0.999  # a voxel may be at the same distance from two


def test_early_steps_on_fewer_voxels_find_nearly_the_same(monkeypatch: pytest.MonkeyPatch):
    scene = stage.render("tennis", "test", 1, size=64)
    thin = slic(scene.clip.frames, 15)
    monkeypatch.setattr(module, "_FEW", 10**9)
    whole = slic(scene.clip.frames, 15)
    assert not np.array_equal(thin, whole)
    for measure in (boundary_recall, undersegmentation_error):
        assert measure(thin, scene.ids) == pytest.approx(measure(whole, scene.ids), abs=0.03)


def test_parts_of_two_colours_are_found_where_they_are():
    frames = np.full((8, 32, 32, 3), 20, np.uint8)
    frames[:, :, 13:] = (230, 60, 40)
    frames[5:, 20:, :] = (30, 200, 60)
    labels = slic(frames, 12, steps=2, sigma=0, compactness=5)
    colours = frames.reshape(-1, 3)
    for label in range(labels.max() + 1):
        assert len(np.unique(colours[labels.ravel() == label], axis=0)) == 1


@pytest.mark.parametrize("value", [0, 137, 255])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_clip_of_one_colour_gives_the_seed_grid(value: int, steps: int):
    labels = slic(np.full((8, 24, 24, 3), value, np.uint8), 16, steps=steps)
    grid = seed_grid((8, 24, 24), 16, steps)
    cells = [np.arange(n) * k // n for n, k in zip(labels.shape, grid, strict=True)]
    expected = np.ravel_multi_index(np.ix_(*cells), grid)
    assert np.array_equal(labels, expected)


def test_without_steps_short_clips_may_have_one_layer_and_with_it_they_have_as_many_as_asked():
    assert seed_grid((16, 64, 64), 50) == (1, 7, 7)
    assert seed_grid((16, 64, 64), 50, 4)[0] == 4
    assert seed_grid((64, 64, 64), 64) == (4, 4, 4)


def test_every_label_is_one_region():
    frames = np.stack([stage.render("kth", "test", i, size=64).clip.frames for i in range(2)])
    frames[1] = np.random.default_rng(0).integers(0, 256, frames[1].shape)
    for volume in slic(frames, (15, 50, 80)).reshape(-1, *frames.shape[1:4]):
        assert np.bincount(volume.ravel()).min() > 0
        for label in range(volume.max() + 1):
            assert ndimage.label(volume == label)[1] == 1


def test_batches_and_resolutions_change_nothing():
    frames = np.stack([soft_noise(seed, (6, 20, 24)) for seed in range(3)])
    before = frames.copy()
    all_at_once = slic(frames, (6, 20))
    assert all_at_once.shape == (3, 2, 6, 20, 24) and all_at_once.dtype == np.int16
    for clip, labels in zip(frames, all_at_once, strict=True):
        for number, volume in zip((6, 20), labels, strict=True):
            assert np.array_equal(slic(clip, number), volume)
    assert np.array_equal(frames, before)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch):
    frames = np.stack([soft_noise(seed, (6, 20, 24)) for seed in range(3)])
    expected = slic(frames, 20)
    monkeypatch.setitem(module._SCORES, "cpu", 1)
    assert np.array_equal(slic(frames, 20), expected)
    monkeypatch.setitem(module._SCORES, "cpu", 2**27)
    monkeypatch.setitem(module._VOXELS, "cpu", 2**24)
    assert np.array_equal(slic(frames, 20), expected)


def test_views_and_read_only_frames_are_taken():
    frames = soft_noise(1, (6, 20, 24))
    mirrored = frames[:, :, ::-1]
    mirrored.flags.writeable = False
    assert np.array_equal(slic(mirrored, 6), slic(mirrored.copy(), 6))


def test_contrast_changes_nothing():
    frames = soft_noise(2, (4, 20, 20)) // 5
    assert np.array_equal(slic(frames, 8), slic(frames * 5, 8))


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 9), (5, 1, 7), (3, 2, 2)])
def test_small_clips(shape: tuple[int, int, int]):
    frames = soft_noise(3, shape) if max(shape) > 1 else np.zeros((*shape, 3), np.uint8)
    for segments in (1, int(np.prod(shape))):
        labels = slic(frames, segments)
        assert labels.shape == shape and labels.min() == 0
    assert slic(frames, 1).max() == 0


def test_as_many_segments_as_voxels():
    labels = slic(np.zeros((2, 4, 4, 3), np.uint8), 32)
    assert labels.max() == 31


def test_boundaries_are_kept_as_well_as_by_scikit_image():
    mine, other = [], []
    for task, index in [("kth", 8), ("tennis", 1), ("motion", 22), ("static", 15)]:
        scene = stage.render(task, "test", index, size=64)
        for segments in (15, 50, 80):
            volume = theirs(scene.clip.frames, segments, sigma=1, start_label=0)
            count = volume.max() + 1
            tried = [slic(scene.clip.frames, n) for n in range(count, int(0.7 * count), -2)]
            found = next((v for v in tried if v.max() < count), tried[-1])
            for volumes, kept in ((volume, other), (found, mine)):
                recall = boundary_recall(volumes, scene.ids)
                kept.append([recall, undersegmentation_error(volumes, scene.ids), volumes.max()])
    (recall, leak, count), (their_recall, their_leak, their_count) = (
        np.mean(rows, axis=0) for rows in (mine, other)
    )
    assert count <= their_count
    assert recall >= their_recall - 0.01
    assert leak <= their_leak + 0.01


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        (np.zeros((4, 8, 8, 3)), {}, "uint8.*float64"),
        (np.zeros((8, 8, 3), np.uint8), {}, r"shape \(8, 8, 3\)"),
        (np.zeros((4, 0, 8, 3), np.uint8), {}, r"none of them 0"),
        (None, {"segments": 0}, "1 to 256 .* not 0"),
        (None, {"segments": 257}, "4x8x8 voxels, not 257"),
        (None, {"segments": ()}, "no resolution"),
        (None, {"segments": (4, 999)}, "not 999"),
        (None, {"steps": 5}, "steps.*1 to 4 .* 4 frames in 16 segments, not 5"),
        (None, {"steps": 0}, "steps.* not 0"),
        (None, {"segments": 2, "steps": 3}, "1 to 2 .* 4 frames in 2 segments"),
        (None, {"compactness": 0.0}, "compactness"),
        (None, {"compactness": float("nan")}, "compactness"),
        (None, {"iterations": 0}, "iterations"),
        (None, {"sigma": -1.0}, "sigma.*-1"),
        (None, {"sigma": (1.0, 1.0)}, "sigma"),
        (None, {"sigma": float("nan")}, "sigma"),
    ],
)
def test_bad_input(frames: Any, options: dict[str, Any], message: str):
    frames = np.zeros((4, 8, 8, 3), np.uint8) if frames is None else frames
    with pytest.raises(InputError, match=message):
        slic(frames, **({"segments": 16} | options))


def test_more_segments_than_int16_has_labels():
    with pytest.raises(InputError, match="1 to 32768"):
        slic(np.zeros((16, 64, 64, 3), np.uint8), 40000)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_finds_the_same_twice_and_nearly_what_the_cpu_does():
    scene = stage.render("tennis", "test", 1, size=64)
    frames = np.stack([scene.clip.frames] * 3)
    found = slic(frames, (15, 80), device="cuda")
    assert np.array_equal(found, slic(frames, (15, 80), device="cuda"))
    for gpu, cpu in zip(found[0], slic(scene.clip.frames, (15, 80)), strict=True):
        for measure in (boundary_recall, undersegmentation_error):
            assert measure(gpu, scene.ids) == pytest.approx(measure(cpu, scene.ids), abs=0.02)
