from dataclasses import replace

import blocks
import numpy as np
import pytest
import torch
from blocks import RECIPE
from reference import stce as slow
from torch import nn
from toys import toy_model

from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.io.cache import Store
from vxhelpers.stce.discovery import discover
from vxhelpers.stce.features import Computation
from vxhelpers.stce.random_groups import ScoringSettings, of_randoms
from vxhelpers.stce.score import score

CLIPS, OTHERS = blocks.clips(6, 1), blocks.clips(5, 2)
GROUPS = 5


@pytest.fixture(autouse=True)
def by_hand(monkeypatch):
    monkeypatch.setattr("vxhelpers.stce.features.segment", blocks.segment)


@pytest.fixture
def model():
    return blocks.model()


def found(model, *, clips=CLIPS, layer=None, recipe=RECIPE):
    return discover(model, layer, clips, rng=np.random.default_rng(0), recipe=recipe)


def scored(model, discovery=None, *, seed=0, randoms=OTHERS, target="right", **options):
    other = {name: options.pop(name) for name in ("clips", "computation") if name in options}
    settings = ScoringSettings(**{"groups": GROUPS, "draws": 50, **options})
    return score(
        discovery or found(model), model, target, randoms=randoms,
        rng=np.random.default_rng(seed), settings=settings, **other,
    )  # fmt: skip


def reference(model, scores, others, *, negatives, clips=CLIPS, seed=0):
    """Derivatives (k, r, S) by loops over concepts, groups and clips, in float64."""
    net = model.net.net
    settings = ScoringSettings(groups=GROUPS, negatives=negatives, layer="net.conv3")
    drawn, side = of_randoms(
        scores.discovery, model, others, clips, settings,
        rng=np.random.default_rng(seed), computation=Computation(8),
    )  # fmt: skip
    used = np.unique(drawn)
    pool = {row: x.double().numpy().ravel() for row, x in zip(used, side.x, strict=True)}
    tail = net.double().tail
    acts = []
    for clip in clips:
        x = model.prepare(clip).double()
        with torch.no_grad():
            acts.append(net.conv3(net.relu2(net.conv2(net.relu1(net.conv1(x)))))[0])
    values = []
    with torch.no_grad():
        for rows in scores.discovery.members:
            concept = [scores.discovery.features[row].double().numpy().ravel() for row in rows]
            values.append([slow.slopes(concept, [pool[row] for row in group], tail, acts, 1)
                           for group in drawn])  # fmt: skip
    net.float()
    return np.array(values)


@pytest.mark.parametrize("negatives", ["supervoxels", "clips"])
def test_scores_equal_the_slow_reference(negatives) -> None:
    model = blocks.model()
    recipe = replace(RECIPE, nearest=6 if negatives == "supervoxels" else 4)
    others = OTHERS if negatives == "supervoxels" else blocks.clips(13, 5)
    scores = scored(model, found(model, recipe=recipe), randoms=others, negatives=negatives)
    expected = reference(model, scores, others, negatives=negatives)
    assert scores.derivatives.shape == expected.shape == (3, GROUPS, 6)
    np.testing.assert_allclose(
        scores.derivatives, expected, atol=2e-5 * np.abs(expected).max(), rtol=1e-3
    )
    np.testing.assert_array_equal(scores.by_group, (expected > 0).mean(2))
    np.testing.assert_allclose(scores.score, (expected > 0).mean((1, 2)))
    np.testing.assert_allclose(scores.spread, (expected > 0).mean(2).std(1, ddof=1))
    np.testing.assert_allclose(scores.derivative, expected.mean((1, 2)), rtol=1e-3, atol=1e-7)
    # Whole clips against filled ones are told apart by the fill: all concepts score alike.
    assert (len(set(scores.score)) > 1) == (negatives == "supervoxels")


def test_ranks_are_by_score_then_by_mean_derivative(model) -> None:
    scores = scored(model)
    slopes = np.zeros((4, 2, 5))
    slopes[0, :, :3] = 0.1  # 0.6
    slopes[1, :, :4] = 0.01  # 0.8, small
    slopes[2, :, 1:] = 5.0  # 0.8, large
    slopes[3] = -1.0
    mine = replace(scores, derivatives=slopes)
    assert mine.ranking.tolist() == [2, 1, 0, 3]
    assert mine.score.tolist() == [0.6, 0.8, 0.8, 0.0]
    lines = scores.ranked()
    assert [line.concept for line in lines] == scores.ranking.tolist()
    assert [line.rank for line in lines] == [1, 2, 3] and lines[0].score == scores.score.max()
    assert lines[0].name == f"concept {lines[0].concept + 1}"
    assert sum(line.supervoxels for line in lines) == 66


def test_chance_is_what_random_supervoxels_come_to(model) -> None:
    """Mean difference in closed form against explicit problems, one by one."""
    scores = scored(model, draws=400)
    for concept, (chance, verdict) in enumerate(zip(scores.chances, scores.verdicts, strict=True)):
        assert len(chance.draws) == 400 and chance.centre == 0
        assert abs(chance.observed - scores.derivative[concept]) < chance.draws.std()
        far = (np.abs(chance.draws) >= abs(chance.observed)).sum()
        assert verdict.p == (1 + far) / 401 and verdict.m == 3
        assert verdict.corrected == min(1, 3 * verdict.p)
        middle = np.abs(np.median(chance.draws)) / np.abs(chance.draws).max()
        assert chance.draws.std() > 0 and middle < 0.5
    assert scores.chances[0].draws is scores.chances[1].draws  # of one size, drawn once


