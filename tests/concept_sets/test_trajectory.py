import numpy as np
import pytest

from vxhelpers.concept_sets.crops import middles, travelled
from vxhelpers.data.clip import Clip, freeze, reverse
from vxhelpers.errors import InputError

FILL = (90, 120, 150)


@pytest.fixture
def clip():
    """A box of 6 x 4 pixels that moves 3 to the right and 4 down in every frame."""
    frames = np.empty((5, 40, 30, 3), np.uint8)
    frames[:] = FILL
    for t in range(5):
        frames[t, 4 * t : 4 * t + 4, 3 * t : 3 * t + 6] = np.random.default_rng(t).integers(
            160, 256, (4, 6, 3)
        )
    return Clip(frames, 16.0, "box")


def test_middles_are_those_of_the_box(clip):
    t = np.arange(5)
    np.testing.assert_array_equal(middles(clip, FILL), np.stack([3 * t + 3, 4 * t + 2], axis=1))


def test_travelled_adds_the_steps_up(clip):
    path = middles(clip, FILL)
    assert travelled(path) == pytest.approx(4 * 5)  # a step of 3 and 4 is 5 long
    assert travelled(middles(reverse(clip), FILL)) == pytest.approx(4 * 5)
    assert travelled(middles(freeze(clip), FILL)) == 0
    there_and_back = np.array([[0.0, 0], [10, 0], [0, 0]])
    assert travelled(there_and_back) == 20


def test_frames_of_fill_are_passed_in_a_straight_line(clip):
    clip.frames[2] = FILL
    path = middles(clip, FILL)
    assert np.isnan(path[2]).all() and np.isfinite(path[[0, 1, 3, 4]]).all()
    assert travelled(path) == pytest.approx(4 * 5)


def test_a_pixel_of_the_fills_colour_inside_the_box_counts_as_the_box(clip):
    before = middles(clip, FILL)
    clip.frames[1, 5, 5] = FILL
    np.testing.assert_array_equal(middles(clip, FILL), before)


@pytest.mark.parametrize("path", [np.zeros((3, 3)), np.full((3, 2), np.nan), np.zeros((0, 2))])
def test_what_is_no_path_is_named(path):
    with pytest.raises(InputError, match=r"a path is \(T, 2\)"):
        travelled(path)
