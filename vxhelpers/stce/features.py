"""What a network makes of supervoxels: clips cut up once, one forward a supervoxel asked for."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vxhelpers.concepts.activations import clip_name
from vxhelpers.data.clip import Clip
from vxhelpers.data.sampling import view
from vxhelpers.data.segmentation.supervoxels import Backend, Supervoxels, segment
from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.io.cache import Store
from vxhelpers.io.code_digest import own_digest
from vxhelpers.models.probe import in_batches, probe
from vxhelpers.models.zoo import Model
from vxhelpers.stce.masking import FORMS, Fill, Form, fill_values, masks_of, rendered

Rows = npt.NDArray[np.int64]

FEWEST = 4  # supervoxels in a concept: a concept vector needs as many


@dataclass(frozen=True)
class Recipe:
    """How clips are made into concepts.

    Parameters
    ----------
    segments
        Supervoxels asked for at each resolution, coarse first.
    concepts
        Clusters.
    nearest
        Supervoxels kept in a concept: those nearest to its centre.
    threshold
        Jaccard index with a coarser supervoxel above which a finer one is dropped.
    steps
        Layers of the seed grid in time; the segmentation's own choice unless given.
    backend
        Of the segmentation.
    form, fill
        What the network is shown of a supervoxel (`vxhelpers.stce.masking`).

    Raises InputError where one is out of range.
    """

    segments: tuple[int, ...] = (15, 50, 80)
    concepts: int = 25
    nearest: int = 40
    threshold: float = 0.5
    steps: int | None = None
    backend: Backend = "torch"
    form: Form = "in place"
    fill: Fill = "mean"

    def __post_init__(self) -> None:
        if not self.segments or min(self.segments) < 1:
            raise InputError(f"segments={self.segments}: one number or more, each at least 1")
        if self.concepts < 1 or self.nearest < FEWEST:
            raise InputError(
                f"concepts and nearest must be at least 1 and {FEWEST}, not {self.concepts} and "
                f"{self.nearest}"
            )
        if not 0 < self.threshold <= 1:
            raise InputError(f"threshold={self.threshold}: a Jaccard index above 0, up to 1")
        if self.form not in FORMS:
            raise InputError(f"form={self.form!r}: one of {', '.join(map(repr, FORMS))}")


@dataclass(frozen=True)
class Computation:
    """How what a network makes of supervoxels is computed; it does not change what comes out.

    Parameters
    ----------
    batch_size
        Inputs a forward pass; a clip and one batch of its supervoxels are in memory at a time.
    store
        Keeps what is computed of each clip and is looked up first, so that an interrupted run goes
        on where it was. The key is the content of the clip, of the label volumes and of the
        weights, what is shown, the layer, the device and the code.
    progress
        Show a bar.
    """

    batch_size: int = 32
    store: Store | None = None
    progress: bool = False


STANDARD = Recipe()
SMALL = Recipe(segments=(15, 30, 60), concepts=15)  # the paper's section 4.5


@dataclass(frozen=True, eq=False)
class Pieces:
    """M supervoxels of N clips, clip by clip, in a network's geometry.

    Parameters
    ----------
    clips
        The N clips, as they were given.
    names, digests
        Of the N clips.
    cuts
        The supervoxels of each.
    owner, place
        ``(M,)``: the clip of each supervoxel, and which one of that clip's it is.
    """

    clips: Sequence[Clip]
    names: tuple[str, ...]
    digests: tuple[str, ...]
    cuts: tuple[Supervoxels, ...]
    owner: Rows
    place: Rows

    def __len__(self) -> int:
        return len(self.owner)

    def mask(self, row: int) -> npt.NDArray[np.bool_]:
        """``(T, H, W)``: where a supervoxel is, in the network's view of its clip."""
        found: npt.NDArray[np.bool_] = self.cuts[self.owner[row]].mask(int(self.place[row]))
        return found

    def name(self, row: int) -> str:
        """Name a supervoxel in messages."""
        return f"supervoxel {self.place[row]} of {self.names[self.owner[row]]}"

    def digest(self, row: int) -> str:
        """Tell a supervoxel from all others: its clip's content, and which one it is."""
        return f"{self.digests[self.owner[row]]}/{self.place[row]}"


