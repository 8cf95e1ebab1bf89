"""Which of the package's modules a program comes to, and a digest of their code.

What a chapter computes depends on the modules that it imports, and on those that they import, in
turn, and on no other: a change elsewhere is no reason to run it again.
"""

import ast
import hashlib
from collections.abc import Collection, Iterator
from functools import cache, lru_cache
from pathlib import Path

from vxhelpers.files import sha256

PACKAGE = Path(__file__).parent


@lru_cache(maxsize=1024)
def imported(text: str) -> frozenset[str]:
    """Modules and folders of the package that a program names in its imports, wherever they stand.

    A name from the package's own top, as in ``from vxhelpers import zoo``, is a module.

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
            if first == PACKAGE.name and rest:
                yield rest[0]


def reached(modules: Collection[str], *, package: Path = PACKAGE) -> frozenset[str]:
    """These modules and folders and all that their code imports, in turn, within the package."""
    files, found, left = _files(package), set[str](), set(modules)
    while left:
        name = left.pop()
        if name in files and name not in found:
            found.add(name)
            for path in files[name]:
                left |= imported(path.read_text(encoding="utf-8"))
    return frozenset(found)


def _files(package: Path) -> dict[str, list[Path]]:
    """Module or folder of the package to its files of code."""
    found: dict[str, list[Path]] = {}
    for path in sorted(package.rglob("*.py")):
        found.setdefault(path.relative_to(package).parts[0].removesuffix(".py"), []).append(path)
    return found


def code_digest(modules: Collection[str], *, package: Path = PACKAGE) -> str:
    """SHA-256 over the code of these modules and of all that they come to, as it is now.

    Parameters
    ----------
    modules
        Names of modules, or of folders, of the package.
    """
    files = _files(package)
    digest = hashlib.sha256()
    for name in sorted(reached(modules, package=package)):
        for path in files[name]:
            digest.update(f"{path.relative_to(package).as_posix()} {sha256(path)}\n".encode())
    return digest.hexdigest()


def program_digest(text: str, *, package: Path = PACKAGE) -> str:
    """`code_digest` of what a program comes to; of all modules where the text is no Python."""
    try:
        modules: Collection[str] = imported(text)
    except SyntaxError:  # what is wrong is told when it runs
        modules = _files(package)
    return code_digest(modules, package=package)


@cache
def own_digest(module: str) -> str:
    """`code_digest` of one module as it was when this process first asked."""
    return code_digest([module])
