"""Models: networks with their weights, their preprocessing, their labels and their named layers."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vxhelpers.data.clip import Clip
from vxhelpers.data.sampling import prepare
from vxhelpers.errors import InputError, UnknownNameError, WeightsError
from vxhelpers.io.files import replacing
from vxhelpers.models.nets import weights as files
from vxhelpers.models.nets.catalogue import entries
from vxhelpers.models.nets.entry import Entry, Layer

__all__ = ["ENTRIES", "Entry", "Layer", "Listing", "Model", "listing", "load", "names", "save"]

ENTRIES: Mapping[str, Entry] = entries()
SHIPPED = Path(__file__).parent / "weights"


@dataclass(frozen=True, eq=False)
class Model:
    """A network ready to be used and explained.

    Parameters
    ----------
    entry
        Its architecture, input and layers.
    net
        The network, in evaluation mode.
    labels
        One for each output, in order.
    weights
        Where the weights came from, in words.
    digest
        SHA-256 of the state dict.
    metadata
        What the weights file says about itself (task, accuracy, command ...).
    """

    entry: Entry
    net: nn.Module
    labels: tuple[str, ...]
    weights: str
    digest: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.net.parameters()).device

    def prepare(self, clips: Clip | Sequence[Clip], *, start: int | None = None) -> Tensor:
        """Make ``(N, C, T, H, W)`` float32 input from one or several clips, on the net's device."""
        clips = [clips] if isinstance(clips, Clip) else clips
        if not clips:
            raise InputError(f"model {self.entry.name!r}: no clips to prepare")
        entry = self.entry
        batch = [
            prepare(
                clip,
                frames=entry.frames,
                stride=entry.stride,
                resize=entry.resize,
                crop=entry.crop,
                mean=entry.mean,
                std=entry.std,
                start=start,
            )
            for clip in clips
        ]
        return torch.stack(batch).to(self.device)

    def logits(self, x: Tensor) -> Tensor:
        """Map ``(N, C, T, H, W)`` clips to ``(N, classes)`` logits, in the caller's grad mode.

        Raises
        ------
        InputError
            If ``x`` is not a batch of clips.
        """
        if x.ndim != 5 or 0 in x.shape:
            raise InputError(
                f"model {self.entry.name!r} takes (N, C, T, H, W) clips, not {tuple(x.shape)}"
            )
        out: Tensor = self.net(x)
        return out

    def layer(self, name: str) -> Layer:
        """Look a probe layer up by name; raises UnknownNameError with the nearest names."""
        return self.entry.layer(name)


def names() -> list[str]:
    """Names of all entries."""
    return list(ENTRIES)


def shipped(name: str) -> list[str]:
    """Name the tasks that an entry has weights for in this package."""
    found = SHIPPED.glob(f"{name}-*.safetensors")
    return sorted(file.stem.removeprefix(f"{name}-") for file in found)


@dataclass(frozen=True)
class Listing:
    """One line of the table of models.

    Parameters
    ----------
    name, family
        The entry, and where its architecture comes from.
    input
        Its input in words.
    layers
        Its probe layers, input to output.
    parameters
        Number of parameters with the entry's own classes (six for an embedded entry); None where
        the library that builds it is not installed.
    weights
        What `load` takes as ``weights``: tasks shipped with the package, and ``published``.
    """

    name: str
    family: str
    input: str
    layers: tuple[str, ...]
    parameters: int | None
    weights: tuple[str, ...]


def listing() -> list[Listing]:
    """Describe every entry, for a table; no memory is taken for weights."""
    lines = []
    for entry in ENTRIES.values():
        try:
            with torch.device("meta"):
                net = entry.build(len(entry.labels) or 6)
            parameters = sum(p.numel() for p in net.parameters())
        except ImportError:
            parameters = None
        height, width = (entry.crop,) * 2 if isinstance(entry.crop, int) else entry.crop
        lines.append(
            Listing(
                name=entry.name,
                family=entry.family,
                input=f"{entry.frames}x{height}x{width}, stride {entry.stride}",
                layers=tuple(layer.name for layer in entry.layers),
                parameters=parameters,
                weights=(*shipped(entry.name), *(["published"] if entry.url else [])),
            )
        )
    return lines


