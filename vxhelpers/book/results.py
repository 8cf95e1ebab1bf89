"""What every run found and cost, as one small Parquet file a run; read and compared as tables."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vxhelpers.book.run_targets import Target
from vxhelpers.errors import InputError, UnknownNameError
from vxhelpers.figures.report import Metric
from vxhelpers.io.code_digest import PACKAGE
from vxhelpers.io.files import replacing

if TYPE_CHECKING:
    import pandas as pd

#: What tells two runs of one chapter apart, beside its class; tables compare by these.
SETTINGS: tuple[str, ...] = ("dataset", "model", "weights", "root", "seed", "profile", "detector")
SETTINGS += ("objects", "concepts")
_TEXTS: tuple[str, ...] = (
    "key",
    "chapter",
    "action",
    "dataset",
    "model",
    "weights",
    "root",
    "profile",
    "detector",
)
_TEXTS += ("objects", "concepts", "data_sha256", "weights_sha256", "commit", "hardware", "versions")
_TEXTS += ("finished", "metric")
_NUMBERS = ("seconds", "startup", "clips_seconds", "value", "low", "high")
_INTERVAL = ("value", "low", "high", "n")
_COUNTS = ("seed", "threads", "peak_mib", "clips", "n")


def path_of(record: Mapping[str, Any], out: Path) -> Path:
    """Where the results of a run are, by its key: a run that is repeated replaces its own."""
    return out / "results" / f"{record['key'][:40]}.parquet"


def write(record: Mapping[str, Any], target: Target, out: Path) -> Path:
    """Write one run's results: a row a metric, or one row without where it noted none.

    Parameters
    ----------
    record
        What a run left beside its notebook (see :func:`vxhelpers.book.execute.execute`).
    target
        What it explained.
    out
        The build folder; the file goes to ``out/results/``, whole or not at all.
    """
    import pyarrow as pa
    from pyarrow import parquet

    run = {
        **asdict(target),
        "objects": json.dumps(target.objects) if target.objects else None,
        "key": record["key"],
        "chapter": record["chapter"],
        "data_sha256": record["data"],
        "weights_sha256": record["weights"],
        "versions": json.dumps(record["versions"]),
        "clips": record["clips"]["count"],
        "clips_seconds": record["clips"]["seconds"],
        **{k: record[k] for k in ("commit", "hardware", "finished", "threads", "peak_mib")},
        **{k: record[k] for k in ("seconds", "startup")},
    }
    rows = [
        run | {"metric": metric.get("name")} | {k: metric.get(k) for k in _INTERVAL}
        for metric in record["metrics"] or [{}]
    ]
    kinds = dict.fromkeys(_TEXTS, pa.string()) | dict.fromkeys(_NUMBERS, pa.float64())
    schema = pa.schema(list((kinds | dict.fromkeys(_COUNTS, pa.int64())).items()))
    table = pa.Table.from_pylist(rows, schema=schema)
    with replacing(path_of(record, out)) as temporary:
        parquet.write_table(table, temporary)
    return path_of(record, out)


def read(out: Path, *, every: bool = False) -> "pd.DataFrame":
    """Read all results of a build folder.

    Parameters
    ----------
    out
        The build folder.
    every
        Also runs that a later one has replaced: of the same chapter, class and settings, from
        other code, data or versions.

    Returns
    -------
    pandas.DataFrame
        A row a run and metric, sorted; columns as in the files, texts missing where not set.

    Raises
    ------
    InputError
        If there are none, or a file is damaged; the text names it.
    """
    import pandas as pd

    paths = sorted((out / "results").glob("[!.]*.parquet"))
    if not paths:
        raise InputError(f"{out}: holds no results; `vx run --out {out}` makes some")
    try:
        table: pd.DataFrame = pd.read_parquet(list(map(str, paths)))  # type: ignore[call-overload]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(_damaged(paths, error)) from error
    order = ["chapter", "dataset", "action", "model", "weights", "finished", "key"]
    table = table.sort_values(order, kind="stable", ignore_index=True)
    if every:
        return table
    same = ["chapter", "action", *SETTINGS]
    last = table.sort_values("finished", kind="stable").drop_duplicates("key", keep="last")
    runs = last.drop_duplicates(same, keep="last")
    current: pd.DataFrame = table[table["key"].isin(runs["key"])].reset_index(drop=True)
    return current


def write_book(targets: Sequence[Target], out: Path) -> Path:
    """Gather what the last runs of these targets noted, for the chapters that sum a book up.

    Parameters
    ----------
    targets
        What was explained, in the book's order.
    out
        The build folder; the file is ``out/metrics.parquet``. It holds neither times nor costs:
        the same findings give the same bytes.

    Raises
    ------
    InputError
        As for :func:`read`.
    """
    import pandas as pd

    table = read(out)
    same = ["action", *SETTINGS]
    order = pd.DataFrame(
        [
            {k: v for k, v in asdict(t).items() if k in same}
            | {"objects": json.dumps(t.objects) if t.objects else None}
            | {"label": t.label, "slug": t.slug, "place": place}
            for place, t in enumerate(dict.fromkeys(targets))
        ]
    )
    for name in same:  # None is no key to join by
        order[name], table[name] = (f[name].astype(object).fillna("") for f in (order, table))
    noted = table[table["metric"].notna()].merge(order, on=same)
    noted = noted.sort_values(["place", "chapter"], kind="stable", ignore_index=True)
    path = out / "metrics.parquet"
    with replacing(path) as temporary:
        noted[list(_OF_BOOK)].to_parquet(temporary, index=False)
    return path


_OF_BOOK: tuple[str, ...] = ("chapter", "action", "label", "slug", "dataset", "model", "weights")
_OF_BOOK += ("seed", "profile")
_OF_BOOK += ("metric", *_INTERVAL)


def metrics(source: str | Path | None = None) -> "pd.DataFrame":
    """Read what the chapters of a book noted: a row a metric, class by class.

    Parameters
    ----------
    source
        The file that :func:`write_book` wrote, which ``vx book`` hands to a chapter; by default
        the one of this checkout's build folder.

    Returns
    -------
    pandas.DataFrame
        Columns ``chapter``, ``action``, ``label`` (the class for people to read), ``slug`` (the
        folder of its pages), ``dataset``, ``model``, ``weights``, ``seed``, ``profile``,
        ``metric``, and ``value``, ``low``, ``high``, ``n``, missing where not noted.

    Raises
    ------
    InputError
        If there is none, or it cannot be read.
    """
    import pandas as pd

    path = Path(source or PACKAGE.parent / "build" / "metrics.parquet")
    if not path.is_file():
        raise InputError(f"{path}: no metrics of a book there; `vx book` makes them")
    try:
        table: pd.DataFrame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error}); delete it and run `vx book`") from error
    return table


def _damaged(paths: Sequence[Path], error: Exception) -> str:
    """Which of these files cannot be read."""
    from pyarrow import parquet

    for path in paths:
        try:
            parquet.read_table(path)
        except (OSError, ValueError) as damage:
            return f"{path}: damaged ({damage}); delete it, the next run writes it again"
    return f"{paths[0].parent}: {error}"


def compare(
    table: "pd.DataFrame", *, metrics: Sequence[str] = (), by: str = "model"
) -> "pd.DataFrame":
    """Metrics side by side: a row a metric and class, a column for each value of one setting.

    Parameters
    ----------
    table
        As :func:`read` gives it.
    metrics
        Names; all unless given.
    by
        What the columns tell apart: ``"action"``, ``"chapter"`` or one of `SETTINGS`.

    Returns
    -------
    pandas.DataFrame
        Texts: the number, its interval in brackets and n; empty where there is no such run.
        Settings that differ among the runs, beside ``by``, are part of a row's name.

    Raises
    ------
    UnknownNameError
        If there is no such metric or setting.
    """
    choices = ("action", "chapter", *SETTINGS)
    if by not in choices:
        raise UnknownNameError("column", by, choices, where="--by")
    known = [str(name) for name in table["metric"].dropna().unique()]
    for name in metrics:
        if name not in known:
            raise UnknownNameError("metric", name, known, where="these results")
    chosen = table[table["metric"].isin(list(metrics or known))]
    varied = [name for name in SETTINGS if chosen[name].nunique(dropna=False) > 1]
    names = [n for n in dict.fromkeys(("chapter", "metric", "action", *varied)) if n != by]
    filled = chosen.assign(
        shown=[_shown(*row) for row in chosen[list(_INTERVAL)].itertuples(index=False)],
        **{name: chosen[name].astype(object).where(chosen[name].notna(), "") for name in names},
        **{by: chosen[by].astype(object).where(chosen[by].notna(), "")},
    )
    wide = filled.pivot_table(
        index=names, columns=by, values="shown", aggfunc="last", sort=False, fill_value=""
    )
    wide = wide[sorted(wide.columns, key=str)]
    wide.columns.name = None
    return wide.reset_index()


def _shown(value: float, low: float, high: float, n: float) -> str:
    """A number with its interval and n, as far as they are there."""
    text = "undefined" if value != value else f"{value:.3f}"
    text += f" [{low:.3f}, {high:.3f}]" if low == low and high == high else ""
    return text + (f", n = {n:.0f}" if n == n else "")


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


def note_all(metrics: Iterable[Metric]) -> None:
    """`note` each of the numbers that a report has for `vx results`."""
    for metric in metrics:
        note(metric.name, metric.value, low=metric.low, high=metric.high, n=metric.n)


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