def cut(
    model: Model,
    clips: Sequence[Clip],
    recipe: Recipe = STANDARD,
    *,
    batch_size: int = 8,
    store: Store | None = None,
    progress: bool = False,
) -> Pieces:
    """Segment what the network sees of clips, at all resolutions.

    Parameters
    ----------
    model
        For its geometry and its device.
    clips
        Any sequence; one is taken from it when it is cut and when its features are asked for.
    recipe
        How.
    batch_size
        Clips segmented together.
    store
        Keeps label volumes, two bytes a voxel and resolution. The key is the clip's content,
        geometry, options, device and code.
    progress
        Show a bar.

    Raises
    ------
    InputError
        If there are no clips, a clip is there twice, or there are more segments than voxels.
    WriteError
        If the store cannot be written; what is in it stays valid.
    """
    if not len(clips):
        raise InputError("no clips to be cut into supervoxels")
    shown = {key: getattr(model.entry, key) for key in ("frames", "stride", "resize", "crop")}
    options = {key: getattr(recipe, key) for key in ("threshold", "steps", "backend")}
    common = {
        "kind": "supervoxels",
        "geometry": shown,
        "segments": recipe.segments,
        **options,
        "device": model.device.type,
        "package": own_digest(__name__) if store else "",
    }
    names: dict[str, str] = {}
    cuts: list[Supervoxels] = []
    with bar(len(clips), progress, "supervoxels", "clip") as advance:
        for start in range(0, len(clips), batch_size):
            batch = [clips[i] for i in range(start, min(start + batch_size, len(clips)))]
            parts = [{**common, "clip": clip.digest()} for clip in batch]
            for clip, part in zip(batch, parts, strict=True):
                if part["clip"] in names:
                    both = f"{names[part['clip']]} and {clip_name(clip)}"
                    raise InputError(f"the same clip twice: {both}; keep one of them")
                names[part["clip"]] = clip_name(clip)
            stored = [store.find(part) if store else None for part in parts]
            missing = [index for index, found in enumerate(stored) if found is None]
            if missing:
                frames = np.stack([view(batch[index], **shown) for index in missing])
                made = segment(frames, recipe.segments, device=model.device, **options)
                assert isinstance(made, list)  # a batch gives a list
                for index, one in zip(missing, made, strict=True):
                    entry: dict[str, Any] = {"labels": one.labels, "kept": [*map(list, one.kept)]}
                    stored[index] = entry
                    if store:
                        store.get_or_compute(parts[index], entry.copy)
            for held in filter(None, stored):
                kept = tuple((int(level), int(label)) for level, label in held["kept"])
                cuts.append(Supervoxels(held["labels"], kept, recipe.segments))
            advance(len(batch))
    counts = [len(one) for one in cuts]
    owner = np.repeat(np.arange(len(cuts)), counts)
    place = np.concatenate([np.arange(count) for count in counts])
    return Pieces(clips, tuple(names.values()), tuple(names), tuple(cuts), owner, place)


