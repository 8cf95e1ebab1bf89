"""Findings as tables, sentences and figures, from findings made by hand."""

import math
from dataclasses import replace

import pytest

from vxhelpers.concepts.attack import Attack
from vxhelpers.concepts.controls import Controls
from vxhelpers.concepts.findings import Assessment, CavQuality, Finding, PValues, Score
from vxhelpers.concepts.significance import FalsePositives, Verdict
from vxhelpers.errors import UnknownNameError
from vxhelpers.stats import Share


def finding(concept="racket", layer="layer1", *, outcome="towards", effect=3.2, **cav) -> Finding:
    separates = outcome != "not separated"
    score = Score(0.9, 0.8, 1.0, 0.02, 0.3, (0.1, 0.85), effect)
    verdict = Verdict(outcome, 0.005, 0.01, 2, 0.05, 0.01)
    quality = CavQuality((0.8, 0.6, 0.95), separates, 0.9, True)
    p = PValues(0.2, 0.01, 0.001, 0.002)
    return Finding(concept, layer, "mean", score, replace(quality, **cav), p, verdict, "")


BOTH = Assessment(
    (
        finding(),
        finding("<b>*ball*|", outcome="chance", effect=-9.0),
        finding(layer="layer2", outcome="away", effect=-2.0),
        finding("<b>*ball*|", "layer2", outcome="not separated", agreement=0.5, same_sign=False),
    ),
    200,
    30,
)
LAST = BOTH.only(layer="layer2")


def test_findings_are_looked_up_and_chosen() -> None:
    assert len(BOTH) == 4 and BOTH["racket", "layer2"].verdict.outcome == "away"
    assert [f.concept for f in LAST] == ["racket", "<b>*ball*|"]
    assert [f.concept for f in BOTH.only(concepts=["<b>*ball*|"])] == ["<b>*ball*|"] * 2
    assert (LAST | LAST).findings == LAST.findings * 2
    assert BOTH.doubtful == [("<b>*ball*|", "layer2")]
    assert BOTH.intervals["racket"]["layer2"] == (0.9, 0.8, 1.0)
    with pytest.raises(UnknownNameError, match="did you mean 'layer2'"):
        BOTH["racket", "layer22"]
    with pytest.raises(UnknownNameError, match="did you mean 'racket'"):
        BOTH["rackets", "layer1"]


def test_the_numbers_noted_are_of_the_largest_push_that_separates() -> None:
    found = BOTH.metrics()
    assert [(m.value, m.low, m.high, m.n) for m in found] == [
        (0.9, 0.8, 1.0, 30), (pytest.approx(0.475), 0.1, 0.85, None), (3.2, None, None, 30),
    ]  # fmt: skip
    assert Assessment((finding(outcome="not separated"),), 10, 30).metrics() == []


def test_the_strongest_separates_if_any_does() -> None:
    assert BOTH.strongest().score.effect == -9.0
    assert LAST.strongest().concept == "racket"  # the other has more, and does not separate


def test_every_outcome_is_named_and_names_are_literal() -> None:
    text = LAST.summary()
    assert "At layer2, pushes towards the class: none; pushes away from the class: racket;" in text
    assert r"does not separate: \<b\>\*ball\*\|." in text
    assert "corrected for m = 2 hypotheses, from 200 permutations" in text
    assert "would call 2 of 2 significant, this one 1." in text and "No permutation" not in text
    assert "<b>" not in LAST._repr_html_()
    few = replace(LAST, findings=(replace(LAST.findings[0], verdict=Verdict(
        "chance", 0.05, 0.1, 2, 0.05, 0.1)),))  # fmt: skip
    assert "**No permutation of so few could have been significant:** the smallest" in few.summary()


def test_the_tables_hold_what_was_found() -> None:
    plain = str(LAST.table())
    assert "layer" not in plain.splitlines()[1].split() and "0.10 to 0.85" in plain
    assert "layer2" in str(BOTH.table()) and "pushes away from the class" in plain
    effects = str(BOTH.effects())
    assert "+3.2*" in effects and "-9.0 " in effects and "does not separate" in effects


