"""Verdicts on Grad-CAM's maps, for numbers whose right verdict is known."""

import pytest
import torch

from vxhelpers.attribution.gradcam import gradcam_weights, weighted_sum
from vxhelpers.evaluation.gradcam_report import (
    CasesReport,
    EnergyReport,
    LayersReport,
    ReversalReport,
    ShortcutReport,
    favoured,
)
from vxhelpers.stats import Mean

NASTY = "<b>*a*|"


def mean(value: float, half: float = 0.05) -> Mean:
    return Mean(value, value - half, value + half, 20)


def test_equations_by_hand() -> None:
    gradients = torch.tensor([2.0, -1.0]).view(1, 2, 1, 1, 1).expand(1, 2, 2, 3, 3)
    activations = torch.arange(36.0).view(1, 2, 2, 3, 3)
    assert gradcam_weights(gradients).tolist() == [[2.0, -1.0]]
    torch.testing.assert_close(
        weighted_sum(activations, gradients), 2 * activations[:, 0] - activations[:, 1]
    )


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.2, "yes"), (-0.2, "avoided"), (0.0, "undecided")]
)
def test_an_object_is_favoured_where_the_interval_is_clear_of_zero(
    value: float, verdict: str
) -> None:
    assert favoured(mean(value)) == verdict
    found = EnergyReport({NASTY: mean(value)}, mean(0.1), 20, "Note.")
    assert verdict in str(found) and "<b>" not in found._repr_html_()
    assert [m.name for m in found.metrics()][-1] == "energy minus area, objects"
    assert "So few clips" in str(EnergyReport({NASTY: mean(value)}, None, 5))


def test_layers_are_held_against_random_weights() -> None:
    grids = {"a": (4, 8, 8), "b": (2, 4, 4)}
    shares = {"a": (mean(0.5), mean(0.2)), "b": (mean(0.5), mean(0.5))}
    assert LayersReport(grids, shares, mean(0.1), "arm").clear == ["a"]
    none = LayersReport(grids, {"a": shares["b"], "b": shares["b"]}, mean(0.1), "arm")
    assert "At no layer" in str(none) and "4 x 8 x 8" in str(none)


@pytest.mark.parametrize(
    ("ground", "person", "blank", "named"),
    [(0.5, 0.1, 0.1, True), (0.5, 0.5, 0.1, False), (0.5, 0.1, 0.5, False)],
)
def test_the_ground_is_named_only_beyond_person_and_random_weights(
    ground: float, person: float, blank: float, named: bool
) -> None:
    gains = {
        ("trained", "ground"): mean(ground),
        ("trained", "person"): mean(person),
        ("random weights", "ground"): mean(blank),
    }
    found = ShortcutReport(gains, "tennis")
    assert found.named == named and ("do not single out" in str(found)) != named
    assert ("20% of that gain" in str(found)) == named


def test_cases_and_reversal_say_what_was_found() -> None:
    none = CasesReport(NASTY, "arm", 0, 5, 1, 0.1, -0.1)
    assert "not recognised either" in str(none) and "the same clip" in str(none)
    assert "<b>" not in none._repr_html_()
    assert "stays much the same" in str(ReversalReport(1.0, mean(0.8), mean(0.7), 9))
    assert "does change" in str(ReversalReport(1.0, mean(0.2), mean(0.7), 9))
