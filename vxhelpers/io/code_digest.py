"""Which of the package's modules a program comes to, and a digest of their code.

What a chapter computes depends on the modules that it imports, and on those that they import, in
turn, and on no other: a change elsewhere is no reason to run it again.
"""

import ast
import hashlib
from collections.abc import Collection, Iterator
from functools import cache, lru_cache
from pathlib import Path

from vxhelpers.io.files import sha256

PACKAGE = Path(__file__).parents[1]


@lru_cache(maxsize=1024)
def imported(text: str) -> frozenset[str]:
    """Names below the package that a program imports, dotted, wherever the imports stand.

    ``from vxhelpers.models import zoo`` gives ``models`` and ``models.zoo``. Whether a name is a
    module or what a module holds is not looked up.

    Raises
    ------
    SyntaxError
        If the text is no Python.
    """
    return frozenset(_imported(ast.parse(text)))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for first, *rest in (name.split(".") for name in names):
            if first == PACKAGE.name:
                yield from (".".join(rest[:end]) for end in range(1, len(rest) + 1))


def reached(modules: Collection[str], *, package: Path = PACKAGE) -> frozenset[str]:
    """These modules and all that their code imports, in turn, within the package.

    A folder is the module of its ``__init__``. Names of other things are passed over.
    """
    files, found, left = _files(package), set[str](), set(modules)
    while left:
        name = left.pop()
        if name in files and name not in found:
            found.add(name)
            left |= imported(files[name].read_text(encoding="utf-8"))
    return frozenset(found)


def _files(package: Path) -> dict[str, Path]:
    """Dotted name of each module, as seen from the package, to its file."""
    found: dict[str, Path] = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def code_digest(modules: Collection[str], *, package: Path = PACKAGE) -> str:
    """SHA-256 over the code of these modules and of all that they come to, as it is now.

    Parameters
    ----------
    modules
        Dotted names of modules, as seen from the package: ``models.zoo``.
    """
    files = _files(package)
    digest = hashlib.sha256()
    for name in sorted(reached(modules, package=package)):
        path = files[name]
        digest.update(f"{path.relative_to(package).as_posix()} {sha256(path)}\n".encode())
    return digest.hexdigest()


def program_digest(text: str, *, package: Path = PACKAGE) -> str:
    """`code_digest` of what a program comes to; of all modules where the text is no Python."""
    try:
        modules: Collection[str] = imported(text)
    except SyntaxError:  # the error is shown when the program runs
        modules = _files(package)
    return code_digest(modules, package=package)


@cache
def own_digest(module: str) -> str:
    """`code_digest` of a module, by its ``__name__``, as it was when this process first asked."""
    return code_digest([module.removeprefix(f"{PACKAGE.name}.")])
