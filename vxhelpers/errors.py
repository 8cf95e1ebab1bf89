"""Errors that name the file, the row or the layer, and the fix."""

from collections.abc import Iterable
from difflib import get_close_matches


class VxError(Exception):
    """Base of every error raised on purpose; the command line shows it without a traceback."""


class InputError(VxError, ValueError):
    """A value, shape or combination of options that cannot be used."""


class VideoError(VxError, ValueError):
    """A video file that cannot be read as asked."""


class ManifestError(VxError, ValueError):
    """A manifest, card or label file with rows that cannot be used."""


class WeightsError(VxError, RuntimeError):
    """Weights that are missing, damaged or made for another architecture."""


class NotFiniteError(VxError, ArithmeticError):
    """NaN or infinity where a number was expected."""


class RunError(VxError, RuntimeError):
    """A chapter or a build that did not finish."""


class UnknownNameError(VxError, LookupError):
    """A name that is not one of the known ones.

    Parameters
    ----------
    kind
        What is named, for instance ``"layer"`` or ``"class"``.
    name
        The name that was asked for.
    known
        The names that exist; the nearest ones are suggested, and all of them when they are few.
    where
        Where the name was looked up, for instance ``"model 'r3d_18'"``.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, where: str = "") -> None:
        known = list(known)
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        text = f"unknown {kind} {name!r}" + (f" in {where}" if where else "")
        if near:
            text += f"; did you mean {' or '.join(map(repr, near))}?"
        if len(known) <= 12:
            text += f" (known: {', '.join(known) or 'none'})"
        elif not near:
            text += f" (known, {len(known)} in all: {', '.join(known[:12])}, ...)"
        super().__init__(text)
        self.kind, self.name, self.known = kind, name, tuple(known)
