"""What the reports of STCE say, for results whose right verdict is known."""

from dataclasses import replace

import blocks
import numpy as np
import pytest
from blocks import RECIPE

from vxhelpers.io.code_digest import PACKAGE
from vxhelpers.stats import Mean
from vxhelpers.stce import curve_report, report
from vxhelpers.stce.add_remove import AddRemoveSettings, evaluate
from vxhelpers.stce.coverage import Agreement, Coverage, Fit
from vxhelpers.stce.discovery import discover
from vxhelpers.stce.fit_report import FitReport
from vxhelpers.stce.random_groups import ScoringSettings
from vxhelpers.stce.recorded import FailuresReport, RecordedStudy
from vxhelpers.stce.score import Scores, importance, score, stce_score

NASTY = "<b>*ball*|"
RESULTS = PACKAGE.parent / "book" / "results"


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> Scores:
    monkeypatch.setattr("vxhelpers.stce.features.segment", blocks.segment)
    model, rng = blocks.model(), np.random.default_rng(0)
    found = discover(model, None, blocks.clips(6, 1), rng=rng, recipe=RECIPE)
    settings = ScoringSettings(groups=4, draws=20)
    return score(found, model, "right", randoms=blocks.clips(5, 3), rng=rng, settings=settings)


def test_equations_by_hand() -> None:
    gradients, vectors = np.array([[2.0, -1], [1, 3]]), np.array([[1.0, 0], [0, 1]])
    assert importance(gradients, vectors).tolist() == [[2, 1], [-1, 3]]
    assert stce_score(np.array([[2, -1, 0], [1, 1, 1]])).tolist() == [1 / 3, 1]


@pytest.mark.parametrize(
    ("gap", "sign", "verdict"),
    [
        (Mean(0.2, 0.1, 0.3, 9), 1, "as claimed"),
        (Mean(0.2, 0.1, 0.3, 9), -1, "the reverse"),
        (Mean(0.2, 0.0, 0.3, 9), 1, "undecided"),
        (Mean(-0.2, -0.3, -0.1, 9), -1, "as claimed"),
    ],
)
def test_a_difference_is_undecided_where_its_interval_holds_zero(
    gap: Mean, sign: int, verdict: str
) -> None:
    assert curve_report.claim(gap, sign) == verdict


@pytest.mark.parametrize(
    ("trained", "untrained", "verdict"),
    [
        (Agreement(0.8, 0.5, 0.9, 9), Agreement(0.1, -0.3, 0.4, 9), "clear"),
        (Agreement(0.8, 0.3, 0.9, 9), Agreement(0.1, -0.3, 0.4, 9), "not clear"),
        (Agreement(-0.2, -0.6, 0.3, 9), Agreement(0.1, -0.3, 0.4, 9), "none"),
        (None, Agreement(0.1, -0.3, 0.4, 9), "undefined"),
    ],
)
def test_learning_shows_only_against_an_untrained_network(
    trained: Agreement | None, untrained: Agreement | None, verdict: str
) -> None:
    assert report.learned(trained, untrained) == verdict
    if trained and untrained:
        pairs = {"arm": (trained, untrained), NASTY: (trained, untrained)}
        found = report.PlantedReport(pairs, "arm", 9, 5)
        assert ("do not rank" in str(found)) == (trained.low <= 0)
        assert "<b>" not in found._repr_html_() and "arm (decides)" in str(found)


def test_the_ranking_says_that_untrained_weights_score_one_as_well(scores: Scores) -> None:
    ones = replace(scores, derivatives=np.abs(scores.derivatives) + 1)
    none = replace(scores, derivatives=-np.abs(scores.derivatives) - 1)
    found = report.ScoresReport({"ours": scores, "blank": ones}, "blank")
    assert ones.perfect == 3 and none.perfect == 0
    assert "a score of 1 alone is no evidence" in str(found)
    quiet = report.ScoresReport({"ours": scores, "blank": none}, "blank")
    assert "no evidence" not in str(quiet)
    assert len(found.table().columns["rank"]) == len(scores)
    choices = report.ChoicesReport(scores, {"a": scores, "b": None}, "a", "b")
    assert "undefined" in str(choices.table())  # of three concepts


