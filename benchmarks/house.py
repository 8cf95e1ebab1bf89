"""The size and shape of the package and of the chapters, of any checkout.

    python benchmarks/house.py [CHECKOUT] [--against OTHER_CHECKOUT]

Counts files, lines, rooms (entries of ``vxhelpers/``), arrows (pairs of rooms of which one imports
the other), the longest modules, functions and signatures. Of chapters: lines of code, those
in hidden cells, the longest visible cell, functions that chapters define, cells that put Markdown
together, and ``# fmt: skip``. The last line is one JSON object.
"""

import argparse
import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

Numbers = dict[str, float | str]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def package(folder: Path) -> Numbers:
    """Numbers of ``vxhelpers/`` in a checkout."""
    home = folder / "vxhelpers"
    texts = {path.relative_to(home): path.read_text("utf-8") for path in home.rglob("*.py")}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    lines = {path: text.count("\n") for path, text in texts.items()}
    longest = max(lines, key=lambda path: lines[path])
    functions = [node for tree in trees.values() for node in ast.walk(tree)]
    lengths = [n.end_lineno - n.lineno + 1 for n in functions if isinstance(n, FUNCTIONS)]
    wide = sorted(signatures(trees), reverse=True)
    rooms = {path.parts[0] for path in texts}
    arrows = {pair for path, tree in trees.items() for pair in imports(path, tree)}
    return {
        "files": len(texts),
        "lines": sum(lines.values()),
        "docstring_lines": sum(map(docstring_lines, trees.values())),
        "rooms": len(rooms),
        "arrows": len(arrows),
        "module_median": median(lines.values()),
        "module_longest": lines[longest],
        "module_longest_name": longest.as_posix(),
        "modules_over_350": sum(n > 350 for n in lines.values()),
        "function_longest": max(lengths),
        "parameters_most": wide[0][0],
        "parameters_most_name": wide[0][1],
        "functions_over_8_parameters": sum(n > 8 for n, _ in wide),
        "raises": sum(isinstance(node, ast.Raise) for node in functions),
    }


def signatures(trees: dict[Path, ast.Module]) -> Iterator[tuple[int, str]]:
    """Parameters of each public function and method but commands, whose parameters are options."""
    for path, tree in trees.items():
        if "cli" in path.as_posix():
            continue
        for node in ast.walk(tree):
            if isinstance(node, FUNCTIONS) and not node.name.startswith("_"):
                given = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                names = [arg.arg for arg in given if arg.arg not in ("self", "cls")]
                yield len(names), f"{path.as_posix()}: {node.name}"


def imports(path: Path, tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Rooms that a module's room imports."""
    own = path.parts[0].removesuffix(".py")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "vxhelpers":
            for alias in node.names:
                other = f"{node.module}.{alias.name}".split(".")[1]
                if other not in (own, "__version__"):
                    yield own, other


def docstring_lines(tree: ast.Module) -> int:
    """Lines of all docstrings of a module."""
    kinds = (ast.Module, ast.ClassDef, *FUNCTIONS)
    texts = [ast.get_docstring(n, clean=False) for n in ast.walk(tree) if isinstance(n, kinds)]
    return sum(text.count("\n") + 1 for text in texts if text)


def chapters(folder: Path) -> Numbers:
    """Numbers of the chapters of a checkout."""
    found: list[tuple[str, str]] = []
    longest = 0
    for path in sorted((folder / "book").glob("*.py")):
        text = path.read_text("utf-8")
        longest = max(longest, text.count("\n"))
        parts = re.split(r"^# %%(.*)$", text, flags=re.M)
        cells = zip(parts[1::2], parts[2::2], strict=True)
        found += [(head, body) for head, body in cells if "[markdown]" not in head]
    code = [(("hide" in h or "remove" in h), *counted(body), body) for h, body in found]
    return {
        "chapter_longest": longest,
        "code_lines": sum(n for _, n, *_ in code),
        "hidden_code_lines": sum(n for hidden, n, *_ in code if hidden),
        "visible_cell_longest": max(n for hidden, n, *_ in code if not hidden),
        "visible_cells_over_15": sum(n > 15 for hidden, n, *_ in code if not hidden),
        "functions_defined": sum(defined for _, _, defined, _ in code),
        "markdown_cells_of_code": sum("Markdown(" in body for *_, body in code),
        "fmt_skip": sum(body.count("# fmt: skip") for *_, body in code),
    }


def counted(body: str) -> tuple[int, int]:
    """Lines that are not blank, and functions that are defined."""
    lines = sum(bool(line.strip()) for line in body.split("\n"))
    return lines, sum(isinstance(node, FUNCTIONS) for node in ast.walk(ast.parse(body)))


def measured(folder: Path) -> Numbers:
    """All numbers of a checkout."""
    return package(folder) | chapters(folder)


def main() -> None:
    """Print the numbers as a table, and as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkout", type=Path, nargs="?", default=Path(__file__).parents[1])
    parser.add_argument("--against", type=Path, help="another checkout, printed beside it")
    options = parser.parse_args()
    found = {"now": measured(options.checkout)}
    if options.against:
        found = {"before": measured(options.against)} | found
    print(f"{'':28}" + "".join(f"{name:>40}" for name in found))
    for row in found["now"]:
        print(f"{row:28}" + "".join(f"{numbers[row]!s:>40}" for numbers in found.values()))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
