"""From a task to shipped weights: clip sets, training, and a card measured on what was written."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from vxhelpers.data import provenance
from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.io.cache import Store
from vxhelpers.io.files import sha256
from vxhelpers.models import zoo
from vxhelpers.models.training import dataset
from vxhelpers.models.training.clip_set import ClipSet
from vxhelpers.models.training.loop import fit, warm_start
from vxhelpers.models.training.modelcard import curves, measure, write_card
from vxhelpers.models.training.presets import PRESETS, Preset

if TYPE_CHECKING:
    from vxhelpers.data.datasets import DataSet
    from vxhelpers.data.manifest import Row

HELD_OUT = 0.15  # share of the training rows that validate where a manifest has no val split


@dataclass(frozen=True, eq=False)
class Sets:
    """The clip sets of a run: for training, for choosing the epoch, and every split to report."""

    train: ClipSet
    val: ClipSet
    report: Mapping[str, ClipSet]
    note: str = ""


def train_model(
    arch: str,
    data: str,
    out: str | Path,
    *,
    preset: Preset = PRESETS["quick"],
    clips: int | None = None,
    seed: int = 0,
    root: str | Path | None = None,
    labels: tuple[str, ...] | None = None,
    init: str | None = None,
    half: bool = True,
    device: str = "cpu",
    workers: int = 2,
    store: Store | None = None,
    checkpoint_dir: str | Path | None = None,
    resume: bool = True,
    command: str = "",
    progress: bool = True,
) -> dict[str, Any]:
    """Train an entry of the zoo on a data set; write ``out`` (safetensors) and its card (JSON).

    The accuracies in the card are measured on the file that was written, read back.

    Parameters
    ----------
    arch
        Name in the zoo.
    data, root
        ``"stage:<task>"``, or a manifest with splits ``train``, ``test`` and best ``val``, and the
        folder of its videos.
    out
        The weights file; the card lies beside it, with the ending ``.json``.
    preset
        The recipe.
    clips
        Training clips of a stage task; the task's standard size unless told.
    seed
        Of the initial weights, order and augmentation.
    labels
        Classes to learn, in this order; all of the data set's unless told.
    init
        Start from these weights: a file, the task of shipped weights, or ``"published"``.
    half
        Write float16.
    device, workers
        Where to train; processes that render or threads that decode.
    store
        Keeps rendered sets for the next run.
    checkpoint_dir, resume
        As in :func:`vxhelpers.models.training.loop.fit`; ``<out>.checkpoints`` unless told, removed
        at the end.
    command
        The command line, for the card.

    Returns
    -------
    dict
        The card.

    Raises
    ------
    UnknownNameError, InputError, NotFiniteError, VxError
        For names, labels, splits or values that cannot be used: see the parts it is made of.
    """
    if arch not in zoo.ENTRIES:
        raise UnknownNameError("model", arch, zoo.ENTRIES)
    entry, out = zoo.ENTRIES[arch], Path(out).with_suffix(".safetensors")
    if data.startswith("stage:"):
        make = partial(_stage_sets, count=clips, store=store)
    elif clips is not None:
        raise InputError(f"{data}: --clips is for stage tasks; a manifest says which clips")
    else:
        make = partial(_footage_sets, root=root, reach=preset.reach, seed=seed)
    sets = make(data, entry, labels=labels, workers=workers, progress=progress)
    model = zoo.load(arch, weights="random", labels=sets.train.names, seed=seed, device="cpu")
    if init is not None:
        source = zoo.load(arch, weights=None if init == "published" else init, device="cpu")
        model = warm_start(model, source)
    folder = Path(checkpoint_dir) if checkpoint_dir else out.with_suffix(".checkpoints")
    trained, history = fit(
        model,
        sets.train,
        sets.val,
        preset=preset,
        seed=seed,
        device=device,
        checkpoint_dir=folder,
        resume=resume,
        progress=progress,
    )
    facts = {
        "task": data,
        "arch": arch,
        "labels": list(model.labels),
        "parameters": sum(p.numel() for p in model.net.parameters()),
        "clips": {"train": sets.train.counts, **{k: s.counts for k, s in sets.report.items()}},
        "note": sets.note,
        "init": init or "random",
        "seed": seed,
        "preset": asdict(preset),
        "command": command,
        "commit": provenance.commit(),
        "hardware": provenance.hardware(),
        "device": device,
        "versions": provenance.versions(),
        "train_seconds": round(history.seconds, 1),
        **curves(history),
    }
    zoo.save(
        trained,
        out,
        metadata={k: facts[k] for k in ("task", "command", "seed", "commit")},
        dtype=torch.float16 if half else torch.float32,
    )
    written = zoo.load(arch, weights=out, device=device)
    card = {
        **facts,
        "file": {"name": out.name, "bytes": out.stat().st_size, "sha256": sha256(out)},
        **measure(written, sets.report, progress=progress),
    }
    write_card(card, out.with_suffix(".json"))
    if checkpoint_dir is None:
        (folder / "last.pt").unlink(missing_ok=True)
        folder.rmdir()
    return card


def _stage_sets(
    data: str,
    entry: zoo.Entry,
    *,
    count: int | None,
    store: Store | None,
    labels: tuple[str, ...] | None,
    workers: int,
    progress: bool,
) -> Sets:
    """All splits of a stage task; the test split and any further ones are reported."""
    from vxhelpers.data import stage

    task = data.removeprefix("stage:")
    if task not in stage.TASKS:
        raise UnknownNameError("task", task, stage.TASKS, where="the stage")
    sets: dict[str, ClipSet] = {}
    for split in stage.TASKS[task].sizes:
        found = dataset.from_stage(
            task,
            split,
            entry,
            count=count if split == "train" else None,
            workers=workers,
            store=store,
            progress=progress,
        )
        sets[split] = found.only(labels) if labels else found
    train = sets.pop("train")
    return Sets(train, sets["val"], sets)


def _footage_sets(
    data: str,
    entry: zoo.Entry,
    *,
    root: str | Path | None,
    reach: int,
    seed: int,
    labels: tuple[str, ...] | None,
    workers: int,
    progress: bool,
) -> Sets:
    """The splits of a manifest; without a val split, some of train is held out."""
    from vxhelpers.data.datasets import dependence, open_data

    opened = open_data(data, root=root)
    for label in labels or ():
        if label not in opened.labels:
            raise UnknownNameError("class", label, opened.labels, where=data)
    names, note = labels or opened.labels, ""
    rows = {
        split: [row for row in opened.rows(split) if row.label in names]
        for split in opened.manifest.splits
    }
    if not rows.get("train"):
        raise InputError(f"{data}: no rows of split 'train' (splits: {', '.join(rows) or 'none'})")
    if not rows.get("val"):
        rows["train"], rows["val"] = hold_out(rows["train"], rng=np.random.default_rng(seed))
        note = (
            f"The manifest has no val split: {len(rows['val'])} of "
            f"{len(rows['val']) + len(rows['train'])} training clips were held out to choose the "
            "epoch, whole videos where a class has three or more, else the last windows in time."
        )
    reported = [s for s in rows if s not in ("train", "val") and rows[s]] or ["val"]
    worth = (dependence(rows[split], rows["train"], name=split) for split in reported)
    note = " ".join(filter(None, (note, *worth)))
    sets = {
        split: dataset.from_footage(
            opened,
            chosen,
            entry,
            names=names,
            reach=reach if split == "train" else 1,
            workers=workers,
            progress=progress,
        )
        for split, chosen in rows.items()
        if chosen
    }
    train = sets.pop("train")
    return Sets(train, sets["val"], sets, note)


class LazyClips(Sequence[Clip]):
    """Clips of a data set's rows, decoded or rendered when asked for."""

    def __init__(self, data: "DataSet", rows: "Sequence[Row]") -> None:
        self.data, self.rows = data, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.data.clip(self.rows[index])


