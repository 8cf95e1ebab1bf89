"""On another device the same comes out, as far as a machine without one can tell."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vxhelpers.errors import InputError
from vxhelpers.models import zoo
from vxhelpers.models.zoo import default_device

SCRIPT = Path(__file__).with_name("second_device.py")


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> dict[str, dict[str, object]]:
    """Of a process of its own: torch has a second device from then on."""
    environment = {**os.environ, "VX_CACHE": str(tmp_path_factory.mktemp("cache"))}
    done = subprocess.run([sys.executable, SCRIPT], env=environment, capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines, done.stderr
    return {one["question"]: one for one in lines}


@pytest.mark.slow
def test_all_answers_are_the_same_elsewhere(answers) -> None:
    assert {"Grad-CAM", "kernel SHAP", "deep Taylor", "Video-TCAV", "STCE"} <= set(answers)
    assert len(answers) >= 20
    wrong = [one for one in answers.values() if not one.get("differs", 1) <= 1e-6]  # or NaN
    assert not wrong


TWO = """
import sys
sys.path.insert(0, {folder!r})
import numpy as np, torch
from second_device import NAME, second_device

with second_device():
    there = torch.ones(3, device=NAME)
    assert there.device.type == NAME and (there + 1).device.type == NAME
    assert (there * 2).cpu().numpy().tolist() == [2, 2, 2] == (2 * there).tolist()
    there[1] = 5
    assert f"{{there[1]:.1f}}" == "5.0" and there.cpu().tolist() == [1, 5, 1]
    mistakes = lambda: there + torch.ones(3), lambda: there.numpy(), lambda: np.asarray(there)
    for mistake in mistakes:
        try:
            mistake()
        except (RuntimeError, TypeError):
            continue
        sys.exit("a mistake went through")
"""


def test_the_second_device_does_not_forgive_what_a_gpu_does_not() -> None:
    text = TWO.format(folder=str(SCRIPT.parent))
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_networks_go_where_there_is_a_gpu_or_where_they_are_told(monkeypatch) -> None:
    monkeypatch.delenv("VX_DEVICE")
    for there, wanted in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert default_device() == torch.device(wanted)
    monkeypatch.setenv("VX_DEVICE", "meta")
    assert zoo.load("stage_r3d", weights="random", device="cpu").device.type == "cpu"
    assert default_device().type == "meta"
    monkeypatch.setenv("VX_DEVICE", "cuda:99")
    with pytest.raises(InputError, match=r"device cuda:99: .*VX_DEVICE says which"):
        zoo.load("stage_r3d", weights="random")
    monkeypatch.setenv("VX_DEVICE", "gpu number one")
    with pytest.raises(InputError, match="VX_DEVICE=gpu number one: cpu, cuda"):
        zoo.load("stage_r3d", weights="random")
