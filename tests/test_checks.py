"""Checks name the value, what is wrong with it and what is right."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from vxhelpers import checks
from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError

NAN = float("nan")


@pytest.mark.parametrize(
    ("check", "kind", "text"),
    [
        (lambda: checks.at_least(1, steps=0), InputError, "steps=0: must be 1 or more"),
        (lambda: checks.at_least(1, n=2, steps=NAN), InputError, "steps=nan"),
        (lambda: checks.above(0, C=0.0), InputError, r"C=0.0: must be more than 0"),
        (lambda: checks.above(0, C=float("inf")), InputError, "C=inf"),
        (lambda: checks.between(0, 51, crf=52), InputError, "crf=52: must be 0 to 51"),
        (lambda: checks.between(0, 1, q=NAN), InputError, "q=nan"),
        (lambda: checks.share(val=0), InputError, "val=0: must be more than 0 and at most 1"),
        (lambda: checks.seed(-1), InputError, r"seed=-1: must be a whole number"),
        (lambda: checks.seed(2**63), InputError, "seed="),
        (lambda: checks.seed(1.5), InputError, "seed=1.5"),  # type: ignore[arg-type]
        (lambda: checks.seed(True), InputError, "seed=True"),
        (lambda: checks.known("fill", "blak", ["black"]), UnknownNameError, "did you mean 'black'"),
        (lambda: checks.shape("maps", np.ones((2, 3)), (2, 4), "N, T"), InputError, r"\(2, 4\)"),
        (lambda: checks.shape("maps", np.ones((0, 3)), (None, 3), "N, T"), InputError, "any, 3"),
        (lambda: checks.shape("maps", torch.ones(2), (2, 1), "N, T"), InputError, "N, T"),
        (lambda: checks.finite("map", np.array([[1, 2], [NAN, 1]])), NotFiniteError, "map 1 holds"),
        (lambda: checks.finite("map", torch.tensor([1, torch.inf])), NotFiniteError, "map 1"),
    ],
)
def test_what_cannot_be_used_is_named(
    check: Callable[[], Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        check()


def test_what_can_be_used_passes() -> None:
    checks.at_least(0, a=0, b=0.5)
    checks.above(0, a=1e-9)
    checks.between(0, 1, a=0, b=1)
    checks.share(a=1, b=0.1)
    checks.shape("maps", torch.ones(2, 3), (None, 3), "N, T")
    checks.finite("map", torch.ones(2, 3, requires_grad=True))
    assert checks.seed(np.int64(5)) == 5 and checks.known("fill", "a", iter("ab")) == "a"