def test_how_far_estimators_agree() -> None:
    text = BOTH.estimators()
    assert r"is 0.50 at the least (\<b\>\*ball\*\| at layer2) and 0.90 at most" in text
    assert "for 1 of 4" in text and "sign of the magnitude in 1 of 4 cases" in text
    alone = Assessment((finding(agreement=math.nan),), 10, 30)
    assert alone.estimators() == "There are no two estimators to compare."
    sure = Assessment((finding(),), 10, 30).estimators()
    assert "Less than half" not in sure and "in 0 of 1 cases" in sure


def test_nothing_assessed_is_said() -> None:
    empty = Assessment((), 10, 30)
    assert empty.table() is None and str(empty) == "No concept was assessed."


def test_figures_show_what_does_not_separate() -> None:
    for figure in (BOTH.accuracy_figure(), BOTH.depth_figure(), LAST.significance_figure()):
        assert "does not separate" in figure.alt
    assert "corrected p = 0.01, effect -2.0" in LAST.significance_figure().alt


@pytest.mark.parametrize(("outcome", "score", "end"), [
    ("towards", 0.9, "**That is the same verdict: the score is no news of what was learned.**"),
    ("chance", 0.9, "Its score is as high; it is the test that tells the two apart."),
    ("chance", 0.4, "for m = 2)."),
])  # fmt: skip
def test_controls_say_what_random_weights_say(outcome: str, score: float, end: str) -> None:
    bare = finding(outcome=outcome)
    bare = replace(bare, score=replace(bare.score, sign_count=score))
    versions = Assessment((finding(), finding("racket *reversed*")), 10, 30)
    text = Controls("racket", versions, bare).summary()
    assert r"The same verdict as *racket* have: racket \*reversed\*." in text and text.endswith(end)
    alone = Controls("racket", Assessment((finding(),), 10, 30), bare)
    assert "have: none." in alone.summary() and "racket" in str(alone.table())


def test_an_attack_says_whether_accuracy_warns() -> None:
    names = ("as they were", "noise", "pushed up", "pushed down")
    quiet = {"accuracy": (0.95, 0.8, 1.0)}
    found = Assessment(tuple(finding(n, "<deep>", **quiet) for n in names), 10, 30)
    clips = {name: [] for name in names}

    class Unseen(Attack):
        change = 4

    attack = Unseen("*star*", "<deep>", clips, found, dict.fromkeys(names, 0.25))
    text = attack.summary()
    assert r"The concept is *\*star\** at \<deep\>; the largest change of a value is 4 of" in text
    assert "scores 0.90 to 0.90 instead of 0.90" in text and "does not warn" in text
    assert str(attack.table()).count("0.25") == 4
    loud = Assessment(tuple(finding(n, "<deep>") for n in names), 10, 30)
    assert "does not warn" not in replace(attack, findings=loud).summary()


def test_a_test_that_keeps_its_word_is_told_from_one_that_does_not() -> None:
    good, bad = Share(0.05, 0.02, 0.1, 100), Share(0.4, 0.3, 0.5, 100)
    names = ("welch, sign count", "welch, magnitude", "permutation, sign count")
    found = FalsePositives(dict.fromkeys(names, bad) | {"permutation, magnitude": good}, 0.05)
    assert found.summary().endswith("n = 100. It keeps its word.")
    assert found.intervals["magnitude"] == {"welch": (0.4, 0.3, 0.5),
                                            "permutation": (0.05, 0.02, 0.1)}  # fmt: skip
    assert "0.40 [0.30 to 0.50]" in str(found.table())
    broken = replace(found, shares=dict.fromkeys(found.shares, bad)).summary()
    assert broken.endswith("**It is above its level, too.**")
    assert "permutation" in found.figure().alt
