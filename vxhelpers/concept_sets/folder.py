"""A folder of concept sets: read with what a person decided about them, ready for a network.

A concept folder is a data set like any other: ``concepts.csv`` with its card (the label of a clip
is its concept's name, the split its role), lossless clips, and ``provenance.json``, as
:func:`vxhelpers.concept_sets.make.make` writes it. Clips that were filmed, cut by hand or generated
are concept sets too: a folder ``<concept>/<video>`` is all it takes. Concepts whose name begins
with ``random`` are random sets; ``static``, ``shuffled``, ``reversed`` and ``centred`` at a name's
end say what its clips are (see :meth:`vxhelpers.concept_sets.crops.Concept.parse`).
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from vxhelpers.concept_sets.crops import Colour, Concept, Control, Kind, Placement, Role, letterbox
from vxhelpers.concept_sets.review import PROVENANCE, Counts, load
from vxhelpers.data.clip import Clip
from vxhelpers.data.datasets import DataSet
from vxhelpers.data.manifest import Row, locate
from vxhelpers.data.sampling import output_size
from vxhelpers.errors import InputError, ManifestError, UnknownNameError
from vxhelpers.models.zoo import Entry

GREY: Colour = (128, 128, 128)  # pads clips of which no fill is known


@dataclass(frozen=True, eq=False)
class ConceptSet:
    """The clips of one concept.

    Parameters
    ----------
    name, concept
        What it is called, and what that says.
    data, rows
        Where the clips are.
    provenance
        Of each clip, in the order of the rows: ``piece``, ``twin``, the source ``clip_id``,
        ``frames``, ``boxes``, ``confidence``, ``seen``, ``detector`` and more; empty for a clip
        that was not made here.
    fill
        Colour around the boxes.
    """

    name: str
    concept: Concept
    data: DataSet
    rows: tuple[Row, ...]
    provenance: tuple[Mapping[str, Any], ...]
    fill: Colour = GREY

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ids(self) -> tuple[str, ...]:
        """Clip ids."""
        return tuple(row.clip_id for row in self.rows)

    @property
    def clips(self) -> Sequence[Clip]:
        """The clips, decoded when taken."""
        return _Clips(self, 0.0)

    def clips_for(self, entry: Entry) -> Sequence[Clip]:
        """The clips as a network should get them: centred ones padded so that all of it is seen.

        A clip in place has its video's geometry and is treated like the video.
        """
        if self.concept.placement == "in_place":
            return self.clips
        (height, width), crop = output_size(1000, 1000, resize=entry.resize, crop=entry.crop)
        return _Clips(self, max(height / crop[2], width / crop[3], 1.0))


@dataclass(frozen=True, eq=False)
class ConceptFolder:
    """The concept sets of a folder.

    Parameters
    ----------
    folder
        Where they are.
    sets
        Name to set, in the manifest's order.
    scoring
        Rows of the source's manifest that were set aside to be scored; empty for clips that were
        not made here.
    provenance
        What ``provenance.json`` says; empty where there is none.
    review
        Tracks (clips, where not made here) that a person accepted, rejected, skipped, never saw.
    left_out
        Id of every clip that is not in the sets to the reason.
    """

    folder: Path
    sets: Mapping[str, ConceptSet]
    scoring: tuple[Row, ...]
    provenance: Mapping[str, Any]
    review: Counts
    left_out: Mapping[str, str]

    def __getitem__(self, name: str) -> ConceptSet:
        """Look a set up by its name; raises UnknownNameError with the nearest names."""
        if name not in self.sets:
            raise UnknownNameError("concept", name, self.sets, where=str(self.folder))
        return self.sets[name]

    def select(
        self,
        role: Role | None = None,
        *,
        kind: Kind | None = None,
        placement: Placement | None = None,
        control: Control | None = None,
    ) -> list[ConceptSet]:
        """The sets of a role (``"concept"``, ``"random"``, ``"control"``), kind and so on."""
        wanted = {"role": role, "kind": kind, "placement": placement, "control": control}
        return [
            found
            for found in self.sets.values()
            if all(want in (None, getattr(found.concept, name)) for name, want in wanted.items())
        ]

    def twin(self, name: str) -> ConceptSet:
        """The static set of a dynamic one's tracks, and the other way round.

        Raises
        ------
        UnknownNameError
            If the folder has none.
        """
        concept = self[name].concept
        kind: Kind = "static" if concept.kind == "dynamic" else "dynamic"
        other = replace(concept, kind=kind, control="")
        found = [item for item in self.sets.values() if item.concept == other]
        return found[0] if found else self[other.name]


class _Clips(Sequence[Clip]):
    def __init__(self, source: ConceptSet, border: float) -> None:
        self.source, self.border = source, border

    def __len__(self) -> int:
        return len(self.source.rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        clip = self.source.data.clip(self.source.rows[index])
        fill = self.source.fill
        return letterbox(clip, fill=fill, border=self.border) if self.border else clip


def read(
    folder: str | Path,
    *,
    unreviewed: Literal["keep", "drop"] = "keep",
    skip_unreadable: bool = False,
) -> ConceptFolder:
    """Read a concept folder, without the clips that a person rejected.

    A decision about one clip of a track holds for the track's other clips (see
    :mod:`vxhelpers.concept_sets.review`).

    Parameters
    ----------
    folder
        With ``concepts.csv``, or with clips as ``<concept>/<video>``.
    unreviewed
        ``"drop"`` leaves out what no person accepted.
    skip_unreadable
        Leave unreadable videos out, listed in ``left_out``, instead of raising.

    Raises
    ------
    ManifestError
        If there is no such folder, no clip in it, or a file that cannot be used: the text names
        it; all missing and unreadable clips are listed.
    InputError
        If nothing is left after the review.
    """
    folder = Path(folder)
    review = load(folder)
    data, bad = review.data, dict(review.unreadable)
    known = _provenance(folder)
    for row in data.manifest.rows:
        if row.clip_id not in bad and not locate(row, folder).is_file():
            bad[row.clip_id] = f"{folder / row.path}: no such file"
    if bad and not skip_unreadable:
        lines = "".join(f"\n  {error}" for error in list(bad.values())[:20])
        raise ManifestError(
            f"{folder}: {len(bad)} of {len(data.manifest.rows)} clips are missing or cannot be "
            f"read:{lines}\nobtain or make them again, or leave them out (skip_unreadable)"
        )
    left_out, rows = dict(bad), defaultdict[str, list[Row]](list)
    for row in data.manifest.rows:
        decision = review.decided.get(row.clip_id)
        verdict = decision.decision if decision else ""
        if row.clip_id in bad:
            continue
        if verdict == "reject":
            left_out[row.clip_id] = "rejected by a person"
        elif unreviewed == "drop" and verdict != "accept":
            left_out[row.clip_id] = "not accepted by a person"
        else:
            rows[row.label].append(row)
    if not rows:
        raise InputError(
            f"{folder}: no clip is left of {len(data.manifest.rows)}: {len(bad)} unreadable, "
            f"{len(left_out) - len(bad)} rejected or not reviewed; review more of them, or keep "
            "unreviewed ones (unreviewed='keep')"
        )
    fill = tuple(known["fill"]) if known else GREY
    sets = {
        name: ConceptSet(
            name,
            Concept.parse(name),
            data,
            tuple(rows[name]),
            tuple(_facts(row, known) for row in rows[name]),
            fill,
        )
        for name in data.labels
        if name in rows
    }
    scoring = tuple(Row(**row) for row in known.get("scoring", ()))
    return ConceptFolder(folder, sets, scoring, known, review.counts(), left_out)


def _facts(row: Row, known: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a clip, with what is known of its piece."""
    clip = known.get("clips", {}).get(row.clip_id, {})
    return {**known.get("pieces", {}).get(clip.get("piece"), {}), **clip}


def _provenance(folder: Path) -> dict[str, Any]:
    path = folder / PROVENANCE
    if not path.is_file():
        return {}
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ManifestError(f"{path}: is not JSON ({error}); make the folder anew") from error
    if not isinstance(known, dict) or not {"clips", "pieces", "scoring", "fill"} <= set(known):
        raise ManifestError(
            f"{path}: is no record of concept clips (clips, pieces, scoring, fill); make the "
            "folder anew"
        )
    return known