def test_the_second_opinion_and_an_earlier_layer(model) -> None:
    discovery = found(model)
    other = scored(model, discovery, solver="logistic", draws=10)
    both = np.corrcoef(other.derivatives.ravel(), scored(model, discovery).derivatives.ravel())
    assert both[0, 1] > 0.5 and other.settings.solver == "logistic"
    before = model.net.count
    early = scored(model, discovery, layer="net.conv1")
    members = sum(map(len, discovery.members))
    drawn = model.net.count - before - members - len(CLIPS)
    assert 0 < drawn <= GROUPS * RECIPE.nearest  # one forward a member, a random one, a clip
    assert early.settings.layer == "net.conv1" and early.derivatives.shape == (3, GROUPS, 6)


def linear():
    """Only a linear layer follows: a logit's gradient is one vector, a log-probability's not."""
    net = nn.Sequential(nn.AdaptiveAvgPool3d((1, 4, 4)), nn.Flatten(), nn.Linear(48, 3))
    with torch.no_grad():
        net[2].weight.copy_(3 * torch.randn(3, 48, generator=torch.Generator().manual_seed(0)))
    toy = toy_model(net, [("1", "NC")])
    return replace(toy, entry=replace(blocks.model().entry, layers=toy.entry.layers, top_layer="1"))


def test_a_linear_head_with_logits_is_told_and_log_probabilities_are_graded() -> None:
    model = linear()
    discovery = found(model)
    exact = scored(model, discovery, of="logit")
    assert set(exact.by_group.ravel()) <= {0.0, 1.0}
    assert exact.degenerate.startswith("only linear operations follow")
    assert exact.notes[0] == exact.degenerate
    graded = scored(model, discovery)
    assert not graded.degenerate and len(set(graded.by_group.ravel()) - {0.0, 1.0}) > 0


def test_concepts_that_are_all_the_same_to_the_class_are_said() -> None:
    """A class whose logit depends on nothing: every derivative is zero."""
    model = linear()
    with torch.no_grad():
        model.net[2].weight[1] = 0
    tied = scored(model, of="logit")
    assert tied.score.tolist() == [0, 0, 0] and tied.ranking.tolist() == [0, 1, 2]
    assert "the score does not change with this layer" in tied.degenerate
    assert any("all concepts share the highest score, 0: these are ranked" in n for n in tied.notes)
    assert not any("share the highest" in note for note in scored(linear()).notes)


def test_groups_that_share_supervoxels_are_said(model) -> None:
    assert not any("share" in note for note in scored(model, groups=2).notes)
    assert any(
        "share 44 supervoxels" in n for n in scored(model, groups=40, randoms=OTHERS[:4]).notes
    )


def test_one_forward_a_supervoxel_and_what_is_stored_is_not_run_again(model, tmp_path) -> None:
    store = Store(tmp_path)
    discovery, before = found(model), model.net.count
    first = scored(model, discovery, computation=Computation(store=store))
    assert model.net.count - before == GROUPS * RECIPE.nearest + len(CLIPS)
    before = model.net.count
    again = scored(model, discovery, computation=Computation(store=store))
    assert model.net.count - before == len(CLIPS)
    assert np.array_equal(first.derivatives, again.derivatives)


def test_supervoxels_are_the_negatives_where_the_form_is_in_place(model) -> None:
    assert scored(model).settings.negatives == "supervoxels"
    recipe = replace(RECIPE, form="cropped", nearest=4)
    cropped = scored(model, found(model, recipe=recipe), randoms=blocks.clips(13, 5))
    assert cropped.settings.negatives == "clips"


def test_bad_input(model) -> None:
    discovery = found(model)
    with pytest.raises(InputError, match=r"no random clips: .* clips of other classes"):
        scored(model, discovery, randoms=[])
    with pytest.raises(InputError, match=r"11 random supervoxels are too few .* 18, better 30"):
        scored(model, discovery, randoms=OTHERS[:1])
    with pytest.raises(InputError, match=r"5 random clips are too few to draw groups of 6"):
        scored(model, discovery, negatives="clips")
    with pytest.raises(InputError, match=r"1 random clips are also clips of the class: video1-2"):
        scored(model, discovery, randoms=[*OTHERS, CLIPS[2]])
    with pytest.raises(InputError, match="discovered in another network"):
        scored(replace(model, digest="1" * 64), discovery)
    with pytest.raises(InputError, match="3 clips to score"):
        scored(model, discovery, clips=CLIPS[:3])
    with pytest.raises(InputError, match="groups=1"):
        scored(model, discovery, groups=1)
    with pytest.raises(InputError, match="negatives='none'"):
        scored(model, discovery, negatives="none")
    with pytest.raises(UnknownNameError, match="unknown solver 'linear_svc'"):
        scored(model, discovery, solver="linear_svc")
    with pytest.raises(UnknownNameError, match="did you mean 'right'"):
        scored(model, discovery, target="righ")


def test_with_the_real_segmentation(model, monkeypatch) -> None:
    """Nothing stood in for: 3-D SLIC on the same small clips."""
    monkeypatch.undo()
    recipe = replace(RECIPE, steps=2)
    discovery = found(model, recipe=recipe)
    labels = discovery.pieces.cuts[0].labels
    assert labels.shape == (2, 4, 8, 8) and not np.array_equal(labels, blocks.by_hand().labels)
    scores = scored(model, discovery)
    assert scores.derivatives.shape == (len(discovery), GROUPS, 6)
    assert np.isfinite(scores.derivatives).all()
