"""The repository's own files agree with one another."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def _project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _requirements():
    project = _project()
    extras = project["optional-dependencies"].values()
    return sorted(project["dependencies"] + [name for extra in extras for name in extra])


def test_conda_environment_has_the_versions_of_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *plain, pip = environment["dependencies"]
    assert f"python {_project()['requires-python']}" in plain
    listed = [name for name in pip["pip"] if not name.startswith("-")]
    assert sorted(listed) == _requirements()


def test_pins_cover_every_requirement_without_addresses():
    text = (ROOT / "requirements.txt").read_text()
    pinned = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE))
    for requirement in _requirements():
        name = re.split(r"[<>=!\[; ]", requirement)[0].lower().replace("_", "-")
        assert name in pinned, f"{name} is not pinned: run `make pins`"
        if "==" in requirement:
            assert pinned[name] == requirement.split("==")[1]
    assert "://" not in text and "--index" not in text
    assert not any(name in pinned for name in ("opencv-python", "opencv-contrib-python"))


def _tracked():
    found = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if found.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in found.stdout.decode().split("\0") if name]


def test_binaries_stay_small():
    kinds = {".safetensors", ".webp", ".png", ".jpg", ".npz"}
    sizes = [path.stat().st_size for path in _tracked() if path.suffix in kinds and path.exists()]
    assert sum(sizes) < 25e6


def test_readme_names_commands_that_exist():
    from typer.main import get_command

    from vxhelpers.cli import app

    text = (ROOT / "README.md").read_text()
    known = get_command(app).commands
    for name in re.findall(r"\bvx (\w+)", text):
        assert name in known, f"README names `vx {name}`"
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for name in re.findall(r"`?make (\w+)", text):
        assert name in targets, f"README names `make {name}`"
    for link in re.findall(r"\]\(([\w./-]+)\)", text):
        assert (ROOT / link).exists(), f"README links {link}"