def clips_of(
    data: "DataSet", split: str, *, labels: tuple[str, ...], limit: int | None = None
) -> tuple[LazyClips, npt.NDArray[np.int64]]:
    """Clips of a split, decoded as they are asked for, and their ``(N,)`` places in ``labels``.

    ``limit`` takes so many of them, evenly spaced.

    Raises
    ------
    UnknownNameError
        If there is no such split, or the model does not know the label of a row.
    """
    rows = data.rows(split)
    if limit is not None and 0 < limit < len(rows):
        rows = [rows[i] for i in np.linspace(0, len(rows) - 1, limit).round().astype(int)]
    for row in rows:
        if row.label not in labels:
            raise UnknownNameError("label", row.label, labels, where=f"the model ({row.clip_id})")
    return LazyClips(data, rows), np.array([labels.index(row.label) for row in rows], np.int64)


def hold_out(
    rows: "Sequence[Row]", *, rng: np.random.Generator, share: float = HELD_OUT
) -> "tuple[list[Row], list[Row]]":
    """Split rows in two, class by class: the rest, and about ``share`` of them.

    Whole videos are held out where a class has three or more, else its last windows in time; a
    class of one row keeps it.

    Raises
    ------
    InputError
        If no class has a row to spare.
    """
    held: list[Row] = []
    for label in sorted({row.label for row in rows}):
        own = sorted(
            (row for row in rows if row.label == label), key=lambda r: (r.start_s or 0.0, r.path)
        )
        videos = sorted({row.path for row in own})
        if len(videos) >= 3:
            chosen = rng.permutation(videos)[: math.ceil(share * len(videos))]
            held += [row for row in own if row.path in set(chosen.tolist())]
        elif len(own) > 1:
            held += own[-math.ceil(share * len(own)) :]
    if not held:
        raise InputError("one training clip a class: none to choose the epoch by; add a val split")
    ids = {row.clip_id for row in held}
    return [row for row in rows if row.clip_id not in ids], held
