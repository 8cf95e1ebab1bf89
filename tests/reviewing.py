"""A folder of concept clips for the tests of the review: small, of every kind."""

import json
from pathlib import Path

import numpy as np

from vxhelpers.data.clip import Clip
from vxhelpers.data.manifest import Manifest, Row, write
from vxhelpers.data.video import write_clip
from vxhelpers.io.files import sha256

IDS = tuple(f"racket-00{k}-dynamic" for k in range(4))
BROKEN = IDS[2]


def concept_folder(folder: Path, *, broken: bool = True) -> Path:
    """Four tracks of a racket, each dynamic and static, and one random clip, in a folder.

    A clip's frames are of one grey value, ten times the frame's number; the third track's dynamic
    clip is no video unless ``broken`` is false. The static clips come first in the manifest.
    """
    rows, facts = [], {}
    for kind in ("static", "dynamic"):
        for k in range(4):
            clip_id = f"racket-00{k}-{kind}"
            rows.append(_clip(folder, clip_id, f"racket {kind}", "concept", 40 * k))
            facts[clip_id] = {"piece": f"racket-00{k}", "kind": kind, "control": ""}
    rows.append(_clip(folder, "random-000-dynamic", "random dynamic 00", "random", 200))
    facts["random-000-dynamic"] = {"piece": "random-000", "kind": "dynamic", "control": ""}
    if broken:
        (folder / f"clips/{BROKEN}.mkv").write_bytes(b"no video at all " * 40)
    labels = list(dict.fromkeys(row.label for row in rows))
    write(Manifest("rackets", tuple(rows), {"labels": labels}), folder / "concepts.csv")
    record = {"clips": facts, "pieces": {}, "scoring": [], "fill": [0, 0, 0]}
    (folder / "provenance.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def _clip(folder: Path, clip_id: str, label: str, split: str, red: int) -> Row:
    frames = np.zeros((6, 24, 32, 3), np.uint8)
    frames[..., 0] = red
    frames[..., 1] = 10 * np.arange(6)[:, None, None]
    path = f"clips/{clip_id}.mkv"
    write_clip(Clip(frames, 12.0, clip_id), folder / path)
    return Row(clip_id, path, label, split, sha256=sha256(folder / path))


def rows(folder: Path) -> list[str]:
    """Clip, decision and reviewer of each row of the log."""
    text = (folder / "review.csv").read_text(encoding="utf-8")
    return [",".join(line.split(",")[:3]) for line in text.splitlines()[1:]]
