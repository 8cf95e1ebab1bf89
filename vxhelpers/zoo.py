"""Models: networks with their weights, their preprocessing, their labels and their named layers."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vxhelpers.clip import Clip
from vxhelpers.errors import InputError, UnknownNameError, WeightsError
from vxhelpers.files import replacing
from vxhelpers.nets import weights as files
from vxhelpers.nets.catalogue import entries
from vxhelpers.nets.entry import Entry, Layer
from vxhelpers.sampling import prepare

__all__ = ["ENTRIES", "Entry", "Layer", "Model", "load", "names", "save"]

ENTRIES: Mapping[str, Entry] = entries()
EMBEDDED = Path(__file__).parent / "weights"


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


def load(
    name: str,
    *,
    weights: str | Path | None = None,
    labels: Sequence[str] | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
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
        ``class 0``, ``class 1`` and so on.
    seed
        Of the random initialisation.
    device
        Where the network goes.

    Raises
    ------
    UnknownNameError
        If the entry or the shipped weights do not exist; the nearest names are suggested.
    WeightsError
        If the weights are missing, damaged, or of another architecture.
    InputError
        If there are not as many labels as outputs.
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
    state, classes = files.fit(state, entry, path=path, metadata=metadata, others=ENTRIES)
    stored = json.loads(metadata["labels"]) if "labels" in metadata else None
    if labels is None:
        labels = stored or (entry.labels if len(entry.labels) == classes else _numbered(classes))
    if len(labels) != classes:
        raise InputError(
            f"{path}: the weights have {classes} classes, but {len(labels)} labels are given"
        )
    net = _build(entry, classes, seed)
    net.load_state_dict(state)
    return _model(entry, net, tuple(labels), str(path), metadata, device)


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
    return path


def _model(
    entry: Entry,
    net: nn.Module,
    labels: tuple[str, ...],
    weights: str,
    metadata: Mapping[str, str],
    device: str | torch.device,
) -> Model:
    return Model(entry, net.to(device).eval(), labels, weights, digest(net), metadata)


def _build(entry: Entry, classes: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return entry.build(classes)


def _numbered(classes: int) -> tuple[str, ...]:
    return tuple(f"class {index}" for index in range(classes))


def _locate(entry: Entry, weights: str | Path | None) -> Path:
    if weights is None:
        return files.published(entry)
    path = Path(weights)
    if path.is_file():
        return path
    if path.suffix or path.parent != Path():
        raise WeightsError(f"{path}: no such weights file")
    shipped = sorted(EMBEDDED.glob(f"{entry.name}-*.safetensors"))
    tasks = [file.stem.removeprefix(f"{entry.name}-") for file in shipped]
    if str(weights) not in tasks:
        raise UnknownNameError(
            "weights", str(weights), [*tasks, "random"], where=f"model {entry.name!r}"
        )
    return EMBEDDED / f"{entry.name}-{weights}.safetensors"


def digest(net: nn.Module) -> str:
    """SHA-256 of a net's state dict: names, types, shapes and values."""
    total = hashlib.sha256()
    for key, value in sorted(net.state_dict().items()):
        total.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        total.update(value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()
