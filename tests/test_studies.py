"""The studies run; what they recorded is whole, says what is missing, and is of these weights."""

import importlib.util
import json
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

from vxhelpers import zoo
from vxhelpers.errors import InputError

ROOT = Path(__file__).parents[1]


def _load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "studies" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


planted = _load("tcav_planted")
CELL = planted.Cell("c3d", "motion", 0)
SMALL = planted.Options(count=4, sets=2, scoring=4, permutations=19)
RUN = {"command": "a test", "commit": "", "hardware": "", "versions": {}, "day": "2000-01-01"}


def _study(out, options=SMALL, cells=(CELL,), folder=Path("nowhere")):
    return planted.study(cells, options, out=out, run=RUN, folder=folder, train=False)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VX_CACHE", str(folder / "cache"))
        _study(folder / "tiny.json")
    return folder / "tiny.json"


def _check(record):
    """The schema, as the script's docstring has it."""
    assert record["columns"] == planted.COLUMNS and record["claims"].keys() == planted.CLAIMS.keys()
    there = [planted.identity(cell) for cell in record["cells"]]
    missing = [planted.identity(cell) for cell in record["missing"]]
    assert len({*there, *missing}) == len(there) + len(missing)
    assert {*planted.ALL} <= {*there, *missing}
    for cell in record["cells"]:
        depth = len(cell["layers"])
        assert 1 <= cell["late"] < depth and len(cell["degenerate"]) == depth
        assert record["runs"][cell["run"]].keys() == RUN.keys()
        assert {*cell["against_random"]} == {
            name for kind in planted.KINDS.values() for name in kind
        }
        assert {*cell["pairs"]} == {*planted.PAIRS, *planted.CENTRED}
        assert (cell["test"] is None) == (cell["weights"] == "random")
        tables = [("random_pairs", cell["random_pairs"])]
        for name in ("against_random", "pairs", "group"):
            tables += [(name, rows) for rows in cell[name].values()]
        for name, rows in tables:
            columns = planted.COLUMNS[name]
            assert len(rows) == depth and all(len(row) == len(columns) for row in rows)
            for row in (dict(zip(columns, row, strict=True)) for row in rows):
                for column in {"sign_count", "accuracy", "p"} & {*row}:
                    assert 0 <= row[column] <= 1
                assert row.get("verdict", "chance") in (
                    "towards",
                    "away",
                    "chance",
                    "not separated",
                )
        assert cell["checks"] == planted.checks(cell, cell["task"])


def test_a_tiny_study_is_written_whole(tiny):
    record = json.loads(tiny.read_text())
    _check(record)
    (cell,) = record["cells"]
    assert cell["digest"] == zoo.load("stage_c3d", weights="motion").digest[:16]
    assert cell["test"]["normal"] > 0.95 and cell["test"]["frozen"] < 0.4
    assert cell["layers"] == ["relu1", "relu2", "relu3b", "relu4b", "relu5b"] and cell["late"] == 2
    assert cell["clips"]["got"] == {"racket": 4, "ball": 4, "random": 8}
    assert len(record["missing"]) == len(planted.ALL) - 1


def test_a_second_call_computes_nothing_anew(tiny, monkeypatch):
    before = tiny.read_text()
    monkeypatch.delattr(planted, "compute")
    monkeypatch.delattr(planted, "material")
    _study(tiny, cells=(CELL, planted.Cell("r3d", "motion", 1)))  # the second has no weights
    assert tiny.read_text() == before


def test_other_weights_or_options_are_not_mixed_in(tiny, tmp_path, monkeypatch):
    copy = tmp_path / "copy.json"
    record = json.loads(tiny.read_text())
    record["cells"][0]["digest"] = "0" * 16
    copy.write_text(json.dumps(record))
    monkeypatch.setattr(planted, "material", lambda *_: None)
    found = {key: record["cells"][0][key] for key in record["cells"][0] if key not in vars(CELL)}
    monkeypatch.setattr(planted, "compute", lambda *_, **__: found | {"digest": "anew"})
    assert [cell["digest"] for cell in _study(copy)["cells"]] == ["anew"]
    with pytest.raises(InputError, match=r"copy\.json: was made with .*'sets': 2"):
        _study(copy, options=planted.Options())


def test_cards_commands_become_those_of_other_seeds():
    card = json.loads((zoo.SHIPPED / "stage_swin3d-static.json").read_text())
    words = planted.training(card["command"], Path("x.safetensors"), 2)
    assert words[:5] == ["train", "--model", "stage_swin3d", "--data", "stage:static"]
    assert words[words.index("--out") + 1] == "x.safetensors" and words[-2:] == ["--seed", "2"]
    assert [*words, "vx"].count("vx") == 1
    with pytest.raises(InputError, match="not the command"):
        planted.training("vx evaluate", Path("x"), 1)


