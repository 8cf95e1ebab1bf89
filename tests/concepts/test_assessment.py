from dataclasses import replace

import numpy as np
import pytest
from toys import Cells, toy_model

from vxhelpers.concepts.activations import collect
from vxhelpers.concepts.assessment import assess
from vxhelpers.concepts.tcav import tcav
from vxhelpers.data.clip import Clip

RANDOMS = tuple(f"random {i}" for i in range(5))


def cells(count: int, seed: int, *, shift: tuple[int, int, int] = (0, 0, 0)) -> list[Clip]:
    """Clips of 4x4 cells of random colours, shifted."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(count):
        grid = rng.integers(40, 120, (4, 4, 3)) + np.array(shift)
        frame = grid.repeat(16, 0).repeat(16, 1).astype(np.uint8)
        found.append(Clip(np.repeat(frame[None], 16, 0), 25.0, f"cells {seed}.{i}"))
    return found


@pytest.fixture(scope="module")
def scores():
    """Red, green and no colour at all, before a linear head that likes red."""
    model = toy_model(Cells(), [("flat", "NC")])
    sets = {
        "red": cells(8, 100, shift=(25, 0, 0)),
        "green": cells(8, 101, shift=(0, 25, 0)),
        "like the rest": cells(8, 102),
    }
    sets |= {name: cells(8, seed) for seed, name in enumerate(RANDOMS)}
    held = collect(model, sets, layers=["flat"])
    names = ["red", "green", "like the rest"]
    return {
        target: tcav(model, held, cells(6, 200), concepts=names, randoms=RANDOMS, target=target)
        for target in (0, 2)
    }


def found_in(scores, **options):
    found = assess(scores, rng=np.random.default_rng(0), permutations=499, **options)
    return {finding.concept: finding for finding in found}


def test_known_answers(scores) -> None:
    towards = found_in(scores[0])
    assert towards["red"].verdict.outcome == "towards" and towards["red"].cav.separates
    assert towards["green"].verdict.outcome == "chance" and towards["green"].cav.separates
    assert towards["like the rest"].verdict.outcome == "not separated"
    quality = towards["like the rest"].cav
    assert not quality.separates and quality.accuracy[0] < 0.75
    red = towards["red"]
    assert red.score.sign_count == 1 and red.score.low == red.score.high == 1
    assert red.score.effect > 3 and red.p.random < 0.01 and red.score.alignment > 0.5
    assert red.verdict.m == 3 and red.verdict.corrected == pytest.approx(3 * red.verdict.p)
    assert red.cav.agreement > 0.8 and not red.cav.disagree and red.cav.accuracy[0] > 0.8
    assert "only linear operations" in red.degenerate
    away = found_in(scores[2])
    assert away["red"].verdict.outcome == "away" and away["red"].score.sign_count == 0
    assert away["red"].score.effect < -3


def test_a_paper_s_t_test_takes_what_is_like_the_rest_for_more(scores) -> None:
    """Refits share clips; the count of signs cannot tell, the magnitude does not claim."""
    finding = found_in(scores[2])["like the rest"]
    assert finding.verdict.p > 0.05 and finding.p.sign_count > 0.05
    assert finding.p.welch_corrected == pytest.approx(min(1, 3 * finding.p.welch))


def test_hypotheses_of_other_figures_count(scores) -> None:
    many = found_in(scores[0], m=600)["red"].verdict
    assert many.m == 600 and many.outcome == "chance" and "draw more" in str(many)


def test_the_same_generator_gives_the_same_findings(scores) -> None:
    assert found_in(scores[0]) == found_in(scores[0])


def test_chance_is_worked_out_with_the_same_classifier(scores) -> None:
    options = {"solver": "logistic", "rng": np.random.default_rng(0), "permutations": 19}
    findings = {finding.concept: finding for finding in assess(scores[0], **options)}
    assert findings["red"].solver == "logistic" and findings["red"].verdict.p == 1 / 20
    mean = assess(scores[0], rng=np.random.default_rng(0), permutations=19).findings[0]
    assert findings["red"].score.magnitude != mean.score.magnitude


def test_one_estimator_has_nothing_to_agree_with(scores) -> None:
    layer = scores[0]["flat"]
    alone = replace(layer, sensitivities={"mean": layer.sensitivities["mean"]})
    only = replace(scores[0], layers={"flat": alone})
    finding = assess(only, rng=np.random.default_rng(0), permutations=19).findings[0]
    assert np.isnan(finding.cav.agreement) and not finding.cav.disagree


def test_two_random_sets_have_no_spread_to_test_with() -> None:
    model = toy_model(Cells(), [("flat", "NC")])
    sets = {"red": cells(8, 100, shift=(25, 0, 0))}
    sets |= {name: cells(8, seed) for seed, name in enumerate(RANDOMS[:2])}
    held = collect(model, sets, layers=["flat"])
    two = tcav(model, held, cells(6, 200), concepts=["red"], randoms=RANDOMS[:2], target=0)
    finding = found_in(two)["red"]
    assert np.isnan(finding.p.welch) and np.isnan(finding.p.welch_corrected)
    assert finding.verdict.p < 0.05 and finding.score.effect > 0
