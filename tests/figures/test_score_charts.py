import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex

from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.figures import score_charts
from vxhelpers.figures.score_charts import GREY, PALE, Judged

SCORES = {
    "racket": {"layer1": (0.5, 0.4, 0.7), "layer2": (1.0, 1.0, 1.0)},
    "<b>&": {"layer1": (0.0, 0.0, 0.0), "layer2": (-0.2, -0.3, 0.1)},
}
ROW = Judged((0.9, 0.8, 1.0), (0.3, 0.7), 0.004, 3.2, True, True)
PARTS = {
    "dynamic": {"racket": np.array([1.0, 2, -1]), "elsewhere": np.array([0.5, -1, -2])},
    "static": {"racket": np.zeros(3), "elsewhere": np.ones(3)},
}


def middles(patches):
    return [round(float(bar.get_x() + bar.get_width() / 2), 6) for bar in patches]


def tops(ax):
    return [round(float(bar.get_y() + bar.get_height()), 9) for bar in ax.patches]


def test_bars_stand_where_the_scores_are() -> None:
    shown = score_charts.bars(SCORES, units="score", doubtful=[("<b>&", "layer1")])
    (ax,) = shown.figure.axes
    assert [bar.get_height() for bar in ax.patches] == [0.5, 1.0, 0.0, -0.2]
    assert middles(ax.patches) == [-0.2, 0.8, 0.2, 1.2]
    faces = [to_hex(bar.get_facecolor()) for bar in ax.patches]
    assert faces[2] == PALE and PALE not in (faces[0], faces[1], faces[3])
    assert faces[0] == faces[1] != faces[3]
    assert ax.patches[0].get_hatch() != ax.patches[2].get_hatch()
    assert [t.get_text() for t in ax.get_xticklabels()] == ["layer1", "layer2"]
    (legend,) = shown.figure.legends
    assert legend.get_texts()[-1].get_text() == score_charts.EMPTY
    assert "racket: layer1 0.50 [0.40, 0.70]" in shown.alt
    assert "layer1 0.00 [0.00, 0.00] (does not separate)" in shown.alt


def test_nothing_is_called_grey_where_nothing_is() -> None:
    shown = score_charts.bars(SCORES, units="score", line=("chance", 0.5), limits=(0, 2))
    (ax,), (legend,) = shown.figure.axes, shown.figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["racket", "<b>&", "chance"]
    assert ax.get_ylim() == (0, 2) and shown.alt.endswith("chance: 0.50.")
    two_lines = score_charts.bars({"a\nb": {"x\ny": (0, 0, 1)}}, units="score")
    assert "a b: x y 0.00" in two_lines.alt


def test_curves_have_bands_and_hollow_marks() -> None:
    bands = {"layer1": (0.2, 0.8), "layer2": (0.4, 0.6)}
    options = {"units": "score", "bands": bands, "doubtful": [("racket", "layer2")]}
    shown = score_charts.curves(SCORES, **options)
    (ax,) = shown.figure.axes
    (band,) = [c for c in ax.collections if isinstance(c, PolyCollection)]
    corners = band.get_paths()[0].vertices.tolist()
    assert all([x, y] in corners for x, y in ((0, 0.2), (0, 0.8), (1, 0.4), (1, 0.6)))
    hollow = [x for x in ax.lines if x.get_markerfacecolor() == "white" and len(x.get_xdata())]
    assert [x.get_ydata().tolist() for x in hollow] == [[1.0]] and hollow[0].get_color() == GREY
    coloured = [x.get_zorder() for x in ax.lines if x not in hollow]
    assert hollow[0].get_zorder() > max(coloured)  # not hidden by what it greys out
    labels = [t.get_text() for t in shown.figure.legends[0].get_texts()]
    assert labels == ["95 % of random concepts", "racket", "<b>&", score_charts.EMPTY]


def test_grey_may_mean_more_than_that_nothing_separates() -> None:
    options = {"units": "score", "doubtful": [("racket", "layer2")]}
    shown = score_charts.curves(SCORES, **options, doubt="grey: not significant")
    assert shown.figure.legends[0].get_texts()[-1].get_text() == "grey: not significant"
    assert "layer2 1.00 [1.00, 1.00] (not significant)" in shown.alt


