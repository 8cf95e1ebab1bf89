"""The studies run; what they recorded is whole, says what is missing, and is of these weights."""

import importlib.util
import json
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import blocks
import numpy as np
import pytest
from toys import LABELS

from vxhelpers.errors import InputError
from vxhelpers.models import zoo

ROOT = Path(__file__).parents[1]


def _load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "studies" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


networks, records = _load("networks"), _load("records")
planted = _load("tcav_planted")
found_concepts = _load("stce_planted")
board = _load("evidence_planted")
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
    there = [records.identity(planted.Cell, cell) for cell in record["cells"]]
    missing = [records.identity(planted.Cell, cell) for cell in record["missing"]]
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
    words = networks.training(card["command"], Path("x.safetensors"), 2)
    assert words[:5] == ["train", "--model", "stage_swin3d", "--data", "stage:static"]
    assert words[words.index("--out") + 1] == "x.safetensors" and words[-2:] == ["--seed", "2"]
    assert [*words, "vx"].count("vx") == 1
    with pytest.raises(InputError, match="not the command"):
        networks.training("vx evaluate", Path("x"), 1)


def test_a_seeds_own_weights_are_where_its_training_starts(tmp_path, monkeypatch):
    runs = []
    monkeypatch.setattr(networks.subprocess, "run", lambda words, **_: runs.append(words))
    assert networks.weights_of("swin3d", "motion", 1, tmp_path, train=False) is None and not runs
    path = networks.weights_of("swin3d", "motion", 1, tmp_path, train=True)
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
            name: rows(alone, verdict="towards" if name == "racket dynamic" else "chance")
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
        ("against_random", "racket dynamic", "verdict", "chance", {"towards"}),
        ("against_random", "racket dynamic", "verdict", "not separated", {"towards", "separates"}),
        ("pairs", planted.BALL, "p_twins", 0.002, {"distractor", "distractor_movement"}),
        ("pairs", planted.BALL_TURNED, "p_twins", 0.002, {"distractor"}),
        ("against_random", "ball static", "verdict", "towards", {"distractor_random"}),
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
    assert planted.twins_swapped(np.zeros((3, 8)), rng) == 1
    assert planted.twins_swapped(np.ones((3, 30)), rng) == 1 / 2000
    few = np.array([[1.0, 2.0, 3.0, 4.0]])  # of 16 ways, two are as far out
    assert planted.twins_swapped(few, rng, times=20_000) == pytest.approx(1 / 8, abs=0.01)
    null = [planted.twins_swapped(rng.standard_normal((2, 12)), rng, times=199) for _ in range(400)]
    assert np.mean(np.array(null) <= 0.1) == pytest.approx(0.1, abs=0.04)


def test_the_recorded_study_is_whole_and_of_the_shipped_weights():
    assert planted.OUT.stat().st_size < 300_000
    record = json.loads(planted.OUT.read_text())
    _check(record)
    assert record["options"] == vars(planted.Options())
    for cell in record["cells"]:
        if cell["weights"] == "trained" and cell["seed"] == 0:
            model = zoo.load(f"stage_{cell['net']}", weights=cell["task"])
            assert cell["digest"] == model.digest[:16], (
                f"{cell['net']} {cell['task']}: `make studies`"
            )


# ---- planted evidence through STCE ---------------------------------------------------------------

LEFT = found_concepts.Cell("c3d", "motion", 0)
FEW = found_concepts.Options(train=4, test=2, groups=4, permutations=2, concepts=5, nearest=5)


def _blocks(*_):
    """Clips of blocks for the three classes of a small network; the left half is the evidence."""
    train = {label: blocks.clips(4, seed) for seed, label in enumerate(LABELS)}
    test = [clip for seed in (7, 8, 9) for clip in blocks.clips(2, seed)]
    half = np.zeros((4, blocks.T, blocks.SIDE, blocks.SIDE), bool)
    half[..., : blocks.SIDE // 2] = True
    masks = {"evidence": half, "racket": half, "ball": ~half}
    return found_concepts.Material(
        train,
        dict.fromkeys(LABELS, masks),
        dict.fromkeys(LABELS, ("racket",)),
        test,
        np.repeat(LABELS, 2).tolist(),
    )


def _discovered(out, cells=(LEFT,), options=FEW):
    return found_concepts.study(
        cells, options, out=out, run=RUN, folder=Path("nowhere"), train=False, store=None
    )


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """Two cells of a toy, as if trained and as if random: the same network."""
    out = tmp_path_factory.mktemp("study") / "toy.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vxhelpers.stce.features.segment", blocks.segment)
        patch.setattr(found_concepts, "network", lambda *_, **__: blocks.model())
        patch.setattr(found_concepts, "material", _blocks)
        _discovered(out, (LEFT, replace(LEFT, weights="random")))
    return out


