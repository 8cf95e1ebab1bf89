"""Manifests: which clips a data set has, as a CSV of rows with a YAML card beside it.

The CSV has the columns ``clip_id, path, label, split, start_s, end_s`` and, where known,
``sha256``. Times are half-open seconds, ``[start_s, end_s)``; both empty is the whole file. An
empty ``path`` is filled in from the card's ``path``, a template such as
``{split}/{label}/{clip_id}.mp4``, which keeps large lists compact. The card says where the data
comes from, under which licence, how to obtain it, what layout is expected, and how to cite it.
"""

import csv
import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import yaml

from vxhelpers.errors import ManifestError, UnknownNameError
from vxhelpers.io.code_digest import PACKAGE
from vxhelpers.io.files import replacing

COLUMNS = ("clip_id", "path", "label", "split", "start_s", "end_s", "sha256")
FOLDER = PACKAGE.parent / "data_manifests"


@dataclass(frozen=True)
class Row:
    """One clip of a data set.

    Parameters
    ----------
    clip_id
        Unique in the manifest.
    path
        Of the video, below the data set's root, with forward slashes.
    label, split
        Class and subset, for instance ``"walking"`` and ``"train"``.
    start_s, end_s
        Half-open seconds of the video; None and None is the whole file.
    sha256
        Of the file's content; empty where not known.
    """

    clip_id: str
    path: str
    label: str
    split: str
    start_s: float | None = None
    end_s: float | None = None
    sha256: str = ""


@dataclass(frozen=True)
class Manifest:
    """The rows of a data set with its card.

    Parameters
    ----------
    name
        Of the data set.
    rows
        Its clips, in order.
    card
        What the YAML file says.
    source
        The CSV file; None where the manifest was made in memory.
    """

    name: str
    rows: tuple[Row, ...]
    card: Mapping[str, Any] = field(default_factory=dict)
    source: Path | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Class labels: in the card's order, else those of the rows, sorted."""
        listed = self.card.get("labels")
        return tuple(listed) if listed else tuple(sorted({row.label for row in self.rows}))

    @property
    def splits(self) -> dict[str, int]:
        """Number of rows a split, in order of appearance."""
        return dict(Counter(row.split for row in self.rows))

    @property
    def digest(self) -> str:
        """SHA-256 of the labels and the rows; the card's words do not count."""
        content = [self.labels, [astuple(row) for row in self.rows]]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def names() -> list[str]:
    """Names of the manifests in ``data_manifests/``."""
    return sorted(path.stem for path in FOLDER.glob("*.csv"))


def find(source: str | Path) -> Path:
    """The CSV file that a name (of :func:`names`) or a path stands for.

    Raises
    ------
    UnknownNameError
        If there is no manifest of this name; near names are suggested.
    ManifestError
        If there is no such file.
    """
    path = Path(source)
    if path.suffix.lower() != ".csv" and len(path.parts) == 1:
        if str(source) not in names():
            raise UnknownNameError("manifest", str(source), names())
        return FOLDER / f"{source}.csv"
    if not path.is_file():
        raise ManifestError(f"{path}: no such manifest; vx data scan FOLDER makes one")
    return path


def read_card(source: str | Path) -> dict[str, Any]:
    """The card of a manifest: the YAML file beside its CSV, empty if there is none.

    Raises
    ------
    ManifestError
        If the file is no YAML mapping or its labels are no list of texts.
    """
    path = find(source).with_suffix(".yaml")
    if not path.is_file():
        return {}
    try:
        card = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: is not YAML: {error}") from error
    if not isinstance(card, dict):
        raise ManifestError(f"{path}: a card is a mapping such as 'title: My clips'")
    labels = card.get("labels", [])
    if not isinstance(labels, list) or not all(isinstance(x, str) and x for x in labels):
        raise ManifestError(f"{path}: labels must be a list of texts; quote labels such as 'yes'")
    if len(set(labels)) < len(labels):
        raise ManifestError(f"{path}: a label is listed twice")
    return card


def read(source: str | Path) -> Manifest:
    """Read and check a manifest.

    Parameters
    ----------
    source
        A name in ``data_manifests/``, or the path of a CSV.

    Raises
    ------
    UnknownNameError
        If there is no manifest of this name, or a row has a label that the card does not list.
    ManifestError
        If a column is missing or unknown, an id is there twice, a time is negative, reversed or
        no number, a path is absolute or leaves the root, a cell is empty that must not be, or
        there are no rows. The text names file and line.
    """
    path = find(source)
    card = read_card(path)
    rows: list[Row] = []
    lines: list[int] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            _check_columns(reader.fieldnames, path)
            for cells in reader:
                if None in cells or None in cells.values():
                    raise ManifestError(
                        f"{path}, line {reader.line_num}: has more or fewer cells than the header"
                    )
                rows.append(_row(cells, card, f"{path}, line {reader.line_num}"))
                lines.append(reader.line_num)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: is not a CSV in UTF-8: {error}") from error
    if not rows:
        raise ManifestError(
            f"{path}: has no rows: its list of clips is not published with it. Obtain the videos "
            f"({card.get('obtain', 'see the card')}), then run: vx data scan FOLDER"
        )
    _check(rows, card.get("labels"), [f"{path}, line {line}" for line in lines])
    return Manifest(str(card.get("name", path.stem)), tuple(rows), card, path)


