"""The library in bounds: what it leaves behind, what it may read, what is missing."""

import builtins
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vxhelpers.concept_sets import yolo
from vxhelpers.concept_sets.detector import load_detector
from vxhelpers.errors import InputError, WeightsError


def test_a_fine_net_looks_on_finer_grids_and_is_small():
    usual, fine = (yolo.narrow_net(("a", "b"), depth=0.33, width=0.125, finest=k) for k in (8, 4))
    assert usual.stride.tolist() == [8, 16, 32] and fine.stride.tolist() == [4, 8, 16]
    assert fine.names == {0: "a", 1: "b"}
    assert sum(p.numel() for p in fine.parameters()) < 500_000
    with torch.no_grad():
        boxes, _ = fine.eval()(torch.zeros(1, 3, 64, 96))
    assert boxes.shape == (1, 4 + 2, 24 * 16 + 12 * 8 + 6 * 4)


def test_the_environment_is_given_back():
    before = dict(os.environ)
    with pytest.raises(KeyError), yolo.keeping_environment():
        os.environ["VX_NEW"] = "1"
        os.environ["VX_CACHE"] = "elsewhere"
        raise KeyError
    assert dict(os.environ) == before


def test_without_the_extra_the_remedy_is_named(monkeypatch):
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "ultralytics":
            raise ModuleNotFoundError("No module named 'ultralytics'")
        return original(name, *args, **kwargs)

    for name in [n for n in sys.modules if n.split(".")[0] == "ultralytics"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'vxhelpers\[concepts\]'"):
        yolo.library()


def test_the_library_leaves_nothing_behind(tmp_path):
    """In a fresh process what an import of ultralytics would change is as it was."""
    script = (
        "import os, torch, cv2, numpy as np\n"
        "torch.set_num_threads(3); cv2.setNumThreads(2); np.set_printoptions(precision=5)\n"
        "before = dict(os.environ), torch.save, cv2.getNumThreads(), np.get_printoptions()\n"
        "from vxhelpers.concept_sets.yolo import library\n"
        "assert library().__version__ and library() is library()\n"
        "assert before == (dict(os.environ), torch.save, cv2.getNumThreads(), "
        "np.get_printoptions())\n"
        "from ultralytics.utils import AUTOINSTALL, ONLINE, USER_CONFIG_DIR\n"
        "print(AUTOINSTALL, ONLINE, USER_CONFIG_DIR, torch.get_num_threads())\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path,
        env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    place = Path(os.environ["VX_CACHE"], "ultralytics/Ultralytics")
    assert done.stdout == f"False False {place} 3\n" and not done.stderr
    assert not list(tmp_path.iterdir())


class _Harm:
    def __reduce__(self):
        return os.mkdir, (f"{os.environ['VX_CACHE']}/harm",)


def test_a_checkpoint_runs_nothing_of_its_own(tmp_path):
    torch.save({"model": _Harm()}, tmp_path / "harm.pt")
    with pytest.raises(WeightsError, match=r"harm.pt: damaged, or not a checkpoint"):
        load_detector(tmp_path / "harm.pt")
    assert not Path(os.environ["VX_CACHE"], "harm").exists()


def test_a_missing_detector_says_which_file_to_put_where(tmp_path, monkeypatch):
    from ultralytics.utils import downloads

    def offline(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr(downloads, "safe_download", offline)
    monkeypatch.setenv("VX_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"yolo11n.pt is not on this machine.*no network") as e:
        load_detector("yolo11n.pt")
    assert f"put yolo11n.pt into {tmp_path} or {os.environ['VX_CACHE']}/detectors" in str(e.value)
    with pytest.raises(WeightsError, match=r"mine.pt: no such file, nor does ultralytics publish"):
        load_detector("mine.pt")
    with pytest.raises(WeightsError, match=r"gone/best.pt: no such detector; name 'stage'"):
        load_detector(tmp_path / "gone/best.pt")
    assert not list(tmp_path.iterdir())