def _check_discovered(record):
    """The schema, as the script's docstring has it."""
    columns = record["columns"]
    assert columns == found_concepts.COLUMNS
    assert record["claims"].keys() == found_concepts.CLAIMS.keys()
    there = [records.identity(found_concepts.Cell, cell) for cell in record["cells"]]
    missing = [records.identity(found_concepts.Cell, cell) for cell in record["missing"]]
    assert len({*there, *missing}) == len(there) + len(missing)
    assert {*found_concepts.ALL} <= {*there, *missing}
    orders = {f"{o} {r}" for o in ("add", "remove") for r in ("top", "least", "random", "matched")}
    for cell in record["cells"]:
        assert record["runs"][cell["run"]].keys() == RUN.keys()
        assert cell["steps"][0] == 0 and {*cell["curves"]} == orders
        for rows in cell["curves"].values():
            assert [len(row) for row in rows] == [len(cell["steps"])] * len(columns["curves"])
        assert [*cell["pooled"]] == ["true", "predicted"] and len(cell["classes"]) == 3
        for one in (*cell["pooled"].values(), *cell["classes"].values()):
            assert {*one["areas"]} == orders and len(one["differences"]) == 4
            for name in ("areas", "differences"):
                assert {len(row) for row in one[name].values()} == {len(columns[name])}
            assert one["checks"] == found_concepts.checks(one)
        assert "evidence" not in cell["pooled"]["true"]["checks"]
        assert cell["pooled"]["true"]["n"] == sum(one["n"] for one in cell["classes"].values())
        for one in cell["classes"].values():
            assert {*one["checks"]} == {*found_concepts.CLAIMS}
            assert all(len(row) == len(columns["concepts"]) for row in one["concepts"])
            scores = [row[0] for row in one["concepts"]]
            assert scores == sorted(scores, reverse=True) and 0 <= min(scores) <= max(scores) <= 1
            assert all(0 <= row[-1] <= 1 for row in one["concepts"])
            for row in one["agreement"].values():
                assert len(row) == len(columns["agreement"])
            assert sum(one["verdicts"].values()) == len(one["concepts"])
            assert {"evidence", *one["decides"]} - {"arms"} <= {*one["agreement"]}
    assert record["summary"] == found_concepts.summary(record["cells"])


def test_discovered_concepts_are_written_whole(toy):
    record = json.loads(toy.read_text())
    _check_discovered(record)
    assert [cell["weights"] for cell in record["cells"]] == ["trained", "random"]
    assert len(record["missing"]) == len(found_concepts.ALL) - 2
    cell = record["cells"][0]
    one = cell["classes"]["left"]
    assert one["n"] == 2 and one["supervoxels"] == 4 * 11 and cell["digest"] == "0" * 16
    assert one["agreement"]["ball"][6] == one["agreement"]["evidence"][6] == 0.5
    graded = [one for one in cell["classes"].values() if one["agreement"]["evidence"][0]]
    assert graded
    for one in graded:  # the ball is where the evidence is not
        rows = [np.array(one["agreement"][name][:6:3]) for name in ("evidence", "ball")]
        np.testing.assert_allclose(rows[0], -rows[1])
    count = record["summary"]
    assert count["trained"] == count["random"] and count["trained"]["classes"] == 3
    assert count["trained, not of a blank input"]["classes"] == 2
    assert count["trained"]["checks"]["add_order"][2:] == [3, 3]
    # Curves end at the clips and at the blank input, which is the same for all orders.
    for order in ("top", "least", "random", "matched"):
        added, removed = cell["curves"][f"add {order}"], cell["curves"][f"remove {order}"]
        assert [row[0] for row in added] == pytest.approx([row[-1] for row in removed])
        assert [row[-1] for row in added] == pytest.approx([row[0] for row in removed])
        assert added[2][0] == 0 and added[2][-1] == 1


