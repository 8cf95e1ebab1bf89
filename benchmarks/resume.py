"""A book that is killed at random moments and resumed, against one that was left alone.

``python benchmarks/resume.py`` runs a small one: the classes of one planted task, two chapters. All
that ships: ``python benchmarks/resume.py --out /large/disk --book --action all --model stage_c3d
--model stage_r3d --profile quick`` (hours). With ``--dask``, chapters run on two worker processes,
and these are killed, one at a time, instead of the run. The last line is one JSON object; the exit
code is 1 if anything differs that is neither a time stamp nor a cost: cells that show how fast
methods were are left out, with their pages, as is how many clips a chapter had left to read.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from distributed import LocalCluster

from vxhelpers.book import results
from vxhelpers.data import provenance

STAMPS = ("seconds", "startup", "clips", "peak_mib", "finished", "threads")
TIMED = ("status.html", "searchindex.js", ".vx.json", "reproduce.html")  # times are their content
SPEEDS = ("| clips a second |", "| speed |", "Fastest here is")  # what cells that measure show
SMALL = ["--action", "all", "--dataset", "stage:motion", "--model", "stage_c3d"]
SMALL += ["--profile", "quick", "--chapter", "networks", "--chapter", "gradcam"]


def call(words: Sequence[str], cache: Path, *, after: float | None = None) -> tuple[float, int]:
    """Run ``vx``, or kill it after so many seconds: how long it ran, and how it ended."""
    environment = os.environ | {"VX_CACHE": str(cache)}
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "vxhelpers.cli", *words], env=environment)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return time.monotonic() - started, process.returncode


def on_workers(
    words: Sequence[str], cache: Path, moments: Sequence[float]
) -> list[Mapping[str, Any]]:
    """Run ``vx`` on two Dask workers, and kill one of them after each of these many seconds."""
    killed: list[Mapping[str, Any]] = []
    private = "127.0.0.1:0"
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address=private,
        worker_dashboard_address=private,
    ) as cluster:
        environment = os.environ | {"VX_CACHE": str(cache)}
        line = [sys.executable, "-m", "vxhelpers.cli", *words]
        line += ["--scheduler", cluster.scheduler_address]
        started = time.monotonic()
        process = subprocess.Popen(line, env=environment)
        for number, after in enumerate(sorted(moments)):
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0, after - (time.monotonic() - started)))
            pid = list(cluster.workers.values())[number % 2].pid
            if process.poll() is None and pid is not None:
                os.kill(pid, signal.SIGKILL)
                killed.append({"killed": True, "after_s": round(time.monotonic() - started, 1)})
                print(killed[-1], flush=True)
        if process.wait():
            sys.exit(process.returncode)
    return killed


def left_by(out: Path) -> dict[str, str]:
    """Digests of all that a build leaves, but for its time stamps and what it measures."""
    found, pages = {}, {*TIMED, "status.md"}
    for path in sorted((out / "runs").rglob("*.ipynb")):
        notebook, record = path.read_bytes(), json.loads(path.with_suffix(".json").read_text())
        cells = json.loads(notebook)["cells"]
        same = [cell for cell in cells if not any(s in json.dumps(cell) for s in SPEEDS)]
        if len(same) < len(cells):
            notebook, record["sha256"] = json.dumps(same).encode(), None
            pages |= {f"{path.stem}.html", path.name}
        found[str(path.relative_to(out))] = hashlib.sha256(notebook).hexdigest()
        untimed = json.dumps({k: v for k, v in record.items() if k not in STAMPS}, sort_keys=True)
        found[str(path.with_suffix(".json").relative_to(out))] = untimed
    for path in sorted((out / "html").rglob("*")):
        if path.is_file() and path.name not in pages:
            found[str(path.relative_to(out))] = hashlib.sha256(path.read_bytes()).hexdigest()
    table = results.read(out)
    stamps = [*STAMPS, "clips_seconds"]
    for key, rows in table.drop(columns=stamps).groupby("key"):
        found[f"results/{key}"] = rows.to_csv(index=False)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, help="folder for both builds; a temporary one unless told"
    )
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=float, help="mean seconds between kills; by default, all "
                        "fall into the time that the undisturbed run took")  # fmt: skip
    parser.add_argument("--dask", action="store_true", help="kill workers, not the run")
    parser.add_argument("--kill-only", action="store_true", help="compare nothing; a later call "
                        "does, with OUT/undisturbed, which may be a part")  # fmt: skip
    parser.add_argument("--book", action="store_true", help="build the pages, too: vx book")
    asked, words = parser.parse_known_args()
    rng = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        out = (asked.out or Path(folder)) / "build"
        alone = out.with_name("undisturbed")
        line = ["book" if asked.book else "run", *(words or SMALL), "--out", str(out)]
        took = None
        if not (alone.exists() or asked.kill_only):
            took, code = call(line, out.with_name("cache-undisturbed"))
            if code:
                return code
            out.rename(alone)
        span = asked.every or (took or 60) / (asked.kills + 1)
        moments = []
        if asked.dask:
            last = span * (asked.kills + 1)
            moments = on_workers(
                line, out.with_name("cache"), [rng.uniform(0, last) for _ in range(asked.kills)]
            )
        for _ in range(0 if asked.dask else asked.kills):
            ran, code = call(line, out.with_name("cache"), after=rng.uniform(0, 2 * span))
            moments.append({"killed": code == -9, "after_s": round(ran, 1),
                            "chapters": len([*(out / "runs").rglob("*.json")])})  # fmt: skip
            print(moments[-1], flush=True)
        again, code = call(line, out.with_name("cache"))
        if code:
            return code
        one, two = {} if asked.kill_only else left_by(alone), left_by(out)
    names = one.keys() if took is None else one.keys() | two.keys()
    differ = sorted(name for name in names if one.get(name) != two.get(name))
    said = {
        "command": " ".join(line[:-2]),
        "compared": len(names),
        "files": len(two),
        "chapters": sum(name.endswith(".ipynb") for name in two),
        "pages": sum(name.endswith(".html") for name in two),
        "differ": differ[:20],
        "kills": moments,
        "undisturbed_s": None if took is None else round(took, 1),
        "last_call_s": round(again, 1),
        "commit": provenance.commit(),
        "hardware": provenance.hardware(),
    }
    print(json.dumps(said))
    return int(bool(differ))


if __name__ == "__main__":
    sys.exit(main())
