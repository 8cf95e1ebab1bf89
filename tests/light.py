"""A chapter that is as light as a chapter can be, for tests of what runs chapters."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from vxhelpers.book import results
from vxhelpers.book.run_targets import Target

_HEADER = (Path(__file__).parent / "tiny_book" / "tiny.py").read_text().split("# %%")[0]
TEXT = (
    _HEADER
    + """# %% [markdown]
# # Light

# %% tags=["parameters"]
action = ""
dataset = ""
model = ""
seed = 0

# %%
import os
import time
from pathlib import Path

from vxhelpers.book.results import note
from vxhelpers.io.stopwatch import timed

# %%
Path(os.environ["LIGHT_STARTED"]).open("a").write(action + "\\n")
time.sleep(float(os.environ.get("LIGHT_WAITS", 0)))
with timed("clips"):
    print(f"{action} of {dataset}")
note("letters", len(action), low=0, high=9, n=1)
"""
)


def write(folder: Path) -> Path:
    """Write the chapter; what runs it must name a file in LIGHT_STARTED, a line a start."""
    path = folder / "light.py"
    path.write_text(TEXT)
    return path


def targets(count: int) -> list[Target]:
    """Targets of so many classes, none of which any data has."""
    return [Target(f"class {number}", "stage:kth", "stage_r3d") for number in range(count)]


def family(pid: int) -> list[int]:
    """A process and all that it has started, and so on."""
    found = [pid]
    for parent in found:
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            with suppress(OSError):
                found += map(int, path.read_text().split())
    return found


def listening(pids: list[int]) -> set[str]:
    """Addresses beyond loopback that these processes listen on by TCP, in hexadecimal."""
    sockets: dict[str, str] = {}
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A":
                sockets[f"socket:[{rest[5]}]"] = local
    held = set()
    for pid in pids:
        with suppress(OSError):
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    held.add(str(entry.readlink()))
    loopback = ("0100007F:", "00000000000000000000000001000000:")
    return {a for s, a in sockets.items() if s in held and not a.startswith(loopback)}


# Holds a build folder until it is killed.
HOLDS = (
    "import sys, time\nfrom pathlib import Path\nfrom vxhelpers.book.locks import hold\n"
    "with hold(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(600)\n"
)


STAMPS = ("seconds", "startup", "clips", "peak_mib", "finished", "threads")


def left_by(out: Path) -> dict[str, Any]:
    """All that a run leaves but its time stamps: notebooks as bytes, records, results."""
    found: dict[str, Any] = {}
    for path in sorted((out / "runs").rglob("*")):
        name = str(path.relative_to(out))
        if path.suffix == ".ipynb":
            found[name] = path.read_bytes()
        elif path.is_file():
            record = json.loads(path.read_text())
            found[name] = {k: v for k, v in record.items() if k not in STAMPS}
    table = results.read(out, every=True)
    stamps = [*STAMPS[:2], "peak_mib", "finished", "threads", "clips_seconds"]
    found["results"] = table.drop(columns=stamps).to_csv(index=False)
    return found