def load(
    name: str,
    *,
    weights: str | Path | None = None,
    labels: Sequence[str] | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
) -> Model:
    """Load a model of the zoo.

    Parameters
    ----------
    name
        One of `names`.
    weights
        None for the published weights: a local file where there is one (in the folder that
        ``VX_WEIGHTS`` names, or in torch's hub cache), else the library's own download.
        ``"random"`` for a seeded initialisation; a task's name, such as ``"motion"``, for weights
        shipped with this package (``stage_*`` entries); or a path to ``.safetensors``, ``.pt``,
        ``.pth`` or ``.pyth``.
    labels
        One for each output; where not given, those of the weights file, else of the entry, else
        ``class 0``, ``class 1`` and so on (six of them for random weights).
    seed
        Of the random initialisation.
    device
        Where the network goes; by default a GPU where there is one, or what ``VX_DEVICE`` names.

    Raises
    ------
    UnknownNameError
        If the entry or the shipped weights do not exist; the nearest names are suggested.
    WeightsError
        If the weights are missing, damaged, or of another architecture.
    InputError
        If there are not as many labels as outputs, or the device is not there.
    """
    if name not in ENTRIES:
        raise UnknownNameError("model", name, ENTRIES)
    entry = ENTRIES[name]
    if weights == "random":
        chosen = tuple(labels or entry.labels or _numbered(6))
        return _model(
            entry, _build(entry, len(chosen), seed), chosen, f"random, seed {seed}", {}, device
        )
    path = _locate(entry, weights)
    state, metadata = files.read(path)
    net, classes = files.fill(entry, state, path=path, arch=metadata.get("arch"), others=ENTRIES)
    chosen = tuple(labels or _stored_labels(path, metadata))
    if not chosen:
        chosen = entry.labels if len(entry.labels) == classes else _numbered(classes)
    if len(chosen) != classes:
        given = "are given" if labels else "are in its metadata"
        raise InputError(f"{path} has {classes} classes, but {len(chosen)} labels {given}")
    return _model(entry, net, chosen, str(path), metadata, device)


def save(
    model: Model,
    path: str | Path,
    *,
    metadata: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Write a model's weights as safetensors that `load` reads back, whole or not at all.

    Parameters
    ----------
    model
        The model; its entry's name and its labels are stored with the weights.
    path
        File to write, ending in ``.safetensors``.
    metadata
        More to store: text as it is, anything else as JSON.
    dtype
        ``torch.float16`` halves the file; `load` always gives float32.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise InputError(f"{path}: weights are saved as .safetensors")
    state = {
        key: value.detach()
        .cpu()
        .to(dtype if value.is_floating_point() else value.dtype)
        .contiguous()
        for key, value in model.net.state_dict().items()
    }
    for key, value in state.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise WeightsError(f"{path}: {key} of {model.entry.name!r} is not finite as {dtype}")
    facts = {"arch": model.entry.name, "labels": list(model.labels), **(metadata or {})}
    text = {k: v if isinstance(v, str) else json.dumps(v) for k, v in facts.items()}
    with replacing(path) as temporary:
        save_file(state, temporary, metadata=text)
        temporary.chmod(0o644)  # safetensors makes files that others cannot read
    return path


def _model(
    entry: Entry,
    net: nn.Module,
    labels: tuple[str, ...],
    weights: str,
    metadata: Mapping[str, str],
    device: str | torch.device | None,
) -> Model:
    wanted = default_device() if device is None else device
    try:
        net = net.to(wanted)
    except (RuntimeError, AssertionError) as error:
        told = str(error).splitlines()[0]
        raise InputError(f"device {wanted}: {told}; --device or VX_DEVICE says which") from error
    return Model(entry, net.eval(), labels, weights, digest(net), metadata)


def _build(entry: Entry, classes: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return entry.build(classes)


def _numbered(classes: int) -> tuple[str, ...]:
    return tuple(f"class {index}" for index in range(classes))


def _stored_labels(path: Path, metadata: Mapping[str, str]) -> list[str]:
    try:
        labels = json.loads(metadata.get("labels", "[]"))
    except ValueError as error:
        raise WeightsError(f"{path}: the labels in its metadata are not a JSON list") from error
    return [str(label) for label in labels]


def _locate(entry: Entry, weights: str | Path | None) -> Path:
    """Find the file: published, shipped with the package under a task's name, or the user's own."""
    if weights is None:
        return files.published(entry)
    path = Path(weights)
    if path.suffix or path.parent != Path():
        return path
    tasks = shipped(entry.name)
    if path.name not in tasks:
        known = [*tasks, "random"]
        raise UnknownNameError("weights", path.name, known, where=f"model {entry.name!r}")
    return SHIPPED / f"{entry.name}-{path.name}.safetensors"


def digest(net: nn.Module) -> str:
    """SHA-256 of a net's state dict: names, types, shapes and values."""
    total = hashlib.sha256()
    for key, value in sorted(net.state_dict().items()):
        total.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        total.update(value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def default_device() -> torch.device:
    """Say where networks go: what ``VX_DEVICE`` names, else a GPU where there is one, else the CPU.

    Raises
    ------
    InputError
        If ``VX_DEVICE`` is not the name of a device.
    """
    named = os.environ.get("VX_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(named)
    except RuntimeError:
        raise InputError(f"VX_DEVICE={named}: cpu, cuda, cuda:1, ... is needed") from None
