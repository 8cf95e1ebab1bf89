"""What to run: classes, networks and chapters, from flags or from one YAML file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_type_hints

from vxhelpers.errors import InputError, UnknownNameError

Names = tuple[str, ...]


@dataclass(frozen=True)
class Slurm:
    """What to ask a SLURM cluster for; each worker is a job of its own.

    Parameters
    ----------
    workers
        How many.
    walltime, memory, cores, gpus
        Of each worker; ``gpus`` 0 for none. A chapter that the end of the time cuts is repeated.
    queue, account
        Partition and account that the jobs go to.
    interface
        Network interface that workers reach this machine by, for instance ``ib0``.
    """

    workers: int = 1
    walltime: str = "04:00:00"
    memory: str = "16GB"
    cores: int = 4
    gpus: int = 1
    queue: str | None = None
    account: str | None = None
    interface: str | None = None

    def __post_init__(self) -> None:
        for name, least in (("workers", 1), ("cores", 1), ("gpus", 0)):
            if getattr(self, name) < least:
                raise InputError(f"slurm: {name} must be {least} or more")
        if not re.fullmatch(r"(\d+-)?\d+(:\d\d){0,2}", self.walltime):
            raise InputError(f"slurm: walltime is like 04:00:00, not {self.walltime!r}")
        if not re.fullmatch(r"\d+(\.\d+)? ?[kMGT]i?B", self.memory):
            raise InputError(f"slurm: memory is like 16GB, not {self.memory!r}")


@dataclass(frozen=True)
class Plan:
    """Classes by networks by chapters, what they share, and where they run.

    ``actions`` is ``"all"`` for every class of the data. ``models`` and ``weights`` go together in
    their order where there are several of both. The other names are those of `Target` and of the
    options of ``vx run``; None and empty leave the choice to the book's table.
    """

    actions: Names | Literal["all"] = ()
    dataset: str | None = None
    manifest: str | None = None
    root: str | None = None
    models: Names = ()
    weights: Names = ()
    seed: int | None = None
    profile: str | None = None
    detector: str | None = None
    objects: Names = ()
    concepts: str | None = None
    chapters: Names = ()
    out: str | None = None
    jobs: int | None = None
    force: bool | None = None
    scheduler: str | None = None
    slurm: Slurm | None = None

    def networks(self) -> list[tuple[str | None, str | None]]:
        """Model and weights of each network; None leaves one to the table, or to the weights.

        Raises
        ------
        InputError
            If models and weights cannot be put together.
        """
        models, weights = self.models, self.weights
        if len(models) == len(weights):
            return list(zip(models, weights, strict=True)) or [(None, None)]
        if not weights:
            return [(model, None) for model in models]
        if len(models) <= 1:
            return [(models[0] if models else None, name) for name in weights]
        raise InputError(
            f"{len(models)} models and {len(weights)} weights: name weights for each model, in the "
            "same order, or none, or several weights of one model"
        )

    def over(self, other: "Plan") -> "Plan":
        """This plan, with the other one's values where this one says nothing."""
        said = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(other, **{k: v for k, v in said.items() if v is not None and v != ()})


def read_plan(path: Path) -> Plan:
    """Read a plan from a YAML file: a mapping with the names of `Plan`, ``slurm`` with `Slurm`'s.

    Raises
    ------
    InputError
        If the file cannot be read, is no mapping, or a value is of another kind; with its line.
    UnknownNameError
        If a key is unknown; the text names the file, the line and the nearest known one.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: {error}") from error
    values = _mapping(root, path, Plan)
    if "slurm" in values:
        values["slurm"] = Slurm(**values["slurm"])
    return Plan(**values)


def _mapping(node: Any, path: Path, kind: type) -> dict[str, Any]:
    """The values of a YAML mapping, checked against the fields of a dataclass."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        line = f", line {node.start_mark.line + 1}" if node else ""
        raise InputError(f"{path}{line}: a mapping of names to values is needed here")
    known = get_type_hints(kind)
    found: dict[str, Any] = {}
    for key, value in node.value:
        where = f"{path}, line {key.start_mark.line + 1}"
        if key.value not in known:
            raise UnknownNameError("key", str(key.value), known, where=where)
        if key.value in found:
            raise InputError(f"{where}: {key.value} is there twice")
        if known[key.value] == Slurm | None:
            found[key.value] = _mapping(value, path, Slurm)
            continue
        given = yaml.SafeLoader("").construct_object(value, deep=True)
        found[key.value] = _checked(given, known[key.value], f"{where}: {key.value}")
    return found


def _checked(value: Any, kind: Any, where: str) -> Any:
    """A value of the kind that a field takes: lists of names, one name for a list of one, ..."""
    if kind in (Names, Names | Literal["all"]):
        if value == "all" and kind != Names:
            return value
        names = value if isinstance(value, list) else [value]
        if all(isinstance(name, str) for name in names):
            return tuple(names)
        raise InputError(f"{where}: names are needed, not {value!r}; quote what YAML takes as more")
    words = {str: "a text", int: "a whole number", bool: "true or false"}
    allowed = next(plain for plain in (bool, int, str) if plain in (kind, *_members(kind)))
    if value is None or type(value) is allowed:
        return value
    hint = " (in quotes)" if allowed is str else ""
    raise InputError(f"{where}: {words[allowed]} is needed{hint}, not {value!r}")


def _members(kind: Any) -> tuple[Any, ...]:
    return tuple(chain(getattr(kind, "__args__", ())))


def slurm_from(words: str) -> Slurm:
    """Read ``name=value,...`` as what to ask a SLURM cluster for; nothing asks for the defaults.

    Raises
    ------
    InputError
        If a part is not of this form, or a number is none.
    UnknownNameError
        If a name is unknown.
    """
    kinds: Mapping[str, Any] = get_type_hints(Slurm)
    found: dict[str, Any] = {}
    for part in filter(None, words.split(",")):
        name, equals, value = part.strip().partition("=")
        if not equals or not value:
            raise InputError(f"--slurm takes name=value,name=value, not {part!r}")
        if name not in kinds:
            raise UnknownNameError("name", name, kinds, where="--slurm")
        try:
            found[name] = int(value) if kinds[name] is int else value
        except ValueError as error:
            raise InputError(f"--slurm: {name} is a whole number, not {value!r}") from error
    return Slurm(**found)
