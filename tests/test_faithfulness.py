"""Energy on a mask, the moving stand-in, and intervals."""

import numpy as np
import pytest

from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.faithfulness import area_share, energy_share, mean_interval, moving
from vxhelpers.stage import render


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


def test_moving_finds_what_moves_on_the_stage():
    scene = render("kth", "test", 4)  # running
    found, person = moving(scene.clip.frames), scene.mask("person")
    assert found.any()
    assert person[found].mean() > 4 * person.mean()
    still = np.repeat(scene.clip.frames[:1], 5, axis=0)
    assert not moving(still).any()
    assert not moving(still[:1]).any()


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
    with pytest.raises(InputError, match="two values"):
        mean_interval([1.0], rng=np.random.default_rng(0))