def test_significance_fills_what_is_significant() -> None:
    rows = {
        "sure": ROW,
        "chance": replace(ROW, p=0.2, effect=-0.4, significant=False),
        "empty": replace(ROW, p=0.0001, separates=False, effect=np.inf, significant=False),
    }
    shown = score_charts.significance(rows)
    (ax,) = shown.figure.axes
    marks = [c[0] for c in ax.containers if hasattr(c, "has_xerr") and c.has_xerr]
    fills = [mark.get_markerfacecolor() == "white" for mark in marks]
    assert fills == [False, True, True]
    assert [mark.get_color() == GREY for mark in marks] == [False, False, True]
    texts = [t.get_text() for t in ax.texts]
    assert texts[0] == "p = 0.004, effect +3.2" and texts[2] == "p < 0.001, effect +inf"
    assert [bar.get_x() for bar in ax.patches] == [0.3] * 3
    assert "sure: 0.90 [0.80, 1.00], random concepts 0.30 to 0.70" in shown.alt
    assert shown.alt.count("does not separate") == 1


def test_parts_stack_up_to_the_whole() -> None:
    shown = score_charts.parts(PARTS, seconds=1.5)
    dynamic, static = shown.figure.axes
    assert tops(dynamic) == [1, 2, -1, 1.5, -1, -3] and tops(static) == [0, 0, 0, 1, 1, 1]
    assert middles(dynamic.patches[:3]) == [0.25, 0.75, 1.25]
    assert dynamic.get_ylim() == static.get_ylim() and dynamic.get_title(loc="left") == "dynamic"
    assert "dynamic: racket +2, elsewhere -2.5, largest at 1.25 s" in shown.alt


def test_every_chart_is_one_picture_with_its_text_escaped() -> None:
    illustrations = (
        score_charts.bars(SCORES, units="<score>"),
        score_charts.curves(SCORES, units="<score>"),
        score_charts.significance({"<i>": ROW}),
        score_charts.parts({"<i>": PARTS["dynamic"]}, seconds=1),
    )
    for shown in illustrations:
        markup = shown._repr_html_()
        assert markup.count("<img") == 1 and "svg+xml" in markup
        alt = re.search(r'alt="([^"]*)"', markup)
        assert alt and "&lt;" in alt[1]


BAD = {"a": {"x": (0.5, 0.6, 0.7)}}


@pytest.mark.parametrize("draw", [score_charts.bars, score_charts.curves])
def test_bad_scores(draw) -> None:
    with pytest.raises(InputError, match="nothing to draw"):
        draw({}, units="score")
    with pytest.raises(InputError, match=r"a, x: 0.5 lies outside \[0.6, 0.7\]"):
        draw(BAD, units="score")
    with pytest.raises(NotFiniteError, match="a, x: 1 values"):
        draw({"a": {"x": (0.5, 0.4, np.nan)}}, units="score")
    with pytest.raises(InputError, match=r"no score of .*layer9"):
        draw(SCORES, units="score", doubtful=[("racket", "layer9")])


def test_bad_parts_and_tests() -> None:
    with pytest.raises(InputError, match="different numbers of time steps"):
        score_charts.parts({"a": {"x": np.ones(2), "y": np.ones(3)}}, seconds=1)
    with pytest.raises(InputError, match="seconds above 0"):
        score_charts.parts(PARTS, seconds=0)
    with pytest.raises(InputError, match="concepts with places"):
        score_charts.parts({"a": {}}, seconds=1)
    with pytest.raises(NotFiniteError, match="a, x: 1 values"):
        score_charts.parts({"a": {"x": np.array([np.nan, 1])}}, seconds=1)
    with pytest.raises(InputError, match="nothing to draw"):
        score_charts.significance({})
    with pytest.raises(InputError, match="lies outside"):
        score_charts.significance({"a": replace(ROW, score=(0.9, 0.95, 1.0))})
    with pytest.raises(NotFiniteError, match="band of a"):
        score_charts.significance({"a": replace(ROW, band=(0.1, np.inf))})


def test_of_many_places_not_all_are_named() -> None:
    many = {"concepts": {f"{k}": (0.5, 0.4, 0.6) for k in range(1, 26)}}
    ticks = score_charts.curves(many, units="score").figure.axes[0].get_xticklabels()
    assert [tick.get_text() for tick in ticks] == [f"{k}" for k in range(1, 26, 2)]
    few = {"concepts": {f"{k}": (0.5, 0.4, 0.6) for k in range(13)}}
    assert len(score_charts.curves(few, units="score").figure.axes[0].get_xticklabels()) == 13
