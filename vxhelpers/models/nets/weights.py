"""Weights files: found, read safely, and fitted to an architecture."""

import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from vxhelpers.errors import WeightsError
from vxhelpers.io.files import sha256
from vxhelpers.models.nets.entry import Entry

State = dict[str, Tensor]
SUFFIXES = (".safetensors", ".pt", ".pth", ".pyth")


def read(path: Path) -> tuple[State, dict[str, str]]:
    """Read a state dict in float32, and the metadata that a safetensors file carries.

    Pickled files are read with ``weights_only=True``; their state dict may lie under
    ``state_dict`` or ``model_state``, and its keys may begin with ``module.``.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, of an unknown kind, or holds something else.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    if path.suffix not in SUFFIXES:
        raise WeightsError(f"{path}: weights are read from {', '.join(SUFFIXES)} files")
    metadata: dict[str, str] = {}
    content: Any
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                metadata = dict(file.metadata() or {})
                content = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (
        SafetensorError,
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        OSError,
        LookupError,
        ValueError,
    ) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(
            f"{path}: damaged, or not a weights file (pickled files may hold tensors only): "
            f"{reason}"
        ) from error
    for wrapper in ("state_dict", "model_state"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f"{path}: no state dict in the file")
    state: State = {}
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise WeightsError(f"{path}: {key!r} is not a named tensor; a state dict is needed")
        if value.is_floating_point():
            value = value.float()
            if not bool(value.isfinite().all()):
                raise WeightsError(f"{path}: {key} holds NaN or infinity")
        state[key.removeprefix("module.")] = value
    return state, metadata


def fill(
    entry: Entry,
    state: State,
    *,
    path: Path,
    arch: str | None,
    others: Mapping[str, Entry],
) -> tuple[nn.Module, int]:
    """Build an entry's net with these weights; the number of classes is read from their head.

    Parameters
    ----------
    entry, state
        The architecture, and the weights for it.
    path
        The file they come from, for messages.
    arch
        Name of the entry that the file says it is for, if it does.
    others
        Entries to look through for one that the weights fit.

    Raises
    ------
    WeightsError
        If names or shapes differ: says which, and which entry the weights are made for.
    """
    net, classes = _blank(entry, state)
    whole = _counted(net, state)
    problems = _differences(net, whole)
    if arch in (None, entry.name) and not problems:
        net.load_state_dict(whole, assign=True)
        return net, classes
    fitting = [arch] if arch else [name for name, e in others.items() if _fits(e, state)]
    hint = f"it is made for {' or '.join(map(repr, fitting))}" if fitting else ""
    first = [*problems[:4], *([f"and {len(problems) - 4} more"] if problems[4:] else [])]
    raise WeightsError(
        f"{path} does not fit model {entry.name!r}: " + "; ".join(filter(None, [*first, hint]))
    )


def _blank(entry: Entry, state: State) -> tuple[nn.Module, int]:
    """Build the net without memory behind its weights, for as many classes as the file has."""
    head = state.get(f"{entry.head}.weight")
    classes = 1 if head is None or not head.ndim else len(head)
    with torch.device("meta"):
        return entry.build(classes), classes


def _counted(net: nn.Module, state: State) -> State:
    """Add the batch counters of normalisation layers, which files before PyTorch 0.4.1 lack."""
    counters = {
        key: torch.zeros(value.shape, dtype=value.dtype)
        for key, value in net.state_dict().items()
        if key.endswith("num_batches_tracked")
    }
    return counters | state


def _differences(net: nn.Module, state: State) -> list[str]:
    """Say, one line a tensor, where a state dict differs from a net's."""
    expected = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in state.items()}
    lines = [f"{key} is missing" for key in expected if key not in found]
    lines += [f"{key} is not in the model" for key in found if key not in expected]
    lines += [
        f"{key} is {found[key]}, not {shape}"
        for key, shape in expected.items()
        if key in found and found[key] != shape
    ]
    return lines


def _fits(entry: Entry, state: State) -> bool:
    if f"{entry.head}.weight" not in state:
        return False
    net, _ = _blank(entry, state)
    return not _differences(net, _counted(net, state))


def published(entry: Entry) -> Path:
    """Find an entry's published weights on this machine, or download them.

    Looked for, by file name, in the folder that the environment variable ``VX_WEIGHTS`` names, then
    in torch's hub cache, where a download goes, too. A hash in the file name is checked.

    Raises
    ------
    WeightsError
        If there are none and the download fails: says which file to put where.
    """
    if not entry.url:
        raise WeightsError(
            f"model {entry.name!r} has no published weights; name a file, weights shipped with the "
            "package, or 'random' (weights=..., --weights)"
        )
    file = entry.url.rsplit("/", 1)[-1]
    folder = os.environ.get("VX_WEIGHTS")
    cached = Path(torch.hub.get_dir()) / "checkpoints" / file
    stamp = re.search(r"-([0-9a-f]{8,})\.", file)
    prefix = stamp.group(1) if stamp else ""
    for path in ([Path(folder) / file] if folder else []) + [cached]:
        if path.is_file():
            if not sha256(path).startswith(prefix):
                raise WeightsError(f"{path}: damaged, its SHA-256 does not begin with {prefix}")
            return path
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(entry.url, str(cached), prefix or None, progress=False)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"the weights of model {entry.name!r} are not on this machine, and {entry.url} cannot "
            f"be fetched ({error}); put {file} into the folder that VX_WEIGHTS names or into "
            f"{cached.parent}, or name a file (weights=..., --weights)"
        ) from error
    return cached