def test_a_whole_record_of_discovered_concepts_is_small_enough(toy):
    record = json.loads(toy.read_text())
    cell = deepcopy(record["cells"][0])
    for one in cell["classes"].values():  # as long as they get
        one["concepts"] = [[0.987, -0.00123, 0.123]] * 15
        names = ("evidence", *found_concepts.OBJECTS[:4])
        one["agreement"] = {name: [-0.12] * 6 + [0.123] for name in names}
        one["verdicts"] = {"towards": 3, "away": 3, "chance": 3, "not separated": 6}
        one["decides"] = ["person", "racket"]
        one["checks"] = dict.fromkeys(one["checks"], (False, False))
        one["differences"] = {name: [-0.123] * 6 for name in one["differences"]}
    for one in cell["pooled"].values():
        one["differences"] = {name: [-0.123] * 6 for name in one["differences"]}
    cell["steps"] = [0, 1, 2, 3, 4, 5, 10, 15]
    cell["curves"] = {name: [[0.12] * 8] * 3 for name in cell["curves"]}
    record["cells"] = [cell | vars(one) for one in found_concepts.ALL]
    out = toy.with_name("whole.json")
    found_concepts.write(record, out)
    assert json.loads(out.read_text())["missing"] == []
    assert out.stat().st_size < 195_000


def test_a_second_call_discovers_nothing_anew(toy, monkeypatch):
    before = toy.read_text()
    monkeypatch.setattr(found_concepts, "network", lambda *_, **__: blocks.model())
    monkeypatch.delattr(found_concepts, "compute")
    monkeypatch.delattr(found_concepts, "material")
    _discovered(toy)
    assert toy.read_text() == before


def test_concepts_of_other_weights_or_options_are_not_mixed_in(toy, tmp_path, monkeypatch):
    copy = tmp_path / "copy.json"
    record = json.loads(toy.read_text())
    copy.write_text(json.dumps(record))
    model = replace(blocks.model(), digest="anew" * 16)
    monkeypatch.setattr(found_concepts, "network", lambda *_, **__: model)
    monkeypatch.setattr(found_concepts, "material", lambda *_: None)
    found = {key: v for key, v in record["cells"][0].items() if key not in vars(LEFT)}
    given = {"digest": "anew" * 4}
    monkeypatch.setattr(found_concepts, "compute", lambda *_, **__: found | given)
    digests = [cell["digest"] for cell in _discovered(copy)["cells"]]
    assert digests == ["anew" * 4, "0" * 16]
    with pytest.raises(InputError, match=r"copy\.json: was made with .*'groups': 4"):
        _discovered(copy, options=found_concepts.Options())


def test_a_network_without_weights_is_said_to_be_missing(tmp_path, capsys):
    record = _discovered(tmp_path / "none.json", (replace(LEFT, seed=1),))
    assert not record["cells"] and len(record["missing"]) == len(found_concepts.ALL)
    assert "c3d motion seed 1, trained: no weights" in capsys.readouterr().out


@pytest.mark.parametrize(("task", "thing"), [("motion", "racket"), ("static", "ground")])
def test_material_is_of_all_classes_and_knows_what_decides(task, thing):
    model = zoo.load("stage_c3d", weights=task)
    few = replace(FEW, train=2, test=1)
    made = found_concepts.material(task, model, few)
    assert tuple(made.train) == model.labels and [*made.labels] == [*model.labels]
    clips = [*made.test, *(clip for some in made.train.values() for clip in some)]
    assert len({clip.digest() for clip in clips}) == 9
    for label, masks in made.masks.items():
        assert masks["evidence"].shape == (2, 16, 64, 64)
        for name in {*made.decides[label]} - {"arms"}:  # which the person has
            assert not (masks[name] & ~masks["evidence"]).any()
        assert thing in made.decides[label] and masks["evidence"].any((1, 2, 3)).all()
        assert not (masks["evidence"] & masks["ball"]).any()
    with pytest.raises(InputError, match="where 10000 are wanted"):
        found_concepts.material(task, model, replace(few, train=10_000))


