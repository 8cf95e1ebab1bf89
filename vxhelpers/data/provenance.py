"""Where a result comes from: what decides it, as a key and as a record that readers can check."""

import hashlib
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib import metadata
from pathlib import Path
from typing import Any

from vxhelpers.errors import InputError
from vxhelpers.io.code_digest import PACKAGE
from vxhelpers.io.files import sha256

_COUNTED: tuple[str, ...] = (
    "torch",
    "torchvision",
    "pytorchvideo",
    "numpy",
    "scipy",
    "scikit-learn",
    "av",
)
_COUNTED += (
    "ultralytics",
    "scikit-image",
    "opencv-python-headless",
    "matplotlib",
    "plotly",
    "pandas",
    "ipykernel",
    "papermill",
)


@cache
def versions() -> dict[str, str]:
    """Installed version of Python and of every package whose numbers or pictures chapters show."""
    installed = {"python": platform.python_version()}
    for name in _COUNTED:
        with suppress(metadata.PackageNotFoundError):
            installed[name] = metadata.version(name)
    return installed


def package_digest(package: Path = PACKAGE) -> str:
    """SHA-256 over all of the package's files as they are now: code, shipped weights and assets."""
    return _folder_digest(package)


@cache
def material_digest(package: Path = PACKAGE) -> str:
    """SHA-256 over what the package has beside code: shipped weights, detectors, assets."""
    return _folder_digest(package, code=False)


def _folder_digest(folder: Path, *, code: bool = True) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and "__pycache__" not in name and (code or path.suffix != ".py"):
            digest.update(f"{name} {sha256(path)}\n".encode())
    return digest.hexdigest()


def data_digest(dataset: str, root: str | None = None) -> str:
    """SHA-256 over a data set: its manifest and, for every video at hand, size and time of change.

    Rendered data (``stage:...``) is made by the package's own code, so its name is enough. A video
    whose hash the manifest states is known by that; others by size and modification time, because
    hashing a large collection on every call would cost more than the run. Where no ``root`` is
    given, the videos are looked for where `vxhelpers.data.datasets.open_data` does.

    Raises
    ------
    InputError
        If ``dataset`` is not rendered and ``root`` is not a folder.
    """
    digest = hashlib.sha256(dataset.encode())
    if not dataset.startswith("stage:"):
        from vxhelpers.data.manifest import find, read

        manifest, source = read(dataset), find(dataset)
        digest.update(manifest.digest.encode())
        if root is not None and not Path(root).is_dir():
            raise InputError(f"{root}: no such folder; --root is where the videos of {dataset} lie")
        beside = source.parent / str(manifest.card.get("root", "."))
        named = Path(os.environ.get("VX_DATA", "")) / dataset
        folder = Path(root) if root else beside if source == Path(dataset) else named
        for path in sorted({row.path for row in manifest.rows if not row.sha256}):
            video = folder / path
            if video.exists():
                digest.update(f"{path} {video.stat().st_size} {video.stat().st_mtime_ns}".encode())
    return digest.hexdigest()


def weights_digest(weights: str | None) -> str:
    """SHA-256 of weights, or their name where they are the package's or a library's.

    Weights are a file, or a folder of files (as a detector may be), known by names and contents.
    """
    if weights is not None and Path(weights).is_dir():
        return _folder_digest(Path(weights))
    if weights is not None and Path(weights).is_file():
        return sha256(Path(weights))
    return f"name:{weights}"


@cache
def commit(folder: Path = PACKAGE) -> str:
    """Git commit of the checkout, ``+`` when tracked files differ; empty outside a checkout."""
    git = ("git", "-C", str(folder))
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
        status = [*git, "status", "--porcelain", "--untracked-files=no"]
        changes = subprocess.run(status, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return (
        head.stdout.strip() + ("+" if changes.stdout.strip() else "") if not head.returncode else ""
    )


def hardware() -> str:
    """Processor and cores; the accelerator too where torch is in use and sees one."""
    text = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        text += f", {torch.cuda.get_device_name()}"
    return text


@dataclass(frozen=True)
class Provenance:
    """A table of names and values, shown as HTML in a chapter and as text elsewhere."""

    rows: Mapping[str, str]

    def __str__(self) -> str:
        width = max(map(len, self.rows), default=0)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in self.rows.items())

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th scope='row'>{escape(name)}</th><td><code>{escape(value)}</code></td></tr>"
            for name, value in self.rows.items()
        )
        return f"<table class='vx-provenance'><tbody>{rows}</tbody></table>"


def describe(chapter: str, parameters: Mapping[str, Any]) -> Provenance:
    """Say how to reproduce a chapter: command, data, weights, versions, hardware.

    Parameters
    ----------
    chapter
        The chapter's name, for instance ``"gradcam"``.
    parameters
        Names to values, such as a chapter's ``globals()``: ``action``, ``dataset`` and ``model``,
        and as far as the chapter has them ``root``, ``weights``, ``seed``, ``profile``,
        ``detector``, ``objects`` and ``concepts``. Other names are passed over.

    Returns
    -------
    Provenance
        Table with the exact command first.

    Raises
    ------
    InputError
        If ``action``, ``dataset`` or ``model`` is missing.
    """
    if missing := [name for name in ("action", "dataset", "model") if name not in parameters]:
        raise InputError(f"chapter {chapter!r} has no {' and no '.join(missing)}")
    names = ("action", "dataset", "root", "model", "weights", "seed", "profile", "detector")
    options = {name: parameters.get(name) for name in (*names, "concepts")}
    options["seed"] = seed = parameters.get("seed", 0)
    options["profile"] = parameters.get("profile", "standard")
    objects, weights = parameters.get("objects"), options["weights"]
    pairs = [*options.items(), *(("object", name) for name in objects or ()), ("chapter", chapter)]
    words = [w for name, value in pairs if value is not None for w in (f"--{name}", value)]
    installed = versions()
    of_files = {name: options[name] for name in ("detector", "concepts")}
    found_by = {
        name: weights_digest(path).removeprefix("name:")[:16]
        for name, path in of_files.items()
        if path
    }
    return Provenance(
        {
            "command": "vx run " + shlex.join(map(str, words)),
            "data (sha256)": data_digest(parameters["dataset"], options["root"])[:16],
            "weights": weights_digest(weights).removeprefix("name:")[:16],
            **found_by,
            "seed": str(seed),
            "commit": commit()[:12] or "not in a checkout",
            "hardware": hardware(),
            "versions": ", ".join(f"{n} {installed[n]}" for n in ("python", "torch", "numpy")),
        }
    )
