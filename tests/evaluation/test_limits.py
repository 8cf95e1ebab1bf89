"""Verdicts on the limits of maps, for measurements whose right verdict is known."""

from collections.abc import Sequence

import numpy as np
import pytest

from vxhelpers.evaluation.limits import ClipsReport, LimitsReport, average_of, short
from vxhelpers.evaluation.limits_across_maps import MEASURES, AgreementReport, NetworksReport
from vxhelpers.evaluation.limits_in_clips import (
    BackgroundReport,
    BorderReport,
    FlickerReport,
    OrderReport,
)
from vxhelpers.evaluation.limits_of_maps import CascadeReport, ChosenMapReport, StabilityReport
from vxhelpers.evaluation.robustness import temporal_smoothness
from vxhelpers.evaluation.sanity_checks import Cascade, Response
from vxhelpers.stats import Mean

NASTY = "<b>*a*|"


def mean(value: float, half: float = 0.05, n: int = 20) -> Mean:
    return Mean(value, value - half, value + half, n)


def test_fewer_than_two_clips_decide_nothing() -> None:
    average = average_of(np.random.default_rng(0))
    one, none = average([0.9]), average([])
    assert (one.low, one.high, one.n) == (-np.inf, np.inf, 1) and short(one) == "0.90 (n = 1)"
    assert none.n == 0 and short(none) == "unknown"
    assert average([0.0, 1.0]).n == 2


def response(similarity: Sequence[float], baseline: Sequence[float]) -> Response:
    n = len(similarity)
    predicted = np.array([[0] * n, [1] * n])
    rank = {"rank": np.array(similarity)}, {"rank": np.array(baseline)}
    return Response(
        "reversed", predicted, predicted, np.ones((2, n)), rank[0], np.ones((2, n)), rank[1],
        np.zeros((2, n), bool),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("similarity", "verdict"),
    [
        ([0.9, 0.8, 0.9], "the map hardly changes"),
        ([0.1, -0.2, 0.1], "the map changes"),
        ([0.9, 0.1, 0.5], "undecided"),
    ],
)
def test_the_map_turns_round_with_the_class_or_not(similarity: list[float], verdict: str) -> None:
    found = response(similarity, [0.85, 0.9, 0.8])
    average = average_of(np.random.default_rng(0))
    report = OrderReport.of({"trained": found, NASTY: found}, average)
    assert report.verdict == report.limit.verdict == verdict
    assert ("the map stays" in report.summary()) == (verdict == "the map hardly changes")
    assert "<b>" not in report._repr_html_() and report.clips == 3


def test_a_map_that_stands_still_is_smoother_than_what_moves() -> None:
    rng = np.random.default_rng(0)
    moving = rng.random((4, 8, 3, 3))
    still = np.ones((4, 8, 3, 3)) + moving.mean(1, keepdims=True)
    found = {"map, last": temporal_smoothness(still), "evidence": temporal_smoothness(moving)}
    steps = {"map, last": 2, "evidence": 2}
    report = FlickerReport.of(
        found, average_of(rng), steps=steps, own="map, last", ideal="evidence", frames=8
    )
    assert report.verdict == "smoother than the evidence" and "interpolated" in report.summary()
    other = FlickerReport.of(
        found, average_of(rng), steps=steps, own="evidence", ideal="map, last", frames=8
    )
    assert other.verdict == "flickers more than the evidence"
    assert "border effect" in BorderReport(np.array([3.0, 1, 1, 1])).summary()
    assert "nothing special" in BorderReport(np.array([1.0, 1, 1, 1])).summary()


@pytest.mark.parametrize(
    ("other", "blank", "verdict"),
    [
        (0.0, 0.0, "tells what decided"),
        (0.0, 0.3, "tells the networks apart, but not beyond random weights"),
        (0.3, 0.3, "does not tell what decided"),
    ],
)
def test_the_ground_is_held_against_random_weights(
    other: float, blank: float, verdict: str
) -> None:
    n, names = 12, ("shortcut", "tennis", "random weights")
    noise = np.linspace(-0.01, 0.01, n)
    gains = {
        (name, split): np.full(n, value) + noise * k
        for k, (name, value) in enumerate(zip(names, (0.3, other, blank), strict=True))
        for split in ("test", "counterfactual")
    }
    place, action = np.array(["a"] * n), np.array(["b"] * n)
    says = {key: place for key in gains}
    report = BackgroundReport.of(
        gains, says, place, action, networks=names, average=average_of(np.random.default_rng(0))
    )
    assert report.verdict == verdict and report.goes["shortcut"] == (1, 0)
    assert "All predictions of the shortcut network" in report.summary()


