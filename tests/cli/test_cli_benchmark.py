import json

import pytest
from typer.testing import CliRunner

from vxhelpers.cli import app, benchmark
from vxhelpers.evaluation import planted_concepts
from vxhelpers.evaluation.planted import Line
from vxhelpers.evaluation.planted_concepts import Entrant
from vxhelpers.stats import Mean

OWN = """
import torch
calls = []
def constant(model, x, *, target, rng):
    calls.append(len(x))
    return torch.ones(len(x), *x.shape[2:])
def broken(model, x, *, target, rng):
    raise ValueError("no <b>bold</b> [red] idea")
"""


def vx(*words: str):
    found = CliRunner().invoke(app, ["benchmark", *words], env={"COLUMNS": "200"})
    return found.exit_code, found.output


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_methods.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_board_with_a_method_of_ones_own_goes_on_where_it_was(own, monkeypatch) -> None:
    out = own / "board.json"
    few = [
        "--net",
        "c3d",
        "--count",
        "2",
        "--task",
        "motion",
        "--task",
        "static",
        "--out",
        str(out),
    ]
    words = [*few, "--method", "centre blob", "--method", "own_methods:constant"]
    code, text = vx(*words)
    assert code == 0, text
    assert "centre blob" in text and "constant" in text and "+0.00" in text
    record = json.loads(out.read_text())
    assert record["options"] == {"tasks": ["motion", "static"], "count": 2, "seed": 0}
    questions = [(line["method"], line["question"]) for line in record["lines"]]
    each = ["where", "when", "where", "what"]
    assert questions == [(name, q) for name in ("centre blob", "constant") for q in each]

    before = benchmark._judged
    judged = []
    monkeypatch.setattr(
        benchmark, "_judged", lambda one, *rest: judged.append(one.name) or before(one, *rest)
    )
    assert vx(*words, "--method", "own_methods:broken")[0] == 0
    assert judged == ["constant", "broken"], "one's own may have changed; named ones have not"
    lines = json.loads(out.read_text())["lines"]
    assert [bool(line["failed"]) for line in lines] == [False] * 8 + [True] * 2


def test_a_failed_method_is_shown_literally_and_scored_as_failed(own) -> None:
    code, text = vx("--net", "c3d", "--count", "2", "--task", "motion", "--method",
                    "own_methods:broken")  # fmt: skip
    assert code == 0 and "failed" in text
    assert "broken: ValueError: no <b>bold</b> [red] idea" in text


def test_what_is_there_is_listed() -> None:
    code, text = vx("--list")
    assert code == 0 and "integrated gradients  gradients" in text
    assert "centre blob  network-independent" in text


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--method", "GradCAM"], "did you mean 'Grad-CAM"),
        (["--method", "nothing:here"], "No module named 'nothing'"),
        (["--net", "x3d"], "stage_x3d: no weights of motion, static, shortcut are shipped"),
        (["--net", "swin3d", "--task", "shortcut"], "stage_swin3d: no weights of shortcut"),
    ],
)
def test_what_does_not_exist_is_named(words, why) -> None:
    code, text = vx(*words, "--count", "2")
    assert code == 1 and why in text


def test_a_file_of_other_options_or_none_of_ours_is_kept(tmp_path) -> None:
    out = tmp_path / "board.json"
    out.write_text(json.dumps({"options": {"count": 3}, "lines": []}))
    code, text = vx("--out", str(out), "--method", "centre blob")
    assert code == 1 and "was made with {'count': 3}" in text
    out.write_text("[1]")
    code, text = vx("--out", str(out), "--method", "centre blob")
    assert code == 1 and "not a leaderboard of vx benchmark" in text and out.read_text() == "[1]"


def test_methods_of_concepts_take_part_by_name_and_stand_apart(own, monkeypatch) -> None:
    """Two answers where maps give four: below the others, whatever their mean."""
    asked = []

    def answers(trials, *, rng):
        asked.append([one.task for one in trials])
        net = trials[0].model.entry.name
        return [Line("Video-TCAV", "concepts", net, "motion", q, Mean(1, 1, 1, 2), 0.1)
                for q in ("where", "what")]  # fmt: skip

    tcav = Entrant("Video-TCAV", "concepts", answers)
    monkeypatch.setitem(planted_concepts.ENTRANTS, "Video-TCAV", tcav)
    few = ["--net", "c3d", "--count", "2", "--task", "motion", "--task", "static"]
    code, text = vx(*few, "--method", "Video-TCAV", "--method", "centre blob")
    assert code == 0 and asked == [["motion", "static"]], text
    rows = [line.split() for line in text.splitlines()]
    (head,) = (i for i, row in enumerate(rows) if row[:1] == ["method"])
    below = enumerate(rows[head:], head)
    named = [i for i, row in below if row[:1] in (["centre"], ["Video-TCAV"])]
    assert [rows[i][0] for i in named] == ["centre", "Video-TCAV"]
    assert "4" in rows[named[0]] and "2" in rows[named[1]] and "+1.00" in rows[named[1]]
    assert "concepts" in vx("--list")[1]


def test_the_old_name_of_the_command_is_answered_with_the_new_one() -> None:
    done = CliRunner().invoke(app, ["evidence", "--list"])
    assert done.exit_code == 1 and "vx evidence was renamed to vx benchmark" in done.output
