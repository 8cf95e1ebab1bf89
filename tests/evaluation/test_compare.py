from dataclasses import replace

import numpy as np
import pytest
import torch

from vxhelpers.attribution.gradcam import gradcam
from vxhelpers.attribution.gradients import integrated_gradients
from vxhelpers.attribution.lrp import lrp
from vxhelpers.attribution.registry import Method, named
from vxhelpers.data.datasets import open_data
from vxhelpers.errors import InputError
from vxhelpers.evaluation import compare
from vxhelpers.evaluation.compare import Answer
from vxhelpers.evaluation.compare_report import CostReport, NetworksFitReport, RecoveryReport
from vxhelpers.evaluation.planted import trial
from vxhelpers.models import zoo


@pytest.fixture(scope="module")
def one():
    return trial("motion", zoo.load("stage_c3d", weights="motion"), count=2,
                 rng=np.random.default_rng(0))  # fmt: skip


def plain(name, function, **options):
    def maps(model, x, *, target, rng):
        return function(model, x, target=target, **options)

    return Method(name, "toy", maps)


def fails(model, x, *, target, rng):
    raise InputError(f"model {model.entry.name!r}: no * here; do without")


def noise(model, x, *, target, rng):
    return torch.from_numpy(rng.standard_normal((len(x), *x.shape[2:])))


FAILS, NOISE = Method("fails", "toy", fails), Method("noise", "toy", noise)


def answer(maps, name="a"):
    return Answer(Method(name, "toy", noise), maps, 0.5, 3, 1)


def known(n=3):
    evidence = np.zeros((n, 2, 4, 4), bool)
    evidence[:, :, :2] = True
    return evidence


# what it costs


def test_passes_are_counted_also_in_copies_and_without_gradients(one):
    def looks(model, x, *, target, rng):
        with torch.no_grad():
            model.logits(x[:1].expand(5, -1, -1, -1, -1))
        return noise(model, x, target=target, rng=rng)

    cam, path = plain("cam", gradcam), plain("path", integrated_gradients, steps=3)
    handed = plain("relevance", lrp, composite="epsilon")
    chosen = [cam, path, NOISE, handed, Method("looks", "toy", looks)]
    found = compare.compare(chosen, one.model, one.x, target=one.target)
    passes = {name: (a.forwards, a.backwards) for name, a in found.items()}
    assert passes == {"cam": (1, 1), "path": (3, 3), "noise": (0, 0), "relevance": (2, 1),
                      "looks": (2.5, 0)}  # fmt: skip
    assert all(a.seconds > 0 and not a.failed for a in found.values())


def test_nothing_stays_behind_and_maps_are_the_methods_own(one):
    before = one.x.clone()
    found = compare.compare([plain("cam", gradcam), FAILS], one.model, one.x, target=one.target)
    assert not one.model.net._forward_hooks and torch.equal(one.x, before)
    assert all(p.grad is None for p in one.model.net.parameters())
    own = gradcam(one.model, one.x, target=one.target).double().numpy()
    np.testing.assert_array_equal(found["cam"].maps, own)


def test_a_method_draws_the_same_whatever_runs_beside_it(one):
    alone = compare.compare([NOISE], one.model, one.x, target=one.target, seed=3)
    twin = replace(NOISE, name="twin")
    both = compare.compare([NOISE, twin], one.model, one.x, target=one.target, seed=3)
    np.testing.assert_array_equal(both["twin"].maps, alone["noise"].maps)


def test_a_method_that_fails_says_why_and_others_go_on(one):
    found = compare.compare([FAILS, NOISE], one.model, one.x, target=one.target)
    assert found["fails"].maps is None and found["noise"].maps is not None
    assert found["fails"].failed == "model 'stage_c3d': no * here; do without"


def test_an_untrained_network_has_the_labels_and_other_weights(one):
    blank = compare.untrained(one.model, seed=0)
    assert blank.labels == one.model.labels and blank.entry is one.model.entry
    assert blank.digest != one.model.digest


# which networks


def test_fits_tells_networks_apart():
    tried = compare.fits(named("saliency tubes"), nets=("stage_r3d", "stage_c3d"))
    assert tried["stage_r3d"]["saliency tubes"].maps.shape[0] == 1
    report = NetworksFitReport(tried)
    assert report.table().columns["stage_c3d"] == ("error 1",)
    assert "1. more than pooling lies between layer" in report.summary().plain


def test_the_same_reason_has_one_number_and_no_markup():
    bad = {"m": replace(answer(None, "m"), failed="model 'x_1': no * and | here; do without")}
    report = NetworksFitReport({"x": bad, "y": {"m": answer(np.ones(1))}, "z": bad})
    assert [report.table().columns[n] for n in "xyz"] == [("error 1",), ("maps",), ("error 1",)]
    assert report.summary().endswith("\n1. no \\* and \\| here")


