"""Chapters as pairs: the script is the source, the notebook is derived from it without outputs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vxhelpers.errors import InputError
from vxhelpers.files import replacing


def derive(script: Path) -> str:
    """The notebook of a script (jupytext percent format) as JSON text, the same on every call."""
    import jupytext

    notebook = jupytext.read(script, fmt="py:percent")
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{script.stem}-{number}"
    return str(jupytext.writes(notebook, fmt="ipynb")).rstrip("\n") + "\n"


def differences(script: Path, notebook: Path) -> list[str]:
    """Compare a pair cell by cell, from the files.

    Returns
    -------
    list of str
        What differs: cells by number, outputs that should not be there; empty for a true pair.

    Raises
    ------
    InputError
        If the notebook is missing or cannot be read.
    """
    import jupytext
    import nbformat

    try:
        text = notebook.read_text(encoding="utf-8")
        cells: list[Any] = nbformat.reads(text, as_version=4).cells  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise InputError(f"{notebook}: {error}; derive it with `vx pair`") from error
    wanted: list[Any] = jupytext.read(script, fmt="py:percent").cells
    found = []
    if len(cells) != len(wanted):
        found.append(f"{notebook.name}: {len(cells)} cells, {script.name} has {len(wanted)}")
    for number, (cell, other) in enumerate(zip(cells, wanted, strict=False), start=1):
        for part in ("cell_type", "source", "metadata"):
            if cell[part] != other[part]:
                found.append(f"{notebook.name}: cell {number}: another {part} than {script.name}")
        if cell.get("outputs") or cell.get("execution_count"):
            found.append(f"{notebook.name}: cell {number}: outputs, which the pair does not hold")
    return found


def pair(scripts: Sequence[Path]) -> list[Path]:
    """Write the notebook beside each script where it differs; return the ones written."""
    written = []
    for script in scripts:
        notebook, text = script.with_suffix(".ipynb"), derive(script)
        if not notebook.exists() or notebook.read_text(encoding="utf-8") != text:
            with replacing(notebook) as temporary:
                temporary.write_text(text, encoding="utf-8")
            written.append(notebook)
    return written
