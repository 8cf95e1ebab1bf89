"""Runs: one real papermill run a case; what has not changed is kept, what failed is kept apart."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from vxhelpers.book import runs
from vxhelpers.book.run_targets import Target, summary_of
from vxhelpers.book.runs import Run, run_chapters
from vxhelpers.data import provenance
from vxhelpers.errors import InputError, RunError
from vxhelpers.io import code_digest
from vxhelpers.io.code_digest import PACKAGE

TINY = Path(__file__).parents[1] / "tiny_book" / "tiny.py"
TENNIS = Target("playing tennis", "stage:tennis", "stage_r3d", weights="tennis", profile="quick")
RUNNING = Target('run/"ning" <b>', "stage:kth", "stage_r3d", seed=4)


def _hidden(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.is_file()]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("build")


@pytest.fixture(scope="module")
def first(out: Path) -> list[Run]:
    return run_chapters([(TENNIS, TINY), (RUNNING, TINY)], out=out)


def test_a_run_has_its_parameters_and_a_record(first: list[Run], out: Path) -> None:
    assert [(run.status, run.target) for run in first] == [("done", TENNIS), ("done", RUNNING)]
    for run in first:
        assert run.notebook.parent == out / "runs" / run.target.slug
        notebook = nbformat.read(run.notebook, as_version=4)
        injected = [
            c for c in notebook.cells if "injected-parameters" in c.metadata.get("tags", ())
        ]
        values: dict[str, object] = {}
        exec(injected[0].source, values)
        assert Target(**{k: values[k] for k in run.record["parameters"]}) == run.target
        texts = [o.text for c in notebook.cells for o in c.get("outputs", ()) if "text" in o]
        assert f"{run.target.action} 1 0\n" in texts
        assert str(out) not in run.notebook.read_text()
        record = json.loads(run.notebook.with_suffix(".json").read_text())
        assert record == run.record
        assert record["peak_mib"] > 20
        assert record["versions"]["torch"]
        assert record["sha256"] == provenance.sha256(run.notebook)


def test_what_has_not_changed_is_kept(first: list[Run], out: Path) -> None:
    before = {run.notebook: run.notebook.stat().st_mtime_ns for run in first}
    again = run_chapters([(TENNIS, TINY), (RUNNING, TINY)], out=out)
    assert [run.status for run in again] == ["kept", "kept"]
    assert {run.notebook: run.notebook.stat().st_mtime_ns for run in again} == before
    assert [run.record for run in again] == [run.record for run in first]


@pytest.mark.parametrize(
    "change", ["chapter", "parameters", "code", "material", "versions", "damage", "data"]
)
def test_every_change_asks_for_a_run(
    first: list[Run], out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    target, chapter = TENNIS, TINY
    if change == "chapter":
        chapter = tmp_path / "tiny.py"
        chapter.write_text(TINY.read_text() + "\n# more\n")
    elif change == "parameters":
        target = Target(**{**TENNIS.__dict__, "seed": 1})
    elif change == "code":
        monkeypatch.setattr(code_digest, "program_digest", lambda _: "other")
    elif change == "material":
        monkeypatch.setattr(provenance, "material_digest", lambda: "other")
    elif change == "versions":
        monkeypatch.setattr(provenance, "versions", lambda: {"torch": "0"})
    elif change == "data":
        monkeypatch.setattr(provenance, "data_digest", lambda *_: "other")
    else:
        text = first[0].notebook.read_text()
        first[0].notebook.write_text(text + " ")
    started: list[object] = []

    class StoppedError(Exception):
        pass

    def stop(event: object) -> None:
        started.append(event)
        if isinstance(event, tuple):
            raise StoppedError

    try:
        with pytest.raises(StoppedError):
            run_chapters([(target, chapter)], out=out, report=stop)
    finally:
        if change == "damage":
            first[0].notebook.write_text(text)
    assert started == [(target, chapter)]
    assert run_chapters([(TENNIS, TINY)], out=out) if change == "damage" else True
    assert not _hidden(out)


@pytest.mark.parametrize(
    ("how", "cell", "error"),
    [("fails", 'assert broken != "fails"', "AssertionError: broken on purpose for playing tennis"),
     ("dies", "", "DeadKernelError")],
)  # fmt: skip
def test_a_failed_chapter_is_kept_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, cell: str, error: str
) -> None:
    monkeypatch.setenv("TINY_BROKEN", how)
    (run,) = run_chapters([(TENNIS, TINY)], out=tmp_path)
    assert run.status == "failed"
    assert run.failure is not None
    assert cell in run.failure.cell
    assert error in run.failure.error
    assert not list((tmp_path / "runs").rglob("*.ipynb"))
    assert not _hidden(tmp_path)
    assert run.failure.notebook == tmp_path / "failed" / TENNIS.slug / "tiny.ipynb"
    assert nbformat.read(run.failure.notebook, as_version=4).cells


@pytest.mark.slow
def test_a_killed_call_leaves_nothing_half_written_and_no_kernel(tmp_path: Path) -> None:
    started = tmp_path / "started"
    script = (
        "from pathlib import Path\nfrom vxhelpers.book.runs import run_chapters\n"
        "from vxhelpers.book.run_targets import Target\n"
        "if __name__ == '__main__':\n"
        f"    target = Target('playing tennis', 'stage:tennis', 'stage_r3d')\n"
        f"    run_chapters([(target, Path({str(TINY)!r}))], out=Path({str(tmp_path)!r}))\n"
    )
    file = tmp_path / "call.py"
    file.write_text(script)
    path = os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {
        "TINY_BROKEN": "waits",
        "TINY_STARTED": str(started),
        "PYTHONPATH": path,
    }
    process = subprocess.Popen([sys.executable, str(file)], env=environment)
    try:
        _until(started.exists)
        children = _descendants(process.pid)
        assert children
        process.send_signal(signal.SIGKILL)
        process.wait()
        _until(lambda: not any(Path(f"/proc/{pid}").exists() and _alive(pid) for pid in children))
    finally:
        process.kill()
        process.wait()
    assert not list((tmp_path / "runs").rglob("*"))


def _until(done: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _descendants(pid: int) -> list[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [pid]
    for parent in found:
        found += [child for child, its in parents.items() if its == parent]
    return found[1:]


def test_a_chapter_without_parameters_is_named(tmp_path: Path) -> None:
    chapter = tmp_path / "bare.py"
    chapter.write_text("# %%\n1\n")
    with pytest.raises(RunError, match=r'bare\.py: no cell is tagged "parameters"'):
        runs.read_chapter(chapter)


def test_a_chapter_gets_the_parameters_that_it_names(tmp_path: Path) -> None:
    plain = runs.parameters_of(TINY, TENNIS)
    assert plain == {
        k: v
        for k, v in TENNIS.__dict__.items()
        if k not in ("detector", "objects", "concepts", "apart", "results")
    }
    chapter = tmp_path / "finds.py"
    chapter.write_text(
        '# %% tags=["parameters"]\naction = detector = "a"\nobjects = None\nmine = 1\n'
    )
    target = Target("running", "stage:kth", "m", detector="stage", objects=["ball"])  # type: ignore[arg-type]
    assert runs.parameters_of(chapter, target) == {
        "action": "running", "detector": "stage", "objects": ["ball"],
    }  # fmt: skip
    assert hash(target) and target.objects == ("ball",)


def test_another_detector_asks_for_a_run_only_where_it_is_used(first: list[Run], out: Path) -> None:
    other = Target(**{**TENNIS.__dict__, "detector": "stage"})
    assert [run.status for run in run_chapters([(other, TINY)], out=out)] == ["kept"]


@pytest.mark.slow
def test_a_folder_of_concepts_and_recorded_studies_ask_for_a_run(tmp_path: Path) -> None:
    """Where a chapter uses them: by its parameter, and by the file's name in its text."""
    chapter, other = tmp_path / "a.py", tmp_path / "b.py"
    for path, text in ((chapter, "concepts = None\n# study.json\n"), (other, "")):
        header = TINY.read_text().split("# %%")[0]
        path.write_text(f'{header}# %% tags=["parameters"]\naction = "a"\n{text}')
    folder, results = tmp_path / "concepts", tmp_path / "results"
    for place in (folder, results):
        place.mkdir()
        (place / "study.json").write_text("1")
    target = Target("running", "stage:kth", "m", concepts=str(folder))

    def status() -> list[str]:
        return [
            r.status
            for r in run_chapters([(target, chapter), (target, other)], out=tmp_path / "out")
        ]

    assert status() == ["done", "done"] and status() == ["kept", "kept"]
    for place in (folder, results):
        (place / "study.json").write_text(f"2 {place}")
        assert status() == ["done", "kept"]


