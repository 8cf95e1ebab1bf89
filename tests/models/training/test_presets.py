"""Recipes: the paper's values, schedules by hand, overrides and their errors."""

from dataclasses import replace
from itertools import pairwise

import pytest

from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.models.training.presets import PRESETS, Preset, lr_factor, override, preset


def test_stce_is_the_recipe_of_the_paper() -> None:
    """Section 4.1: SGD with momentum 0.9, 150 epochs, batch 64, 0.01 divided by 10 every 50."""
    stce = preset("stce")
    assert (stce.optimizer, stce.momentum, stce.epochs, stce.batch) == ("sgd", 0.9, 150, 64)
    assert stce.flip and stce.shift > 0 and stce.weight_decay == stce.label_smoothing == 0
    steps = 24
    for epoch, lr in ((1, 0.01), (50, 0.01), (51, 1e-3), (100, 1e-3), (101, 1e-4), (150, 1e-4)):
        for step in (0, steps - 1):
            at = (epoch - 1) * steps + step
            assert stce.lr * lr_factor(stce, at, steps) == pytest.approx(lr)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
def test_warm_up_reaches_the_peak_once_and_falls_to_zero(schedule: str) -> None:
    recipe = Preset(schedule=schedule, epochs=10, warmup=0.3)  # type: ignore[arg-type]
    factors = [lr_factor(recipe, step, 20) for step in range(200)]
    assert factors[59] == factors[60] == pytest.approx(1)
    assert all(a < b for a, b in pairwise(factors[:60]))
    assert all(a > b for a, b in pairwise(factors[60:]))
    assert 0 < factors[0] < 0.02 and 0 <= factors[-1] < 0.001
    assert factors[130] == pytest.approx(0.5)  # half way down
    assert factors[29] == pytest.approx(0.5)  # half way up


def test_without_warm_up_it_starts_at_the_peak() -> None:
    assert lr_factor(Preset(schedule="cosine", warmup=0), 0, 10) == 1


def test_a_warm_up_of_all_steps_never_falls() -> None:
    recipe = Preset(schedule="cosine", warmup=1.0, epochs=2)
    assert [lr_factor(recipe, step, 2) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]


def test_override_reads_every_kind_of_value() -> None:
    changed = override(
        PRESETS["quick"],
        {"lr": "1e-3", "epochs": "3", "flip": "true", "clip_norm": "1", "optimizer": "sgd"},
    )
    assert changed == replace(
        PRESETS["quick"], lr=1e-3, epochs=3, flip=True, clip_norm=1.0, optimizer="sgd"
    )
    assert override(PRESETS["swin"], {"clip_norm": "null"}).clip_norm is None


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"epochs": "many"}, "epochs=many: int is needed"),
        ({"epochs": "1.5"}, "epochs=1.5: int is needed"),
        ({"epochs": "true"}, "epochs=true: int is needed"),
        ({"flip": "1"}, "flip=1: bool is needed"),
        ({"epochs": "0"}, "epochs must be 1 or more, not 0"),
        ({"lr": "-1"}, "lr must be above 0, not -1"),
        ({"lr": "0"}, "lr must be above 0, not 0"),
        ({"lr": "NaN"}, "lr must be above 0, not nan"),
        ({"jitter": "1.5"}, "jitter must be 0 to 1, not 1.5"),
        ({"clip_norm": "0"}, "clip_norm must be above 0, not 0"),
        ({"optimizer": "adam"}, "optimizer=adam: 'adamw' or 'sgd' is needed"),
    ],
)
def test_values_that_cannot_be_used(values: dict[str, str], text: str) -> None:
    with pytest.raises(InputError, match=text):
        override(PRESETS["quick"], values)


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'quick'"):
        preset("quik")
    with pytest.raises(UnknownNameError, match="did you mean 'epochs'"):
        override(PRESETS["quick"], {"epoch": "3"})
