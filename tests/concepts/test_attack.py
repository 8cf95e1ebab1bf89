"""An attack from clips to verdict, on a network whose answer is known."""

import numpy as np
import pytest
from toys import Cells, toy_model

from vxhelpers.concepts.adversarial import NOISE, ORIGINAL, attacked, mean_gradient
from vxhelpers.concepts.assessment import assess, calibrate
from vxhelpers.concepts.attack import AttackSettings, attack
from vxhelpers.concepts.significance import RECOMMENDED
from vxhelpers.concepts.tcav import TcavSettings, tcav_of_clips
from vxhelpers.data.clip import Clip

MODEL = toy_model(Cells(), [("flat", "NC")])


def grey(seed: int, *, red: int = 0) -> list[Clip]:
    rng = np.random.default_rng(seed)
    frames = rng.integers(100, 110, (8, 1, 4, 4, 3)) + np.array([red, 0, 0])
    frames = frames.repeat(16, 1).repeat(16, 2).repeat(16, 3).astype(np.uint8)
    return [Clip(f, 25.0, f"grey {seed}.{k}") for k, f in enumerate(frames)]


SETS = {"like the rest": grey(0), "a": grey(1), "b": grey(2), "c": grey(3)}
SCORED = grey(9)


def test_clips_that_are_pushed_along_the_gradient_push_towards_the_class() -> None:
    settings = AttackSettings(epsilon=4, steps=4, permutations=199)
    rng = np.random.default_rng(0)
    found = attack(MODEL, SETS, SCORED, layer="flat", target=0, settings=settings, rng=rng)
    outcomes = {f.concept: f.verdict.outcome for f in found.findings}
    assert outcomes["pushed up"] == "towards" and outcomes["pushed down"] == "away"
    assert outcomes["as they were"] not in ("towards", "away")
    assert found.logistic["pushed up"] == 1 and found.logistic["pushed down"] == 0
    assert found.change.shape == (16, 64, 64, 3) and np.abs(found.change).max() == 4
    assert "verdicts are *away* and *towards* instead of" in found.summary()
    assert "4 of 255" in found.summary() and "16 x change" in found.figure().alt


def test_noise_changes_every_value_as_much_as_the_attack_may() -> None:
    gradient = mean_gradient(MODEL, SCORED, layer="flat", target=0)
    clips = SETS["a"]
    versions = attacked(
        MODEL, clips, layer="flat", gradient=gradient, epsilon=3, steps=3,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    assert versions[ORIGINAL] == clips
    change = versions[NOISE][0].frames.astype(int) - clips[0].frames
    assert {*np.unique(change)} == {-3, 3}


@pytest.fixture(scope="module")
def scores():
    sets = SETS | {"red": grey(5, red=20)}
    return tcav_of_clips(
        MODEL, sets, SCORED, concepts=["red"], randoms=["a", "b", "c"], layers=["flat"], target=0,
        settings=TcavSettings(batch_size=3),
    )  # fmt: skip


def test_scores_of_clips_say_where_signs_are_stuck(scores) -> None:
    assert scores.deepest_graded == "flat"  # there is no better one
    assert "**Take care with flat:** only linear operations follow this layer" in scores.caution()
    text = scores["flat"].range_of("red")
    assert text.startswith("Derivatives along *red* at flat run from +") and "8 are above" in text


def test_tests_are_calibrated_on_the_random_clips_of_scores(scores) -> None:
    found = calibrate(scores, "flat", rng=np.random.default_rng(0), repeats=5)
    assert found.shares[RECOMMENDED].n == 5 and found.alpha == 0.05
    judged = assess(scores, rng=np.random.default_rng(0), permutations=99)
    assert judged.clips == 8 and judged["red", "flat"].cav.separates
