import blocks
import numpy as np
import pytest
import torch
from blocks import RECIPE
from reference import tcav as definition

from vxhelpers.stce.discovery import discover
from vxhelpers.stce.features import Computation, cut, features
from vxhelpers.stce.random_groups import ScoringSettings, by_chance, of_concepts, of_randoms

CLIPS, OTHERS = blocks.clips(4, 1), blocks.clips(13, 2)
TOP, EIGHT = "net.conv3", Computation(8)


@pytest.fixture
def setting(monkeypatch):
    monkeypatch.setattr("vxhelpers.stce.features.segment", blocks.segment)
    model = blocks.model()
    return model, discover(model, None, CLIPS, rng=np.random.default_rng(0), recipe=RECIPE)


def drawn(setting, groups, *, negatives="supervoxels", seed=0, randoms=OTHERS):
    model, discovery = setting
    rng = np.random.default_rng(seed)
    settings = ScoringSettings(groups=groups, negatives=negatives, layer=TOP)
    return of_randoms(discovery, model, randoms, CLIPS, settings, rng=rng, computation=EIGHT)


def test_groups_are_disjoint_where_the_pool_is_large_enough(setting) -> None:
    rows, side = drawn(setting, 20)
    assert rows.shape == (20, 6) and len(np.unique(rows)) == 120 == len(side.x)
    rows, side = drawn(setting, 30)  # 180 of 143
    assert rows.shape == (30, 6) and len(np.unique(rows)) == len(side.x) <= 143
    assert all(len(np.unique(group)) == 6 for group in rows)
    assert (drawn(setting, 20)[0] == drawn(setting, 20)[0]).all()
    assert (drawn(setting, 20)[0] != drawn(setting, 20, seed=1)[0]).any()


def test_features_are_of_the_rows_drawn(setting) -> None:
    model, _ = setting
    rows, side = drawn(setting, 3)
    pool = cut(model, OTHERS, RECIPE)
    used = np.unique(rows)
    torch.testing.assert_close(side.x, features(model, pool, "net.conv3", RECIPE, rows=used))
    assert side.names == tuple(pool.name(row) for row in used)
    many = blocks.clips(18, 2)
    rows, side = drawn(setting, 2, negatives="clips", randoms=many)
    assert side.names[0].startswith(f"video2-{np.unique(rows)[0]}.mp4") and len(side.x) == 12


def test_members_come_concept_by_concept_at_any_layer(setting) -> None:
    model, discovery = setting
    rows = np.concatenate(discovery.members)
    side = of_concepts(discovery, model, TOP, EIGHT)
    assert torch.equal(side.x, discovery.features[torch.from_numpy(rows)])
    assert side.digests == tuple(discovery.pieces.digest(row) for row in rows)
    early = of_concepts(discovery, model, "net.conv1", EIGHT)
    assert early.x.shape == (len(rows), 4, 4, 4, 4)


def test_random_concepts_equal_the_slow_reference() -> None:
    """Rebuilt with the same draws, by explicit vectors."""
    rng = np.random.default_rng(4)
    x, g = rng.normal(size=(60, 7)), rng.normal(size=(5, 7))
    x[:6] += 1
    concepts, pool = [np.arange(6), np.arange(6, 10)], np.arange(10, 60)
    for solver in ("mean", "logistic"):
        found = by_chance(
            x @ x.T,
            g @ x.T,
            concepts,
            pool,
            6,
            rng=np.random.default_rng(1),
            draws=30,
            solver=solver,
        )
        same = np.random.default_rng(1)
        shuffled = same.permutation(pool)
        groups, rest = shuffled[:24].reshape(4, 6), shuffled[24:]
        for n, chance, own in ((4, found[1], concepts[1]), (6, found[0], concepts[0])):
            drawn = [same.choice(rest, n, replace=False) for _ in range(30)]
            for rows, value in zip([own, *drawn], [chance.observed, *chance.draws], strict=True):
                if solver == "mean":
                    slopes = definition.slopes(x, g, rows, groups)
                    assert value == pytest.approx(slopes.mean(), rel=1e-9)
                assert abs(value) <= np.linalg.norm(g.mean(0)) * (1 + 1e-9)
        assert found[0].observed != found[1].observed
