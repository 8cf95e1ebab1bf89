"""The networks of a study: the shipped ones, and those of other training seeds."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from vxhelpers.data.datasets import open_data
from vxhelpers.errors import InputError
from vxhelpers.models import zoo

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "build" / "studies" / "weights"


class Cell(Protocol):
    """One network, seed and task, with trained or random weights."""

    @property
    def net(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def weights(self) -> str: ...


def network(cell: Cell, folder: Path, *, train: bool) -> zoo.Model | None:
    """The network of a cell; None where its weights are missing and are not to be trained."""
    if cell.weights == "random":
        labels = open_data(f"stage:{cell.task}").labels
        return zoo.load(f"stage_{cell.net}", weights="random", labels=labels, seed=cell.seed)
    path = weights_of(cell.net, cell.task, cell.seed, folder, train=train)
    return zoo.load(f"stage_{cell.net}", weights=path) if path else None


def weights_of(net: str, task: str, seed: int, folder: Path, *, train: bool) -> Path | None:
    """The weights file of a network, trained now where it is missing (if ``train``)."""
    shipped = zoo.SHIPPED / f"stage_{net}-{task}.safetensors"
    if seed == 0:
        return shipped
    path = folder / f"stage_{net}-{task}-s{seed}.safetensors"
    if path.exists():
        return path
    if not train:
        return None
    words = training(json.loads(shipped.with_suffix(".json").read_text())["command"], path, seed)
    if "--init" in words:  # from the same seed's weights of the task that the shipped ones are from
        place = words.index("--init") + 1
        before = Path(words[place]).stem.partition("-")[2]
        start = weights_of(net, before, seed, folder, train=True)
        words[place] = str(start)
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "vxhelpers.cli", *words], check=True, cwd=ROOT)
    return path


def training(command: str, out: Path, seed: int) -> list[str]:
    """A card's command without its first word, writing to ``out``, with another seed."""
    words = shlex.split(command)
    if words[:2] != ["vx", "train"] or "--out" not in words or "--seed" in words:
        raise InputError(f"not the command of shipped weights: {command}")
    words[words.index("--out") + 1] = str(out)
    return [*words[1:], "--seed", str(seed)]
