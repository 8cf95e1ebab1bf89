"""A chapter's source: the notebook it stands for, and the parameters that it takes."""

import ast
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from vxhelpers.book.run_targets import Target
from vxhelpers.errors import InputError, RunError
from vxhelpers.io.files import replacing


def read_text(chapter: Path) -> str:
    """The text of a chapter's script.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        return chapter.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{chapter}: cannot be read ({error})") from error


def read_chapter(chapter: Path, text: str | None = None) -> Any:
    """Read a chapter's script as a notebook; it must have a cell tagged ``parameters``.

    Parameters
    ----------
    chapter
        The script, jupytext percent format.
    text
        What it holds, where that was read already.

    Raises
    ------
    RunError
        If it has no such cell.
    """
    import jupytext

    notebook = jupytext.reads(read_text(chapter) if text is None else text, fmt="py:percent")
    if not any("parameters" in cell.metadata.get("tags", ()) for cell in notebook.cells):
        raise RunError(
            f'{chapter}: no cell is tagged "parameters"; start one with '
            '`# %% tags=["parameters"]` and give action, dataset, root, model, weights, seed and '
            "profile their default values there"
        )
    return notebook


@lru_cache(maxsize=256)
def _parameters_cell(chapter: Path, text: str) -> ast.Module:
    cells = read_chapter(chapter, text).cells
    cell = next(c.source for c in cells if "parameters" in c.metadata.get("tags", ()))
    return ast.parse(str(cell))


def parameters_of(chapter: Path, target: Target, text: str | None = None) -> dict[str, Any]:
    """The target's values for the names that the chapter's parameters cell gives a value.

    Raises
    ------
    RunError
        If the chapter has no such cell.
    """
    cell = _parameters_cell(chapter, read_text(chapter) if text is None else text)
    names = {
        node.id
        for node in ast.walk(cell)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    values = {name: value for name, value in asdict(target).items() if name in names}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def own_target(chapter: Path, *, seed: int, profile: str) -> Target:
    """The target that a chapter names itself, in its parameters cell.

    For chapters that a book holds once, whatever its classes: the data that they are about is
    their own; seed and profile are those of the book.

    Raises
    ------
    RunError
        If the chapter has no such cell, or it names no action, data set and model, as literals.
    """
    values: dict[str, Any] = {}
    for node in _parameters_cell(chapter, read_text(chapter)).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            with suppress(ValueError):
                values[node.targets[0].id] = ast.literal_eval(node.value)
    known = {name: value for name, value in values.items() if name in Target.__dataclass_fields__}
    try:
        return Target(**known | {"seed": seed, "profile": profile})
    except TypeError as error:
        raise RunError(
            f"{chapter}: is held once in the book, so its parameters cell must name an action, a "
            f"dataset and a model ({error})"
        ) from error


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