def write(manifest: Manifest, path: str | Path) -> None:
    """Write a manifest's CSV and, beside it, its card; both are whole or untouched.

    Raises
    ------
    ManifestError
        If a row could not be read back (see :func:`read`).
    WriteError
        If the place cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".csv":
        raise ManifestError(f"{path}: name the manifest *.csv (its card goes to *.yaml)")
    rows, card = manifest.rows, dict(manifest.card)
    _check(rows, card.get("labels"), [f"{path}, row {i + 1}" for i in range(len(rows))])
    hashes = any(row.sha256 for row in rows)
    with (
        replacing(path) as csv_file,
        replacing(path.with_suffix(".yaml")) as card_file,
        csv_file.open("w", encoding="utf-8", newline="") as file,
    ):
        text = yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=100)
        card_file.write_text(text, encoding="utf-8")
        writer = csv.writer(file, lineterminator="\n")
        columns = COLUMNS if hashes else COLUMNS[:-1]
        writer.writerow(columns)
        for row in rows:
            filled = row.path == _template(card, row.clip_id, row.label, row.split)
            times = ("" if t is None else f"{t:.6f}".rstrip("0").rstrip(".") for t in _times(row))
            cells = (row.clip_id, "" if filled else row.path, row.label, row.split, *times)
            writer.writerow((*cells, row.sha256) if hashes else cells)


def locate(row: Row, root: str | Path) -> Path:
    """The file of a row below ``root``, links followed.

    Raises
    ------
    ManifestError
        If the path leaves the root, be it by ``..`` or by a symbolic link.
    """
    _check_path(row.path, f"clip {row.clip_id!r}")
    top = Path(root).resolve()
    path = (top / row.path).resolve()
    if not path.is_relative_to(top):
        raise ManifestError(
            f"clip {row.clip_id!r}: {row.path} leaves the root {root} (a symbolic link?); "
            "move the file below the root"
        )
    return path


def _row(cells: Mapping[str, str], card: Mapping[str, Any], where: str) -> Row:
    text = {name: cells.get(name, "").strip() for name in COLUMNS}
    identity = text["clip_id"], text["label"], text["split"]
    path = text["path"] or _template(card, *identity)
    start, end = (_seconds(text[name], f"{where}: {name}") for name in ("start_s", "end_s"))
    return Row(identity[0], path, *identity[1:], start, end, text["sha256"].lower())


def _seconds(text: str, where: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        raise ManifestError(f"{where} {text!r} is not a number of seconds") from None


def _template(card: Mapping[str, Any], clip_id: str, label: str, split: str) -> str:
    template = str(card.get("path", ""))
    for name, value in (("clip_id", clip_id), ("label", label), ("split", split)):
        template = template.replace(f"{{{name}}}", value)
    return template


def _times(row: Row) -> tuple[float | None, float | None]:
    return row.start_s, row.end_s


def _check_columns(columns: Iterable[str] | None, path: Path) -> None:
    found = list(columns or ())
    missing = [name for name in COLUMNS[:-1] if name not in found]
    if missing:
        raise ManifestError(
            f"{path}: column {', '.join(missing)} is missing; the header must be "
            f"{','.join(COLUMNS[:-1])} with or without sha256"
        )
    for name in found:
        if name not in COLUMNS:
            raise UnknownNameError("column", name, COLUMNS, where=str(path))
    if len(set(found)) < len(found):
        raise ManifestError(f"{path}: a column stands in the header twice")


def _check(rows: Iterable[Row], labels: Iterable[str] | None, where: list[str]) -> None:
    known = list(labels or ())
    seen: dict[str, str] = {}
    for row, place in zip(rows, where, strict=True):
        for name in ("clip_id", "path", "label", "split"):
            if not getattr(row, name):
                raise ManifestError(f"{place}: {name} is empty")
        if row.clip_id in seen:
            raise ManifestError(
                f"{place}: clip_id {row.clip_id!r} is there already ({seen[row.clip_id]}); "
                "ids must be unique"
            )
        seen[row.clip_id] = place
        _check_path(row.path, place)
        if known and row.label not in known:
            raise UnknownNameError("label", row.label, known, where=place)
        start, end = _times(row)
        if (start is None) != (end is None):
            raise ManifestError(f"{place}: give both start_s and end_s, or neither (whole file)")
        if start is not None and end is not None:
            if not (math.isfinite(start) and math.isfinite(end)) or start < 0:
                raise ManifestError(f"{place}: [{start}, {end}) s is negative or not finite")
            if end <= start:
                raise ManifestError(f"{place}: end_s {end:g} is not after start_s {start:g}")
        if row.sha256 and (len(row.sha256) != 64 or set(row.sha256) - set("0123456789abcdef")):
            raise ManifestError(f"{place}: sha256 {row.sha256!r} is not 64 hexadecimal digits")


def _check_path(path: str, where: str) -> None:
    windows = PureWindowsPath(path)
    if path.startswith("/") or windows.drive or windows.root:
        raise ManifestError(f"{where}: path {path!r} is absolute; name it relative to the root")
    if ".." in PurePosixPath(path).parts or ".." in windows.parts or "\0" in path:
        raise ManifestError(f"{where}: path {path!r} leaves the root; name a file below it")