def test_a_seeds_own_weights_are_where_its_training_starts(tmp_path, monkeypatch):
    runs = []
    monkeypatch.setattr(planted.subprocess, "run", lambda words, **_: runs.append(words))
    assert planted.weights_of("swin3d", "motion", 1, tmp_path, train=False) is None and not runs
    path = planted.weights_of("swin3d", "motion", 1, tmp_path, train=True)
    assert path == tmp_path / "stage_swin3d-motion-s1.safetensors"
    first, second = runs
    start = str(tmp_path / "stage_swin3d-kth-s1.safetensors")
    assert first[first.index("--data") + 1] == "stage:kth" and start in first
    assert second[second.index("--init") + 1] == start


def _perfect():
    """A cell of three layers, of which the last decides, in which everything is as on motion."""

    def rows(columns, **values):
        row = [values.get(name, 0.0) for name in columns]
        return [[0.0 for _ in row], [0.0 for _ in row], row]

    pair, alone = planted.COLUMNS["pairs"], planted.COLUMNS["against_random"]
    up = {"sign_count": 1.0, "magnitude": 0.5, "accuracy_low": 0.8, "p_twins": 0.002}
    up |= {"sign_count_logistic": 1.0, "magnitude_logistic": 0.5}
    null = up | {"p_twins": 0.4}
    return {
        "layers": ["a", "b", "c"],
        "late": 1,
        "pairs": {
            planted.MOVES: rows(pair, **up),
            planted.TURNED: rows(pair, **up),
            planted.BALL: rows(pair, **null),
            planted.BALL_TURNED: rows(pair, **null),
        },
        "random_pairs": rows(planted.COLUMNS["random_pairs"], highest=0.3),
        "against_random": {
            name: rows(alone, verdict="towards" if name == "racket moving" else "chance")
            for name in planted.JUDGED
        },
    }


def test_the_claims_of_a_perfect_cell():
    found = planted.checks(_perfect(), "motion")
    assert all(found.values())
    assert not planted.checks(_perfect(), "static")["as_expected"]


@pytest.mark.parametrize(
    ("table", "name", "column", "value", "broken"),
    [
        ("pairs", planted.MOVES, "sign_count", 0.4, {"beats"}),
        ("pairs", planted.MOVES, "magnitude_logistic", -0.1, {"beats"}),
        ("pairs", planted.MOVES, "accuracy_low", 0.45, {"separates", "significant"}),
        ("pairs", planted.MOVES, "p_twins", 0.02, {"significant"}),  # four hypotheses: 0.08
        ("pairs", planted.MOVES, "magnitude", 0.2, {"controls"}),  # any movement does as much
        ("pairs", planted.TURNED, "magnitude", -0.2, {"controls"}),
        ("pairs", planted.TURNED, "p_twins", 0.5, {"controls"}),
        ("against_random", "racket moving", "verdict", "chance", {"towards"}),
        ("against_random", "racket moving", "verdict", "not separated", {"towards", "separates"}),
        ("pairs", planted.BALL, "p_twins", 0.002, {"distractor", "distractor_movement"}),
        ("pairs", planted.BALL_TURNED, "p_twins", 0.002, {"distractor"}),
        ("against_random", "ball still", "verdict", "towards", {"distractor_random"}),
    ],
)
def test_each_claim_is_broken_by_what_it_is_about(table, name, column, value, broken):
    cell = deepcopy(_perfect())
    cell[table][name][2][planted.COLUMNS[table].index(column)] = value
    found = planted.checks(cell, "motion")
    wrong = {check for check, holds in found.items() if not holds} - {"dynamic", "as_expected"}
    assert wrong == broken and not found["as_expected"]
    assert found["dynamic"] == (not broken & {"beats", "separates", "significant", "controls"})


def test_twins_are_swapped():
    rng = np.random.default_rng(0)
    assert planted.swapped(np.zeros((3, 8)), rng) == 1
    assert planted.swapped(np.ones((3, 30)), rng) == 1 / 2000
    few = np.array([[1.0, 2.0, 3.0, 4.0]])  # of 16 ways, two are as far out
    assert planted.swapped(few, rng, times=20_000) == pytest.approx(1 / 8, abs=0.01)
    null = [planted.swapped(rng.standard_normal((2, 12)), rng, times=199) for _ in range(400)]
    assert np.mean(np.array(null) <= 0.1) == pytest.approx(0.1, abs=0.04)


def test_the_recorded_study_is_whole_and_of_the_shipped_weights():
    assert planted.OUT.stat().st_size < 200_000
    record = json.loads(planted.OUT.read_text())
    _check(record)
    assert record["options"] == vars(planted.Options())
    for cell in record["cells"]:
        if cell["weights"] == "trained" and cell["seed"] == 0:
            model = zoo.load(f"stage_{cell['net']}", weights=cell["task"])
            assert cell["digest"] == model.digest[:16], f"{planted.identity(cell)}: `make studies`"