def _ordered():
    """A class of which everything is claimed rightly, by both quantities."""
    level = {"top": 0.9, "random": 0.6, "least": 0.3, "matched": 0.5}
    rows = {}
    for operation, sign in (("add", 1), ("remove", -1)):
        for pair in ("top - random", "top - matched"):
            gap = sorted([0.3 * sign, 0.1 * sign, 0.5 * sign])
            rows[f"{operation} {pair}"] = [gap[1], gap[0], gap[2]] * 2
    return {
        "areas": {
            f"{operation} {order}": [value if operation == "add" else 1 - value] * 2
            for operation in ("add", "remove")
            for order, value in level.items()
        },
        "differences": rows,
        "agreement": {"evidence": [0.6, 0.2, 0.9, 0.7, 0.3, 0.9, 0.1]},
    }


def test_the_claims_of_a_class_in_order():
    found = found_concepts.checks(_ordered())
    assert [*found] == [*found_concepts.CLAIMS] and all(v == [True, True] for v in found.values())


@pytest.mark.parametrize(
    ("table", "name", "place", "value", "broken"),
    [
        ("areas", "add random", 0, 0.95, ("add_order", 0)),
        ("areas", "add least", 1, 0.6, ("add_order", 1)),  # a draw is no order
        ("areas", "remove top", 0, 0.5, ("remove_order", 0)),
        ("differences", "add top - random", 1, 0.0, ("add_significant", 0)),
        ("differences", "add top - matched", 4, -0.1, ("add_matched", 1)),
        ("differences", "remove top - random", 2, 0.1, ("remove_significant", 0)),
        ("differences", "remove top - matched", 5, 0.0, ("remove_matched", 1)),
        ("agreement", "evidence", 0, 0.49, ("evidence", 0)),
        ("agreement", "evidence", 3, -0.9, ("evidence", 1)),
    ],
)
def test_each_claim_of_stce_is_broken_by_what_it_is_about(table, name, place, value, broken):
    one = deepcopy(_ordered())
    one[table][name][place] = value
    found = found_concepts.checks(one)
    wrong = [(check, k) for check, pair in found.items() for k in (0, 1) if not pair[k]]
    assert wrong == [broken]


def test_what_cannot_be_told_is_not_counted():
    one = deepcopy(_ordered())
    one["agreement"]["evidence"][:3] = [None] * 3
    one["checks"] = found_concepts.checks(one)
    assert one["checks"]["evidence"] == [None, True]
    cell = {"weights": "trained", "blank": ["a", 0.5], "classes": {"a": one, "b": one}}
    found = found_concepts.summary([cell])
    assert found["trained"]["checks"]["evidence"] == [0, 2, 0, 2]
    assert found["trained"]["median_rho"] == [None, 0.7]
    assert found["trained, not of a blank input"]["classes"] == 1
    assert found["random"]["median_rho"] == [None, None]


