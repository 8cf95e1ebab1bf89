import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from reference import tcav as slow
from toys import Cells, Deep3d, toy_model

from vxhelpers.concepts.activations import collect
from vxhelpers.concepts.relative import relative
from vxhelpers.concepts.sensitivity import sensitivity
from vxhelpers.concepts.tcav import TcavSettings, pairs, tcav
from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.models.probe import probe

RANDOMS = ("random 1", "random 2", "random 3")


def colour(*rgb: int) -> Clip:
    frames = np.broadcast_to(np.array(rgb, np.uint8), (16, 64, 64, 3)).copy()
    return Clip(frames, 25.0, f"colour {rgb}")


def noise(count: int, seed: int) -> list[Clip]:
    rng = np.random.default_rng(seed)
    return [
        Clip(rng.integers(0, 256, (16, 64, 64, 3), np.uint8), 25.0, f"noise {seed}.{i}")
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def deep():
    """A small convolutional net, a concept of stripes, a static one and three random sets."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = toy_model(Deep3d(), [("conv2", "NCTHW"), ("conv3", "NCTHW")])
    bright = 255 * (np.arange(64) % 8 < 4).astype(np.uint8)[:, None, None]
    stripes = [replace(c, frames=np.maximum(c.frames, bright)) for c in noise(6, 10)]
    sets = {"stripes": stripes, "dim": [replace(c, frames=c.frames // 3) for c in noise(6, 11)]}
    sets |= {name: noise(6, seed) for seed, name in enumerate(RANDOMS)}
    held = collect(model, sets, layers=["conv2", "conv3"])
    scoring = [replace(c, frames=(c.frames * f).astype(np.uint8))
               for c, f in zip(noise(6, 20), np.linspace(0.2, 1, 6), strict=True)]  # fmt: skip
    return model, sets, held, scoring


@pytest.fixture(scope="module")
def scores(deep):
    model, _, held, scoring = deep
    masks = {"top": np.broadcast_to((np.arange(64) < 20)[:, None], (6, 16, 64, 64))}
    return tcav(
        model,
        held,
        scoring,
        concepts=["stripes", "dim"],
        randoms=RANDOMS,
        target=1,
        places=masks,
    )


# values


def test_hand_solved_colours() -> None:
    """Redder clips against bluer ones, a logit of red and half of blue: cosines of two vectors."""
    model = toy_model(Cells(), [("flat", "NC")])
    bases = [20, 40, 60, 80]
    sets = {"red": [colour(b + 100, b, b) for b in bases]}
    sets |= {name: [colour(b, b, b + j) for b in bases] for j, name in enumerate(RANDOMS, 1)}
    held = collect(model, sets, layers=["flat"])
    expected = {
        0: [(100 - 0.5 * j) / np.hypot(100, j) / 4 for j in (1, 2, 3)],
        1: [0.0, 0.0, 0.0],
        2: [-3 * 100 / np.hypot(100, j) / 4 for j in (1, 2, 3)],
    }
    for target, slopes in expected.items():
        found = tcav(model, held, noise(4, 0), concepts=["red"], randoms=RANDOMS, target=target)
        layer = found["flat"]
        np.testing.assert_allclose(layer.scores("red", "magnitude"), slopes, atol=1e-5)
        share = float(slopes[0] > 0)
        if target != 1:  # where the derivative is zero, rounding decides on signs
            assert layer.scores("red", "sign_count").tolist() == [share] * 3
        assert layer.degenerate.startswith("only linear operations follow")
    blue = tcav(model, held, noise(4, 0), concepts=["red"], randoms=RANDOMS, target=0)["flat"]
    # Of two random sets, the second of a pair is bluer: against the first of it, -0.5 / 4.
    np.testing.assert_allclose(blue.null("magnitude"), [-0.125] * 3 + [0.125] * 3, atol=1e-4)
    assert (blue.agreement("red") > 0.9).all() and len(blue.agreement("red")) == 3
    assert blue.held_out("red").accuracy.tolist() == [1, 1, 1]


def test_agrees_with_explicit_vectors_at_every_layer(deep, scores) -> None:
    model, _, held, scoring = deep
    seen = probe(model, model.prepare(scoring), layers=["conv2", "conv3"], target=1)
    for name, layer in scores.layers.items():
        x = held.layers[name].flatten(1).double().numpy()
        g = seen.gradients[name].flatten(1).double().numpy()
        for concept in ("stripes", "dim"):
            rows = [held.sets[random] for random in RANDOMS]
            expected = slow.slopes(x, g, held.sets[concept], rows)
            np.testing.assert_allclose(
                layer.derivatives(concept), expected, atol=1e-5 * np.abs(expected).max()
            )
            counts = [(line > 0).mean() for line in expected]
            assert layer.scores(concept, "sign_count").tolist() == counts
        pair = slow.mean_difference(x, held.sets["random 1"], held.sets["random 3"])
        null = layer.null("magnitude")
        assert null[1] == pytest.approx((g @ pair).mean(), rel=1e-4) and null[4] == -null[1]
        assert len(null) == 6


@pytest.mark.parametrize("solver", ["mean", "logistic"])
def test_parts_in_time_and_place_add_up_to_the_whole(scores, solver) -> None:
    for layer in scores.layers.values():
        found = layer.sensitivity(solver)
        assert found.steps.shape == (6, 6, 8)
        whole = layer.products @ found.cavs.weights.T
        tolerance = {"rtol": 0, "atol": 1e-10 * np.abs(whole).max()}
        np.testing.assert_allclose(found.steps.sum(2), whole.T, **tolerance)
        places = found.inside["top"] + found.elsewhere("top")
        np.testing.assert_allclose(places.sum(2), whole.T, **tolerance)
        assert np.abs(found.inside["top"]).max() > 0
        with pytest.raises(UnknownNameError, match="did you mean 'top'"):
            found.elsewhere("to")


def test_alignment_is_a_cosine(scores) -> None:
    found = scores["conv3"].sensitivity("mean")
    assert np.abs(found.alignment).max() <= 1
    np.testing.assert_allclose(found.alignment * found.lengths, found.derivatives, rtol=1e-12)
    np.testing.assert_allclose(found.sign_count, (found.derivatives > 0).mean(1))
    np.testing.assert_allclose(found.magnitude, found.derivatives.mean(1))


def test_relative_scores_are_one_against_the_rest(deep, scores) -> None:
    model, _, held, scoring = deep
    group = ["stripes", "dim", "random 1"]
    found = relative(scores, group)
    seen = probe(model, model.prepare(scoring), layers=["conv3"], target=1)
    x = held.layers["conv3"].flatten(1).double().numpy()
    g = seen.gradients["conv3"].flatten(1).double().numpy()
    for place, name in enumerate(group):
        rest = np.concatenate([held.sets[other] for other in group if other != name])
        vector = slow.mean_difference(x, held.sets[name], rest)
        np.testing.assert_allclose(found["conv3"].derivatives[place], g @ vector, atol=1e-5)
        assert found["conv3"].cavs.problems[place].name.startswith(f"{name} against ")
    logistic = relative(scores, group, solver="logistic")
    assert not np.allclose(logistic["conv3"].derivatives, found["conv3"].derivatives, atol=1e-4)


def test_log_probabilities_score_otherwise(deep, scores) -> None:
    model, _, held, scoring = deep
    found = tcav(
        model,
        held,
        scoring,
        concepts=["stripes", "dim"],
        randoms=RANDOMS,
        target=1,
        settings=TcavSettings(of="log_probability", solvers=("mean",)),
    )
    a, b = found["conv3"].derivatives("dim"), scores["conv3"].derivatives("dim")
    assert not np.allclose(a, b) and found.derivatives.of == "log_probability"


# captum


def captum_scores(model, held, scoring, layers, target, folder):
    """captum's scores of stripes against each random set, with scikit-learn's classifier."""
    from captum.concept import TCAV, Concept
    from captum.concept._utils.classifier import Classifier
    from sklearn.linear_model import LogisticRegression

    model_net, sets = model.net, held
    lengths = []

    class Logistic(Classifier):
        def __init__(self) -> None:
            self.fitted = LogisticRegression(C=1.0, tol=1e-10, max_iter=10**5)

        def train_and_eval(self, dataloader, **_kwargs):
            x, y = (torch.cat(part) for part in zip(*dataloader, strict=True))
            self.fitted.fit(x.double().numpy(), y.numpy())
            lengths.append(np.linalg.norm(self.fitted.coef_))
            return {}

        def weights(self):
            row = torch.tensor(self.fitted.coef_[0])
            return torch.stack([-row, row])

        def classes(self):
            return self.fitted.classes_

    concepts = [
        Concept(place, name, [model.prepare(clips)])
        for place, (name, clips) in enumerate(sets.items())
    ]
    tester = TCAV(model_net, layers, classifier=Logistic(), save_path=str(folder))
    named = {concept.name: concept for concept in concepts}
    pairings = [[named["stripes"], named[random]] for random in RANDOMS]
    found = tester.interpret(model.prepare(scoring), pairings, target=target)
    keys = [f"{a.id}-{b.id}" for a, b in pairings]
    by_layer = np.array(lengths).reshape(len(pairings), len(layers)).T
    return {
        layer: (
            [float(found[key][layer]["sign_count"][0]) for key in keys],
            [float(found[key][layer]["magnitude"][0]) for key in keys] / by_layer[place],
        )
        for place, layer in enumerate(layers)
    }


def test_captum_with_the_same_classifier_counts_the_same_signs(deep, tmp_path) -> None:
    model, sets, held, scoring = deep
    layers = ["conv3"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = captum_scores(model, sets, scoring, layers, 1, tmp_path)
    found = tcav(
        model,
        held,
        scoring,
        concepts=["stripes"],
        randoms=RANDOMS,
        target=1,
        settings=TcavSettings(solvers=("logistic",), folds=None),
    )
    for name in layers:
        counts, means = expected[name]
        assert found[name].scores("stripes", "sign_count", "logistic").tolist() == pytest.approx(
            counts, abs=1e-7
        )
        magnitudes = found[name].scores("stripes", "magnitude", "logistic")
        np.testing.assert_allclose(magnitudes, means, rtol=1e-4)
    with pytest.raises(InputError, match="leave folds=5"):
        found["conv3"].held_out("stripes", "logistic")
    with pytest.raises(UnknownNameError, match="logistic"):
        found["conv3"].scores("stripes", "sign_count")


# invariance


def test_a_rerun_is_bitwise_equal(deep, scores) -> None:
    model, _, held, scoring = deep
    again = tcav(model, held, scoring, concepts=["stripes", "dim"], randoms=RANDOMS, target=1)
    for name, layer in scores.layers.items():
        for solver in ("mean", "logistic"):
            first, second = (s[name].sensitivity(solver) for s in (scores, again))
            assert first.steps.tobytes() == second.steps.tobytes(), layer.name


def test_order_of_clips_and_sets_and_scale_of_features(deep, scores) -> None:
    model, sets, held, scoring = deep
    turned = {name: clips[::-1] for name, clips in reversed(sets.items())}
    other = collect(model, turned, layers=["conv3"])
    found = tcav(
        model,
        other,
        scoring[::-1],
        concepts=["dim", "stripes"],
        randoms=RANDOMS,
        target=1,
        settings=TcavSettings(folds=None),
    )
    for solver in ("mean", "logistic"):
        expected = scores["conv3"].derivatives("stripes", solver)
        np.testing.assert_allclose(
            found["conv3"].derivatives("stripes", solver)[:, ::-1], expected,
            atol=1e-5 * np.abs(expected).max(),
        )  # fmt: skip
    scaled = replace(held, layers={"conv3": 8 * held.layers["conv3"]})
    found = tcav(model, scaled, scoring, concepts=["dim"], randoms=RANDOMS, target=1)
    a, b = found["conv3"].derivatives("dim"), scores["conv3"].derivatives("dim")
    np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max())


# bad input


def test_pairs_that_share_clips_are_refused_and_listed(deep) -> None:
    model, sets, _, scoring = deep
    mixed = {**sets, "random 2": [*sets["random 2"][:5], sets["stripes"][3]]}
    held = collect(model, mixed, layers=["conv3"])
    with pytest.raises(InputError, match=r"stripes against random 2: .*noise 10\.3 \["):
        tcav(model, held, scoring, concepts=["stripes"], randoms=RANDOMS, target=1)
    assert len(pairs(held, [("dim", "random 1"), ("random 1", "random 2")])) == 2


def test_too_little_is_refused(deep) -> None:
    model, _, held, scoring = deep
    options = {"concepts": ["dim"], "randoms": RANDOMS, "target": 1}
    with pytest.raises(InputError, match="3 scoring clips"):
        tcav(model, held, scoring[:3], **options)
    with pytest.raises(InputError, match="1 concepts and 1 random sets"):
        tcav(model, held, scoring, **options | {"randoms": RANDOMS[:1]})
    with pytest.raises(UnknownNameError, match="did you mean 'stripes'"):
        tcav(model, held, scoring, **options | {"concepts": ["stripe"]})
    with pytest.raises(UnknownNameError, match="unknown label 'lefty'"):
        tcav(model, held, scoring, **options | {"target": "lefty"})


def test_names_that_do_not_exist_suggest_the_nearest(scores) -> None:
    with pytest.raises(UnknownNameError, match="did you mean"):
        scores["conv4"]
    with pytest.raises(UnknownNameError, match="did you mean 'stripes'"):
        scores["conv3"].scores("strips", "sign_count")
    with pytest.raises(InputError, match="two sets or more"):
        relative(scores, ["dim"])
    short = replace(scores["conv3"].sensitivity("mean").cavs, weights=np.zeros((6, 4)))
    with pytest.raises(InputError, match="over 4 clips"):
        sensitivity(scores.derivatives, "conv3", short)
