"""Clips, manifest and provenance as files."""

import json
from pathlib import Path

import numpy as np
import squares

from vxhelpers.concept_sets.crops import Concept, Piece, cut
from vxhelpers.concept_sets.tracks import Track
from vxhelpers.concept_sets.writing import versions_of, write_listing, write_piece
from vxhelpers.data.manifest import Row, read
from vxhelpers.data.video import read_clip
from vxhelpers.io.files import sha256

SOURCE = Row("match", "match.mkv", "tennis", "train", 1.0, 2.0)
FILL = (1, 2, 3)


def piece() -> Piece:
    boxes = np.array([(2 + 2 * t, 2, 10 + 2 * t, 11) for t in range(5)], np.float32)
    sure = np.array([0.5, 0, 0.75, 0.5, 0.5], np.float32)
    return Piece(SOURCE, "match.mkv", Track("racket", 3, boxes, sure, sure > 0, "match", "eye"))


def test_versions() -> None:
    assert versions_of(["in_place"], []) == [
        ("dynamic", "in_place", ""),
        ("static", "in_place", ""),
    ]
    assert len(set(versions_of(["in_place", "centred"], ["shuffled", "reversed"]))) == 8


def test_clips_are_written_without_loss_and_by_seed(tmp_path: Path) -> None:
    clip, versions = squares.squares("racket", seed=0), versions_of(["centred"], ["shuffled"])
    rows = write_piece(tmp_path / "a", "racket-000", clip, piece(), versions, fill=FILL, seed=4)
    assert [row.clip_id for row in rows.values()] == [
        "racket-000-dynamic-centred",
        "racket-000-static-centred",
        "racket-000-shuffled-centred",
    ]
    for (kind, placement, control), row in rows.items():
        path = tmp_path / "a" / row.path
        assert path.parent.name == "racket" and row.sha256 == sha256(path)
        if not control:
            made = cut(piece(), clip, kind=kind, placement=placement, fill=FILL)
            assert np.array_equal(read_clip(path).frames, made.frames)
    again = write_piece(tmp_path / "b", "racket-000", clip, piece(), versions, fill=FILL, seed=4)
    assert again == rows


def test_the_listing_names_what_is_there_and_nothing_else_is(tmp_path: Path) -> None:
    versions = versions_of(["in_place"], ["reversed"])
    clip = squares.squares("racket", seed=0)
    files = {
        title: write_piece(tmp_path, title, clip, piece(), versions, fill=FILL, seed=0)
        for title in ("racket-000", "racket-001")
    }
    groups = [(Concept("racket", *version), ["racket-000"]) for version in versions]
    write_listing(
        tmp_path,
        groups,
        dict.fromkeys(files, piece()),
        files,
        card={"name": "x", "title": "Schläger"},
        record={"fill": FILL, "data": "Schläger"},
    )
    manifest = read(tmp_path / "concepts.csv")
    assert manifest.labels == ("racket dynamic", "racket static", "racket reversed")
    assert [row.split for row in manifest.rows] == ["concept", "concept", "control"]
    there = {x.relative_to(tmp_path).as_posix() for x in tmp_path.rglob("*.mkv")}
    assert there == {row.path for row in manifest.rows}
    record = json.loads((tmp_path / "provenance.json").read_text(encoding="utf-8"))
    assert record["data"] == "Schläger" and list(record["pieces"]) == ["racket-000"]
    facts = record["pieces"]["racket-000"]
    assert facts["frames"] == [3, 8] and facts["best"] == 5
    assert facts["boxes"][1] == [4, 2, 12, 11] and facts["seen"] == [1, 0, 1, 1, 1]
    assert (facts["start_s"], facts["end_s"]) == (1, 2)
    twins = {name: clip["twin"] for name, clip in record["clips"].items()}
    assert twins == {
        "racket-000-dynamic": "racket-000-static",
        "racket-000-static": "racket-000-dynamic",
        "racket-000-reversed": "racket-000-dynamic",
    }
