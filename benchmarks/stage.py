"""How fast the stage renders: clips a second on one core, at 16x112x112 with ids.

    python benchmarks/stage.py [--clips 60]

The last line is one JSON object: clips a second of CPU time for every task, and the slowest.
"""

import argparse
import json
import platform
import time

import cv2

from vxhelpers.data.stage import TASKS, render


def rate(task: str, clips: int) -> float:
    """Clips a second of CPU time; other work on the machine does not count."""
    render(task, "train", 0)
    began = time.process_time()
    for index in range(1, clips + 1):
        render(task, "train", index)
    return clips / (time.process_time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=60, help="clips a task (default: 60)")
    clips = parser.parse_args().clips
    cv2.setNumThreads(1)
    rates = {}
    for task in TASKS:
        rates[task] = round(rate(task, clips), 1)
        print(f"{task:10} {rates[task]:6.1f} clips/s")
    slowest = min(rates.values())
    print(json.dumps({"clips_a_second": rates, "slowest": slowest, "machine": platform.machine()}))


if __name__ == "__main__":
    main()
