"""What is said of predictions whose right verdict is known."""

from typing import Any

import numpy as np
import pytest

from vxhelpers.evaluation.ablation_report import RelianceReport
from vxhelpers.models.evaluate import Accuracy, CausalCheck, accuracy
from vxhelpers.models.report import (
    AccuracyReport,
    CausalReport,
    PlantedCheckReport,
    SiblingsReport,
    SplitsReport,
)
from vxhelpers.stats import Mean

LABELS = np.repeat([0, 1], 20)


def check(**predictions: Any) -> CausalCheck:
    """A causal check of two classes; edits that are not given change nothing."""
    found = {"normal": LABELS, "frozen": LABELS, "reversed": LABELS, "shuffled": LABELS}
    found |= predictions
    scores: dict[str, Accuracy] = {n: accuracy(LABELS, p, 2) for n, p in found.items()}
    tables = {
        name: np.array([[((i == LABELS) & (p == j)).sum() for j in (0, 1)] for i in (0, 1)])
        for name, p in found.items()
    }
    return CausalCheck(scores, tables, found)


def test_an_accuracy_that_guessing_reaches_is_named() -> None:
    guess = AccuracyReport(accuracy(LABELS, np.zeros(40, int), 2), "Note.")
    assert not guess.skilled and "explain guesses" in str(guess) and "Note." in str(guess)
    good = AccuracyReport(accuracy(LABELS, LABELS, 2))
    assert good.skilled and "explain guesses" not in str(good)


def test_only_the_edit_that_takes_accuracy_is_clear() -> None:
    found = CausalReport(check(reversed=1 - LABELS), LABELS)
    assert found.clear() == ["reversed"] and found.drops()["reversed"] == 1
    assert "clear of each other for: reversed" in str(found)
    metrics = {metric.name: metric for metric in found.metrics(0)}
    assert metrics["accuracy, normal"].value == 1 and metrics["drop, reversed"].value == 1
    assert metrics["drop, frozen"].value == 0 and metrics["drop, frozen"].n == 20
    assert "No interval is clear" in str(CausalReport(check(), LABELS))


def test_twins_that_change_places_are_counted() -> None:
    found = PlantedCheckReport(check(reversed=1 - LABELS), check(), (0, 1))
    assert found.swapped == 1 and "100% of the forehands" in str(found)
    assert PlantedCheckReport(check(), check(), (0, 1)).swapped == 0


def test_no_card_is_said_and_splits_are_tabulated() -> None:
    assert str(SiblingsReport([])) == "No card, no recorded scores."
    scores = {"<b>test": accuracy(LABELS, LABELS, 2), "other": accuracy(LABELS, 1 - LABELS, 2)}
    text = str(SplitsReport(scores))
    assert "<b>test" in text and "The gap between the rows, 1.000" in text
    assert "<b>" not in SplitsReport(scores)._repr_html_()


@pytest.mark.parametrize(("low", "clear"), [(0.2, ["motion"]), (0.05, [])])
def test_a_reliance_is_clear_only_above_a_tenth(low: float, clear: list[str]) -> None:
    lost = {"trained": {"motion": Mean(0.3, low, 0.4, 9), "objects": None}}
    found = RelianceReport("<b>", None, None, lost, 9, filmed=False)
    assert found.clear == clear and [m.name for m in found.metrics()] == ["reliance on motion"]
    assert "not two clips" in str(found)