def test_what_concepts_show_is_against_the_area_of_an_object(scores: Scores) -> None:
    k = len(scores)
    shares = {NASTY: np.linspace(0.1, 0.9, k), "ground": np.full(k, 0.5)}
    clear = Agreement(0.8, 0.5, 0.9, 9), Agreement(0.9, 0.6, 1.0, 9)
    pairs = {"trained": clear, "blank": (None, Agreement(0, -0.4, 0.4, 9))}
    found = report.EvidenceReport(
        scores, Coverage(shares, {NASTY: 0.1, "ground": 0.5}), pairs, [NASTY], "trained", "blank"
    )
    assert "clear of the untrained" in str(found) and "undefined" in str(found.correlations())
    assert "(9.0 x)" in str(found.table()) and "<b>" not in found._repr_html_()


def test_reports_of_curves_agree_with_the_differences(scores: Scores) -> None:
    model, clips = blocks.model(), blocks.clips(4, 9)
    result = evaluate(
        model, {"right": scores}, clips, ["right"] * 4, rng=np.random.default_rng(0),
        settings=AddRemoveSettings(permutations=2),
    )  # fmt: skip
    found = curve_report.differences(result, seed=0)
    whole = result["add", "top"].probability[0, :, -1]
    said = curve_report.DifferencesReport(result, found, whole)
    assert sum(said.counts().values()) == 6 and len(found) == 12
    start, end = said.gaps_at_ends()
    assert start < 1e-6 and end < 1e-6
    assert len(curve_report.metrics(found, n=4)) == 2
    both = curve_report.RecipesReport({"standard": result, "small": result}, whole)
    assert "Small minus standard: +0.00" in str(both) and "cannot be compared" in str(both)


def test_the_paper_s_tables_stand_beside_ours(scores: Scores) -> None:
    rows = curve_report.read_paper_rows(RESULTS / "stce_paper_tables.csv")
    kth = curve_report.paper_rows(rows, "kth", "small")
    assert {row["model"] for row in kth} == {"C3D"}
    assert {row["model"] for row in curve_report.paper_rows(rows, "kinetics", "standard")} == {
        "R3D"
    }
    assert curve_report.paper_rows(rows, "kinetics", "small") == []
    assert (
        curve_report.violations(rows, "add")[1] == curve_report.violations(rows, "remove")[1] > 20
    )


def test_the_fit_names_best_and_worst() -> None:
    def mean(value: float) -> Mean:
        return Mean(value, value - 0.1, value + 0.1, 5)

    best = {
        "supervoxels": {"a": mean(0.9), NASTY: mean(0.2)},
        "grid": {"a": mean(0.4), NASTY: mean(0.2)},
    }
    found = FitReport(Fit({"a": 90, NASTY: 3.2}, best, best))
    assert "Clear of the grid: a" in str(found) and "0.20" in str(found)
    assert "<b>" not in found._repr_html_()


def test_the_recorded_study_is_read_as_it_was_summarised() -> None:
    study = RecordedStudy.read(RESULTS / "stce_planted.json")
    total = study.record["summary"]["trained"]["checks"]["add_order"]
    some = study.of(None)
    assert sum(one.holds("add_order") is True for one in some) == total[1]
    assert study.held("add_order") == f"{total[1]} of {total[3]}"
    assert "Recorded by python studies" in str(study)
    failures = FailuresReport(study)
    rows = failures.table()
    broken = [o for o in some if not (o.holds("add_order") and o.holds("remove_order"))]
    assert rows is not None and len(rows.columns["class"]) == len(broken)
    assert "On motion five top concepts" in str(failures)
    assert set(study.gains()["add, against random"]) == set(study.record["planned"]["nets"])


def test_pieces_are_counted(scores: Scores) -> None:
    found = report.PiecesReport(NASTY, scores.discovery.pieces, 5, 4, "A note.")
    assert f"{len(scores.discovery.pieces.cuts)} clips of" in str(found) and "A note." in str(found)
    assert "<b>" not in found._repr_html_()
