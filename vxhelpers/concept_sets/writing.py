"""Concept clips to files: all versions of a piece, the manifest, and where each clip is from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from vxhelpers.concept_sets.crops import Colour, Concept, Control, Kind, Piece, Placement, cut
from vxhelpers.concept_sets.review import LISTING, PROVENANCE
from vxhelpers.data.clip import Clip
from vxhelpers.data.manifest import Manifest, Row, write
from vxhelpers.data.video import write_clip
from vxhelpers.io.files import replacing, sha256

Version = tuple[Kind, Placement, Control]


def versions_of(placements: Sequence[Placement], controls: Sequence[Control]) -> list[Version]:
    """What is made of a piece: dynamic and static in every placement, and controls of the
    dynamic."""
    kinds: tuple[Kind, ...] = ("dynamic", "static")
    found: list[Version] = [(kind, place, "") for place, kind in product(placements, kinds)]
    return found + [("dynamic", place, control) for place, control in product(placements, controls)]


def write_piece(
    folder: Path,
    title: str,
    clip: Clip,
    piece: Piece,
    versions: Sequence[Version],
    *,
    fill: Colour,
    seed: int,
) -> dict[Version, Row]:
    """Write the versions of a piece without loss.

    Parameters
    ----------
    folder, title
        Below ``clips/`` in the folder; clip ids begin with the title.
    clip, piece, versions, fill
        As :func:`vxhelpers.concept_sets.crops.cut` takes them.
    seed
        Of the shuffled version, together with its clip id.

    Returns
    -------
    dict
        Version to a row whose label and split are still empty.
    """
    rows = {}
    for kind, placement, control in versions:
        clip_id = f"{title}-{control or kind}" + ("-centred" if placement == "centred" else "")
        path = f"clips/{title.rpartition('-')[0]}/{clip_id}.mkv"
        rng = np.random.default_rng([seed, crc32(clip_id.encode())])
        made = cut(piece, clip, kind=kind, placement=placement, control=control, fill=fill, rng=rng)
        write_clip(made, folder / path)
        content = sha256(folder / path)
        rows[kind, placement, control] = Row(clip_id, path, "", "", sha256=content)
    return rows


def write_listing(
    folder: Path,
    groups: Sequence[tuple[Concept, Sequence[str]]],
    pieces: Mapping[str, Piece],
    files: Mapping[str, Mapping[Version, Row]],
    *,
    card: Mapping[str, Any],
    record: Mapping[str, Any],
) -> None:
    """Write the manifest of a concept folder and its provenance; files in no set are removed.

    Parameters
    ----------
    folder
        That holds the clips.
    groups
        Concepts with the titles of their pieces.
    pieces, files
        Title to piece, and to what :func:`write_piece` gave.
    card
        Of the manifest; its labels are filled in.
    record
        What the provenance says beside clips and pieces.
    """
    rows: list[Row] = []
    clips: dict[str, dict[str, Any]] = {}
    for concept, titles in groups:
        version = concept.kind, concept.placement, concept.control
        other: Kind = "dynamic" if concept.kind == "static" or concept.control else "static"
        for title in titles:
            row = files[title][version]
            rows.append(replace(row, label=concept.name, split=concept.role))
            clips[row.clip_id] = {
                "piece": title,
                "kind": concept.kind,
                "placement": concept.placement,
                "control": concept.control,
                "twin": files[title][other, concept.placement, ""].clip_id,
            }
    used = {fact["piece"] for fact in clips.values()}
    for title in files:
        for row in files[title].values() if title not in used else ():
            (folder / row.path).unlink()
    labels = list(dict.fromkeys(row.label for row in rows))
    manifest = Manifest(str(card["name"]), tuple(rows), {**card, "labels": labels}, None)
    write(manifest, folder / LISTING)
    record = {
        **record,
        "pieces": {title: _facts(pieces[title]) for title in files if title in used},
        "clips": clips,
    }
    with replacing(folder / PROVENANCE) as path:
        path.write_text(_json(record), encoding="utf-8")


def _facts(piece: Piece) -> dict[str, Any]:
    """Where a piece comes from; a frame is one of the row's clip."""
    row, track = piece.row, piece.track
    return {
        "object": track.label,
        "clip_id": row.clip_id,
        "path": row.path,
        "action": row.label,
        "split": row.split,
        "start_s": row.start_s,
        "end_s": row.end_s,
        "video": piece.video,
        "frames": [track.start, track.stop],
        "best": track.start + piece.best,
        "boxes": np.round(track.boxes.astype(float), 2).tolist(),
        "confidence": np.round(track.confidence.astype(float), 4).tolist(),
        "seen": track.seen.astype(int).tolist(),
        "detector": track.detector,
    }


def _json(record: Mapping[str, Any]) -> str:
    """JSON with a line for each entry, and for each clip and piece."""
    lines = []
    for name, value in record.items():
        text = json.dumps(value, ensure_ascii=False)
        if name in ("pieces", "clips"):
            inner = (f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items())
            text = "{\n" + ",\n".join(inner) + "\n }"
        lines.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"
