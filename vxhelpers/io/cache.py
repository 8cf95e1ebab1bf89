"""A content-addressed cache of arrays and JSON values, written atomically.

The key of an entry is the hash of what the entry was computed from: contents and options, never
the name of a file or concept. A changed clip is another key, so nothing stale is ever returned.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vxhelpers.errors import InputError
from vxhelpers.io.files import replacing

Value = npt.NDArray[Any] | Any
_JSON = "__json__"


def default_root() -> Path:
    """The folder ``VX_CACHE`` names, else ``~/.cache/vxhelpers``."""
    named = os.environ.get("VX_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "vxhelpers"


def key(parts: Mapping[str, Any]) -> str:
    """SHA-256 of the parts in canonical form: order of keys and list or tuple do not matter.

    Parameters
    ----------
    parts
        Names to text, numbers, booleans, None, arrays (hashed by type, shape and content), or
        lists and mappings of these.

    Raises
    ------
    InputError
        If a part is of another kind, or a number is not finite.
    """
    try:
        text = json.dumps(parts, sort_keys=True, allow_nan=False, default=_array_part)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"a cache key is made of text, finite numbers, arrays, lists and mappings: {error}"
        ) from error
    return hashlib.sha256(text.encode()).hexdigest()


class Store:
    """A folder of cached results.

    Parameters
    ----------
    root
        The folder; made when first written to. :func:`default_root` unless given.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        self.root = Path(root) if root is not None else default_root()

    def path(self, parts: Mapping[str, Any]) -> Path:
        """Where the entry of these parts is or would be."""
        name = key(parts)
        return self.root / name[:2] / f"{name}.npz"

    def find(self, parts: Mapping[str, Any]) -> dict[str, Value] | None:
        """The stored result of these parts; None where there is none, or a damaged one."""
        return _read(self.path(parts))

    def get_or_compute(
        self, parts: Mapping[str, Any], compute: Callable[[], Mapping[str, Value]]
    ) -> dict[str, Value]:
        """The stored result of these parts, computed and stored first where it is not there.

        Parameters
        ----------
        parts
            Everything that the result depends on (see :func:`key`).
        compute
            Gives names to arrays or JSON values; called only when needed. A damaged entry counts
            as not there.

        Returns
        -------
        dict
            Names to arrays and JSON values (tuples have become lists), the same on every call.

        Raises
        ------
        WriteError
            If the folder cannot be written or the disk is full.
        InputError
            If a part or a result is of a kind that cannot be stored.
        """
        path = self.path(parts)
        found = _read(path)
        if found is not None:
            return found
        result = compute()
        arrays = {name: value for name, value in result.items() if isinstance(value, np.ndarray)}
        values = {name: value for name, value in result.items() if name not in arrays}
        try:
            text = json.dumps(values, allow_nan=False)
            with replacing(path) as temporary, temporary.open("wb") as file:
                entries = {f"a:{name}": array for name, array in arrays.items()}
                np.savez(file, allow_pickle=False, **{_JSON: np.array(text)}, **entries)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"a result to be cached holds arrays of numbers and finite JSON values: {error}"
            ) from error
        return {**arrays, **json.loads(text)}


def _read(path: Path) -> dict[str, Value] | None:
    """The entry in this file; None where it is missing or damaged (the zip's checksums tell)."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as entry:
            arrays = {name[2:]: entry[name] for name in entry.files if name != _JSON}
            return {**arrays, **json.loads(str(entry[_JSON]))}
    except (OSError, zipfile.BadZipFile, ValueError, EOFError, KeyError):
        return None


def _array_part(part: object) -> dict[str, Any]:
    if not isinstance(part, np.ndarray | np.generic) or part.dtype.hasobject:
        raise TypeError(f"{type(part).__name__} {part!r:.80}")
    content = hashlib.sha256(np.ascontiguousarray(part).tobytes()).hexdigest()
    return {"array": content, "dtype": part.dtype.str, "shape": list(part.shape)}
