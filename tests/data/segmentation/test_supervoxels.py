from typing import Any

import numpy as np
import pytest
from reference import slic as slow
from scipy import ndimage

from vxhelpers.data import stage
from vxhelpers.data.segmentation.metrics import boundary_recall, undersegmentation_error
from vxhelpers.data.segmentation.slic import slic
from vxhelpers.data.segmentation.supervoxels import (
    SMALL,
    STANDARD,
    Supervoxels,
    deduplicate,
    segment,
)
from vxhelpers.errors import InputError


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    scenes = [stage.render(task, "test", 1, size=48, frames=8) for task in ("kth", "tennis")]
    return np.stack([scene.clip.frames for scene in scenes])


# ---- deduplication ------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_deduplication_is_brute_force(frames: np.ndarray, threshold: float):
    labels = slic(frames[1], (4, 6, 12, 16))
    assert deduplicate(labels, threshold) == slow.deduplicate(labels, threshold)


def test_deduplication_is_brute_force_with_gaps_and_noise():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 4, (2, 3, 3)).repeat(2, 1).repeat(2, 2)
    for noise in (0.1, 0.3, 0.5):
        moved = np.where(rng.random(coarse.shape) < noise, 6, coarse)  # label 4 and 5: no voxel
        labels = np.stack([coarse, moved, coarse[::-1]]).astype(np.int16)
        kept = deduplicate(labels, 0.5)
        assert kept == slow.deduplicate(labels, 0.5)
        assert (1, 4) not in kept and (1, 6) in kept


def test_the_threshold_itself_is_kept():
    labels = np.zeros((2, 1, 1, 4), np.int16)
    labels[0, ..., 3:] = 1  # three voxels and one
    labels[1] = [[[0, 0, 1, 1]]]  # 2/3 of the first; 1/4 of it, 1/2 of the other
    assert deduplicate(labels, 0.5) == ((0, 0), (0, 1), (1, 1))
    assert deduplicate(labels, 0.49) == ((0, 0), (0, 1))
    assert deduplicate(labels, 2 / 3) == ((0, 0), (0, 1), (1, 0), (1, 1))


def test_the_same_place_at_another_time_is_no_repetition():
    labels = np.zeros((2, 4, 2, 2), np.int16)
    labels[0, 2:] = 1
    labels[1, 1:3] = 1
    labels[1, 3:] = 2
    assert len(deduplicate(labels, 0.5)) == 5  # where, without when, is the same for all
    assert deduplicate(labels, 0.49) == ((0, 0), (0, 1), (1, 1))
    assert deduplicate(labels, 0.33) == ((0, 0), (0, 1))


def test_what_was_dropped_drops_nothing():
    line = np.array([[0] * 10, [0] * 6 + [1] * 4, [0] * 4 + [1] * 6], np.int16)
    labels = line[:, None, None]
    assert deduplicate(labels) == ((0, 0), (1, 1), (2, 0))
    # (2, 0) is 2/3 of (1, 0), which is gone, and 0.4 of (0, 0).
    assert deduplicate(labels[1:]) == ((0, 0), (0, 1))


@pytest.mark.parametrize(
    ("labels", "threshold", "message"),
    [
        (np.zeros((2, 3, 3), np.int16), 0.5, r"\(2, 3, 3\)"),
        (np.zeros((2, 1, 3, 3)), 0.5, "whole numbers.*float64"),
        (np.full((2, 1, 3, 3), -1, np.int16), 0.5, "not -1"),
        (np.zeros((1, 1, 3, 3), np.int16), 1.5, "threshold.*1.5"),
        (np.zeros((1, 1, 3, 3), np.int16), float("nan"), "threshold"),
    ],
)
def test_bad_labels(labels: np.ndarray, threshold: float, message: str):
    with pytest.raises(InputError, match=message):
        deduplicate(labels, threshold)


# ---- supervoxels --------------------------------------------------------------------------------


def test_segment_cuts_and_deduplicates(frames: np.ndarray):
    cut = segment(frames, (4, 12, 20), threshold=0.4, compactness=6, steps=2)
    labels = slic(frames, (4, 12, 20), compactness=6, steps=2)
    for found, volumes in zip(cut, labels, strict=True):
        assert np.array_equal(found.labels, volumes) and found.segments == (4, 12, 20)
        assert found.kept == slow.deduplicate(volumes, 0.4)
        assert len(found) < sum(volume.max() + 1 for volume in volumes)


def test_masks_and_sizes(frames: np.ndarray):
    found = segment(frames[0], (4, 12))
    assert isinstance(found, Supervoxels)
    masks = found.masks()
    assert masks.shape == (len(found), 8, 48, 48) and masks.dtype == np.bool_
    assert np.array_equal(found.sizes(), masks.sum((1, 2, 3)))
    for i, (resolution, label) in enumerate(found.kept):
        assert np.array_equal(found.mask(i), found.labels[resolution] == label)
        assert np.array_equal(found.mask(i), masks[i])
    coarse = masks[[resolution == 0 for resolution, _ in found.kept]]
    assert (coarse.sum(0) == 1).all()  # the coarsest resolution is whole


def test_all_that_is_kept_is_two_bytes_a_voxel_and_resolution(frames: np.ndarray):
    found = segment(frames[0], STANDARD)
    assert found.labels.nbytes == 3 * 2 * frames[0][..., 0].size
    assert SMALL == (15, 30, 60) and STANDARD == (15, 50, 80)


