"""The concept browser: choices of concepts against adding and removing them, passes counted."""

from dataclasses import replace

import blocks
import numpy as np
import pytest
from blocks import RECIPE

from vxhelpers.attribution.registry import pixels
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.live.browser import Browser
from vxhelpers.stce.add_remove import AddRemoveSettings, evaluate
from vxhelpers.stce.discovery import discover
from vxhelpers.stce.random_groups import ScoringSettings
from vxhelpers.stce.score import score

TEST = blocks.clips(4, 7)


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vxhelpers.stce.features.segment", blocks.segment)


@pytest.fixture
def browser() -> Browser:
    model, rng = blocks.model(), np.random.default_rng(1)
    found = discover(model, None, blocks.clips(6, 1), rng=rng, recipe=RECIPE)
    settings = ScoringSettings(groups=4, draws=20)
    scores = score(found, model, "right", randoms=blocks.clips(5, 3), rng=rng, settings=settings)
    return Browser(model, scores, TEST)


def test_the_first_concepts_of_an_order_are_those_of_add_and_remove(browser: Browser) -> None:
    curves = evaluate(
        browser.model, {"right": browser.scores}, TEST, ["right"] * len(TEST),
        settings=AddRemoveSettings(permutations=1), rng=np.random.default_rng(0),
    )  # fmt: skip
    assert len(browser.ranking) == 3 and curves.steps.tolist() == [0, 1, 2, 3]
    for order in ("top", "least"):
        for mode in ("add", "remove"):
            curve = curves[mode, order]
            for q in range(4):
                chosen = browser.pick(order, q, np.random.default_rng(0))
                for v in range(len(TEST)):
                    shown = browser.show(v, chosen, mode)
                    wanted = curve.probability[0, v, q]
                    assert shown.probabilities[1] == pytest.approx(wanted, abs=1e-6)
                    assert shown.visible == pytest.approx(curve.visible[0, v, q])


def test_what_is_shown_is_the_clip_or_the_fill(browser: Browser) -> None:
    model = browser.model
    whole = pixels(model, model.prepare(TEST))
    for v in range(len(TEST)):
        np.testing.assert_array_equal(browser.whole(v).frames, whole[v])
        assert browser.whole(v).visible == 1
        for k in range(3):
            shown, rest = browser.show(v, {k}), browser.show(v, {k}, "remove")
            np.testing.assert_array_equal(shown.frames[shown.mask], whole[v][shown.mask])
            assert len(np.unique(shown.frames[~shown.mask], axis=0)) <= 1  # the fill alone
            np.testing.assert_array_equal(rest.mask, ~shown.mask)
            assert shown.mask.any() == (k in browser.present(v))
        together = browser.show(v, {0, 2}).mask
        np.testing.assert_array_equal(
            together, browser.show(v, {0}).mask | browser.show(v, {2}).mask
        )


def test_a_choice_is_run_once(browser: Browser) -> None:
    inputs = browser.model.net.inputs
    inputs.clear()
    browser.show(0, {0})
    assert len(inputs) == 1
    again = browser.show(0, [0])
    browser.show(0, set(range(3)))
    assert len(inputs) == 2 and again is browser.show(0, {0})
    browser.whole(0)  # everything removed but nothing: the same input as all concepts added
    assert len(inputs) == 2
    browser.show(1, {0})
    assert len(inputs) == 3


def test_orders(browser: Browser) -> None:
    rng = np.random.default_rng(0)
    assert browser.ranking == tuple(browser.scores.ranking)
    assert browser.pick("top", 1, rng) == {browser.ranking[0]}
    assert browser.pick("least", 2, rng) == {*browser.ranking[1:]}
    drawn = {browser.pick("random", 1, rng) for _ in range(30)}
    assert drawn == {frozenset({k}) for k in range(3)}
    assert browser.pick("top", 9, rng) == {0, 1, 2} and browser.pick("top", 0, rng) == frozenset()


def test_a_member_is_shown_where_most_of_it_is_seen(browser: Browser) -> None:
    found = browser.scores.discovery
    for k in range(3):
        frame, name = browser.member(k)
        row = found.members[k][0]
        mask = found.pieces.mask(row)
        whole = pixels(
            browser.model, browser.model.prepare(found.pieces.clips[found.pieces.owner[row]])
        )
        t = mask.sum((1, 2)).argmax()
        np.testing.assert_array_equal(frame[mask[t]], whole[0][t][mask[t]])
        assert name == found.pieces.name(row)


def test_errors(browser: Browser) -> None:
    with pytest.raises(InputError, match="clip 4 of 4"):
        browser.show(4, {0})
    with pytest.raises(InputError, match=r"concepts \[3\] of 3"):
        browser.show(0, {3})
    with pytest.raises(UnknownNameError, match="did you mean 'add'"):
        browser.show(0, {0}, "ad")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="did you mean 'top'"):
        browser.pick("tops", 1, np.random.default_rng(0))
    with pytest.raises(InputError, match="concept 3 of 3"):
        browser.member(3)
    seen = browser.scores.discovery.pieces.clips[:1]
    with pytest.raises(InputError, match="1 test clips are clips that concepts were found in"):
        Browser(browser.model, browser.scores, seen)
    other = replace(browser.model, digest="1" * 64)
    with pytest.raises(InputError, match="another network"):
        Browser(other, browser.scores, TEST)
