"""Claims of what was planted, and the recorded study, from answers made by hand."""

import copy
import json
from pathlib import Path

import pytest

from vxhelpers.concepts.relative import PairScore, PairScores
from vxhelpers.concepts.significance import Verdict
from vxhelpers.evaluation.planted_tcav import (
    BACKWARDS,
    BALL,
    LAYERS,
    OTHERS,
    QUESTIONS,
    RACKET,
    PlantedAnswers,
)
from vxhelpers.evaluation.tcav_record import TcavRecord

RECORD = Path(__file__).parents[2] / "book" / "results" / "tcav_planted.json"


def scores(**changed: str) -> PairScores:
    """Answers of one network: nothing but chance, unless a question's outcome is given."""
    names = {"racket": RACKET, "backwards": BACKWARDS, "ball": BALL, "others": OTHERS}
    outcomes = {names[name]: outcome for name, outcome in changed.items()}
    return PairScores(
        tuple(
            PairScore(
                q, x, (0.1, 0.0, 0.2), Verdict(outcomes.get(q, "chance"), 0.1, 1, 16, 0.05, 0)
            )
            for q in QUESTIONS
            for x in LAYERS
        ),
        "alignment",
    )


def answers(**changed: PairScores) -> PlantedAnswers:
    given = {
        ("motion", "motion"): scores(racket="towards", backwards="towards"),
        ("motion", "random"): scores(),
        ("static", "static"): scores(ball="not separated"),
        ("static", "random"): scores(),
    }
    names = dict(zip(("motion", "bare", "static", "bare_static"), given, strict=True))
    return PlantedAnswers(given | {names[name]: found for name, found in changed.items()})


def test_what_was_planted_is_found() -> None:
    found = answers()
    assert all(found.claims().values()) and "6 of 6 hold." in found.summary()
    assert "Where one does not hold" not in found.summary()
    assert found.late == LAYERS[-2:] and found.limits == (-0.05, pytest.approx(0.25))
    assert "untrained" in str(found.table()) and "not significant" in found.figure("static").alt


@pytest.mark.parametrize(("changed", "broken"), [
    ({"motion": scores(racket="chance", backwards="towards")}, [0]),
    ({"motion": scores(racket="towards", backwards="away")}, [1]),
    ({"static": scores(backwards="towards")}, [2]),
    ({"motion": scores(racket="towards", backwards="towards", ball="away")}, [3]),
    ({"static": scores(ball="towards")}, [4]),
    ({"bare": scores(others="away")}, [5]),
])  # fmt: skip
def test_each_claim_is_broken_by_what_it_is_about(changed, broken: list[int]) -> None:
    found = answers(**changed)
    assert [k for k, holds in enumerate(found.claims().values()) if not holds] == broken
    assert "5 of 6 hold." in found.summary() and "Where one does not hold" in found.summary()


def test_any_movement_is_noted() -> None:
    motion = scores(racket="towards", backwards="towards", others="towards")
    assert "at layer3 and layer4, other things push, too" in answers(motion=motion).summary()


def test_the_recorded_study_is_read() -> None:
    found = TcavRecord.read(RECORD)
    assert len(found.trained) == 24 and next(iter(found.cosines)) == "motion: dynamic, static"
    text = found.summary()
    assert "holds in 6 of 12 trained networks on *motion*" in text
    assert "of those that had learned *motion*, it holds in 6 of 10." in text
    assert "All claims come out as planted in 9 of 24 cells" in text
    assert text.endswith("30 of 30 claims come out the same (r3d).")
    assert "c3d, motion, untrained" in str(found.table()) and "3/3" in str(found.table())
    assert "swin3d" in found.figure().alt


def test_a_record_without_detected_boxes_or_with_missing_cells() -> None:
    record = json.loads(RECORD.read_text())
    few = copy.deepcopy(record)
    few["cells"] = [c for c in record["cells"] if c["net"] == "c3d"]
    few["missing"] = [{}, {}]
    text = TcavRecord(few).summary()
    assert "**2 planned cells are not recorded yet.**" in text
    assert "shipped detector" not in text and "had not learned" not in text
