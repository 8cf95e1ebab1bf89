import numpy as np
import pytest

from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.figures.supervoxels import PLAIN, concepts, highlighted, painted

FRAMES = np.random.default_rng(0).integers(0, 255, (3, 8, 12, 3)).astype(np.uint8)


def test_a_label_has_one_colour_in_all_frames_and_no_other_has_it() -> None:
    labels = np.zeros((3, 4, 6), np.int16)
    labels[:, :, 3:] = 1
    labels[2, 2:, :3] = 7
    found = painted(FRAMES, labels, opacity=1.0)
    assert found.shape == FRAMES.shape and found.dtype == np.uint8
    inside = {0: found[:2, :, 1:5], 1: found[:, :, 8:], 7: found[2, 6:, 1:5]}
    colours = {}
    for name, part in inside.items():
        (colours[name],) = {tuple(c) for c in part.reshape(-1, 3).tolist()}
    assert len(set(colours.values())) == 3
    dark = found[:, :, 6].astype(int).sum(-1)  # the line between 0 and 1
    assert (dark < 0.5 * found[:, :, 8].astype(int).sum(-1)).all()
    assert np.array_equal(painted(FRAMES, np.zeros((3, 4, 6), int), opacity=0.0), FRAMES)


def test_what_is_in_the_mask_stays_and_the_rest_is_grey() -> None:
    mask = np.zeros((3, 4, 6), bool)
    mask[1, 1:3, 2:4] = True
    found = highlighted(FRAMES, mask)
    large = mask.repeat(2, 1).repeat(2, 2)
    assert np.array_equal(found[large], FRAMES[large]) and (found[~large] == PLAIN).all()
    assert np.array_equal(highlighted(FRAMES, mask, fade=0.0), FRAMES)


@pytest.mark.parametrize("shape", [(2, 4, 6), (3, 4, 5), (3, 16, 24), (4, 6)])
def test_volumes_that_do_not_fit_are_refused(shape) -> None:
    with pytest.raises(InputError, match="does not fit frames"):
        highlighted(FRAMES, np.zeros(shape, bool))


def test_concepts_are_drawn_and_told() -> None:
    x, y = np.array([0.1, 0.5]), np.array([0.2, 0.9])
    one = concepts({"trained": (x, y)}, across="share", up="score", line=("even", 0.3))
    assert "trained: 2 concepts, share 0.10 to 0.50, score 0.20 to 0.90" in one.alt
    points = [line for line in one.figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert any(np.array_equal(p.get_ydata(), y) for p in points)
    with pytest.raises(InputError, match="nothing to draw"):
        concepts({}, across="a", up="b")
    with pytest.raises(InputError, match="must be as many"):
        concepts({"a": (x, y[:1])}, across="a", up="b")
    with pytest.raises(NotFiniteError):
        concepts({"a": (x, y * np.nan)}, across="a", up="b")
