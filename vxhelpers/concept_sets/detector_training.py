"""Train the detector of the stage on rendered scenes, whose boxes are known."""

import json
import random
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors.torch import save_file

from vxhelpers.concept_sets.detector import load_detector
from vxhelpers.concept_sets.detector_metrics import measure, truth
from vxhelpers.concept_sets.yolo import keeping_environment, keeping_threads, library, narrow_net
from vxhelpers.data import provenance, stage
from vxhelpers.data.stage.scene import INSTANCES, Scene
from vxhelpers.errors import InputError
from vxhelpers.io.files import replacing, sha256

DEPTH, WIDTH, FINEST = 0.33, 0.125, 4  # shares of YOLO11's layers and channels; finest grid
BATCH = 16
_A_SCENE = 2  # frames taken of one scene
_OPTIONS: dict[str, Any] = {  # of ultralytics' trainer; a mosaic would halve balls of five pixels
    "optimizer": "AdamW",
    "lr0": 0.0015,
    "lrf": 0.01,
    "momentum": 0.9,
    "weight_decay": 0.0005,
    "warmup_epochs": 0.5,
    "warmup_bias_lr": 0.0,
    "cos_lr": True,
    "nbs": BATCH,
    "batch": BATCH,
    "mosaic": 0.0,
    "close_mosaic": 0,
    "scale": 0.3,
    "translate": 0.1,
    "fliplr": 0.5,
    "hsv_h": 0.02,
    "hsv_s": 0.5,
    "hsv_v": 0.3,
}


