"""The loop learns, resumes to the bit, keeps the best epoch, and says what is wrong."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import learning
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vxhelpers.errors import InputError, NotFiniteError, WeightsError
from vxhelpers.models import zoo
from vxhelpers.models.evaluate import accuracy, predict
from vxhelpers.models.training import loop
from vxhelpers.models.training.clip_set import ClipSet
from vxhelpers.models.training.loop import Epoch, History, fit, warm_start

QUICK = learning.QUICK
KILLED = """
import os, signal, sys
import torch
import learning
from vxhelpers.models.training import loop

torch.set_num_threads(1)
steps = 0

def interrupt(value, where):
    if where == "epoch 3, step 2 of 4":
        os.kill(os.getpid(), signal.SIGKILL)
    return finite(value, where)

finite, loop._finite = loop._finite, interrupt
loop.fit(learning.model(), learning.bars(64, 0), learning.bars(16, 1), preset=learning.QUICK,
          seed=5, checkpoint_dir=sys.argv[1], progress=False)
"""


@pytest.fixture(autouse=True)
def one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def sets() -> tuple[ClipSet, ClipSet]:
    return learning.bars(64, 0), learning.bars(16, 1)


def same_weights(one: zoo.Model, other: zoo.Model) -> bool:
    a, b = one.net.state_dict(), other.net.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("changes", [{}, {"optimizer": "sgd", "lr": 0.1, "schedule": "cosine"}])
def test_learns_what_only_time_tells(
    sets: tuple[ClipSet, ClipSet], changes: dict[str, object]
) -> None:
    start = learning.model()
    untouched = zoo.digest(start.net)
    preset = replace(QUICK, epochs=8, **changes)  # type: ignore[arg-type]
    trained, history = fit(start, *sets, preset=preset, progress=False)
    unseen = learning.bars(40, 2)
    predictions = predict(trained, unseen.clips).argmax(1)
    assert accuracy(unseen.labels, predictions, 2).value >= 0.95
    assert history.epochs[-1].train_loss < history.epochs[0].train_loss
    assert zoo.digest(start.net) == untouched == start.digest
    assert trained.digest == zoo.digest(trained.net) != start.digest
    assert not trained.net.training


@pytest.mark.slow
def test_a_run_killed_in_an_epoch_ends_as_if_undisturbed(
    sets: tuple[ClipSet, ClipSet], tmp_path: Path
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]
    torch.manual_seed(99)  # the global state must not matter
    resumed, history = fit(
        learning.model(), *sets, preset=QUICK, seed=5, checkpoint_dir=tmp_path, progress=False
    )
    torch.manual_seed(7)
    whole, undisturbed = fit(learning.model(), *sets, preset=QUICK, seed=5, progress=False)
    assert history == undisturbed
    assert [epoch.epoch for epoch in history.epochs] == [1, 2, 3, 4]
    assert same_weights(resumed, whole)
    other, _ = fit(learning.model(), *sets, preset=QUICK, seed=6, progress=False)
    assert not same_weights(other, whole)


def test_a_finished_run_is_not_trained_again(
    sets: tuple[ClipSet, ClipSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, history = fit(
        learning.model(), *sets, preset=QUICK, checkpoint_dir=tmp_path, progress=False
    )
    monkeypatch.setattr(loop, "_train_epoch", None)
    again, read = fit(
        learning.model(), *sets, preset=QUICK, checkpoint_dir=tmp_path, progress=False
    )
    assert read == history and same_weights(first, again)


def test_global_random_state_is_left_alone(sets: tuple[ClipSet, ClipSet]) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    fit(learning.model(), *sets, preset=replace(QUICK, epochs=1), progress=False)
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"preset": replace(QUICK, lr=0.5)}, {"clips": 2}, {"start": 1}]
)
def test_a_checkpoint_of_another_run_is_refused(
    sets: tuple[ClipSet, ClipSet], tmp_path: Path, change: dict[str, int]
) -> None:
    preset = replace(QUICK, epochs=1)
    fit(learning.model(), *sets, preset=preset, checkpoint_dir=tmp_path, progress=False)
    options = {"preset": preset, "checkpoint_dir": tmp_path, "progress": False, **change}
    start = learning.model(seed=options.pop("start", 0))
    train_set = learning.bars(64, options.pop("clips", 0))
    with pytest.raises(InputError, match=r"last\.pt: checkpoint of another run.*--no-resume"):
        fit(start, train_set, sets[1], **options)
    fit(start, train_set, sets[1], resume=False, **options)


def test_a_damaged_checkpoint_is_named(sets: tuple[ClipSet, ClipSet], tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"half a check")
    with pytest.raises(WeightsError, match=r"last\.pt: not a readable checkpoint"):
        fit(learning.model(), *sets, preset=QUICK, checkpoint_dir=tmp_path, progress=False)


def test_best_epoch_is_kept_and_ties_go_to_lower_loss_then_later(
    sets: tuple[ClipSet, ClipSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = [(0.9, 0.7), (0.5, 0.8), (0.4, 0.8), (0.4, 0.8), (0.1, 0.6)]
    states: list[dict[str, Tensor]] = []

    def scripted(net: nn.Module, *_: object) -> tuple[float, float]:
        states.append({k: v.clone() for k, v in net.state_dict().items()})
        return figures[len(states) - 1]

    monkeypatch.setattr(loop, "_evaluate", scripted)
    trained, history = fit(learning.model(), *sets, preset=replace(QUICK, epochs=5), progress=False)
    assert history.best.epoch == 4
    assert all(torch.equal(v, states[3][k]) for k, v in trained.net.state_dict().items())
    assert not torch.equal(states[4]["0.weight"], states[3]["0.weight"])


def test_a_loss_that_is_not_finite_names_the_step_and_keeps_the_checkpoint(
    sets: tuple[ClipSet, ClipSet], tmp_path: Path
) -> None:
    class Breaks(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net, self.calls = net, 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += self.training
            return self.net(x) * (torch.nan if self.calls == 6 else 1)

    start = replace(learning.model(), net=Breaks(learning.model().net))
    with pytest.raises(NotFiniteError, match=r"nan in epoch 2, step 2 of 4: try a lower --lr"):
        fit(start, *sets, preset=QUICK, checkpoint_dir=tmp_path, progress=False)
    saved = torch.load(tmp_path / "last.pt", weights_only=True)
    assert [epoch["epoch"] for epoch in saved["epochs"]] == [1]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_out_of_memory_says_what_to_try(
    sets: tuple[ClipSet, ClipSet], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(*_: object) -> None:
        raise error

    monkeypatch.setattr(loop, "_train_epoch", run_out)
    with pytest.raises(InputError, match="out of memory with 16 clips a batch: try --batch 8"):
        fit(learning.model(), *sets, preset=QUICK, progress=False)


def test_other_runtime_errors_pass_through(
    sets: tuple[ClipSet, ClipSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(loop, "_train_epoch", fail)
    with pytest.raises(RuntimeError, match="mat1"):
        fit(learning.model(), *sets, preset=QUICK, progress=False)


def test_labels_of_the_data_must_be_the_models(sets: tuple[ClipSet, ClipSet]) -> None:
    named = learning.bars(16, 0, names=("right", "left"))
    with pytest.raises(InputError, match="the validation clips have the labels"):
        fit(learning.model(), sets[0], named, preset=QUICK, progress=False)


def test_a_class_without_training_clips_is_named(sets: tuple[ClipSet, ClipSet]) -> None:
    one_sided = sets[0].only(("left",))
    one_sided = replace(one_sided, names=learning.NAMES)
    with pytest.raises(InputError, match="no training clip of 'right'"):
        fit(learning.model(), one_sided, sets[1], preset=QUICK, progress=False)


def test_progress_shows_loss_and_accuracy(
    sets: tuple[ClipSet, ClipSet], capsys: pytest.CaptureFixture[str]
) -> None:
    fit(learning.model(), *sets, preset=replace(QUICK, epochs=1))
    shown = capsys.readouterr().err
    assert "epoch 1/1" in shown and "val_acc=" in shown and "loss=" in shown


def test_bfloat16_and_gradient_clipping_learn_too(sets: tuple[ClipSet, ClipSet]) -> None:
    preset = replace(QUICK, epochs=6, bf16=True, clip_norm=1.0, channels_last=False)
    _, history = fit(learning.model(), *sets, preset=preset, progress=False)
    assert history.best.val_accuracy >= 0.9


def test_clipping_bounds_the_first_sgd_step(sets: tuple[ClipSet, ClipSet]) -> None:
    preset = replace(
        QUICK, optimizer="sgd", schedule="step", lr=1.0, momentum=0.0, weight_decay=0.0,
        epochs=1, batch=64, clip_norm=1e-3,
    )  # fmt: skip
    start = learning.model()
    trained, _ = fit(start, *sets, preset=preset, progress=False)
    moved = [
        (after - before).flatten()
        for before, after in zip(start.net.parameters(), trained.net.parameters(), strict=True)
    ]
    assert torch.cat(moved).norm().item() == pytest.approx(1e-3, rel=1e-2)


def test_warm_start_keeps_the_head_only_where_labels_differ() -> None:
    source = learning.model(seed=1)
    same = warm_start(learning.model(seed=2), source)
    assert same_weights(same, source) and same.digest == source.digest
    fresh = learning.model(labels=("a", "b", "c"), seed=2)
    started = warm_start(fresh, source)
    taken, own = source.net.state_dict(), fresh.net.state_dict()
    for name, value in started.net.state_dict().items():
        expected = own[name] if name.startswith("8.") else taken[name]
        assert torch.equal(value, expected), name
    assert not torch.equal(started.net.state_dict()["0.weight"], own["0.weight"])


def test_warm_start_from_another_architecture_is_refused() -> None:
    other = replace(learning.model(), entry=zoo.ENTRIES["stage_c3d"], weights="kth.safetensors")
    with pytest.raises(WeightsError, match=r"kth\.safetensors: weights of 'stage_c3d' cannot"):
        warm_start(learning.model(), other)


def test_seconds_are_no_part_of_a_historys_identity() -> None:
    one, other = (History((Epoch(1, 0.1, 1.0, 0.5, 1.0, 0.5, seconds=s),)) for s in (1.0, 2.0))
    assert one == other and one.seconds == 1.0
    assert np.isclose(History(one.epochs * 2).seconds, 2.0)
