"""The reference of the package: a page a module, from signatures and docstrings.

Sources are read, not imported: pages cost little, name types as the source does, and are the same
whether or not the libraries of an optional part are installed. Docstrings are in NumPy's form and
are converted by Sphinx's napoleon; names of the package become links, and a test finds those that
lead nowhere.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import indent
from typing import Any

from vxhelpers.io.code_digest import PACKAGE

MODULES = "<!-- vx:modules -->"
# As ARCHITECTURE.md has them, after what stands alone.
ROOMS = tuple(
    [
        "data",
        "figures",
        "models",
        "attribution",
        "concepts",
        "concept_sets",
        "book",
        "stce",
        "evaluation",
        "live",
    ]
)
_ARGUMENTS = re.compile(r'<span class="sig-paren">\(</span>\s*<dl>.*?</dl>', re.DOTALL)
_LONGEST = 88  # characters of a constant's value that is still shown
Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> dict[str, Path]:
    """Modules of the package by name, without its own; commands are described by ``vx --help``."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name and not re.search(r"^cli\b|(^|[._])_\w+$", name):
            found[name] = path
    return found


def write(folder: Path, text: str) -> tuple[str, list[str]]:
    """Write a page for every module, and list them on the page that leads to them.

    Parameters
    ----------
    folder
        Where pages go, as ``api/NAME.rst``.
    text
        Markdown of the leading page: ``<!-- vx:modules -->`` becomes a section for each folder of
        the package, with a table of its modules and what each is for.

    Returns
    -------
    str, list of str
        The Markdown, and the documents in the order of the modules on the page.
    """
    trees = {name: ast.parse(path.read_text("utf-8")) for name, path in modules().items()}
    (folder / "api").mkdir(parents=True, exist_ok=True)
    for name, page in pages(trees).items():
        (folder / "api" / f"{name}.rst").write_text(page, encoding="utf-8")
    jobs = {name: _job(ast.get_docstring(tree) or "") for name, tree in trees.items()}
    rooms: dict[str, list[str]] = {}
    for name in trees:
        room = name.split(".")[0]
        rooms.setdefault(room if room in ROOMS or room == "io" else "", []).append(name)
    order = [room for room in ("", "io", *ROOMS) if room in rooms]

    def section(room: str) -> str:
        rows = [f"| {{doc}}`{name} <api/{name}>` | {jobs[name]} |" for name in rooms[room]]
        title = f"`{room}`: {jobs[room][:1].lower()}{jobs[room][1:]}" if room else "Shared"
        return "\n".join([f"## {title}", "", "| module | job |", "|---|---|", *rows])

    text = text.replace(MODULES, "\n\n".join(map(section, order)))
    return text, [f"api/{name}" for room in order for name in rooms[room]]


def pages(trees: Mapping[str, ast.Module]) -> dict[str, str]:
    """Pages in reStructuredText: what a module is for, then its public names in their order.

    Parameters
    ----------
    trees
        Name within the package, such as ``"gradcam"`` or ``"stage.scene"``, to the source, parsed.
    """
    imported = {
        f"vxhelpers.{name}.{one.asname or one.name}": f"{node.module}.{one.name}"
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vxhelpers")
        for one in node.names
    }
    imported = {name: origin for name, origin in imported.items() if name != origin}
    made = {}
    for name, tree in trees.items():
        names = _Names(name, tree, imported)
        blocks = [f"{name}\n{'=' * len(name)}", f".. py:module:: vxhelpers.{name}"]
        blocks += [_converted(tree, names)]
        for node in tree.body:
            blocks += [indent(text, depth * "   ") for depth, text in _described(node, names, 0)]
        made[name] = "\n\n".join(filter(None, blocks)) + "\n"
    return made


def _job(docstring: str) -> str:
    """The first sentence of a docstring, as markdown in a cell of a table."""
    first = " ".join(docstring.partition("\n\n")[0].split())
    first = re.sub(r":\w+:`~?([^`]+)`|``([^`]+)``", r"`\1\2`", first).replace("|", r"\|")
    return re.split(r"(?<=\.)\s", first)[0].removesuffix(".")


