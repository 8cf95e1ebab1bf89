import numpy as np
import pytest
import torch
from torch import Tensor

from vxhelpers.attribution.gradcam import gradcam
from vxhelpers.attribution.registry import Method, attribute, find
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.evaluation.planted import Line, Trial, judge, ranking, trial
from vxhelpers.models import zoo
from vxhelpers.stats import Mean


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    rng = np.random.default_rng(0)
    tasks = ("motion", "static", "shortcut")
    return [trial(t, zoo.load("stage_c3d", weights=t), count=6, rng=rng) for t in tasks]


def right(one: Trial) -> Method:
    """An oracle of a network's own trial: the evidence, and no relevance where nothing moves."""

    def maps(model, x, *, target, rng) -> Tensor:
        known = torch.from_numpy(one.evidence).float() + 1e-3
        if one.kind != "motion":
            return known
        change = x.diff(dim=2).abs().amax((1, 3, 4))
        moves = torch.cat([change[:, :1], change], 1)
        return known * (moves > 0)[:, :, None, None]

    return Method("oracle", "right", maps)


def random(model, x, *, target, rng) -> Tensor:
    return torch.from_numpy(rng.standard_normal((len(x), *x.shape[2:])))


def cam(model, x, *, target, rng) -> Tensor:
    return gradcam(model, x, target=target)


# methods, right and wrong


def test_trials_know_their_evidence(trials) -> None:
    motion, _, shortcut = trials
    assert [one.kind for one in trials] == ["motion", "static", "background"]
    assert motion.x.shape == (6, 3, 16, 64, 64) and motion.evidence.shape == (6, 16, 64, 64)
    share = [one.evidence.mean() for one in trials]
    assert share[0] < 0.15 < 0.3 < min(share[1:])
    assert shortcut.target.tolist() == [shortcut.model.labels.index(n) for n in _labels(shortcut)]
    with pytest.raises(InputError, match="nothing was planted"):
        trial("tennis", zoo.load("stage_c3d", weights="tennis"), count=2, rng=_rng())
    with pytest.raises(UnknownNameError):
        trial("motoin", motion.model, count=2, rng=_rng())


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _labels(one: Trial) -> list[str]:
    return [one.model.labels[i] for i in one.target.tolist()]


def test_an_oracle_is_right_and_chance_is_chance(trials) -> None:
    for one in trials:
        (line, *_) = judge(right(one), [one], rng=_rng())
        assert line.question == "where" and line.score.value == 1
    motion = trials[0]
    lines = {line.question: line.score for line in judge(right(motion), [motion], rng=_rng())}
    assert lines["when"].value > 0.99
    found = judge(Method("random", "wrong", random), trials, rng=_rng())
    assert [line.question for line in found] == ["where", "when", "where", "where", "what"]
    for line in found:
        assert line.score.low - 0.02 <= 0.5 <= line.score.high + 0.02, line


def test_grad_cam_names_the_evidence_of_a_network_that_learned_it(trials) -> None:
    found = judge(Method("Grad-CAM", "maps", cam), trials, rng=_rng())
    told = {(line.task, line.question): line for line in found}
    assert told["motion", "where"].score.low > 0.5 and told["motion", "what"].score.low > 0.5
    assert all(line.seconds > 0 and not line.failed for line in found)


@pytest.mark.parametrize(
    ("returns", "why"),
    [
        (lambda x: torch.ones(len(x), 2, 2), r"returned \(6, 2, 2\) where maps are a tensor"),
        (lambda x: np.ones((6, 16, 64, 64)), "returned ndarray where"),
        (lambda x: torch.full((6, 16, 64, 64), torch.nan), "NaN or infinity in the map of clip 0"),
        (lambda x: torch.zeros(6, 16, 64, 64), "the map of clip 0 is 0 everywhere"),
        (lambda x: x.no_such_thing, "AttributeError: .*no_such_thing"),
    ],
)
def test_a_method_that_fails_is_named_and_the_board_goes_on(trials, returns, why) -> None:
    bad = Method("bad", "yours", lambda model, x, *, target, rng: returns(x))
    with pytest.raises(InputError, match=f"bad: {why}"):
        attribute(bad, trials[0].model, trials[0].x, target=trials[0].target, rng=_rng())
    lines = judge(bad, trials, rng=_rng())
    assert len(lines) == 3
    assert all(line.score is None and line.failed.startswith("bad: ") for line in lines)


def test_running_out_of_memory_is_a_failure_that_says_what_to_do_and_others_go_on(trials) -> None:
    def hungry(model, x, *, target, rng) -> Tensor:
        def full(_net, _inputs) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory")

        with model.net.register_forward_pre_hook(full):
            return gradcam(model, x, target=target)

    methods = [Method("hungry", "wrong", hungry), Method("cam", "right", cam)]
    bad, good = (judge(method, trials[:1], rng=_rng()) for method in methods)
    assert bad and all(line.score is None for line in bad)
    assert "a batch of 6 does not fit in memory: try batch_size=3" in bad[0].failed
    assert "16 frames of 64x64" in bad[0].failed
    assert good and not any(line.failed for line in good)


def test_a_method_that_fails_late_keeps_what_it_answered(trials) -> None:
    calls = []

    def brittle(model, x, *, target, rng):
        calls.append(len(x))
        if len(calls) > 2:
            raise ValueError("no more")
        return random(model, x, target=target, rng=rng)

    lines = judge(Method("brittle", "yours", brittle), trials[:1], rng=_rng())
    assert [(line.question, bool(line.failed)) for line in lines] == [
        ("where", False),
        ("when", True),
    ]


def test_a_map_of_a_still_clip_may_be_empty(trials) -> None:
    def movement(model, x, *, target, rng):
        return torch.nn.functional.pad(x.diff(dim=2), (0, 0, 0, 0, 1, 0)).abs().sum(1)

    lines = judge(Method("movement", "wrong", movement), trials[:2], rng=_rng())
    assert not any(line.failed for line in lines)
    told = {(line.task, line.question): line.score.value for line in lines}
    assert told["motion", "when"] == 1 and told["motion", "what"] == 0.5  # it never saw the network


def test_failures_count_as_no_skill() -> None:
    def line(method: str, value: float | None) -> Line:
        score = None if value is None else Mean(value, value, value, 5)
        return Line(method, "", "net", "task", "where", score, 0.0)

    lines = [line("a", 0.9), line("a", None), line("b", 0.8), line("b", 0.7), line("c", 0.4)]
    lines += [line("c", 0.5), line("d", 0.3)]
    assert [(name, round(mean.value, 2)) for name, mean in ranking(lines)] == [
        ("b", 0.5),
        ("a", 0.4),
        ("c", -0.1),
        ("d", -0.4),
    ]
    assert ranking(lines)[-1][1].n == 1


def test_a_method_of_ones_own_is_found_by_name(tmp_path, monkeypatch) -> None:
    source = "def mine(model, x, *, target, rng): ...\ndef other(x): ...\n"
    (tmp_path / "my_own_methods.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find("my_own_methods:mine").name == "mine"
    for name, why in {
        "my_own_methods": "is named as my_module:my_method",
        "my_own_methods:none": "no attribute 'none'",
        "no_such_module:mine": "No module named",
        "my_own_methods:other": r"takes \(model, x, \*, target, rng\)",
    }.items():
        with pytest.raises(InputError, match=why):
            find(name)