def train_detector(
    out: str | Path,
    *,
    images: int = 8000,
    epochs: int = 8,
    image_size: int = 224,
    seed: int = 0,
    threads: int | None = None,
    scenes: int = 200,
    command: str = "",
    progress: bool = True,
) -> dict[str, Any]:
    """Train a small detector on scenes of all tasks; write ``out`` (safetensors) and its card.

    The training split's scenes train, the validation split's choose the epoch, and the card's
    figures are those of the written file, read back, on the test split: other subjects.

    Parameters
    ----------
    out
        The weights file; the card lies beside it, with the ending ``.json``.
    images
        Training pictures, two of a scene at most; an eighth as many validate.
    epochs
        Times that each is seen.
    image_size
        Height and width in pixels that pictures are fitted into, a multiple of 32.
    seed
        Of the initial weights, the choice of frames, their order and augmentation.
    threads
        Processor threads; torch's own number unless told.
    scenes
        Scenes of the test split that the card's figures come from.
    command
        The command line, for the card.
    progress
        Show a bar.

    Returns
    -------
    dict
        The card.

    Raises
    ------
    InputError
        If ultralytics isn't installed, or a number is out of range.
    """
    if images < 16 or epochs < 1 or scenes < 1 or image_size < 32 or image_size % 32:
        raise InputError(
            "images must be 16 or more, epochs and scenes 1 or more, image_size a multiple of 32; "
            f"not {images}, {epochs}, {scenes}, {image_size}"
        )
    library()
    out = Path(out).with_suffix(".safetensors")
    started, labels = time.perf_counter(), INSTANCES
    counts: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory(prefix="vx-detector-") as folder, _keeping_state():
        for split, number in (("train", images), ("val", max(8, images // 8))):
            counts[split] = _write_pictures(
                Path(folder), split, number, seed=seed, progress=progress
            )
        net, history = _fit(
            Path(folder),
            labels,
            epochs=epochs,
            image_size=image_size,
            seed=seed,
            threads=threads or torch.get_num_threads(),
            progress=progress,
        )
    facts = {
        "detector": "YOLO11",
        "labels": list(labels),
        "depth": DEPTH,
        "width": WIDTH,
        "finest": FINEST,
        "image_size": image_size,
        "parameters": sum(p.numel() for p in net.parameters()),
        "tasks": list(stage.TASKS),
        "images": {"train": images, "val": max(8, images // 8)},
        "boxes": counts,
        "epochs": epochs,
        "options": _OPTIONS,
        "seed": seed,
        "command": command,
        "commit": provenance.commit(),
        "hardware": provenance.hardware(),
        "versions": {**provenance.versions(), "ultralytics": library().__version__},
        "train_seconds": round(time.perf_counter() - started, 1),
        **history,
    }
    _save(net, out, facts)
    found = load_detector(out, device="cpu")
    card = {
        **facts,
        "file": {"name": out.name, "bytes": out.stat().st_size, "sha256": sha256(out)},
        "test": measure(found, _bar(_scenes("test", scenes), "measure", progress)),
    }
    with replacing(out.with_suffix(".json")) as temporary:
        text = json.dumps(card, indent=1, allow_nan=False, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return card


@contextmanager
def _keeping_state() -> Iterator[None]:
    """Give back what the trainer sets for the process: generators, variables, threads."""
    plain, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with keeping_environment(), keeping_threads(), torch.random.fork_rng():
            yield
    finally:
        random.setstate(plain)
        np.random.set_state(legacy)  # noqa: NPY002


def _scenes(split: str, count: int) -> Iterator[Scene]:
    """So many scenes of a split, the tasks in turns."""
    tasks = list(stage.TASKS)
    for number in range(count):
        turn, which = divmod(number, len(tasks))
        yield stage.render(tasks[which], split, turn)


def _write_pictures(
    folder: Path, split: str, count: int, *, seed: int, progress: bool
) -> dict[str, int]:
    """Write pictures and their boxes as ultralytics reads them; return the boxes of each label."""
    rng = np.random.default_rng([seed, len(split)])
    for kind in ("images", "labels"):
        (folder / kind / split).mkdir(parents=True)
    counts = dict.fromkeys(INSTANCES, 0)
    tasks = list(stage.TASKS)
    for number in _bar(range(-(-count // _A_SCENE)), f"render {split}", progress):
        turn, which = divmod(number, len(tasks))
        chosen = np.sort(rng.choice(stage.FRAMES, _A_SCENE, replace=False))
        scene = stage.render(tasks[which], split, turn, frames=int(chosen[-1]) + 1)
        true = truth(scene)
        for frame in chosen[: count - number * _A_SCENE]:
            name = f"{number:05d}_{frame:02d}"
            picture = np.ascontiguousarray(scene.clip.frames[frame][..., ::-1])
            cv2.imwrite(str(folder / "images" / split / f"{name}.png"), picture)
            height, width = picture.shape[:2]
            lines = []
            for place, box in true[frame]:
                counts[INSTANCES[place]] += 1
                middle, sides = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
                values = np.concatenate([middle, sides]) / [width, height, width, height]
                lines.append(" ".join([str(place), *(f"{value:.6f}" for value in values)]))
            text = "".join(f"{line}\n" for line in lines)
            (folder / "labels" / split / f"{name}.txt").write_text(text, encoding="ascii")
    return counts


def _fit(
    folder: Path,
    labels: Sequence[str],
    *,
    epochs: int,
    image_size: int,
    seed: int,
    threads: int,
    progress: bool,
) -> tuple[Any, dict[str, Any]]:
    """Train in ultralytics, all its files in ``folder``; return the best net and the curves."""
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.nn.tasks import torch_safe_load

    class Trainer(DetectionTrainer):  # type: ignore[misc]
        def get_dataset(self) -> dict[str, Any]:
            # The library's own checks a YAML file and looks for a font to download.
            return {
                "path": folder,
                "train": str(folder / "images" / "train"),
                "val": str(folder / "images" / "val"),
                "names": dict(enumerate(labels)),
                "nc": len(labels),
                "channels": 3,
            }

        def get_model(self, *args: Any, **kwargs: Any) -> Any:
            return narrow_net(tuple(labels), depth=DEPTH, width=WIDTH, finest=FINEST)

        def final_eval(self) -> None:
            """Nothing: the written file is measured instead."""

    curves: list[dict[str, float]] = []
    trainer = Trainer(
        overrides={
            **_OPTIONS,
            "model": "yolo11.yaml",
            "task": "detect",
            "data": "stage",
            "epochs": epochs,
            "patience": epochs,
            "imgsz": image_size,
            "seed": seed,
            "project": str(folder / "runs"),
            "name": "train",
            "device": "cpu",
            "workers": 0,
            "cache": "ram",
            "amp": False,
            "plots": False,
            "verbose": False,
        }
    )
    bar = _bar(range(epochs * -(-_count(folder) // BATCH)), "train", progress, unit="batch")
    steps = iter(bar)

    def note(trainer: Any) -> None:
        row = {name: float(value) for name, value in trainer.tloss.items()}
        row |= {_short(k): float(v) for k, v in trainer.metrics.items() if "metrics/" in k}
        curves.append({name: round(value, 5) for name, value in row.items()})
        if progress:
            bar.set_postfix_str(f"mAP50 {curves[-1]['mAP50']:.3f}")

    trainer.add_callback("on_train_start", lambda _: torch.set_num_threads(threads))
    trainer.add_callback("on_train_batch_start", lambda _: next(steps, None))
    trainer.add_callback("on_fit_epoch_end", note)
    trainer.train()
    next(steps, None)  # the bar's end
    content, _ = torch_safe_load(str(trainer.best), safe_only=True)
    net = (content.get("ema") or content["model"]).float().eval()
    best = max(range(len(curves)), key=lambda place: curves[place]["mAP50-95"])
    return net, {"best_epoch": best + 1, "curves": curves}


def _count(folder: Path) -> int:
    return sum(1 for _ in (folder / "images" / "train").iterdir())


def _short(name: str) -> str:
    """``metrics/mAP50(B)`` as ``mAP50``."""
    return name.split("/")[-1].removesuffix("(B)")


def _save(net: Any, out: Path, facts: Mapping[str, Any]) -> None:
    """Write the weights in float16, with all that :func:`load_detector` needs to build the net."""
    state = {
        name: value.half().contiguous() if value.is_floating_point() else value.contiguous()
        for name, value in net.state_dict().items()
    }
    plan = {name: facts[name] for name in ("labels", "depth", "width", "finest", "image_size")}
    facts = {"detector": json.dumps(plan)} | {
        k: str(facts[k]) for k in ("command", "seed", "commit")
    }
    with replacing(out) as temporary:
        save_file(state, temporary, metadata=facts)


def _bar(items: Iterable[Any], text: str, progress: bool, unit: str = "scene") -> Any:
    if not progress:
        return items
    from tqdm import tqdm

    return tqdm(items, desc=text, unit=unit, mininterval=0.5)
