"""JupyterLab and Voila on loopback, with settings of their own, for pages driven in a browser."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS = 90  # the machine may be busy; the whole takes about 20
READY = "window.jupyterapp?.shell?.currentWidget?.sessionContext"
RUN = """async () => {
    const app = window.jupyterapp;
    await app.restored;
    const panel = app.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    await app.commands.execute("notebook:run-all-cells");
    return panel.content.widgets.length;
}"""
TEMPLATES = Path(__file__).parents[1] / "book" / "live" / "_jupyter"


def notebook(*sources: str) -> str:
    """A notebook of code cells, as JSON."""
    cells = [
        {"cell_type": "code", "id": f"c{k}", "source": source, "metadata": {}, "outputs": [],
         "execution_count": None}
        for k, source in enumerate(sources)
    ]  # fmt: skip
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


@contextmanager
def lab(home: Path, root: Path) -> Iterator[str]:
    """The address of a JupyterLab in a folder; ``lab/tree/NAME?token=secret`` opens a notebook."""
    quiet = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (home / "config" / "labconfig").mkdir(parents=True)
    (home / "config" / "labconfig" / "page_config.json").write_text(json.dumps(quiet))
    port = _free()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token=secret"]
    command += [f"--ServerApp.root_dir={root}", "--LabApp.expose_app_in_browser=True"]
    with _served(command, f"http://127.0.0.1:{port}", "/api", home, {}) as address:
        yield address


@contextmanager
def voila(home: Path, root: Path) -> Iterator[str]:
    """The address of a Voila as `make live` starts it; ``voila/render/NAME`` opens a page."""
    port = _free()
    command = [sys.executable, "-m", "voila", str(root), "--no-browser", "--template=offline"]
    command += ["--classic-tree", "--Voila.ip=127.0.0.1", f"--port={port}"]
    for name in (
        "@jupyter-widgets/jupyterlab-manager",
        "@voila-dashboards/widgets-manager8",
        "anywidget",
    ):
        command += ["--VoilaConfiguration.extension_allowlist", name]
    extra = {"JUPYTER_PATH": str(TEMPLATES)}
    with _served(command, f"http://127.0.0.1:{port}", "/", home, extra) as address:
        yield address


@contextmanager
def _served(
    command: Sequence[str], address: str, probe: str, home: Path, extra: Mapping[str, str]
) -> Iterator[str]:
    names = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    environment = {
        **os.environ,
        **{f"JUPYTER_{name}": str(home / name.split("_")[0].lower()) for name in names},
        **{f"JUPYTERLAB_{name}_DIR": str(home / name) for name in ("SETTINGS", "WORKSPACES")},
        "IPYTHONDIR": str(home / "ipython"),
        **extra,
    }
    home.mkdir(parents=True, exist_ok=True)
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait_for(address + probe, server, home / "log")
        yield address
    finally:
        server.terminate()
        server.wait(SECONDS)


def _free() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: Any = free.getsockname()[1]
    return int(port)


def _wait_for(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(10 * SECONDS):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())
