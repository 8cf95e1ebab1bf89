from dataclasses import replace

import pytest

from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.figures.planted_charts import Skill, answers, skills

ONE = Skill(0.5, 0.4, 0.6, "maps", control=0.1)
ROWS = {"good": ONE, "bad": Skill(-0.1, -0.2, 0.0, "wrong", wrong=True)}


def test_skills_are_drawn_in_order_and_told() -> None:
    few = {"few": Skill(0.9, 0.9, 0.9, "concepts")}
    found = skills(ROWS, apart=few, apart_title="one question", control="untrained")
    (ax,) = found.figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["good", "bad", "few"]
    assert [label.get_style() for label in ax.get_yticklabels()] == ["normal", "italic", "normal"]
    assert ax.get_yticks().tolist() == [0, 1, 3], "a gap before those that stand apart"
    assert ax.get_ylim()[0] > ax.get_ylim()[1], "the first is on top"
    assert "good +0.50 [+0.40, +0.60], untrained +0.10" in found.alt
    assert "bad -0.10 [-0.20, +0.00] (network-independent)" in found.alt
    assert found.alt.endswith("Apart, one question: few +0.90 [+0.90, +0.90].")
    legend = [text.get_text() for text in found.figure.legends[0].get_texts()]
    assert legend == ["maps", "concepts", "network-independent baselines", "untrained"]


def test_a_family_looks_the_same_in_every_figure() -> None:
    marks = []
    for rows in ({"a": ONE}, {"b": replace(ONE, family="gradients"), "a": ONE}):
        found = skills(rows, families=["gradients", "maps", "never drawn"])
        (legend,) = found.figure.legends
        shown = zip(legend.get_texts(), legend.legend_handles, strict=True)
        marks.append({t.get_text(): (h.get_color(), h.get_marker()) for t, h in shown})
    assert marks[0]["maps"] == marks[1]["maps"] != marks[1]["gradients"]
    assert "never drawn" not in marks[1]


def test_scores_are_told_with_failures_and_what_was_not_asked() -> None:
    table = {"a": {"where\nmotion": 0.25, "when": None}, "b": {"when": 1.0}}
    found = answers(table, ["where\nmotion", "when"], wrong=["b"])
    assert found.alt == "Scores, chance 0.5. a: where motion 0.25, when failed; b: when 1.00."
    (ax,) = found.figure.axes
    assert [text.get_text() for text in ax.texts] == ["0.25", "failed", "1.00"]
    colours = ax.images[0]
    red, _, _, _ = colours.cmap(colours.norm(1.0))
    _, _, blue, _ = colours.cmap(colours.norm(0.0))
    assert colours.norm(0.5) == 0.5 and red > colours.cmap(colours.norm(1.0))[2]
    assert blue > colours.cmap(colours.norm(0.0))[0]


@pytest.mark.parametrize(
    ("rows", "apart", "error", "why"),
    [
        ({}, {}, InputError, "nothing to draw"),
        (ROWS, {"good": ONE}, InputError, "good both among the rows and apart"),
        ({"a": replace(ONE, low=0.55)}, {}, InputError, "a: 0.5 lies outside"),
        ({"a": replace(ONE, control=float("nan"))}, {}, NotFiniteError, "not all finite"),
    ],
)
def test_what_cannot_be_drawn_is_named(rows, apart, error, why) -> None:
    with pytest.raises(error, match=why):
        skills(rows, apart=apart)


def test_scores_that_are_none_are_named() -> None:
    with pytest.raises(InputError, match="nothing to draw"):
        answers({}, ["when"])
    with pytest.raises(InputError, match=r"a, when: 1.5 is not from 0 to 1"):
        answers({"a": {"when": 1.5}}, ["when"])
    with pytest.raises(NotFiniteError, match="a, when"):
        answers({"a": {"when": float("nan")}}, ["when"])