# evidence


def test_clips_of_a_class_come_with_what_is_known_of_them():
    net = zoo.load("stage_c3d", weights="motion")
    rng = np.random.default_rng(0)
    cases, found = compare.gather(
        open_data("stage:motion"), net, label="forehand", count=2, rng=rng
    )
    assert found.kind == "motion" and {row.label for row in cases.rows} == {"forehand"}
    assert [net.labels[k] for k in found.target] == ["forehand"] * 2
    union = np.logical_or.reduce([cases.masks[name] for name in cases.decides])
    np.testing.assert_array_equal(found.evidence, union)
    kth = zoo.load("stage_c3d", weights="kth")
    other = compare.gather(open_data("stage:kth"), kth, label="running", count=1, rng=rng)[1]
    assert other.kind == "natural"


def test_clips_without_evidence_are_not_scored():
    evidence = known()
    evidence[1] = False
    maps = evidence.astype(float)
    assert compare.recovered(maps, evidence).tolist() == [1, 1]
    assert compare.mean_over_clips(compare.recovered(maps[:1], evidence[:1])) is None
    assert compare.ranked({"a": answer(-maps), "b": answer(maps)}, evidence) == ["b", "a"]
    nothing = {"z": answer(maps[1:2]), "x": answer(None), "a": answer(maps[1:2])}
    assert compare.ranked(nothing, evidence[1:2]) == ["z", "a"]


def test_above_names_what_is_better_clip_by_clip():
    evidence, rng = known(), np.random.default_rng(0)
    good, poor = evidence.astype(float), rng.standard_normal(evidence.shape)
    answers = {"good": answer(good), "same": answer(poor), "alone": answer(good)}
    blank = {"good": answer(poor), "same": answer(poor), "alone": answer(None)}
    assert compare.above(answers, blank, evidence) == ["good"]
    assert compare.above(blank, answers, evidence) == []


def test_the_words_say_what_was_measured(one):
    evidence, rng = known(), np.random.default_rng(0)
    good, poor = evidence.astype(float), rng.standard_normal(evidence.shape)
    wrong = {"bad": answer(-good), "poor": answer(poor)}

    def report(own, blank, evidence=evidence):
        shown = replace(one, evidence=evidence)
        return RecoveryReport(shown, ["racket"], {"a": answer(own)}, blank, wrong)

    found = report(good, {"a": answer(poor)})
    assert (found.learned, found.clear, found.best_baseline) == (["a"], ["a"], "poor")
    found = report(poor, {"a": answer(poor)})
    assert (found.learned, found.clear) == ([], [])
    assert "a map that never sees the network" in found.summary()
    assert "**3 clips say next to nothing**" in found.summary()
    assert report(-poor, {"a": answer(-good)}).learned == []  # above random weights, not chance
    assert "nothing can be said" in report(good, {}, known() & False).summary()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("motion", "Here the evidence is planted: of all that is in these clips, *racket* and *ar"),
        ("natural", "**Nothing was planted in these scenes.** The maps are held against *racket*"),
        ("unknown", "nobody has drawn where their evidence is"),
    ],
)
def test_what_is_known_is_said_by_kind(one, kind, words):
    def known_of(names, **changes):
        return RecoveryReport(replace(one, kind=kind, **changes), names, {}, {}, {}).evidence()

    right = one.model.logits(one.x).argmax(1)
    assert words in known_of(["racket", "arm"])
    assert known_of(["racket"], target=right).endswith(" Of 2 clips 2 are recognised.")
    assert "Of 2 clips 0 are recognised; of the others" in known_of(["racket"], target=right + 1)


# tables


def test_size_alone_forgives_signs(one):
    evidence = known()
    maps = np.where(evidence, -2.0, 1.0)
    methods = {"a": answer(maps), "b": answer(None)}, {"a": answer(-maps)}, {"w": answer(maps * 0)}
    found = RecoveryReport(replace(one, evidence=evidence), ["racket"], *methods).table()
    rows = [*zip(*found.columns.values(), strict=True)]
    assert [cell[0] for cell in rows[0][1:]] == [0, 1, 1, 1]
    assert rows[1] == ("b", "does not fit", None, None, None)
    assert [rows[2][1][0], rows[2][2][0], *rows[2][3:]] == [0.5, 0.5, None, None]


def test_costs_are_of_what_ran():
    found = CostReport({"a": answer(known()), "b": answer(None)}).table()
    assert [cells for cells in found.columns.values()] == [("a",), ("3",), ("1",), ("2",)]
