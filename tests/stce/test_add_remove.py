from dataclasses import replace

import blocks
import numpy as np
import pytest
import torch
from blocks import RECIPE
from reference import stce as slow

from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.io.cache import Store
from vxhelpers.stce.add_remove import AddRemoveSettings, evaluate
from vxhelpers.stce.curves import OPERATIONS, ORDERS
from vxhelpers.stce.discovery import discover
from vxhelpers.stce.features import Computation
from vxhelpers.stce.random_groups import ScoringSettings
from vxhelpers.stce.score import score

LABELS = ("left", "right", "still")
TEST = blocks.clips(4, 7)


@pytest.fixture(autouse=True)
def by_hand(monkeypatch):
    monkeypatch.setattr("vxhelpers.stce.features.segment", blocks.segment)


@pytest.fixture
def model():
    return blocks.model()


def explain(model, label="right", *, recipe=RECIPE, seed=1):
    rng = np.random.default_rng(seed)
    discovery = discover(model, None, blocks.clips(6, seed), rng=rng, recipe=recipe)
    settings = ScoringSettings(groups=4, draws=20)
    return score(discovery, model, label, randoms=blocks.clips(5, 3), rng=rng, settings=settings)


def run(model, *, clips=TEST, labels=None, explained=None, **options):
    other = {"rng": np.random.default_rng(0)}
    other |= {name: options.pop(name) for name in ("rng", "computation") if name in options}
    settings = AddRemoveSettings(**{"permutations": 3, **options})
    explained = explained or {"right": explain(model)}
    labels = labels or ["right"] * len(clips)
    model.net.inputs.clear()
    return evaluate(model, explained, clips, labels, settings=settings, **other)


@pytest.mark.parametrize("fill", ["mean", "black"])
def test_curves_equal_the_slow_reference(model, fill) -> None:
    """Top and least, adding and removing: masks by voxel, one prediction at a time."""
    explained = {"right": explain(model, recipe=replace(RECIPE, fill=fill))}
    scores = explained["right"]
    found = run(model, explained=explained)
    assert found.steps.tolist() == [0, 1, 2, 3]
    value = [0.0 if fill == "mean" else -2.0] * 3
    masks = [*blocks.by_hand().masks()]
    net = model.net.net

    def probability(x):
        with torch.no_grad():
            return net(x[None]).double().softmax(1)[0, 1].item(), net(x[None]).argmax().item() == 1

    for v, clip in enumerate(TEST):
        x = model.prepare(clip)[0]
        concept = []
        for mask in masks:
            alone = slow.shown(x, mask, value)
            layer = net.conv3(net.relu2(net.conv2(net.relu1(net.conv1(alone[None])))))
            concept.append(slow.nearest(layer.detach().double().numpy().ravel(),
                                        scores.discovery.centres))  # fmt: skip
        for order, ranks in (("top", scores.ranking), ("least", scores.ranking[::-1])):
            for q in range(4):
                union = slow.union(masks, concept, ranks[:q].tolist())
                for operation, mask in (("add", union), ("remove", ~union)):
                    p, right = probability(slow.shown(x, mask, value))
                    curve = found[operation, order]
                    assert curve.probability[0, v, q] == pytest.approx(p, abs=1e-6)
                    assert curve.correct[0, v, q] == right
                    assert curve.visible[0, v, q] == pytest.approx(mask.mean())


def test_endpoints_are_the_blank_and_the_clip_exactly(model) -> None:
    found = run(model)
    with torch.no_grad():
        whole = model.net.net(model.prepare(TEST)).double().softmax(1)[:, 1].numpy()
        blank = model.net.net(torch.zeros(1, 3, 4, 8, 8)).double().softmax(1)[0]
    for operation, (first, last) in zip(OPERATIONS, ((blank[1], whole), (whole, blank[1])),
                                        strict=True):  # fmt: skip
        for order in ORDERS:
            curve = found[operation, order]
            runs = curve.probability.shape[0]
            assert runs == (1 if order in ("top", "least") else 3)
            for end, expected in ((0, first), (-1, last)):
                values = np.broadcast_to(np.asarray(expected), (runs, 4))
                np.testing.assert_allclose(curve.probability[:, :, end], values, atol=1e-6)
                # All orders share the very input, so their ends are equal to the last digit.
                same = found["add", "top"].probability[
                    0, :, 0 if curve.visible[0, 0, end] == 0 else -1
                ]
                assert (curve.probability[:, :, end] == same).all()
            assert (curve.visible[:, :, 0] == (operation == "remove")).all()
            assert (curve.visible[:, :, -1] == (operation == "add")).all()
    inputs = torch.cat(model.net.inputs)
    for clip in TEST:
        x = model.prepare(clip)[0]
        assert any(torch.equal(x, one) for one in inputs)
    assert sum(bool((one == 0).all()) for one in inputs) == len(TEST) + 1
    assert found.baseline == (model.net.net(model.prepare(TEST)).argmax(1) == 1).double().mean()


def test_the_same_input_is_run_once(model) -> None:
    run(model)
    supervoxels = 11 * len(TEST)
    inputs = [one.numpy().tobytes() for one in torch.cat(model.net.inputs)[supervoxels:-1]]
    blank = torch.zeros(3, 4, 8, 8).numpy().tobytes()
    assert len({*inputs} - {blank}) == len([one for one in inputs if one != blank])
    asked = len(TEST) * 2 * (2 + 2 * 3) * 4  # operations, runs of all orders, steps
    assert len(inputs) <= len(TEST) * (2 * 8 * 2 + 2) < asked  # the two ends are shared by all


def test_removing_hides_what_adding_shows(model) -> None:
    found = run(model)
    for order in ORDERS:
        total = found["add", order].visible + found["remove", order].visible
        np.testing.assert_allclose(total, 1)


