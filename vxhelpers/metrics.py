"""Numbers that a chapter says of itself, for tables over many runs; readers of it see nothing."""

import math
from typing import Any

from vxhelpers.errors import InputError

MIME = "application/vnd.vxhelpers.metric+json"


def note(
    name: str,
    value: float,
    *,
    low: float | None = None,
    high: float | None = None,
    n: int | None = None,
) -> None:
    """Note a number of this chapter, by name; `vx results` compares it over classes and models.

    It goes into the notebook as an output that nothing displays; outside a notebook it does
    nothing.

    Parameters
    ----------
    name
        What the number is, for instance ``"accuracy"``; the last note of a name counts.
    value
        The number; one that is not finite is kept as missing.
    low, high
        Ends of its 95 % interval.
    n
        Clips it is computed from.

    Raises
    ------
    InputError
        If the name is empty or longer than a line of a table, or the value is no number.
    """
    if not name.strip() or len(name) > 80 or not name.isprintable():
        raise InputError(f"a metric needs a name of 1 to 80 printable characters, not {name!r}")
    try:
        numbers = {"value": _finite(value), "low": _finite(low), "high": _finite(high)}
    except (TypeError, ValueError) as error:
        raise InputError(f"metric {name!r}: {error}") from error
    from IPython import get_ipython

    if get_ipython() is not None:
        from IPython.display import display

        metric = {"name": name, **numbers, "n": None if n is None else int(n)}
        display({MIME: metric}, raw=True)  # type: ignore[no-untyped-call]


def _finite(number: float | None) -> float | None:
    """A plain number, None where it is missing or not finite (which JSON cannot hold)."""
    return None if number is None or not math.isfinite(number) else float(number)


def noted(notebook: Any) -> list[dict[str, Any]]:
    """The metrics in an executed notebook's outputs, each name once, in the order of the notes."""
    found: dict[str, dict[str, Any]] = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            metric = output.get("data", {}).get(MIME)
            if metric is not None:
                found.pop(metric["name"], None)
                found[metric["name"]] = dict(metric)
    return list(found.values())
