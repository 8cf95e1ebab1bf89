"""What methods cost, told before they run, against what is counted as they do."""

import numpy as np
import pytest
import torch

from vxhelpers.attribution.registry import METHODS, Method
from vxhelpers.data import stage
from vxhelpers.errors import UnknownNameError
from vxhelpers.evaluation.forward_counts import counted, passes
from vxhelpers.models import zoo

MODEL = zoo.load("stage_c3d", weights="tennis")
X = MODEL.prepare(stage.render("tennis", "test", 3).clip)
FIT = [method for method in METHODS if method.name != "saliency tubes"]


@pytest.mark.parametrize("method", FIT, ids=[method.name for method in FIT])
def test_a_method_costs_what_it_says(method: Method) -> None:
    told = [0]
    with counted(MODEL, told.append):
        method.attribute(MODEL, X, target=torch.tensor([2]), rng=np.random.default_rng(0))
    wanted = passes(method.name, MODEL, X)
    assert told == sorted(told)
    if method.name == "Score-CAM":  # channels that are silent on a clip are left out
        assert 1 < told[-1] <= wanted
    else:
        assert told[-1] == wanted


def test_what_progress_raises_ends_the_work_and_the_hook_is_gone() -> None:
    def stop(done: int) -> None:
        raise KeyboardInterrupt

    before = len(MODEL.net._forward_hooks)
    with pytest.raises(KeyboardInterrupt), counted(MODEL, stop):
        MODEL.logits(X)
    assert len(MODEL.net._forward_hooks) == before


def test_an_unknown_method_is_said() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'RISE'"):
        passes("RISE2", MODEL, X)
