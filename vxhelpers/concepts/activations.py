"""Activations of concept clips: one forward a distinct clip, and the Gram matrices made of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vxhelpers.checks import known
from vxhelpers.concepts.arrays import FEWEST, Matrix, Rows
from vxhelpers.data.clip import Clip
from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.io.cache import Store
from vxhelpers.io.code_digest import own_digest
from vxhelpers.models.probe import in_batches, probe
from vxhelpers.models.zoo import Model


@dataclass(frozen=True, eq=False)
class Activations:
    """What a network makes of named sets of clips at several layers, each distinct clip once.

    Parameters
    ----------
    sets
        Name of each set to the rows of its clips, in the order given. A clip of several sets has
        one row.
    layers
        Name of each layer to its ``(N, C, T, H, W)`` activations, or ``(N, C)`` of a pooled layer,
        on the CPU; float32, or float16 where asked for.
    names
        Of the N clips, for messages: source and seconds.
    digests
        SHA-256 of the N clips' frames.
    """

    sets: Mapping[str, Rows]
    layers: Mapping[str, Tensor]
    names: tuple[str, ...]
    digests: tuple[str, ...]

    def rows(self, name: str) -> Rows:
        """Rows of a set; raises UnknownNameError with the nearest names."""
        known("set of clips", name, self.sets)
        return self.sets[name]

    def only(self, names: Sequence[str]) -> "Activations":
        """The clips of these sets alone, without a copy where they lie side by side."""
        rows = np.unique(np.concatenate([self.rows(name) for name in names]))
        side_by_side = len(rows) == rows[-1] - rows[0] + 1
        chosen = slice(int(rows[0]), int(rows[-1]) + 1) if side_by_side else torch.from_numpy(rows)
        return Activations(
            {name: np.searchsorted(rows, self.sets[name]) for name in names},
            {layer: x[chosen] for layer, x in self.layers.items()},
            tuple(self.names[row] for row in rows),
            tuple(self.digests[row] for row in rows),
        )


def clip_name(clip: Clip) -> str:
    """Name a clip in messages: its source and the seconds that it covers."""
    return f"{clip.source} [{clip.start_s:g}, {clip.end_s:g}) s"


def scoring_names(clips: Sequence[Clip], activations: Activations) -> tuple[str, ...]:
    """Names of scoring clips; `InputError` if one is a concept's or random clip, or given twice."""
    rows = {digest: row for row, digest in enumerate(activations.digests)}
    seen: dict[str, str] = {}
    shared = []
    for index in range(len(clips)):
        digest, name = clips[index].digest(), clip_name(clips[index])
        if digest in seen:
            raise InputError(f"the same scoring clip twice: {seen[digest]} and {name}")
        seen[digest] = name
        if digest in rows:
            sets = [key for key, members in activations.sets.items() if rows[digest] in members]
            shared.append(f"{name} (in {', '.join(sets)})")
    if shared:
        raise InputError(
            f"{len(shared)} scoring clips are also concept or random clips, so that the score "
            f"would be of what the vectors were fitted on: {'; '.join(shared)}"
        )
    return tuple(seen.values())


def collect(
    model: Model,
    sets: Mapping[str, Sequence[Clip]],
    *,
    layers: Sequence[str],
    batch_size: int = 8,
    dtype: torch.dtype = torch.float32,
    store: Store | None = None,
    progress: bool = False,
) -> Activations:
    """Run every distinct clip through the network once and keep what the layers make of it.

    Clips are told apart by their content, so that a clip of several sets, under whatever name,
    costs one forward pass and has one row; the number of layers and of sets adds none. Clips of
    any size go together: `Model.prepare` brings them to the network's.

    Parameters
    ----------
    model
        A network of the zoo, in evaluation mode.
    sets
        Names to clips; at least 4 in a set, no two of them identical. Any sequence: clips are
        taken from it once for their digest and once when they are run.
    layers
        Names of probe layers of ``model``.
    batch_size
        Clips a forward pass.
    dtype
        ``torch.float16`` halves the memory; what is made of it (`gram`) is computed in float32
        and float64 all the same.
    store
        Where each clip's activations are kept as soon as they are computed, and looked up first:
        after an interruption, or for another concept, only what is missing is run. The key is the
        clip's content, the weights, the layer, the type, the device and the package's sources.
    progress
        Show a bar.

    Raises
    ------
    InputError
        If a set has fewer than 4 clips or two identical ones, a layer gives every clip the same
        activations, or memory runs out (with the batch size to try; what is in ``store`` stays).
    NotFiniteError
        If activations are NaN or infinite, naming the clip and the layer; also where they exceed
        float16.
    UnknownNameError
        If a layer is not the model's.
    """
    if dtype not in (torch.float32, torch.float16):
        raise InputError(f"dtype={dtype}: activations are kept as torch.float32 or torch.float16")
    if not sets or not layers:
        raise InputError("name at least one set of clips and one layer to collect activations of")
    rows, first, names = _distinct(sets)
    digests, count = tuple(first), len(first)
    kept: dict[str, Tensor] = {}

    def keep(row: int, found: Mapping[str, Tensor]) -> None:
        for name in layers:
            if name not in kept:
                kept[name] = _room(count, found[name].shape, dtype)
            kept[name][row] = found[name]

    def parts(row: int, layer: str) -> dict[str, object]:
        return {**common, "clip": digests[row], "layer": [layer, model.layer(layer).layout]}

    common = _key(model, dtype) if store else {}
    missing = []
    for row in range(count):
        entries = [store.find(parts(row, name)) if store else None for name in layers]
        stored = [torch.from_numpy(entry["x"]) for entry in entries if entry]
        if len(stored) == len(layers):
            keep(row, dict(zip(layers, stored, strict=True)))
        else:
            missing.append(row)

    def step(part: slice) -> list[int]:
        batch = missing[part]
        clips = [sets[name][place] for name, place in (first[digests[row]] for row in batch)]
        found = _run(model, clips, layers, dtype)
        for place, row in enumerate(batch):
            own = {name: value[place] for name, value in found.items()}
            keep(row, own)
            if store:
                for name, value in own.items():
                    entry = {"x": value.numpy()}
                    store.get_or_compute(parts(row, name), entry.copy)
        return batch

    with _bar(len(missing), progress) as advance:
        for batch in in_batches(step, clips=len(missing), batch_size=batch_size):
            advance(len(batch))
    for name, value in kept.items():
        if all(torch.equal(value[0], other) for other in value[1:]):
            raise InputError(
                f"layer {name!r} of model {model.entry.name!r} is constant: all {count} clips have "
                "the same activations there, so no direction tells them apart; probe another layer"
            )
    return Activations(rows, kept, names, digests)