def features(
    model: Model,
    pieces: Pieces,
    layer: str,
    recipe: Recipe = STANDARD,
    *,
    rows: Rows | None = None,
    computation: Computation = Computation(),
) -> Tensor:
    """What a layer makes of supervoxels, each shown alone: one forward a supervoxel asked for.

    Parameters
    ----------
    model
        The network that ``pieces`` were cut for.
    pieces
        Supervoxels.
    layer
        A probe layer, pooled or not.
    recipe
        Says what the network is shown of a supervoxel.
    rows
        Which ones, in any order; all by default.
    computation
        Batch size, store and progress bar.

    Returns
    -------
    Tensor
        ``(len(rows), C)``, or ``(len(rows), C, T, H, W)`` of a layer that is not pooled; float32 on
        the CPU.

    Raises
    ------
    InputError
        If memory runs out (with the batch size to try).
    NotFiniteError
        If features are NaN or infinite, naming the clip.
    UnknownNameError
        If the layer is not the model's.
    WriteError
        If the store cannot be written; what is in it stays valid.
    """
    rows = np.arange(len(pieces)) if rows is None else np.asarray(rows, np.int64)
    if not len(rows):
        raise InputError("no supervoxels to compute features of")
    fill = fill_values(model.entry, recipe.fill).to(model.device)
    layout, store = model.layer(layer).layout, computation.store
    common = model_key(model) if store else {}
    out: Tensor | None = None
    with bar(len(rows), computation.progress, f"features at {layer}", "supervoxel") as advance:
        for owner in np.unique(pieces.owner[rows]):
            own = np.flatnonzero(pieces.owner[rows] == owner)
            one = pieces.cuts[owner]
            kept = [one.kept[place] for place in pieces.place[rows[own]]]
            parts = {
                **common,
                "kind": "features of supervoxels",
                "clip": pieces.digests[owner],
                "labels": one.labels,
                "kept": kept,
                "shown": [recipe.form, recipe.fill],
                "layer": [layer, layout],
            }
            stored = store.find(parts) if store else None
            if stored is None:
                clip = pieces.clips[owner]
                shown = Shown(recipe.form, fill, kept)
                found = _run(model, clip, one, shown, layer, computation.batch_size)
                if store:
                    store.get_or_compute(parts, {"x": found.numpy()}.copy)
            else:
                found = torch.from_numpy(stored["x"])
            if out is None:
                out = torch.empty((len(rows), *found.shape[1:]), dtype=torch.float32)
            out[torch.from_numpy(own)] = found
            advance(len(own))
    assert out is not None
    return out


def model_key(model: Model) -> dict[str, object]:
    """What everything that a network makes of clips depends on: weights, preparation and code."""
    entry = model.entry
    return {
        "model": [entry.name, model.digest, model.device.type],
        "prepared": [
            entry.frames, entry.stride, entry.resize, entry.crop, entry.mean, entry.std,
        ],
        "package": own_digest(__name__),
    }  # fmt: skip


@contextmanager
def bar(total: int, show: bool, what: str, unit: str) -> Iterator[Callable[[int], object]]:
    """Show a progress bar, or do nothing; gives what to call with the number that was done."""
    if not show:
        yield lambda n: None
        return
    from tqdm import tqdm

    with tqdm(total=total, desc=what, unit=unit, mininterval=0.5) as shown:
        yield shown.update


@dataclass(frozen=True, eq=False)
class Shown:
    """Supervoxels of a clip that are shown, ``(resolution, label)`` each, and how."""

    form: Form
    fill: Tensor
    kept: Sequence[tuple[int, int]]


def _run(
    model: Model, clip: Clip, cuts: Supervoxels, shown: Shown, layer: str, batch_size: int
) -> Tensor:
    """Features of some of a clip's supervoxels, rendered and run batch by batch."""
    x = model.prepare(clip)[0]
    labels = torch.from_numpy(np.ascontiguousarray(cuts.labels)).to(model.device)

    def step(part: slice) -> Tensor:
        masks = masks_of(labels, shown.kept[part])
        inputs = rendered(x, masks, form=shown.form, fill=shown.fill)
        try:
            seen = probe(model, inputs, layers=[layer], gradients=False)
        except NotFiniteError as error:
            raise NotFiniteError(f"{clip_name(clip)}, its supervoxels: {error}") from error
        return seen.activations[layer].to("cpu", torch.float32)

    return torch.cat([*in_batches(step, clips=len(shown.kept), batch_size=batch_size)])
