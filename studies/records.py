"""What a study found, kept cell by cell in one JSON file, so that a stopped one goes on.

A cell is a frozen dataclass (a network, a seed, a task); its record holds the cell's fields, and
the digest of the weights that it is of.
"""

import json
import re
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vxhelpers.data.provenance import commit, hardware, versions
from vxhelpers.errors import InputError
from vxhelpers.io.files import replacing

Record = dict[str, Any]


def run_of(script: str, words: Sequence[str], packages: Collection[str]) -> Record:
    """What a call of a study is recorded as."""
    words = [*words]
    for place in [i for i, word in enumerate(words) if word in ("--out", "--weights")][::-1]:
        del words[place : place + 2]  # where files lie is no part of the result
    head, installed = commit(), versions()
    return {
        "command": shlex.join(["python", f"studies/{script}.py", *words]),
        "commit": head[:12] + head[40:],  # + where files differ from it
        "hardware": hardware(),
        "versions": {name: installed[name] for name in packages if name in installed},
        "day": datetime.now(UTC).date().isoformat(),
    }


def load(path: Path, common: Mapping[str, Any]) -> Record:
    """Read what is there; raises InputError where it was made with other options."""
    known = json.loads(path.read_text()) if path.is_file() else {"options": common["options"]}
    if known["options"] != common["options"]:
        raise InputError(
            f"{path}: was made with {known['options']}; name another file (--out), or remove it"
        )
    return {**common, "runs": known.get("runs", []), "cells": known.get("cells", [])}


def identity(kind: type, item: Mapping[str, Any]) -> Any:
    """Which cell a record is of."""
    return kind(*(item[name] for name in kind.__dataclass_fields__))


def find(record: Mapping[str, Any], cell: Any) -> Mapping[str, Any] | None:
    """The record of a cell, if it is there."""
    return next((item for item in record["cells"] if identity(type(cell), item) == cell), None)


def done(record: Mapping[str, Any], cell: Any, digest: str) -> bool:
    """Whether the record of a cell is there, and of these weights."""
    known = find(record, cell)
    return known is not None and known["digest"] == digest[:16]


def add(record: Record, cell: Any, found: Mapping[str, Any], run: Mapping[str, Any]) -> Record:
    """Put a cell in, in place of an older one."""
    if run not in record["runs"]:
        record["runs"].append(dict(run))
    rest = [item for item in record["cells"] if identity(type(cell), item) != cell]
    record["cells"] = [*rest, {**vars(cell), "run": record["runs"].index(run), **found}]
    return record


def write(
    record: Record, path: Path, *, planned: Sequence[Any], order: Callable[[Any], Any]
) -> None:
    """Write the file in order, with what is missing; a row of a table takes a line."""
    kind = type(planned[0])
    record["cells"].sort(key=lambda item: order(identity(kind, item)))
    missing = [cell for cell in sorted(planned, key=order) if find(record, cell) is None]
    record["missing"] = [vars(cell) for cell in missing]
    text = re.sub(r"\n +", "\n", json.dumps(record, indent=1))
    leaf = re.compile(r"[\[{]\s+([^\[\]{}]*?)\s+[\]}]")
    text = leaf.sub(lambda found: re.sub(r"\s*\n\s*", "", found.group()), text)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n")


def tidy(row: Sequence[Any]) -> list[Any]:
    """Three digits of every number, which is more than is known of them."""
    return [v if isinstance(v, str) else float(f"{float(v):.3g}") for v in row]
