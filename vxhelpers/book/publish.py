"""The book: executed chapters and pages staged, built by Jupyter Book, and published as HTML."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from vxhelpers.book import contents
from vxhelpers.book.execute import Run
from vxhelpers.book.per_class_pages import copy_chapter, labels_in, relabel, title_of
from vxhelpers.book.sphinx import reference
from vxhelpers.errors import InputError, RunError
from vxhelpers.io import cache, files
from vxhelpers.io.code_digest import PACKAGE
from vxhelpers.models.training.modelcard import card_markdown, read_card
from vxhelpers.models.zoo import SHIPPED

STATUS, CARDS = "<!-- vx:runs -->", "<!-- vx:cards -->"
HOUSE = "<!-- vx:architecture -->"
_OURS = ("mathml.py", "navigation.py", "reference.py", "assets/sbt-sidebar-nav.html")
_BUILDERS = ("jupyter-book", "sphinx", "sphinx-book-theme", "myst-nb", "sphinxcontrib-bibtex")


def read_toc(book: Path) -> dict[str, Any]:
    """Read the table of contents of the sources, ``book/_toc.yml``.

    Raises
    ------
    InputError
        If it is missing, not YAML, or names a document that has no ``.md`` or ``.py`` file.
    """
    import yaml

    path = book / "_toc.yml"
    try:
        toc = yaml.safe_load(path.read_text(encoding="utf-8"))
        names = [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise InputError(f"{path}: {type(error).__name__}: {error}") from error
    for name in names:
        if not any((book / f"{name}{suffix}").is_file() for suffix in (".md", ".py")):
            raise InputError(f"{path}: {name!r} has neither {name}.md nor {name}.py in {book}")
    return dict(toc)


def once(book: Path) -> set[str]:
    """Names of the documents that the book holds once, whatever its classes: parts marked so."""
    return _marked(book, "once") | summaries(book)


def summaries(book: Path) -> set[str]:
    """Names of the documents that sum up what the others found: parts marked ``summary``."""
    return _marked(book, "summary")


def _marked(book: Path, mark: str) -> set[str]:
    parts = (part for part in read_toc(book)["parts"] if part.get(mark))
    return {chapter["file"] for part in parts for chapter in part["chapters"]}


def chapter_scripts(book: Path) -> list[Path]:
    """The chapters that are run: documents of the table of contents that are scripts, in order."""
    documents = (c["file"] for part in read_toc(book)["parts"] for c in part["chapters"])
    return [book / f"{name}.py" for name in documents if (book / f"{name}.py").is_file()]


def stage(runs: Sequence[Run], *, book: Path, staged: Path) -> None:
    """Write the sources of the built book: every chapter once a class, and what it holds once.

    Parameters
    ----------
    runs
        Finished runs; a failed one is refused.
    book
        Folder of the sources.
    staged
        Folder to write to; what was there is removed.

    Raises
    ------
    RunError
        If a run failed, or there is none.
    """
    import nbformat
    import yaml

    if failed := [run for run in runs if run.status == "failed"]:
        names = ", ".join(f"{run.chapter.stem} ({run.target.label})" for run in failed)
        raise RunError(f"failed chapters are not published: {names}")
    if not runs:
        raise RunError(f"nothing to publish: no chapter was run from {book / '_toc.yml'}")
    toc, single = read_toc(book), once(book)
    repeated = [run for run in runs if run.chapter.stem not in single]
    if not repeated:
        raise RunError("nothing to publish: no chapter was run for a class")
    chapters = {run.chapter.stem for run in repeated}
    notebooks = [nbformat.read(run.notebook, as_version=4) for run in runs]  # type: ignore[no-untyped-call]
    labels = {
        label
        for run, notebook in zip(runs, notebooks, strict=True)
        if run in repeated
        for label in labels_in(notebook)
    }
    shutil.rmtree(staged, ignore_errors=True)
    ignored = shutil.ignore_patterns("*.py", "*.toml", "*.ipynb", "*.md", "_*", ".*")
    shutil.copytree(book, staged, ignore=ignored)
    first, below = repeated[0].target.slug, {}
    for page in sorted(book.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        text = relabel(text, slug=first, labels=labels, chapters=chapters, inside=False)
        text = text.replace(STATUS, contents.status(runs, once=single)).replace(
            CARDS, shipped_cards()
        )
        if HOUSE in text:
            text = text.replace(HOUSE, architecture())
        if reference.MODULES in text:
            text, below[page.stem] = reference.write(staged, text)
        (staged / page.name).write_text(text, encoding="utf-8")
    titles = {}
    for run, notebook in zip(runs, notebooks, strict=True):
        alone = run.chapter.stem in single  # its links to chapters lead to those of the first class
        slug, action = (first, None) if alone else (run.target.slug, run.target.label)
        copied = copy_chapter(notebook, action=action, slug=slug, labels=labels, chapters=chapters)
        path = staged / ("" if alone else slug) / run.notebook.name
        path.parent.mkdir(exist_ok=True)
        path.write_text(nbformat.writes(copied), encoding="utf-8")  # type: ignore[no-untyped-call]
        titles[run.chapter.stem] = title_of(notebook)
    for document, text in contents.class_pages(repeated, titles).items():
        (staged / f"{document}.md").write_text(text, encoding="utf-8")
    parts = contents.parts(toc["parts"], repeated, titles)
    for entry in (entry for part in parts for entry in part["chapters"]):
        if documents := below.get(entry["file"]):
            entry["sections"] = [{"file": document} for document in documents]
    (staged / "_toc.yml").write_text(
        yaml.safe_dump(toc | {"parts": parts}, allow_unicode=True, sort_keys=False),
        encoding="utf-8",
    )


def architecture() -> str:
    """Markdown of ARCHITECTURE.md, without its title."""
    text = (PACKAGE.parent / "ARCHITECTURE.md").read_text(encoding="utf-8")
    return text.partition("\n")[2].strip()


def shipped_cards() -> str:
    """Markdown of the cards of all shipped networks, a section each."""
    cards = (card_markdown(read_card(path)) for path in sorted(SHIPPED.glob("*.json")))
    return "\n".join(f"#{card}" for card in cards)


def build(staged: Path, *, config: Path, out: Path) -> tuple[Path, bool]:
    """Build the staged sources with Jupyter Book, strictly, and replace the published HTML.

    Parameters
    ----------
    staged
        Folder that `stage` wrote.
    config
        Jupyter Book configuration.
    out
        Build folder; the pages go to ``out/html``. A build that fails leaves them as they were.

    Returns
    -------
    tuple of Path and bool
        ``index.html``, and whether it was built anew (False: nothing had changed).

    Raises
    ------
    RunError
        If Jupyter Book fails or warns; the text holds its warnings.
    """
    published, previous = out / "html", out / ".html-old"
    if previous.exists() and not published.exists():  # a swap was interrupted between its two steps
        previous.rename(published)
    wanted, marker = _build_key(staged, config), published / ".vx.json"
    with suppress(OSError, ValueError, KeyError):
        built = json.loads(marker.read_text())["key"] == wanted
        if built and (published / "index.html").is_file():
            return published / "index.html", False
    for left in out.glob(".html-*"):
        shutil.rmtree(left, ignore_errors=True)  # of a build that was killed
    with tempfile.TemporaryDirectory(prefix=".html-", dir=out) as folder:
        program = "from vxhelpers.book.runner import end_with_starter; end_with_starter()\n"
        program += "from jupyter_book.cli.main import main; main()"
        command = [sys.executable, "-c", program, "build", str(staged), "--all"]
        command += ["--config", str(config), "--path-output", folder, "-n", "-W", "--keep-going"]
        log = out / "logs" / "book.log"
        log.parent.mkdir(exist_ok=True)
        pipe = subprocess.PIPE  # to its input; open as long as this process lives
        with (
            log.open("wb") as file,
            subprocess.Popen(
                command, env=_environment(), stdin=pipe, stdout=file, stderr=file
            ) as builder,
        ):
            code = builder.wait()
        said = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(encoding="utf-8", errors="replace"))
        log.write_text(said, encoding="utf-8")
        if code:
            lines = said.splitlines()
            told = [line for line in lines if "WARNING" in line or "ERROR" in line] or lines[-20:]
            text = "\n".join(told[:20])
            raise RunError(f"the book did not build (all of it in {log}):\n{text}")
        site = Path(folder, "_build", "html")
        for template in (site / "_static").rglob("*.html"):
            template.unlink()  # the theme's build leftovers: no pages
        (site / marker.name).write_text(json.dumps({"key": wanted}))
        if published.exists():
            published.rename(previous)
        site.rename(published)
        shutil.rmtree(previous, ignore_errors=True)
    return published / "index.html", True


def _environment() -> dict[str, str]:
    """Environment of the build: the extensions of this package can be imported, colours are off."""
    path = filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")])
    return os.environ | {"PYTHONPATH": os.pathsep.join(path), "NO_COLOR": "1", "PYTHONWARNINGS": ""}


def _build_key(staged: Path, config: Path) -> str:
    """Key of the built pages: every staged file, the configuration, our renderer, the builders."""
    sources = sorted(path for path in staged.rglob("*") if path.is_file())
    return cache.key(
        {
            "sources": {str(path.relative_to(staged)): files.sha256(path) for path in sources},
            "config": files.sha256(config),
            "renderer": [files.sha256(Path(__file__).parent / "sphinx" / name) for name in _OURS],
            "builders": {name: metadata.version(name) for name in _BUILDERS},
        }
    )


def publish(runs: Sequence[Run], *, book: Path, config: Path, out: Path) -> tuple[Path, bool]:
    """Stage finished runs with the pages of ``book`` and build them: `stage`, then `build`."""
    staged = out / "book"
    stage(runs, book=book, staged=staged)
    return build(staged, config=config, out=out)