def test_videos_and_weights_are_part_of_the_key(tmp_path: Path) -> None:
    manifest = tmp_path / "clips.csv"
    row = "clip_id,path,label,split,start_s,end_s\na,a.mp4,running,test,,\n"
    manifest.write_text(row)
    (tmp_path / "a.mp4").write_bytes(b"one")
    before = provenance.data_digest(str(manifest), str(tmp_path))
    assert provenance.data_digest(str(manifest), str(tmp_path)) == before
    (tmp_path / "a.mp4").write_bytes(b"longer")
    changed = provenance.data_digest(str(manifest), str(tmp_path))
    manifest.write_text(row.replace("test", "train"))
    assert len({before, changed, provenance.data_digest(str(manifest), str(tmp_path))}) == 3
    with pytest.raises(InputError, match="gone: no such folder"):
        provenance.data_digest(str(manifest), str(tmp_path / "gone"))
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"1")
    one = provenance.weights_digest(str(weights))
    weights.write_bytes(b"2")
    assert provenance.weights_digest(str(weights)) != one
    folder = tmp_path / "detector"
    folder.mkdir()
    (folder / "model.xml").write_text("<a/>")
    one = provenance.weights_digest(str(folder))
    (folder / "model.xml").write_text("<b/>")
    assert provenance.weights_digest(str(folder)) != one


