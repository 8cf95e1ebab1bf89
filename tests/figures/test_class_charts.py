"""Charts over many classes: what they draw, what they say, and what they refuse."""

import numpy as np
import pytest

from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.figures.class_charts import against, ranked

NAME = "a <name> with $mark_up$ & more than can be drawn on an axis"


def ticks(figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_classes_are_ranked_by_the_first_series() -> None:
    rows = {
        "low": {"trained": (0.1, 0.0, 0.2), "random weights": (0.0, -0.1, 0.1)},
        "high": {"trained": (0.9, 0.8, 1.0)},
        NAME: {"trained": (0.5, 0.4, 0.6), "random weights": (0.9, 0.8, 1.0)},
    }
    shown = ranked(rows, units="reliance on motion", line=("none", 0.0))
    assert ticks(shown.figure) == ["high", "a <name> with $mark_up$ & more th…", "low"]
    assert shown.alt.startswith(
        "Reliance on motion of 3 classes, the highest first. high trained 0.90"
    )
    assert NAME in shown.alt
    assert (
        'alt="Reliance on motion' in shown._repr_html_() and "&lt;name&gt;" in shown._repr_html_()
    )


def test_of_many_classes_the_ends_are_drawn_and_the_rest_counted() -> None:
    rows = {f"class {k}": {"trained": (k / 400, k / 400, k / 400)} for k in range(400)}
    shown = ranked(rows, units="relies on place", most=10)
    names = ticks(shown.figure)
    assert names[:5] == [f"class {k}" for k in (399, 398, 397, 396, 395)]
    assert names[5] == "(390 others between)" and names[6:] == [
        f"class {k}" for k in (4, 3, 2, 1, 0)
    ]
    assert shown.figure.get_figheight() < 5
    assert "400 classes" in shown.alt and "class 200" not in shown.alt
    marks = shown.figure.axes[0].lines[0].get_xdata()
    assert np.allclose(sorted(marks), [k / 400 for k in (0, 1, 2, 3, 4, 395, 396, 397, 398, 399)])


def test_two_numbers_of_each_class_against_each_other() -> None:
    points = [((0.1, 0.0, 0.2), (0.8, 0.7, 0.9)), ((0.5, 0.4, 0.6), (0.2, 0.1, 0.3))]
    shown = against({"motion": points, "place": []}, across="in C3D", up="in R3D", diagonal=True)
    assert "motion: 2 classes" in shown.alt and "place" not in shown.alt
    x, y = shown.figure.axes[0].lines[0].get_data()
    assert list(x) == [0.1, 0.5] and list(y) == [0.8, 0.2]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: ranked({}, units="u"), InputError, "nothing to draw"),
        (
            lambda: ranked({"a": {"t": (0.5, 0.6, 0.7)}}, units="u"),
            InputError,
            "outside its interval",
        ),
        (lambda: ranked({"a": {"t": (0.5, 0.4, np.nan)}}, units="u"), NotFiniteError, "a: 0.5"),
        (
            lambda: ranked({"a": {"t": (0.5, 0.4, 0.6)}, "b": {"r": (0.5, 0.4, 0.6)}}, units="u"),
            InputError,
            "b: has no 't'",
        ),
        (lambda: against({"a": []}, across="x", up="y"), InputError, "nothing to draw"),
        (
            lambda: against({"a": [((0.5, 0.4, 0.6), (0.5, 0.6, 0.7))]}, across="x", up="y"),
            InputError,
            "outside its interval",
        ),
    ],
)
def test_errors_name_what_is_wrong(call, kind, message) -> None:
    with pytest.raises(kind, match=message):
        call()
