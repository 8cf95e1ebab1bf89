"""What each method costs, in passes forward and back through the network.

    python benchmarks/methods.py [--nets r3d c3d] [--methods Grad-CAM RISE] [--rounds 3]

Every method of `vxhelpers.attribution.registry`, set as there, explains the same clips of the
stage's motion task in the shipped networks. In each round all run once, one after another in an
order that turns, and with them one forward and backward pass down to the pixels; figures are
medians over the rounds, of the seconds a clip and of the ratios within a round. On the CPU seconds
are the process's own. A method that does not fit a network is a line that says so. See README.md
beside this file.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vxhelpers.attribution import registry
from vxhelpers.attribution.registry import attribute
from vxhelpers.errors import InputError
from vxhelpers.evaluation.planted import Trial, trial
from vxhelpers.models import zoo


def pass_(model: zoo.Model, x: Tensor, target: Tensor) -> None:
    """One forward and one backward pass down to the pixels, of all clips at once."""
    clips = x.clone().requires_grad_()
    scores = model.logits(clips).gather(1, target[:, None].to(x.device))
    torch.autograd.grad(scores.sum(), clips)


def seconds(run: Callable[[], Any], device: str) -> float:
    """Time one call: CPU seconds of all threads, or wall seconds where a GPU does the work."""
    on_gpu = device.startswith("cuda")
    clock = time.perf_counter if on_gpu else time.process_time
    start = clock()
    run()
    if on_gpu:
        torch.cuda.synchronize()
    return clock() - start


def compare(
    one: Trial, chosen: Sequence[registry.Method], *, rounds: int, device: str
) -> dict[str, dict[str, Any]]:
    """Seconds a clip and ratios to the pass for each method; why not, where one does not fit."""
    found: dict[str, dict[str, Any]] = {}
    runs: dict[str, Callable[[], Any]] = {"pass": lambda: pass_(one.model, one.x, one.target)}
    for method in chosen:

        def run(method: registry.Method = method) -> None:
            rng = np.random.default_rng(0)
            attribute(method, one.model, one.x, target=one.target, rng=rng)

        try:
            run()  # also warms up
        except InputError as error:
            found[method.name] = {"unfit": str(error)}
            continue
        runs[method.name] = run
    times: dict[str, list[float]] = {name: [] for name in runs}
    names = [*runs]
    for k in range(rounds):
        for name in names[k % len(names) :] + names[: k % len(names)]:
            times[name].append(seconds(runs[name], device) / len(one.x))
    for name in names[1:]:
        ratios = [t / floor for t, floor in zip(times[name], times["pass"], strict=True)]
        found[name] = {
            "seconds_a_clip": statistics.median(times[name]),
            "over_a_pass": statistics.median(ratios),
        }
    whole = {"pass": {"seconds_a_clip": statistics.median(times["pass"])}}
    return whole | {method.name: found[method.name] for method in chosen}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all networks; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", default=["r3d", "c3d"])
    parser.add_argument("--methods", nargs="+", default=[], help="names; all unless told")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clips", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    figures: dict[str, Any] = {}
    for net in options.nets:
        model = zoo.load(f"stage_{net}", weights="motion")
        model.net.to(options.device)
        one = trial("motion", model, count=options.clips, rng=np.random.default_rng(0))
        found = compare(
            one, registry.named(*options.methods), rounds=options.rounds, device=options.device
        )
        figures[net] = found
        floor = found["pass"]["seconds_a_clip"]
        print(f"\n{model.entry.name}: one pass forward and back {1000 * floor:.0f} ms a clip")
        print("| method | passes | clips a second |\n|---|---|---|")
        for name, row in found.items():
            if "unfit" in row:
                print(f"| {name} | does not fit | |")
            elif name != "pass":
                rate = 1 / row["seconds_a_clip"]
                print(f"| {name} | {row['over_a_pass']:.1f} | {rate:.2g} |", flush=True)
    rounded = {
        net: {
            name: {k: v if isinstance(v, str) else float(f"{v:.4g}") for k, v in row.items()}
            for name, row in rows.items()
        }
        for net, rows in figures.items()
    }
    on_gpu = options.device.startswith("cuda")
    print(
        json.dumps(
            {
                "costs": rounded,
                "clips": options.clips,
                "rounds": options.rounds,
                "threads": options.threads,
                "device": torch.cuda.get_device_name() if on_gpu else platform.machine(),
                "versions": {n: version(n) for n in ("torch", "torchvision", "captum", "zennit")},
            }
        )
    )


if __name__ == "__main__":
    main()
