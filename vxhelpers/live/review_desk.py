"""What a reviewer's page asks and gets told, the same for the notebook's widget and the server.

Messages are JSON objects. A page holds no state but the clip that it shows: every answer about a
decision is given after the decision is on disk, and says what to show next.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import RLock
from typing import Any

from vxhelpers.concept_sets import review
from vxhelpers.data.manifest import locate
from vxhelpers.data.video import read_clip
from vxhelpers.errors import InputError, UnknownNameError, VideoError, VxError
from vxhelpers.figures.player import sprites

MOST_FRAMES = 256
_SAID = {"accept": "Accepted", "reject": "Rejected", "skip": "Skipped"}


class Desk:
    """One person's review of one folder of concept clips.

    Parameters
    ----------
    folder
        As for :func:`vxhelpers.concept_sets.review.load`.
    concepts
        Names of the concepts to look at. Unless given: the tracks of those in the split
        ``concept`` where the folder's manifest has one, else all clips.
    everything
        Look at all tracks, those of the random sets too.
    reviewer
        Written beside every decision; the name of the account unless given.

    Raises
    ------
    ManifestError
        If the folder or its ``review.csv`` cannot be used.
    UnknownNameError
        If there is no such concept.
    InputError
        If concepts are named and everything is asked for.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        concepts: Sequence[str] | None = None,
        everything: bool = False,
        reviewer: str | None = None,
    ) -> None:
        self.review = review.load(folder)
        self.reviewer = review.account() if reviewer is None else reviewer
        self._rows = {row.clip_id: row for row in self.review.data.manifest.rows}
        self.ids = _chosen(self.review, concepts, everything)
        self.unreadable = dict(self.review.unreadable)
        self._lock = RLock()

    @property
    def title(self) -> str:
        """What is reviewed, in a few words."""
        return f"Review of {self.review.folder.resolve().name}"

    def counts(self) -> review.Counts:
        """How far the review of the chosen clips is."""
        return self.review.counts(self.ids)

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a page asks; what goes wrong becomes the answer ``{"error": text}``.

        Parameters
        ----------
        message
            ``do``: ``"open"`` (start or resume), ``"show"``, ``"picture"``, ``"accept"``,
            ``"reject"``, ``"skip"`` or ``"undo"``; with ``clip_id`` where a clip is meant.

        Returns
        -------
        dict
            To ``"picture"``: the frames as a data URL with their layout, or ``problem`` where the
            clip cannot be shown. Else: the clip to show, its neighbours, how far the review is,
            and what was done in ``said``.
        """
        what, clip_id = str(message.get("do")), str(message.get("clip_id"))
        try:
            if what not in ("open", "undo") and clip_id not in self.ids:
                raise UnknownNameError("clip", clip_id, self.ids, where=str(self.review.folder))
            if what == "picture":
                return self._picture(clip_id)
            with self._lock:
                return self._answer(what, clip_id)
        except VxError as error:
            return {"error": str(error)}

    def _answer(self, what: str, clip_id: str) -> dict[str, Any]:
        if what == "open":
            self.review = review.reload(self.review)
            return self._state(self.review.following(self.ids), "")
        if what == "undo":
            self.review, clip_id = review.undo(self.review, reviewer=self.reviewer)
            return self._state(clip_id, "Taken back")
        if what == "show":
            return self._state(clip_id, "")
        if what == "accept" and clip_id in self.unreadable:
            raise InputError(
                f"{clip_id}: cannot be shown, so it cannot be accepted; reject or skip"
            )
        self.review = review.decide(self.review, clip_id, what, reviewer=self.reviewer)
        return self._state(self.review.following(self.ids, clip_id), _SAID[what], last=clip_id)

    def _state(self, clip_id: str | None, said: str, *, last: str = "") -> dict[str, Any]:
        done = clip_id is None
        shown = clip_id or last or self.ids[0]
        # After taking back a decision about a clip that is not among those chosen.
        place = self.ids.index(shown) if shown in self.ids else 0
        shown = self.ids[place]
        decided = self.review.decided.get(shown)
        counts = self.counts()
        return {
            "title": self.title,
            "clip_id": shown,
            "label": self._rows[shown].label,
            "decision": _SAID[decided.decision].lower() if decided else "",
            "position": place + 1,
            "total": len(self.ids),
            "previous": self.ids[place - 1],
            "next": self.ids[(place + 1) % len(self.ids)],
            "ahead": self.review.following(self.ids, shown) or "",
            "accepted": counts.accepted,
            "rejected": counts.rejected,
            "skipped": counts.skipped,
            "unseen": counts.unseen,
            "done": done,
            "said": said,
            "reviewer": self.reviewer,
            "file": str(self.review.file),
        }

    def _picture(self, clip_id: str) -> dict[str, Any]:
        if problem := self.unreadable.get(clip_id):
            return {"problem": problem}
        row = self._rows[clip_id]
        try:
            root = self.review.data.root or self.review.folder
            path, times = locate(row, root), {"start_s": row.start_s, "end_s": row.end_s}
            clip = read_clip(path, frames=MOST_FRAMES + 1, **times)
        except (VideoError, InputError) as error:
            self.unreadable[clip_id] = str(error)
            return {"problem": str(error)}
        frames = clip.frames[:MOST_FRAMES]
        columns = math.ceil(math.sqrt(len(frames)))
        data, width, height = sprites(frames, columns=columns)
        longer = len(clip) > MOST_FRAMES
        return {
            "image": "data:image/webp;base64," + base64.b64encode(data).decode(),
            "columns": columns,
            "frames": len(frames),
            "tile": [width, height],
            "fps": clip.fps,
            "note": f"only the first {MOST_FRAMES} frames are shown" if longer else "",
        }


def _chosen(
    loaded: review.Review, concepts: Sequence[str] | None, everything: bool
) -> tuple[str, ...]:
    data = loaded.data
    if concepts and everything:
        raise InputError("concepts are named and everything is asked for; ask for one of the two")
    for name in concepts or ():
        if name not in data.labels:
            raise UnknownNameError("concept", name, data.labels, where=str(loaded.folder))
    rows = data.rows()
    if concepts:
        rows = [row for row in rows if row.label in concepts]
    elif not everything:
        rows = [row for row in rows if row.split == "concept"] or rows
    return loaded.one_each(rows)
