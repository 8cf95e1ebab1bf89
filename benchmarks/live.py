"""How long the live pages take from a control to a new picture, in a browser.

    python benchmarks/live.py [--rounds 7]

Voila serves ``book/live`` as `make live` does; a headless Chromium opens each page, moves a control
and waits until other pictures (for the workbench: other scores) are decoded and painted. The clock
is the page's. Sets and concepts are made before anything is timed. See README.md beside this file.
"""

import argparse
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LIVE = Path(__file__).parents[1] / "book" / "live"
AIMS = {"kept": 0.3, "forward": 2.0, "scores": 1.0}  # seconds

# Does something to a control, and gives the milliseconds until what is shown has changed.
MEASURE = """async ([name, label, what, watch]) => {
    const root = document.querySelector(`.vx-${name}`);
    const shown = () => [...root.querySelectorAll(watch)].map(e => e.src ?? e.textContent).join();
    const of = kind => [...root.querySelectorAll(kind)].find(e => e.textContent.includes(label));
    const before = shown(), start = performance.now();
    if (what.startsWith("key:")) {
        const handle = of(".widget-slider").querySelector(".noUi-handle");
        handle.dispatchEvent(new KeyboardEvent("keydown", {key: what.slice(4), bubbles: true}));
    } else if (what.startsWith("option:")) {
        const list = of(".widget-dropdown").querySelector("select");
        list.selectedIndex = Number(what.slice(7));
        list.dispatchEvent(new Event("change", {bubbles: true}));
    } else if (what == "box") of(".widget-checkbox").querySelector("input").click();
    else of("button").click();
    while (shown() === before) {
        if (performance.now() - start > 60000) throw new Error(`${name}, ${label}: no change`);
        await new Promise(requestAnimationFrame);
    }
    await Promise.all([...root.querySelectorAll("figure img")].map(i => i.decode()));
    await new Promise(requestAnimationFrame);
    return performance.now() - start;
}"""
PICTURES, SCORES = "figure img", "tbody"

# Page, name of the row, its aim, and what is done in a round: label, action; * is not timed.
STEPS: list[tuple[str, str, str, list[tuple[str, str]]]] = [
    ("explore", "frame", "kept", [("Frame", "key:ArrowRight"), ("Frame", "key:ArrowLeft")]),
    ("explore", "opacity", "kept", [("Opacity", "key:ArrowLeft"), ("Opacity", "key:ArrowRight")]),
    ("explore", "layer", "kept", [("Layer", "option:1"), ("Layer", "option:4")]),
    ("explore", "edit, new clip", "forward", [("Clip", "*option:{next}"), ("reversed", "button"),
                                              ("frozen", "button"), ("as it is", "*button")]),
    ("explore", "edit, kept", "kept", [("reversed", "button"), ("as it is", "button")]),
    ("explore", "class explained", "forward", [("Class explained", "option:{other}")]),
    ("workbench", "drop and add, mean", "scores", [("clip 1", "box"), ("clip 1", "box")]),
    ("workbench", "logistic", "scores", [("Solver", "*option:1"), ("clip 2", "box"),
                                         ("clip 2", "box"), ("Solver", "*option:0")]),
    ("workbench", "random sets", "scores", [("Random sets", "key:ArrowLeft")]),
    ("browse", "concept", "forward", [("rank {place}", "box")]),
    ("browse", "frame", "kept", [("Frame", "key:ArrowRight"), ("Frame", "key:ArrowLeft")]),
]  # fmt: skip


@contextmanager
def voila(cache: str) -> Iterator[str]:
    """Serve the live pages on loopback, with settings of their own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        extra = {f"JUPYTER_{n}_DIR": f"{home}/{n}" for n in ("CONFIG", "DATA", "RUNTIME")}
        extra |= {"JUPYTER_PATH": str(LIVE / "_jupyter"), "IPYTHONDIR": f"{home}/ipython"}
        command = [sys.executable, "-m", "voila", str(LIVE), "--no-browser", "--template=offline"]
        command += ["--classic-tree", "--Voila.ip=127.0.0.1", f"--port={port}"]
        for name in (
            "@jupyter-widgets/jupyterlab-manager",
            "@voila-dashboards/widgets-manager8",
            "anywidget",
        ):
            command += ["--VoilaConfiguration.extension_allowlist", name]
        server = subprocess.Popen(
            command,
            env={**os.environ, **extra, "VX_CACHE": cache},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(600):
                try:
                    urllib.request.urlopen(address, timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield address
        finally:
            server.terminate()
            server.wait()


def measure(page: Any, rounds: int) -> dict[str, list[float]]:
    """Seconds of every step of the page that is open."""
    name = page.url.rpartition("/")[2].partition(".")[0]
    watch = SCORES if name == "workbench" else PICTURES
    found: dict[str, list[float]] = {}
    for step_page, row, _, actions in STEPS:
        if step_page != name:
            continue
        times = found.setdefault(row, [])
        for k in range(rounds):
            for label, what in actions:
                # The class goes on to one that was not asked of this clip; ranks and clips too.
                fields = {"next": 1 + k % 6, "other": (k + 1) % 4, "place": 1 + k % 6}
                action = [name, label.format(**fields), what.lstrip("*").format(**fields), watch]
                spent = page.evaluate(MEASURE, action) / 1000
                page.wait_for_timeout(150)  # what else the kernel sends arrives
                if not what.startswith("*"):
                    times.append(spent)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("chromium is not installed: the pages are measured in a browser")
    times: dict[str, dict[str, list[float]]] = {}
    opened: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as own, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        with voila(os.environ.get("VX_CACHE", own)) as address:
            for name in dict.fromkeys(step[0] for step in STEPS):
                page = browser.new_page(viewport={"width": 1280, "height": 1600})
                page.set_default_timeout(600_000)
                start = time.perf_counter()
                page.goto(f"{address}/voila/render/{name}.ipynb", wait_until="commit")
                page.wait_for_selector(f".vx-{name} {'tbody tr' if name == 'workbench' else 'img'}")
                opened[name] = time.perf_counter() - start
                page.wait_for_timeout(1000)
                times[name] = measure(page, options.rounds)
                page.close()
        browser.close()

    print("| page | control | aim, s | median, s | slowest, s | n |")
    print("|---|---|---|---|---|---|")
    rows = []
    for name, row, aim, _ in STEPS:
        spent = times[name][row]
        median, slowest = statistics.median(spent), max(spent)
        rows.append(
            {"page": name, "control": row, "aim": AIMS[aim], "median": median, "slowest": slowest}
        )
        print(f"| {name} | {row} | {AIMS[aim]} | {median:.2f} | {slowest:.2f} | {len(spent)} |")
    print({name: f"opened after {seconds:.0f} s" for name, seconds in opened.items()})
    summary = {
        "rows": rows,
        "opened_s": opened,
        "within_aim": sum(row["median"] <= row["aim"] for row in rows) / len(rows),
        "load": os.getloadavg()[0],
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
