"""Live widgets for a notebook with a kernel; a published page shows players instead."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vxhelpers.concept_sets.at_hand import SetCounts, Source
from vxhelpers.errors import InputError
from vxhelpers.io.files import asset
from vxhelpers.live.browser_view import browse
from vxhelpers.live.explorer_view import explore
from vxhelpers.live.review_desk import Desk
from vxhelpers.live.workbench_view import workbench

if TYPE_CHECKING:
    from anywidget import AnyWidget

__all__ = ["SetCounts", "Source", "browse", "explore", "review", "workbench"]


def review(
    folder: str | Path,
    *,
    concepts: Sequence[str] | None = None,
    everything: bool = False,
    reviewer: str | None = None,
) -> "AnyWidget":
    """Accept or reject the clips of a concept folder, one after the other, with the keyboard.

    The same page as ``vx concepts review``. Every decision is on disk (``review.csv`` in the
    folder) before the next clip is shown; after a restart of the kernel, run the cell again.

    Parameters
    ----------
    folder, concepts, everything, reviewer
        As for :class:`vxhelpers.live.review_desk.Desk`.

    Raises
    ------
    ManifestError, UnknownNameError
        If the folder, its ``review.csv`` or a concept's name cannot be used.
    InputError
        If anywidget is not installed.

    Examples
    --------
    >>> review("concepts/tennis")  # doctest: +SKIP
    """
    try:
        from anywidget import AnyWidget
    except ImportError as error:
        raise InputError(
            "the review widget needs anywidget: install vxhelpers[book], or give the command "
            "vx concepts review FOLDER"
        ) from error
    desk = Desk(folder, concepts=concepts, everything=everything, reviewer=reviewer)

    class Review(AnyWidget):
        _esm = asset("vxhelpers.live", "review.js")
        _css = asset("vxhelpers.live", "review.css")

    def hear(widget: Any, content: dict[str, Any], _: Any) -> None:
        answer = desk.answer(content.get("message", {}))
        widget.send(
            {"view": content.get("view"), "number": content.get("number"), "answer": answer}
        )

    widget = Review()
    widget.on_msg(hear)
    return widget
