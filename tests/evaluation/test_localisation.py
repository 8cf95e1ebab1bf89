"""Energy on a mask, the moving stand-in, and intervals."""

import numpy as np
import pytest

from vxhelpers.data.motion import moving
from vxhelpers.data.stage import render
from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.evaluation.localisation import area_share, energy_share, pointing_game, widened
from vxhelpers.stats import mean_interval


def _mask(n=2):
    mask = np.zeros((n, 4, 6, 6), bool)
    mask[:, :, :3, :2] = True
    return mask


def test_energy_counts_positive_relevance_alone():
    maps = np.full((2, 4, 6, 6), -5.0)
    maps[:, 0, 0, 0], maps[:, 0, 5, 5] = 3.0, 1.0
    assert energy_share(maps, _mask()) == pytest.approx([0.75, 0.75])


def test_an_even_spread_and_an_empty_map_score_the_area():
    mask = _mask()
    assert area_share(mask) == pytest.approx([1 / 6, 1 / 6])
    assert energy_share(np.ones(mask.shape), mask) == pytest.approx(area_share(mask))
    assert energy_share(-np.ones(mask.shape), mask) == pytest.approx(area_share(mask))


def test_energy_does_not_depend_on_scale_or_on_other_clips():
    maps = np.random.default_rng(0).normal(size=(3, 4, 6, 6))
    mask = maps > 0.5
    together = energy_share(maps * 7, mask)
    alone = [energy_share(m[None], k[None])[0] for m, k in zip(maps, mask, strict=True)]
    assert together == pytest.approx(alone)


def test_pointing_is_a_hit_of_the_highest_value():
    mask = _mask(4)
    maps = np.zeros(mask.shape)
    maps[:, 1, 4, 4] = 1.0
    maps[0, 3, 2, 1] = 2.0  # inside
    maps[1, 0, 0, 2] = 2.0  # a pixel beside
    maps[2, 0, 0, 0] = -9.0  # what speaks against the class does not point
    assert pointing_game(maps, mask) == pytest.approx([1, 0, 0, 0])
    assert pointing_game(maps, mask, tolerance=1) == pytest.approx([1, 1, 0, 0])
    assert pointing_game(maps, mask, tolerance=3.7) == pytest.approx([1, 1, 1, 1])
    maps[3, 2, 0, 0] = 1.0  # as high as the one outside
    assert pointing_game(maps, mask) == pytest.approx([1, 0, 0, 0.5])


def test_a_map_that_points_nowhere_scores_like_a_random_point():
    mask = _mask()
    for tolerance in (0, 1, 2.5):
        baseline = area_share(widened(mask, tolerance))
        for level in (-1.0, 0.0, 1.0):
            maps = np.full(mask.shape, level)
            assert pointing_game(maps, mask, tolerance=tolerance) == pytest.approx(baseline)
    maps = np.random.default_rng(0).random((2000, 1, 6, 6))
    mask = np.repeat(_mask(1)[:, :1], 2000, axis=0)
    hits = pointing_game(maps, mask, tolerance=1)
    assert hits.mean() == pytest.approx(area_share(widened(mask, 1))[0], abs=0.05)


@pytest.mark.parametrize("tolerance", [0, 0.9, 1, 1.5, 2, 3.2])
def test_widening_takes_every_pixel_within_reach_in_its_frame(tolerance):
    mask = np.random.default_rng(3).random((2, 3, 9, 8)) < 0.03
    found = widened(mask, tolerance)
    for n, t, y, x in np.ndindex(mask.shape):
        there = np.argwhere(mask[n, t])
        near = len(there) and np.hypot(*(there - (y, x)).T).min() <= tolerance
        assert found[n, t, y, x] == bool(near)


def test_moving_finds_what_moves_on_the_stage():
    scene = render("kth", "test", 4)  # running
    found, person = moving(scene.clip.frames), scene.mask("person")
    assert found.any()
    assert person[found].mean() > 4 * person.mean()
    still = np.repeat(scene.clip.frames[:1], 5, axis=0)
    assert not moving(still).any()
    assert not moving(still[:1]).any()


def test_moving_is_a_share_that_changes_most_and_no_noise():
    frames = np.full((6, 60, 90, 3), 100, np.uint8)
    for t in range(6):
        frames[t, 12:30, 6 * t : 6 * t + 18] = 220
    fine = moving(frames)
    assert 0 < fine.mean() <= 0.1
    assert not fine[:, 36:].any() and not fine[:, :6].any()
    coarse = moving(frames, scale=3)
    assert coarse.shape == (6, 20, 30)
    again = coarse.repeat(3, axis=1).repeat(3, axis=2)
    assert (again & fine).sum() > 0.8 * fine.sum()
    noise = np.random.default_rng(0).integers(96, 105, frames.shape).astype(np.uint8)
    assert not moving(noise).any()
    panned = np.random.default_rng(1).integers(0, 256, (60, 96, 3)).astype(np.uint8)
    panned = np.stack([panned[:, t : t + 90] for t in range(6)])
    assert 0.05 < moving(panned).mean() <= 0.1  # a camera that moves, moves every edge
    with pytest.raises(InputError, match="60x90 have no cells of 4x4"):
        moving(frames, scale=4)


def test_interval_covers_the_mean_at_about_the_nominal_rate():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        mean = mean_interval(rng.normal(2.0, 1.0, 40), rng=rng, resamples=400)
        hits += mean.low <= 2.0 <= mean.high
        assert mean.low <= mean.value <= mean.high
    assert 0.88 <= hits / 200 <= 0.99


def test_errors():
    with pytest.raises(InputError, match=r"\(N, T, H, W\)"):
        energy_share(np.zeros((1, 4, 6, 6)), _mask())
    maps = np.zeros((2, 4, 6, 6))
    maps[1, 0, 0, 0] = np.nan
    with pytest.raises(NotFiniteError, match="clip 1"):
        energy_share(maps, _mask())
    with pytest.raises(NotFiniteError, match="clip 1"):
        pointing_game(maps, _mask())
    with pytest.raises(InputError, match="tolerance=-1"):
        pointing_game(np.zeros(maps.shape), _mask(), tolerance=-1)
    with pytest.raises(InputError, match="two values"):
        mean_interval([1.0], rng=np.random.default_rng(0))