@pytest.mark.parametrize(
    ("left", "verdict"),
    [
        (0.1, "the map depends on what was learned"),
        (-0.9, "much of the map stays"),  # a negative has the same places
    ],
)
def test_a_negative_counts_as_alike(left: float, verdict: str) -> None:
    n = 6
    values = np.stack([np.ones(n), np.full(n, left) + np.linspace(0, 0.01, n)])
    similarity = {name: values for name in ("rank", "absolute_rank", "ssim")}
    baseline = {name: np.full(n, 0.4) for name in similarity}
    targets = np.zeros(n, np.int64)
    draw = Cascade(
        ("trained", "all"), targets, np.zeros((2, n), np.int64), similarity, baseline,
        np.zeros((2, n), bool),
    )  # fmt: skip
    report = CascadeReport.of([draw, draw], average_of(np.random.default_rng(0)), clips=n)
    assert report.verdict == verdict and "2 draws" in report.summary()
    assert all(high <= 1 for c in report.chart().values() for *_, high in c.values())


def test_a_map_holds_only_above_another_clip_s() -> None:
    alike = {"noise": mean(0.95), NASTY: mean(0.7), "cut": mean(0.3)}
    report = StabilityReport(alike, dict.fromkeys(alike, 1.0), mean(0.8), [NASTY], 20)
    verdicts = [report.verdict(name) for name in alike]
    assert verdicts == ["the map holds", "the map moves", "the map moves"]
    assert report.limits[1].name == f"preprocessing: {NASTY}"
    assert "<b>" not in report._repr_html_()


@pytest.mark.parametrize(
    ("changed", "noise", "verdict"),
    [
        (mean(0.8), mean(0.1), "the map can be chosen"),
        (mean(0.4), mean(0.1), "moved, not chosen"),
        (mean(0.2), mean(0.2), "undecided"),
    ],
)
def test_a_map_is_chosen_only_beyond_noise(changed: Mean, noise: Mean, verdict: str) -> None:
    near = [mean(0.0), changed, noise]
    report = ChosenMapReport(near, near, near, [1, 1, 1], 4.0, 0.11, 6)
    assert report.verdict == report.limit.verdict == verdict


@pytest.mark.parametrize(
    ("pairs", "verdict"),
    [
        ((0.8, 0.5, 0.9), "maps agree more with random weights"),
        ((0.8, 0.5, 0.5), "maps of the class agree more than with those of others"),
        ((0.8, 0.8, 0.5), "maps of the class agree no more than maps of different classes"),
    ],
)
def test_agreement_is_held_against_other_classes_and_random_weights(
    pairs: tuple[float, float, float], verdict: str
) -> None:
    names = ("maps of the class", "with maps of other classes", "random weights")
    values = {
        name: np.full(9, value) + np.linspace(-0.01, 0.01, 9)
        for name, value in zip(names, pairs, strict=True)
    }
    report = AgreementReport.of(
        values, np.linspace(0.2, 0.9, 9), np.linspace(-0.1, 0.2, 9), evidence="arm",
        average=average_of(np.random.default_rng(0)),
    )  # fmt: skip
    assert report.verdict == verdict and "67% of single maps" in report.summary()
    empty = AgreementReport.of(
        {}, np.ones(1), np.zeros(1), evidence="arm", average=average_of(np.random.default_rng(0))
    )
    assert empty.verdict == "too few clips"


def test_networks_are_named_where_a_limit_holds() -> None:
    rng = np.random.default_rng(0)
    high, low = 0.9 + rng.random(8) / 100, rng.random(8) / 100
    rows = {("c3d", "a"): [high] * len(MEASURES), ("r3d", "b"): [low] * len(MEASURES)}
    report = NetworksReport.of(rows, average_of(rng), clips=8, chosen=2, decides=["arm"])
    assert "turns round: c3d `a`. It favours the evidence: c3d `a`, r3d `b`" in report.summary()


def test_the_summary_quotes_the_sections() -> None:
    near = [mean(0.0), mean(0.8), mean(0.1)]
    limit = ChosenMapReport(near, near, near, [1, 1, 1], 4.0, 0.11, 6).limit
    report = LimitsReport([limit], NASTY, NASTY, 6)
    assert "the map can be chosen" in str(report) and "So few clips" in str(report)
    assert "<b>" not in report._repr_html_()
    clips = ClipsReport(NASTY, "r3d", 5, 12, mean(0.8), "")
    assert "much of the map is the same" in str(clips) and "<b>" not in clips._repr_html_()