class _Names(ast.NodeTransformer):
    """Names in annotations spelled in full, so that they become links."""

    def __init__(self, module: str, tree: ast.Module, imported: Mapping[str, str]) -> None:
        self.imported, prefix = imported, f"vxhelpers.{module}."
        here = [name.removeprefix(prefix) for name in imported if name.startswith(prefix)]
        self.known = {name: self.origin(prefix + name) for name in here if "." not in name}
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                self.known[node.name] = prefix + node.name
            elif _is_alias(node):
                self.known[_target(node)] = prefix + _target(node)

    def origin(self, name: str) -> str:
        """Where a name is defined that modules pass on."""
        while name in self.imported:
            name = self.imported[name]
        return name

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """Spell a name of the package in full."""
        return ast.Name(self.known.get(node.id, node.id))

    def text(self, node: ast.expr | None) -> str:
        """An annotation as it is shown."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node = ast.parse(node.value, mode="eval").body
        return "" if node is None else ast.unparse(self.visit(ast.parse(ast.unparse(node)).body[0]))


def _described(node: ast.stmt, names: _Names, depth: int) -> Iterator[tuple[int, str]]:
    """A public name and what is in it, each with its depth."""
    if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
        yield depth, f".. py:class:: {node.name}{_fields(node, names)}"
        yield depth + 1, _converted(node, names)
        for member in node.body:
            if isinstance(member, Function) and ast.get_docstring(member):
                yield from _described(member, names, depth + 1)
    elif isinstance(node, Function) and not node.name.startswith("_"):
        marks = {ast.unparse(mark) for mark in node.decorator_list}
        if "overload" in marks:
            return
        returned = names.text(node.returns)
        if "property" in marks:
            yield (
                depth,
                f".. py:property:: {node.name}" + f"\n   :type: {returned}" * bool(returned),
            )
        else:
            kind = "method" if depth else "function"
            flags = "".join(f"\n   :{m}:" for m in ("classmethod", "staticmethod") if m in marks)
            taken = _arguments(node.args, names, bound=depth > 0 and "staticmethod" not in marks)
            result = f" -> {returned}" if returned else ""
            yield depth, f".. py:{kind}:: {node.name}({taken}){result}{flags}"
        yield depth + 1, _converted(node, names)
    elif _is_alias(node):
        assert isinstance(node, ast.Assign)
        yield depth, f".. py:type:: {_target(node)}\n\n   ``{ast.unparse(node.value)}``"
    elif (name := _target(node)).isupper() and not name.startswith("_"):
        assert isinstance(node, ast.Assign | ast.AnnAssign)
        value = ast.unparse(node.value) if node.value else ""
        shown = f"\n   :value: {value}" if value and len(value) <= _LONGEST else ""
        yield depth, f".. py:data:: {name}{shown}"


def _target(node: ast.stmt) -> str:
    """The one name that a statement assigns to; empty for any other statement."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""


def _is_alias(node: ast.stmt) -> bool:
    """Whether a statement gives a type a name, as in ``Masks = npt.NDArray[np.bool_]``."""
    return (
        isinstance(node, ast.Assign)
        and re.fullmatch("[A-Z][A-Za-z]*[a-z]", _target(node)) is not None
    )


def _fields(node: ast.ClassDef, names: _Names) -> str:
    """What a class is called with: the fields of a dataclass, or the arguments of ``__init__``."""
    for member in node.body:
        if isinstance(member, ast.FunctionDef) and member.name == "__init__":
            return f"({_arguments(member.args, names, bound=True)})"
    if not any("dataclass" in ast.unparse(mark) for mark in node.decorator_list):
        return ""
    shown = []
    for member in node.body:
        if isinstance(member, ast.AnnAssign) and not _target(member).startswith("_"):
            value = f" = {ast.unparse(member.value)}" if member.value else ""
            shown.append(f"{_target(member)}: {names.text(member.annotation)}{value}")
    return f"({', '.join(shown)})"


def _arguments(arguments: ast.arguments, names: _Names, *, bound: bool) -> str:
    """Arguments as they stand in the source, without ``self``, on one line."""
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    for one in [*listed, arguments.vararg, arguments.kwarg]:
        if one is not None and one.annotation is not None:
            one.annotation = ast.Name(names.text(one.annotation))
    if bound and (first := arguments.posonlyargs or arguments.args):
        del first[0]
    return ast.unparse(arguments)


def _converted(node: ast.Module | ast.ClassDef | Function, names: _Names) -> str:
    """A docstring in reStructuredText, with the errors of the package as links."""
    from sphinx.ext.napoleon import Config
    from sphinx.ext.napoleon.docstring import NumpyDocstring

    settings: Any = Config(napoleon_use_rtype=False)
    text = str(NumpyDocstring(ast.get_docstring(node) or "", settings)).strip()

    text = re.sub(r"(?<=:raises )\w+(?=:)", lambda m: names.known.get(m[0], m[0]), text)
    return re.sub(r"(?<=`)vxhelpers\.[\w.]+(?=`)", lambda m: names.origin(m[0]), text)


def _plain_arguments(
    app: Any, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Arguments of signatures as spans: Sphinx makes them a list that lacks its terms."""

    def spans(match: re.Match[str]) -> str:
        text = re.sub("</?dl>", "", match[0])
        return text.replace("<dd>", '<span class="sig-argument">').replace("</dd>", "</span>")

    if "body" in context:
        context["body"] = _ARGUMENTS.sub(spans, context["body"])


def setup(app: Any) -> dict[str, bool]:
    """Sphinx extension: names of types in signatures lead to aliases as they do to classes."""
    from sphinx.domains import ObjType

    app.registry.domains["py"].object_types["type"] = ObjType("type alias", "type", "class", "obj")
    app.connect("html-page-context", _plain_arguments)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
