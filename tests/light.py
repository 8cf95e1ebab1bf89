"""A chapter that is as light as a chapter can be, for tests of what runs chapters."""

from pathlib import Path

from vxhelpers.targets import Target

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

from vxhelpers.metrics import note
from vxhelpers.stopwatch import timed

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