def gram(x: Tensor, *, device: torch.device | str = "cpu", block: int = 16384) -> Matrix:
    """Scalar products of N clips' activations about their mean: ``(N, N)`` float64, symmetric.

    Far from the origin, raw products would lose in float32 the very digits that tell clips apart;
    a classifier whose bias is free does not see the difference.

    The activations are read in blocks of features: products within a block in float32, their sum
    over blocks in float64 (float64 throughout where the activations are), and nothing of the
    activations' own size is made.

    Parameters
    ----------
    x
        ``(N, ...)`` activations of one layer.
    device
        Where the blocks are multiplied.
    block
        Features in a block.
    """
    flat, total = x.detach().flatten(1), np.zeros((len(x), len(x)))
    precision = torch.float64 if x.dtype == torch.float64 else torch.float32
    for start in range(0, flat.shape[1], block):
        part = flat[:, start : start + block].to(device, precision)
        part = part - part.mean(0)
        # NumPy sees that both are one matrix and halves the work; torch does not.
        square = part.numpy() @ part.numpy().T if part.is_cpu else (part @ part.T).cpu().numpy()
        total += square
    return (total + total.T) / 2


def _distinct(
    sets: Mapping[str, Sequence[Clip]],
) -> tuple[dict[str, Rows], dict[str, tuple[str, int]], tuple[str, ...]]:
    """Rows of every set, where each distinct clip is first found (by digest), and its name."""
    rows: dict[str, Rows] = {}
    first: dict[str, tuple[str, int]] = {}
    place: dict[str, int] = {}
    names: list[str] = []
    for name, clips in sets.items():
        if len(clips) < FEWEST:
            raise InputError(
                f"set {name!r} has {len(clips)} clips: a concept vector needs at least {FEWEST} "
                "on each side, and 25 to 30 to be worth interpreting"
            )
        own: dict[str, str] = {}
        for index in range(len(clips)):
            clip = clips[index]
            digest = clip.digest()
            if digest in own:
                raise InputError(
                    f"set {name!r} holds the same clip twice: {own[digest]} and "
                    f"{clip_name(clip)}; keep one of them"
                )
            own[digest] = clip_name(clip)
            if digest not in first:
                first[digest], place[digest] = (name, index), len(names)
                names.append(clip_name(clip))
        rows[name] = np.array([place[digest] for digest in own], np.int64)
    return rows, first, tuple(names)


def _key(model: Model, dtype: torch.dtype) -> dict[str, object]:
    """What all clips' activations depend on: weights, preparation, precision and code."""
    entry = model.entry
    prepared = entry.frames, entry.stride, entry.resize, entry.crop, entry.mean, entry.std
    return {
        "kind": "activations",
        "model": [entry.name, model.digest, model.device.type],
        "prepared": prepared,
        "dtype": str(dtype),
        "package": own_digest(__name__),
    }


def _run(
    model: Model, clips: Sequence[Clip], layers: Sequence[str], dtype: torch.dtype
) -> dict[str, Tensor]:
    """Activations of a batch of clips on the CPU, all finite in the type they are kept in."""
    try:
        seen = probe(model, model.prepare(clips), layers=layers, gradients=False)
    except NotFiniteError as error:
        if len(clips) > 1:
            for clip in clips:  # the one to blame, alone
                _run(model, [clip], layers, dtype)
        raise NotFiniteError(f"{clip_name(clips[0])}: {error}") from error
    found = {name: value.to("cpu", dtype) for name, value in seen.activations.items()}
    if dtype == torch.float16:
        for name, value in found.items():
            bad = ~value.isfinite().flatten(1).all(1)
            if bool(bad.any()):
                raise NotFiniteError(
                    f"{clip_name(clips[int(bad.nonzero()[0])])}: activations of layer {name!r} "
                    "exceed float16; collect them with dtype=torch.float32"
                )
    return found


def _room(count: int, shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """An empty ``(count, *shape)`` tensor, or an error that says how large it would have been."""
    try:
        return torch.empty((count, *shape), dtype=dtype)
    except RuntimeError as error:
        size = count * shape.numel() * torch.empty((), dtype=dtype).element_size()
        raise InputError(
            f"the activations of {count} clips take {size / 2**30:.1f} GiB at one layer, more than "
            "there is: collect fewer layers at a time, or with dtype=torch.float16"
        ) from error


@contextmanager
def _bar(total: int, show: bool) -> Iterator[Callable[[int], object]]:
    if not show:
        yield lambda n: None
        return
    from tqdm import tqdm

    with tqdm(total=total, desc="activations", unit="clip", mininterval=0.5) as bar:
        yield bar.update