def test_the_command_to_reproduce_is_one_that_the_shell_reads_back() -> None:
    import shlex

    table = provenance.describe(
        "tiny", dict(action='a "b" <c>', dataset="stage:kth", model="r3d_18")
    )
    words = shlex.split(table.rows["command"])
    assert words[:6] == ["vx", "run", "--action", 'a "b" <c>', "--dataset", "stage:kth"]
    assert "<c>" not in table._repr_html_()
    table = provenance.describe(
        "tiny",
        dict(action="a", dataset="stage:kth", model="m", detector="d.pt", objects=["ball", "a b"]),
    )
    words = shlex.split(table.rows["command"])
    objects = ["--object", "ball", "--object", "a b"]
    assert words[-8:] == ["--detector", "d.pt", *objects, "--chapter", "tiny"]
    assert table.rows["detector"] == "d.pt" and "concepts" not in table.rows
    table = provenance.describe(
        "a", dict(action="a", dataset="stage:kth", model="m", concepts="mine")
    )
    assert "--concepts mine" in table.rows["command"] and table.rows["concepts"] == "mine"


HEAD = """# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---
# %% tags=["parameters"]
"""
NOTES = (
    "action = ''\nseed = 0\n# %%\nfrom vxhelpers.book import results\nresults.note('seed', seed)\n"
)
SUMS = """results = None
# %%
from vxhelpers.book import results as found
table = found.metrics(results)
print(*zip(table["action"], table["value"].astype(int)))
"""


def test_what_sums_up_runs_last_on_what_the_others_found(tmp_path: Path) -> None:
    notes, sums = tmp_path / "notes.py", tmp_path / "sums.py"
    notes.write_text(HEAD + NOTES)
    sums.write_text(HEAD + SUMS)
    out, about = tmp_path / "build", [RUNNING, TENNIS]
    summary = summary_of(about, out / "metrics.parquet")

    def run(*targets: Target) -> tuple[list[Run], str]:
        pairs = [(summary, sums), *((target, notes) for target in targets)]
        done = run_chapters(pairs, out=out, about=targets)
        assert [r.failure for r in done] == [None] * len(done)
        cells = nbformat.read(done[0].notebook, as_version=4).cells
        return done, str(cells[-1].outputs[0].text)

    sick = tmp_path / "sick.py"
    sick.write_text(HEAD + "seed = 0\n# %%\n1 / 0\n")
    alone = run_chapters([(summary, sums), (TENNIS, sick)], out=out, about=[TENNIS])
    assert [r.status for r in alone] == ["failed", "failed"]
    assert alone[0].failure and "no results" in alone[0].failure.error
    done, text = run(*about)
    assert text == f"{(RUNNING.action, 4)} {(TENNIS.action, 0)}\n"
    assert [r.status for r in run(*about)[0]] == ["kept"] * 3
    changed = replace(TENNIS, seed=7)
    done, text = run(RUNNING, changed)
    assert [r.status for r in done] == ["done", "kept", "done"]
    assert text == f"{(RUNNING.action, 4)} {(TENNIS.action, 7)}\n"
