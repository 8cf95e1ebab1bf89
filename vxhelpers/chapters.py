"""A chapter's source: the notebook it stands for, and the parameters that it takes."""

import ast
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from vxhelpers.errors import InputError, RunError
from vxhelpers.targets import Target


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