def test_a_trial_writes_elsewhere_and_random_weights_are_of_one_seed(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(found_concepts, "study", lambda cells, options, **k: calls.append(
        (cells, options, k)))  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(found_concepts.torch, "set_num_threads", lambda _: None)
        found_concepts.main(["--nets", "r3d", "--no-train", "--quick"])
        found_concepts.main(["--out", str(tmp_path / "a.json"), "--nets", "r3d"])
    (cells, options, trial), (_, standard, given) = calls
    assert options == found_concepts.QUICK and trial["out"] == found_concepts.TRIAL
    assert standard == found_concepts.Options() and given["out"] == tmp_path / "a.json"
    assert [str(cell) for cell in cells if cell.weights == "random"] == [
        "r3d motion seed 0, random",
        "r3d static seed 0, random",
    ]
    assert len(cells) == 8 and not trial["train"]
    assert given["run"]["command"] == "python studies/stce_planted.py --nets r3d"


def test_recorded_concepts_are_whole_and_of_the_shipped_weights():
    assert found_concepts.OUT.stat().st_size < 200_000
    record = json.loads(found_concepts.OUT.read_text())
    _check_discovered(record)
    assert record["options"] == vars(found_concepts.Options())
    for cell in record["cells"]:
        if cell["weights"] == "trained" and cell["seed"] == 0:
            model = zoo.load(f"stage_{cell['net']}", weights=cell["task"])
            assert cell["digest"] == model.digest[:16], f"{cell['net']} {cell['task']}"


# ---- planted evidence through every method -------------------------------------------------------

BLOB, NOISE = (board.Cell("r3d", 0, "trained", name) for name in ("centre blob", "random map"))
TWO = board.Options(count=2, few=2)


def _asked(out, cells=(BLOB, NOISE), options=TWO):
    return board.study(cells, options, out=out, run=RUN, folder=Path("nowhere"), train=False)


def _check_board(record):
    """The schema, as the script's docstring has it."""
    assert record["columns"] == board.COLUMNS and record["questions"] == board.QUESTIONS
    there = [records.identity(board.Cell, cell) for cell in record["cells"]]
    missing = [records.identity(board.Cell, cell) for cell in record["missing"]]
    assert {*there, *missing} == {*board.ALL} and len(there) + len(missing) == len(board.ALL)
    assert there == sorted(there, key=board.order)
    for cell in record["cells"]:
        assert record["runs"][cell["run"]].keys() == RUN.keys()
        assert cell["family"] == board.METHODS[cell["method"]].family
        assert cell["right"].keys() == {*board.TASKS}
        asked = [(row[0], row[1]) for row in cell["rows"]]
        assert len({*asked}) == len(asked) >= 1
        for _, _, value, low, high, n, seconds in cell["rows"]:
            assert seconds >= 0
            assert (value is None) == (n is None)
            assert value is None or 0 <= low <= value <= high <= 1
        failed = any(row[2] is None for row in cell["rows"])
        assert failed == ("failed" in cell)


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "board.json"
    _asked(out)
    return out


def test_a_board_has_a_cell_a_method_and_goes_on(blobs, capsys, monkeypatch):
    record = json.loads(blobs.read_text())
    _check_board(record)
    blob, noise = record["cells"] if record["cells"][0]["method"] == "centre blob" else (
        record["cells"][::-1])  # fmt: skip
    assert blob["digest"] == noise["digest"] and len(blob["rows"]) == 5
    assert [row[2] for row in blob["rows"] if row[1] in ("when", "what")] == [0.5, 0.5]
    before = blobs.read_text()
    monkeypatch.setattr(board, "ask", lambda *_, **__: pytest.fail("computed again"))
    _asked(blobs)
    assert blobs.read_text() == before
    with pytest.raises(InputError, match="was made with"):
        _asked(blobs, options=board.Options(count=3))


def test_a_board_leaves_out_networks_without_weights(tmp_path, capsys):
    record = _asked(tmp_path / "board.json", [replace(BLOB, seed=2)])
    assert not record["cells"] and "no weights" in capsys.readouterr().out


def test_dear_methods_explain_fewer_clips_and_come_last(tmp_path, monkeypatch):
    dear = replace(BLOB, method="RISE")
    assert board.ALL.index(dear) > board.ALL.index(replace(BLOB, seed=2))
    seen = {}

    def ask(name, trials, *, seed):
        seen[name] = [len(one.x) for one in trials]
        return [board.Line(name, "", "r3d", "motion", "where", None, 0.0, "not asked")]

    monkeypatch.setattr(board, "ask", ask)
    options = board.Options(count=3, few=1)
    record = _asked(tmp_path / "board.json", [dear, BLOB], options)
    assert seen == {"RISE": [1, 1, 1], "centre blob": [3, 3, 3]}
    assert all(cell["failed"] == "not asked" for cell in record["cells"])


def test_the_recorded_board_is_whole_and_of_the_shipped_weights():
    assert board.OUT.stat().st_size < 400_000
    record = json.loads(board.OUT.read_text())
    _check_board(record)
    assert record["options"] == vars(board.Options())
    shipped = {
        net: board.digest([zoo.load(f"stage_{net}", weights=task) for task in board.TASKS])
        for net in board.NETS
    }
    for cell in record["cells"]:
        if cell["weights"] == "trained" and cell["seed"] == 0:
            assert cell["digest"] == shipped[cell["net"]][:16], f"{cell['net']}: `make studies`"