@pytest.mark.parametrize("steps", [None, 2, 4])
def test_scikit_image_as_backend(frames: np.ndarray, steps: int | None):
    for found in segment(frames, (12, 32), backend="skimage", steps=steps):
        assert found.labels.shape == (2, 8, 48, 48) and found.labels.dtype == np.int16
        for volume in found.labels:
            for label in range(volume.max() + 1):
                assert ndimage.label(volume == label)[1] == 1
        assert found.kept == deduplicate(found.labels)


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("backend", ["torch", "skimage"])
def test_steps_are_the_layers_of_a_clip_of_one_colour(steps: int, backend: Any):
    found = segment(np.full((8, 32, 32, 3), 90, np.uint8), (16,), backend=backend, steps=steps)
    through = found.labels[0].reshape(8, -1).T
    assert max(len(np.unique(line)) for line in through) == steps
    assert abs(np.log(len(found) / 16)) < np.log(1.6)


def test_scikit_image_cannot_make_every_grid():
    with pytest.raises(InputError, match=r"no seed grid of 1 layers for about 500 .*16x32x32"):
        segment(np.zeros((16, 32, 32, 3), np.uint8), (500,), backend="skimage", steps=1)


@pytest.mark.parametrize("backend", ["torch", "skimage"])
@pytest.mark.parametrize("value", [0, 90, 255])
def test_a_blank_clip_has_supervoxels_like_any_other(backend: Any, value: int):
    found = segment(np.full((8, 32, 32, 3), value, np.uint8), (4, 16), backend=backend)
    assert found.labels[0].max() > 0 and found.labels[1].max() > found.labels[0].max()
    assert found.sizes().min() > 0


@pytest.mark.parametrize("backend", ["torch", "skimage"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"segments": (80, 15)}, r"ascend.*\(80, 15\)"),
        ({"segments": (15, 15)}, "ascend"),
        ({"segments": ()}, "no resolution"),
        ({"segments": (4, 10**6)}, "8x48x48 voxels, not 1000000"),
        ({"segments": (12,), "steps": 9}, "8 frames in 12 segments, not 9"),
        ({"threshold": -0.1}, "threshold"),
        ({"compactness": -1.0}, "compactness"),
        ({"sigma": (1.0,)}, "sigma"),
    ],
)
def test_bad_options(frames: np.ndarray, backend: Any, options: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message):
        segment(frames, backend=backend, **options)


def test_unknown_backend(frames: np.ndarray):
    with pytest.raises(InputError, match="'torch' or 'skimage', not 'opencv'"):
        segment(frames, backend="opencv")  # type: ignore[call-overload]


# ---- how well segments fit ----------------------------------------------------------------------


def halves(at: int, *, frames: int = 2, size: int = 12) -> np.ndarray:
    labels = np.zeros((frames, size, size), np.int16)
    labels[:, :, at:] = 1
    return labels


@pytest.mark.parametrize(
    ("moved", "tolerance", "recall"),
    [(0, 0, 1.0), (1, 0, 0.5), (2, 0, 0.0), (1, 1, 1.0), (2, 1, 0.5), (3, 1, 0.0), (3, 2, 0.5)],
)
def test_boundary_recall_by_hand(moved: int, tolerance: int, recall: float):
    # A boundary is two voxels wide, one on either side.
    assert boundary_recall(halves(6 + moved), halves(6), tolerance=tolerance) == recall


def test_boundaries_lie_within_frames():
    labels = halves(6, frames=4)
    truth = halves(6, frames=4)
    labels[:2] = 0  # one segment through half the clip
    assert boundary_recall(labels, truth) == 0.5
    assert boundary_recall(labels, truth == 1) == 0.5


def test_undersegmentation_error_by_hand():
    truth = halves(6, frames=1)
    assert undersegmentation_error(truth, truth) == 0
    assert undersegmentation_error(np.arange(144).reshape(1, 12, 12), truth) == 0
    # The first segment has 6 columns of one side and 2 of the other: 2 leak, seen from either.
    assert undersegmentation_error(halves(8, frames=1), truth) == pytest.approx(2 * 24 / 144)
    assert undersegmentation_error(halves(8, frames=1), truth == 1) == pytest.approx(48 / 144)
    assert undersegmentation_error(np.zeros((1, 12, 12), int), truth) == 1


def test_names_of_labels_do_not_matter():
    rng = np.random.default_rng(0)
    labels, truth = rng.integers(0, 5, (2, 3, 9, 9))
    names = rng.permutation(np.arange(100, 105))
    for measure in (boundary_recall, undersegmentation_error):
        assert measure(names[labels], truth) == measure(labels, names[truth])


def test_measures_refuse_what_they_cannot_answer():
    with pytest.raises(InputError, match="no boundary"):
        boundary_recall(halves(6), np.zeros((2, 12, 12), int))
    with pytest.raises(InputError, match="tolerance"):
        boundary_recall(halves(6), halves(6), tolerance=-1)
    for measure in (boundary_recall, undersegmentation_error):
        with pytest.raises(InputError, match="one shape"):
            measure(halves(6), halves(6, frames=3))
        with pytest.raises(InputError, match="float64"):
            measure(halves(6), halves(6).astype(float))
