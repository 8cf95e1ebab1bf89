"""Runs on Dask workers, each a process: none lost, none twice, nothing started that cannot end."""

import gc
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import light
import pytest
from light import left_by

from vxhelpers.book import cluster, results, runs
from vxhelpers.book import workers as checked
from vxhelpers.book.run_config import Slurm
from vxhelpers.errors import RunError
from vxhelpers.io.code_digest import PACKAGE

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("default")  # Dask's own warnings are not ours to judge


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where light chapters say that they start; workers take it from their environment."""
    path = tmp_path_factory.mktemp("light") / "started.txt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIGHT_STARTED", str(path))
        patch.setenv("LIGHT_WAITS", "4")
        yield path


@pytest.fixture(scope="module")
def workers(started: Path) -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0",
    ) as made:
        yield made


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_changes_nothing(
    workers: Any, started: Path, tmp_path: Path
) -> None:
    chapter = light.write(tmp_path)
    pairs = [(target, chapter) for target in light.targets(2)]
    runs.run_chapters(pairs, out=tmp_path / "here")
    started.unlink()
    killed: list[int] = []
    with distributed.Client(workers) as client:
        pids = list(client.run(os.getpid).values())

    def kill_one() -> None:
        while not started.exists() or started.read_text().count("class") < 2:
            time.sleep(0.05)
        killed.append(next(pid for pid in pids if light.family(pid)[1:]))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    events: list[Any] = []
    runner = cluster.on_scheduler(workers.scheduler_address)
    done = runs.run_chapters(pairs, out=tmp_path / "there", runner=runner, report=events.append)
    killer.join()
    assert killed and [run.status for run in done] == ["done", "done"]
    assert started.read_text().count("class") >= 3  # one of them twice
    assert left_by(tmp_path / "there") == left_by(tmp_path / "here")
    assert len(results.read(tmp_path / "there", every=True)) == 2
    assert any(isinstance(event, runs.Cell) and event.total == 4 for event in events)
    assert not list((tmp_path / "there").glob("worker-check-*"))
    again = runs.run_chapters(pairs, out=tmp_path / "there", runner=cluster.on_scheduler("tcp://x"))
    assert [run.status for run in again] == ["kept", "kept"]  # asks no cluster


@pytest.mark.slow
def test_who_leaves_ends_what_runs(
    workers: Any, started: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chapter = light.write(tmp_path)
    chapter.write_text(light.TEXT.replace('os.environ.get("LIGHT_WAITS", 0)', "600"))
    started.unlink(missing_ok=True)

    def leave(event: Any) -> None:
        if isinstance(event, runs.Cell) and event.number == event.total:
            heard.update(light.listening(light.family(os.getpid())))
            raise KeyboardInterrupt

    heard: set[str] = set()
    runner = cluster.on_scheduler(workers.scheduler_address)
    with pytest.raises(KeyboardInterrupt):
        pairs = [(target, chapter) for target in light.targets(1)]
        runs.run_chapters(pairs, out=tmp_path / "out", runner=runner, report=leave)
    with distributed.Client(workers) as client:
        pids = list(client.run(os.getpid).values())
    end = time.monotonic() + 60
    while any(light.family(pid)[1:] for pid in pids):
        assert time.monotonic() < end, "a chapter goes on though nobody waits for it"
        time.sleep(0.2)
    assert not (tmp_path / "out" / "runs").exists()
    assert not heard, "something listens beyond loopback"


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_named_within_seconds(tmp_path: Path) -> None:
    runner = cluster.on_scheduler("tcp://127.0.0.1:9", timeout=2)
    (job,) = runs.plan_jobs([(light.targets(1)[0], light.write(tmp_path))], out=tmp_path / "out")
    before = time.monotonic()
    with pytest.raises(RunError, match=r"tcp://127\.0\.0\.1:9: no Dask scheduler answers"):
        list(runner([job]))
    assert time.monotonic() - before < 20


class _Asked:
    """A client whose only worker looks about in this process, or says what it is told to."""

    def __init__(self, **said: Any) -> None:
        self.said = said
        self.scheduler = SimpleNamespace(address="tcp://head:8786")

    def run(self, look: Any, *arguments: Any, **_: Any) -> dict[str, Any]:
        worker = SimpleNamespace(state=SimpleNamespace(nthreads=1))
        return {"tcp://node:1": {**look(*arguments, dask_worker=worker), **self.said}}


@pytest.fixture
def job(tmp_path: Path) -> runs.Job:
    (job,) = runs.plan_jobs([(light.targets(1)[0], light.write(tmp_path))], out=tmp_path / "out")
    job.out.mkdir()
    return replace(job, folder=tmp_path)


def test_a_worker_that_has_everything_is_taken(job: runs.Job) -> None:
    (said,) = checked.check_workers(_Asked(), [job]).values()
    assert said["threads"] == 1 and said["cores"]
    assert not list(job.out.iterdir())


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"missing": ["/data/a.mp4"]}, r"worker tcp://node:1: \S+ has no /data/a\.mp4"),
        ({"threads": 4}, "4 threads; start it with --nthreads 1"),
        ({"versions": {"package": "x"}}, r"other files of vxhelpers .*another torch than here"),
    ],
)
def test_what_a_worker_lacks_is_named_before_the_work(
    job: runs.Job, said: dict[str, Any], error: str
) -> None:
    with pytest.raises(RunError, match=error):
        checked.check_workers(_Asked(**said), [job])
    assert not list(job.out.iterdir())


def test_data_and_folders_that_a_worker_does_not_see_are_missing(
    job: runs.Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, weights = tmp_path / "clips.csv", tmp_path / "w.safetensors"
    head = "clip_id,path,label,split,start_s,end_s\n"
    manifest.write_text(head + "a,a.mp4,golf,test,,\nb,b.mp4,yoga,test,,\n")
    weights.write_text("")
    target = replace(job.target, action="yoga", dataset=str(manifest), weights=str(weights))
    with pytest.raises(RunError, match=r"has no \S+b\.mp4$"):
        checked.check_workers(_Asked(), [replace(job, target=target)])
    (tmp_path / "b.mp4").write_text("")
    assert checked.check_workers(_Asked(), [replace(job, target=target)])
    look = checked._look
    elsewhere = tmp_path / "elsewhere" / "token"
    monkeypatch.setattr(
        checked, "_look", lambda _, *more, **worker: look(str(elsewhere), *more, **worker)
    )
    with pytest.raises(RunError, match="the build folder, which all must share"):
        checked.check_workers(_Asked(), [job])


def test_no_worker_is_an_error(job: runs.Job) -> None:
    client = _Asked()
    client.run = lambda *_, **__: {}  # type: ignore[method-assign]
    with pytest.raises(RunError, match="tcp://head:8786: no worker; start one"):
        checked.check_workers(client, [job])


def test_workers_have_gpus_and_cores_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = {"host": "a", "gpus": ("0",), "cores": tuple(range(8))}
    two = one | {"gpus": ("1",)}
    assert checked._shared_gpus({"x": one, "y": two, "z": one | {"host": "b"}}) == []
    (text,) = checked._shared_gpus({"x": one, "y": one})
    assert "host a: 2 workers share GPU 0" in text
    assert cluster._threads({"x": one, "y": two}) == 4
    assert cluster._threads({"x": one, "y": one | {"cores": (8, 9, 10)}}) == 3
    monkeypatch.setattr(checked, "_GPUS", tmp_path)
    assert checked._visible_gpus() == ()
    (tmp_path / "0000:01").mkdir()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert checked._visible_gpus() == ("0",)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert checked._visible_gpus() == ("3",)


SBATCH = """#!/bin/sh
cp "$1" {folder}/job.sh
setsid sh {folder}/job.sh > {folder}/job.log 2>&1 < /dev/null &
echo $! >> {folder}/pids
echo "Submitted batch job $!"
"""


@pytest.mark.slow
def test_slurm_is_asked_for_workers_that_speak_in_secret(
    started: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dask_jobqueue")
    programs = {"sbatch": SBATCH.format(folder=tmp_path), "scancel": "#!/bin/sh\nkill -- -$1\n"}
    for name, text in programs.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    asked = Slurm(
        queue="gpu", account="lab", memory="2GB", walltime="00:30:00", cores=2, interface="lo"
    )
    pairs = [(light.targets(1)[0], light.write(tmp_path))]
    try:
        (run,) = runs.run_chapters(
            pairs, out=tmp_path / "out", runner=cluster.on_slurm(asked, wait=120)
        )
    finally:
        pids = tmp_path / "pids"
        for pid in pids.read_text().split() if pids.exists() else ():
            subprocess.run(["kill", "--", f"-{pid}"], capture_output=True)
    assert run.status == "done", run.failure
    script = (tmp_path / "job.sh").read_text()
    for line in (
        "-p gpu",
        "-A lab",
        "--gres=gpu:1",
        "-t 00:30:00",
        "--mem=2G",
        "--cpus-per-task=2",
    ):
        assert f"#SBATCH {line}" in script, line
    assert "tls://127.0.0.1" in script and "--dashboard-address 127.0.0.1:0" in script
    assert "--nthreads 1 " in script
    gc.collect()
    assert not list((tmp_path / "out" / "logs").glob(".*"))  # the certificates


WRITER = (
    "import sys\nimport numpy as np\nfrom vxhelpers.io.cache import Store\n"
    "store, mine = Store(sys.argv[1]), int(sys.argv[2])\n"
    "for n in range(20):\n"
    "    for key in (n, 100 * mine + n):\n"
    "        made = {'a': np.full(5000, key), 'name': str(key)}\n"
    "        found = store.get_or_compute({'key': key}, lambda: made)\n"
    "        assert (found['a'] == key).all() and found['name'] == str(key)\n"
)


@pytest.mark.slow
def test_the_cache_holds_with_many_writers(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(n)], env=environment)
        for n in range(1, 5)
    ]
    assert [writer.wait() for writer in writers] == [0] * 4
    assert len(list(tmp_path.rglob("*.npz"))) == 20 + 4 * 20
    assert not list(tmp_path.rglob(".*"))
