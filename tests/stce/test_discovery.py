from dataclasses import replace

import blocks
import numpy as np
import pytest
import torch
from blocks import LAYERS, RECIPE
from reference import stce as slow
from sklearn.cluster import KMeans

from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError
from vxhelpers.stce.discovery import discover

CLIPS = blocks.clips(6, 1)


@pytest.fixture(autouse=True)
def by_hand(monkeypatch):
    monkeypatch.setattr("vxhelpers.stce.features.segment", blocks.segment)


def found(*, seed=0, clips=CLIPS, layer=None, model=None, **options):
    options = {"recipe": RECIPE, **options}
    return discover(
        model or blocks.model(), layer, clips, rng=np.random.default_rng(seed), **options
    )


def test_concepts_are_k_means_clusters_with_the_nearest_members() -> None:
    one = found()
    flat = one.features.flatten(1).double().numpy()
    assert one.layer == "net.conv3" and len(flat) == 66 and one.names[0] == "concept 1"
    for index, centre in enumerate(one.centres):
        mine = np.flatnonzero(one.cluster == index)
        np.testing.assert_allclose(centre, flat[mine].mean(0))
        far = np.linalg.norm(flat[mine] - centre, axis=1)
        np.testing.assert_allclose(one.distance[mine], far)
        nearest = mine[np.argsort(far)][: RECIPE.nearest]
        assert one.members[index].tolist() == nearest.tolist()
        assert one.sizes[index] == len(mine)
        assert one.videos[index] == len({*(mine // 11)})
    assert (np.diff(one.sizes) <= 0).all() and one.sizes.sum() == 66 and not one.dropped
    own = ((flat - one.centres[one.cluster]) ** 2).sum()
    oracle = KMeans(3, n_init=20, random_state=1).fit(flat).inertia_
    assert oracle * 0.99 <= own <= 1.1 * oracle < 0.9 * ((flat - flat.mean(0)) ** 2).sum()


def test_supervoxels_go_to_the_nearest_centre() -> None:
    one = found()
    flat = one.features.flatten(1).double().numpy()
    expected = [slow.nearest(value, one.centres) for value in flat]
    assert one.assign(one.features).tolist() == expected
    with pytest.raises(InputError, match="features of 3 values for centres of 40"):
        one.assign(torch.zeros(2, 3))


def test_the_same_seed_finds_the_same_concepts() -> None:
    first, again = found(seed=3), found(seed=3)
    assert [m.tolist() for m in first.members] == [m.tolist() for m in again.members]
    assert np.array_equal(first.centres, again.centres)


def test_any_layer_can_be_clustered() -> None:
    assert found(layer="net.head").centres.shape == (3, 3)
    assert found(layer="net.conv1").features.shape == (66, 4, 4, 4, 4)


def test_small_clusters_and_unpopular_ones_are_dropped_with_a_reason() -> None:
    """One clip unlike all others: its whole is a cluster of few."""
    odd = replace(CLIPS[0], frames=np.full((4, 8, 8, 3), 255, np.uint8), source="odd")
    one = found(clips=[*CLIPS, odd], recipe=replace(RECIPE, concepts=8))
    assert one.dropped and all(d.supervoxels < 4 for d in one.dropped)
    assert len(one) + len(one.dropped) == 8
    lost = sum(d.supervoxels for d in one.dropped)
    assert (one.cluster == -1).sum() == lost and one.sizes.sum() == 77 - lost
    assert any("fewer than the 4 that a concept vector needs" in note for note in one.notes)
    assert any("7 clips for 8 concepts" in note for note in one.notes)
    ace = found(
        clips=[*CLIPS, odd], recipe=replace(RECIPE, concepts=8, nearest=20), popularity="ace"
    )
    assert len(ace) < len(one)
    for d in ace.dropped:
        assert d.supervoxels <= 10 or not (
            d.videos > 3.5
            or (d.videos > 1.75 and d.videos > d.supervoxels / 4)
            or (d.videos > 0.7 and d.videos > d.supervoxels / 2)
        )
    assert (ace.sizes > 10).all() and any("ACE" in note for note in ace.notes)


def test_members_fewer_than_asked_for_are_said() -> None:
    one = found(recipe=replace(RECIPE, nearest=40))
    assert [len(m) for m in one.members] == [min(40, s) for s in one.sizes]
    assert any("fewer than the 40 supervoxels to be kept: " in note for note in one.notes)


def test_fewer_supervoxels_than_clusters() -> None:
    with pytest.raises(
        InputError, match=r"1 clips have 11 supervoxels, fewer than the 12 .* most 11"
    ):
        found(clips=CLIPS[:1], recipe=replace(RECIPE, concepts=12))
    one = found(clips=CLIPS[:1], recipe=replace(RECIPE, concepts=2))
    assert any("1 clips for 2 concepts" in note for note in one.notes)


def plain(value: int) -> Clip:
    return Clip(np.full((4, 8, 8, 3), value, np.uint8), 8.0, f"plain {value}")


def test_blank_clips_of_the_fills_own_colour_have_nothing_to_tell_concepts_by() -> None:
    recipe = replace(RECIPE, fill=(50, 50, 50))
    with pytest.raises(InputError, match=r"all 11 supervoxels have the same features .* blank"):
        found(clips=[plain(50)], recipe=recipe)
    with pytest.raises(InputError, match=r"12 supervoxels differ at layer 'net\.conv3', fewer"):
        found(clips=[plain(50), plain(90)], recipe=replace(recipe, concepts=13))
    assert len(found(clips=[plain(90), plain(200)]).centres) >= 1  # grey, but not the fill


def test_no_cluster_left_and_bad_options() -> None:
    with pytest.raises(InputError, match=r"none of 10 clusters is kept"):
        found(clips=CLIPS[:1], recipe=replace(RECIPE, concepts=10))
    with pytest.raises(InputError, match="popularity='most'"):
        found(popularity="most")
    assert LAYERS[0] == blocks.model().entry.top_layer
