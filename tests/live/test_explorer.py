"""What the clip explorer keeps and runs: against the network asked directly, passes counted."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from vxhelpers.attribution.gradcam import gradcam
from vxhelpers.attribution.registry import pixels
from vxhelpers.data import clip as clips_
from vxhelpers.data import stage
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.live import explorer as explorer_module
from vxhelpers.live.explorer import EDITS, LAYERED, Explorer, Question, order_of
from vxhelpers.models import zoo

CLIPS = [stage.render("tennis", "test", k).clip for k in (3, 4)]
ASKED = Question(0, "as it is", LAYERED, None, "playing tennis")


@pytest.fixture(scope="module")
def model() -> zoo.Model:
    return zoo.load("stage_c3d", weights="tennis")


@pytest.fixture
def explorer(model: zoo.Model) -> Explorer:
    return Explorer(model, CLIPS, seed=5)


@contextmanager
def counted(model: zoo.Model) -> Iterator[list[int]]:
    """Inputs that go through the network, pass by pass."""
    found: list[int] = []
    hook = model.net.register_forward_hook(lambda _, inputs, __: found.append(len(inputs[0])))
    yield found
    hook.remove()


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_clip_is_that_of_the_clip_module(explorer: Explorer, edit: str) -> None:
    edited = {
        "as it is": CLIPS[0],
        "reversed": clips_.reverse(CLIPS[0]),
        "frozen": clips_.freeze(CLIPS[0]),
        "shuffled": clips_.shuffle(CLIPS[0], np.random.default_rng(5)),
    }[edit]
    model = explorer.model
    x = model.prepare(edited)
    answer = explorer.answer(replace(ASKED, edit=edit))
    np.testing.assert_array_equal(answer.after.frames, pixels(model, x)[0])
    with torch.inference_mode():
        wanted = model.logits(x)[0].double().softmax(0).numpy()
    np.testing.assert_allclose(answer.after.probabilities, wanted, rtol=1e-5)
    maps = gradcam(model, x, target="playing tennis")[0].numpy()
    np.testing.assert_allclose(answer.after.map, maps, atol=1e-6 * np.abs(maps).max())
    plain = explorer.answer(ASKED)
    np.testing.assert_array_equal(answer.before.map, plain.after.map)
    both = max(np.abs(answer.before.map).max(), np.abs(answer.after.map).max())
    assert (answer.scale.lo, answer.scale.hi) == (-both, both)


def test_going_back_costs_no_pass(explorer: Explorer) -> None:
    first, last = explorer.layers[0], explorer.layers[-1]
    asked = [replace(ASKED, layer=last), replace(ASKED, layer=last, edit="reversed")]
    with counted(explorer.model) as passes:
        there = [explorer.answer(question) for question in asked]
        assert len(passes) == 4  # a prediction and the maps of all layers, for both versions
        assert explorer.cost(asked[1]) == (0, 0)
        again = [explorer.answer(question) for question in asked]
        other = explorer.answer(replace(asked[1], layer=first))
        assert len(passes) == 4
        assert again[0] is there[0] and again[1] is there[1]
        assert not np.array_equal(other.after.map, there[1].after.map)
        assert explorer.answer(ASKED).after.map is there[0].after.map  # None: the last layer
        explorer.answer(replace(asked[0], target="dancing"))
        assert len(passes) == 5  # the prediction is known
        explorer.answer(replace(asked[0], clip=1))
        assert len(passes) == 7


@pytest.mark.parametrize("method", ["occlusion", "input x gradient", "edge filter"])
def test_the_cost_is_told_before_and_every_pass_meanwhile(explorer: Explorer, method: str) -> None:
    question = replace(ASKED, method=method, edit="reversed")
    explorer.answer(replace(ASKED, edit="reversed"))
    count, told = explorer.cost(question)[0], []
    with counted(explorer.model) as counts:
        explorer.answer(question, progress=told.append)
    assert sum(counts) == (told or [0])[-1] == count == 2 * explorer.passes(method)
    assert told == sorted(told) and explorer.cost(question) == (0, 0)
    again, seconds = explorer.cost(replace(question, clip=1))
    assert again == count and (seconds > 0) == (again > 0)


def test_a_method_that_does_not_fit_says_so_and_the_rest_goes_on(explorer: Explorer) -> None:
    with pytest.raises(InputError, match="use Grad-CAM"):
        explorer.answer(replace(ASKED, method="saliency tubes"))
    explorer.answer(ASKED)


def test_the_correlation_follows_frames_to_where_they_went(explorer: Explorer) -> None:
    # The edge filter sees single frames, so that its map goes along with them.
    for edit in ("reversed", "frozen", "shuffled"):
        along = explorer.answer(replace(ASKED, edit=edit, method="edge filter")).correlation
        assert along == pytest.approx(1)
    noise = explorer.answer(replace(ASKED, edit="reversed", method="random map")).correlation
    assert noise is not None and abs(noise) < 0.05
    assert explorer.answer(ASKED).correlation == pytest.approx(1)
    # Nothing moves in a frozen clip: there is nothing to correlate.
    still = replace(ASKED, edit="frozen", method="movement filter")
    assert explorer.answer(still).correlation is None


def test_work_is_given_up_when_told_and_leaves_nothing_behind(explorer: Explorer) -> None:
    class Enough(BaseException):
        pass

    def stop(done: int) -> None:
        if done > 20:
            raise Enough

    question = replace(ASKED, method="occlusion")
    before = len(explorer.model.net._forward_hooks)
    with pytest.raises(Enough):
        explorer.answer(question, progress=stop)
    assert len(explorer.model.net._forward_hooks) == before
    assert explorer.cost(question)[0] == 65
    assert explorer.answer(question).after.map.any()


def test_what_is_kept_is_bounded(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explorer_module, "KEPT", 3)
    for edit in EDITS:
        explorer.answer(replace(ASKED, edit=edit))
    assert len(explorer._kept) == 3
    assert explorer.answer(ASKED).after.map.any()


def test_a_map_is_of_the_content_and_not_of_the_index(model: zoo.Model) -> None:
    explorer = Explorer(model, [CLIPS[0], CLIPS[0]])
    explorer.answer(ASKED)
    with counted(model) as passes:
        explorer.answer(replace(ASKED, clip=1))
    assert passes == []


def test_unknown_names_are_said(explorer: Explorer, model: zoo.Model) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'reversed'"):
        order_of("reverse", 4)
    with pytest.raises(UnknownNameError, match="unknown method"):
        explorer.answer(replace(ASKED, method="gradcam"))
    with pytest.raises(UnknownNameError, match="playing tennis"):
        explorer.answer(replace(ASKED, target="tennis"))
    with pytest.raises(UnknownNameError, match="layer"):
        explorer.answer(replace(ASKED, layer="layer9"))
    with pytest.raises(InputError, match="clip 2 of 2"):
        explorer.answer(replace(ASKED, clip=2))
    with pytest.raises(InputError, match="no clips to explore"):
        Explorer(model, [])
