"""Results: one Parquet file a run, written whole, read as a table, compared by class and model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from vxhelpers.book import results
from vxhelpers.book.run_targets import Target
from vxhelpers.cli import app
from vxhelpers.errors import InputError, UnknownNameError

NASTY = 'run/"ning" [b]<b>[/b]'
RUN = Target(NASTY, "stage:kth", "stage_r3d", weights="kth")
BOX = Target("boxing", "stage:kth", "stage_r3d", weights="kth")


def _record(key: str, *metrics: dict[str, Any], chapter: str = "a", day: int = 1) -> dict[str, Any]:
    return {
        "key": key * 64,
        "chapter": chapter,
        "data": "d" * 64,
        "weights": "name:kth",
        "versions": {"torch": "2"},
        "commit": "c",
        "hardware": "h",
        "finished": f"2026-01-0{day}T00:00:00+00:00",
        "threads": 1,
        "peak_mib": 100,
        "seconds": 12.5,
        "startup": 2.0,
        "clips": {"count": 8, "seconds": 1.5},
        "metrics": list(metrics),
    }


def _metric(name: str, value: float | None, *interval: float) -> dict[str, Any]:
    low, high = interval or (None, None)
    return {"name": name, "value": value, "low": low, "high": high, "n": 8 if interval else None}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    accuracy, drop = _metric("accuracy", 0.5, 0.25, 0.75), _metric("drop", None)
    results.write(_record("1", _metric("accuracy", 0.1), day=1), RUN, tmp_path)
    results.write(_record("2", accuracy, drop, day=2), RUN, tmp_path)
    results.write(_record("3", _metric("accuracy", 1)), replace(RUN, model="stage_c3d"), tmp_path)
    results.write(_record("4", _metric("accuracy", 0.75)), BOX, tmp_path)
    results.write(_record("5", chapter="b"), BOX, tmp_path)
    return tmp_path


def test_a_run_is_a_row_a_metric_and_a_later_run_replaces_it(out: Path) -> None:
    table = results.read(out)
    assert len(table) == 5 and len(results.read(out, every=True)) == 6
    mine = table[(table["action"] == NASTY) & (table["model"] == "stage_r3d")]
    assert list(mine["metric"]) == ["accuracy", "drop"]
    row = mine.iloc[0]
    assert (row["value"], row["low"], row["high"], row["n"]) == (0.5, 0.25, 0.75, 8)
    assert (row["seconds"], row["clips"], row["data_sha256"]) == (12.5, 8, "d" * 64)
    assert row["versions"] == '{"torch": "2"}' and row["key"] == "2" * 64


def test_written_twice_it_is_there_once_and_the_bytes_are_the_same(out: Path) -> None:
    record = _record("4", _metric("accuracy", 0.75))
    path = results.path_of(record, out)
    before, count = path.read_bytes(), len(list((out / "results").iterdir()))
    assert results.write(record, BOX, out) == path
    assert path.read_bytes() == before
    assert len(list((out / "results").iterdir())) == count


def test_models_stand_side_by_side(out: Path) -> None:
    table = results.read(out)
    wide = results.compare(table, metrics=["accuracy"])
    assert list(wide.columns) == ["chapter", "metric", "action", "stage_c3d", "stage_r3d"]
    assert wide.set_index("action").loc[NASTY].tolist() == [
        "a", "accuracy", "1.000", "0.500 [0.250, 0.750], n = 8",
    ]  # fmt: skip
    assert wide.set_index("action").loc["boxing", "stage_c3d"] == ""
    by_class = results.compare(table, by="action")
    assert {NASTY, "boxing", "model"} <= set(by_class.columns)  # the model varies, so it is said
    assert "undefined" in by_class[NASTY].tolist()


def test_what_is_not_there_is_named(out: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown metric 'acuracy'.*'accuracy'"):
        results.compare(results.read(out), metrics=["acuracy"])
    with pytest.raises(UnknownNameError, match=r"unknown column 'modle'.*'model'"):
        results.compare(results.read(out), by="modle")
    with pytest.raises(InputError, match="holds no results"):
        results.read(tmp_path / "gone")
    (out / "results" / f"{'9' * 40}.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(InputError, match=r"9999\.parquet: damaged"):
        results.read(out)


def test_vx_results_lists_compares_and_writes(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    def said(*options: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["results", "--out", str(out), *options])
        assert result.exit_code == code, result.output
        return result.output

    listed = said()
    assert "4 runs" in listed and NASTY in listed
    assert "0.500 [0.250, 0.750], n = 8" in said("--metric", "accuracy")
    assert NASTY not in said("--metric", "all", "--action", "boxing")
    assert "did you mean 'boxing'" in said("--action", "boxin", code=1)
    written = out / "all.csv"
    assert "6 rows" in said("--csv", str(written), "--every")
    assert written.read_text().splitlines()[0].startswith("key,chapter,action")


def test_a_books_metrics_are_those_of_its_targets_and_hold_no_time(out: Path) -> None:
    path = results.write_book([BOX, RUN], out)
    table = results.metrics(path)
    assert list(table["action"]) == ["boxing", NASTY, NASTY]
    assert list(table["slug"]) == [BOX.slug, RUN.slug, RUN.slug]
    assert list(table["metric"]) == ["accuracy", "accuracy", "drop"]
    assert table["low"].isna().tolist() == [True, False, True]
    assert not {"seconds", "finished", "commit", "key"} & set(table.columns)
    before = path.read_bytes()
    again = _metric("accuracy", 0.5, 0.25, 0.75), _metric("drop", None)
    results.write(_record("6", *again, day=5), RUN, out)
    assert results.write_book([BOX, RUN], out).read_bytes() == before
    results.write(_record("7", *again[:1], day=6), RUN, out)
    assert results.write_book([BOX, RUN], out).read_bytes() != before


def test_a_books_metrics_that_are_not_there_or_damaged_are_named(tmp_path: Path) -> None:
    gone = tmp_path / "metrics.parquet"
    with pytest.raises(InputError, match=r"metrics\.parquet: no metrics of a book.*vx book"):
        results.metrics(gone)
    gone.write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"metrics\.parquet: damaged .*delete it"):
        results.metrics(gone)


def test_duckdb_reads_what_pandas_reads(out: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    rows = duckdb.sql(
        f"select action, model, value from '{out}/results/*.parquet' where metric = 'accuracy'"
    ).fetchall()
    table = results.read(out, every=True)
    mine = table[table["metric"] == "accuracy"][["action", "model", "value"]]
    assert sorted(rows) == sorted(mine.itertuples(index=False, name=None))