def test_the_control_shows_as_much_as_the_top(model) -> None:
    found = run(model, permutations=12)
    gap = np.abs(found["add", "matched"].visible - found["add", "top"].visible)
    assert (
        gap.max()
        <= 0.125
        < np.abs(found["add", "least"].visible - found["add", "top"].visible).max()
    )  # half of the smallest supervoxel's share is the best that can be had of few
    assert found["add", "matched"].visible.shape == (12, 4, 4)


def test_steps_beyond_a_class_with_fewer_concepts_show_everything(model) -> None:
    explained = {
        "right": explain(model),
        "left": explain(model, "left", seed=2, recipe=replace(RECIPE, concepts=3)),
    }
    few = explained["left"].discovery
    few = replace(few, members=few.members[:2], centres=few.centres[:2],
                  cluster=np.minimum(few.cluster, 1))  # fmt: skip
    explained["left"] = replace(explained["left"], discovery=few,
                                derivatives=explained["left"].derivatives[:2])  # fmt: skip
    found = run(model, explained=explained, labels=["right", "left", "left", "right"], steps=[2])
    assert found.steps.tolist() == [0, 2, 3]
    assert (found["add", "top"].visible[0, 1:3, 1:] == 1).all()
    assert found["add", "top"].visible[0, 0, 1] < 1


def test_concepts_of_different_recipes_do_not_go_together(model) -> None:
    explained = {label: explain(model, label, seed=k) for k, label in enumerate(LABELS, 11)}
    other = replace(
        explained["left"],
        discovery=replace(explained["left"].discovery, recipe=replace(RECIPE, nearest=5)),
    )
    with pytest.raises(InputError, match="'right' come from another recipe or layer"):
        run(model, explained={**explained, "left": other})


def test_the_predicted_class_instead_of_the_true_one(model) -> None:
    with torch.no_grad():
        named = [LABELS[i] for i in model.net.net(model.prepare(TEST)).argmax(1)]
    explained = {label: explain(model, label, seed=k) for k, label in enumerate(LABELS, 11)}
    wrong = [LABELS[(LABELS.index(n) + 1) % 3] for n in named]
    found = run(model, explained=explained, labels=wrong, assigned="predicted")
    oracle = run(model, explained=explained, labels=named)
    assert found.assigned == "predicted" and found.baseline == 0 and oracle.baseline == 1
    assert (found["add", "top"].visible == oracle["add", "top"].visible).all()
    assert not any("true class" in note for note in found.notes)
    assert any("true class" in note for note in oracle.notes)
    missing = {label: s for label, s in explained.items() if label != named[0]}
    labels = [next(iter(missing))] * 4
    with pytest.raises(InputError, match=rf"video7-0.* is predicted as '{named[0]}', which has no"):
        run(model, explained=missing, labels=labels, assigned="predicted")


def test_a_class_that_a_blank_input_already_has_is_warned_of(model) -> None:
    with torch.no_grad():
        name = LABELS[model.net.net(torch.zeros(1, 3, 4, 8, 8)).argmax()]
    other = next(label for label in LABELS if label != name)
    warned, quiet = (
        run(model, explained={n: explain(model, n)}, labels=[n] * 4) for n in (name, other)
    )
    assert warned.blank[0] == name and 1 / 3 < warned.blank[1] < 1
    assert any(f"a blank input is already called '{name}'" in note for note in warned.notes)
    assert not any("blank" in note for note in quiet.notes)


def test_a_blank_video_is_evaluated_and_named(model) -> None:
    blank = Clip(np.full((4, 8, 8, 3), 128, np.uint8), 8.0, "grey.mp4")
    found = run(model, clips=[TEST[0], blank], labels=["right"] * 2)
    assert any("of one colour" in note and "grey.mp4" in note for note in found.notes)
    spread = found["add", "top"].probability[0, 1]
    assert np.isfinite(spread).all() and np.ptp(spread) < 0.01


def test_a_second_run_computes_nothing(model, tmp_path) -> None:
    store, explained = Store(tmp_path), {"right": explain(model)}
    first = run(model, explained=explained, computation=Computation(store=store))
    assert sum(len(x) for x in model.net.inputs) > 50
    again = run(model, explained=explained, computation=Computation(store=store))
    assert sum(len(x) for x in model.net.inputs) == 1  # the blank
    for key in first.curves:
        assert np.array_equal(first[key].probability, again[key].probability)


def test_seeds_decide(model) -> None:
    explained = {"right": explain(model)}
    a, b, c = (run(model, explained=explained, rng=np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(a["add", "random"].visible, b["add", "random"].visible)
    assert not np.array_equal(a["add", "random"].visible, c["add", "random"].visible)


def test_bad_input(model) -> None:
    explained = {"right": explain(model)}
    with pytest.raises(InputError, match="4 clips for 1 labels"):
        run(model, explained=explained, labels=["right"])
    with pytest.raises(UnknownNameError, match="class with concepts 'left'"):
        run(model, explained=explained, labels=["left"] * 4)
    with pytest.raises(InputError, match="1 test clips are clips that concepts were found in"):
        run(model, explained=explained, clips=[*TEST[:3], blocks.clips(1, 1)[0]])
    with pytest.raises(InputError, match="permutations=0"):
        run(model, explained=explained, permutations=0)
    with pytest.raises(InputError, match=r"steps=\[-1\]"):
        run(model, explained=explained, steps=[-1])
    with pytest.raises(InputError, match="the concepts of 'left' were scored for 'right'"):
        run(model, explained={"left": explained["right"]}, labels=["left"] * 4)
    with pytest.raises(InputError, match="discovered in another network"):
        run(replace(model, digest="1" * 64), explained=explained)
