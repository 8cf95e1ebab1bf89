"""What a book of many classes costs: to build, to carry, to open a page of, to search.

    python benchmarks/big_book.py [--classes 400] [--chapters 1] [--words 600] [--keep FOLDER]

Executed notebooks are written, not run: each has prose of words drawn from a vocabulary, so that
the search index grows as it would, and a picture of its own. They are staged and built as any book
is; then headless Chromium opens pages from the disk and searches. See README.md beside this file.
"""

import argparse
import base64
import json
import os
import platform
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
import numpy as np

from vxhelpers.book import publish
from vxhelpers.book.execute import Run
from vxhelpers.book.run_targets import Target

ROOT = Path(__file__).parents[1]
SYLLABLES = (
    "ba",
    "de",
    "fi",
    "go",
    "lu",
    "ma",
    "ne",
    "pi",
    "ro",
    "su",
    "ta",
    "ve",
    "wi",
    "zo",
    "kra",
)


def words(rng: np.random.Generator, count: int) -> list[str]:
    """Different words of two to four syllables."""
    made: dict[str, None] = {}
    while len(made) < count:
        made["".join(rng.choice(SYLLABLES, rng.integers(2, 5)))] = None
    return list(made)


def prose(rng: np.random.Generator, vocabulary: Sequence[str], count: int) -> str:
    """Words by Zipf's law, in sentences and paragraphs."""
    rank = 1 / np.arange(1, len(vocabulary) + 1)
    drawn = rng.choice(vocabulary, count, p=rank / rank.sum())
    sentences = [" ".join(drawn[i : i + 15]).capitalize() + "." for i in range(0, count, 15)]
    return "\n\n".join(" ".join(sentences[i : i + 5]) for i in range(0, len(sentences), 5))


def notebook(name: str, text: str, rng: np.random.Generator) -> Any:
    """An executed chapter: a title with its label, prose, and a picture of twenty kilobytes."""
    noise = base64.b64encode(rng.bytes(15_000)).decode()
    picture = nbformat.v4.new_output(  # type: ignore[no-untyped-call]
        "display_data", {"text/html": f'<img alt="noise" src="data:image/webp;base64,{noise}">'}
    )
    middle = len(text) // 2
    cells = [
        nbformat.v4.new_markdown_cell(f"({name})=\n# Chapter {name}\n\n{text[:middle]}"),  # type: ignore[no-untyped-call]
        nbformat.v4.new_code_cell("show()", outputs=[picture]),  # type: ignore[no-untyped-call]
        nbformat.v4.new_markdown_cell(f"## More\n\n{text[middle:]}"),  # type: ignore[no-untyped-call]
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)  # type: ignore[no-untyped-call]


def write_book(
    folder: Path, *, classes: int, chapters: int, count: int, rng: np.random.Generator
) -> list[Run]:
    """Sources of a book in ``folder/book``, and a finished run of each chapter for each class."""
    book = folder / "book"
    shutil.copytree(ROOT / "book" / "assets", book / "assets")
    shutil.copy(ROOT / "book" / "references.bib", book)
    names = [f"tiny{i}" for i in range(chapters)]
    listed = "".join(f"      - file: {name}\n" for name in names)
    (book / "_toc.yml").write_text(
        f"format: jb-book\nroot: intro\nparts:\n  - caption: Chapters\n    numbered: true\n"
        f"    chapters:\n{listed}  - caption: Reference\n    chapters:\n      - file: reproduce\n"
    )
    (book / "intro.md").write_text("# A book of many classes\n\nSee {doc}`tiny0`.\n")
    (book / "reproduce.md").write_text(f"# Reproduce this\n\n{publish.STATUS}\n")
    for name in names:
        (book / f"{name}.py").write_text("")
    vocabulary = words(rng, 6000)
    record = {
        "data": "0" * 64, "seconds": 30.0, "peak_mib": 900, "commit": "0" * 40,
        "hardware": "none", "versions": {"torch": version("torch")},
    }  # fmt: skip
    runs = []
    for title in words(rng, classes):
        target = Target(title, "stage:kth", "stage_r3d", weights="kth")
        path = folder / "runs" / target.slug
        path.mkdir(parents=True)
        for name in names:
            made = notebook(name, prose(rng, vocabulary, count), rng)
            nbformat.write(made, path / f"{name}.ipynb")  # type: ignore[no-untyped-call]
            runs.append(Run(target, book / f"{name}.py", path / f"{name}.ipynb", "done", record))
    return runs


def weigh(site: Path) -> dict[str, Any]:
    """Sizes of a built book, in bytes: of a chapter's page, its sidebar, the index, everything."""
    pages = sorted(site.glob("*/tiny*.html"))
    texts = [page.read_text(encoding="utf-8") for page in pages[:: max(1, len(pages) // 50)]]
    bars = [re.search(r'<nav class="bd-links.*?</nav>', text, re.DOTALL) for text in texts]
    return {
        "pages": len(pages),
        "page_bytes": round(statistics.median(len(text.encode()) for text in texts)),
        "sidebar_bytes": round(statistics.median(len(bar[0].encode()) for bar in bars if bar)),
        "sidebar_links": round(statistics.median(bar[0].count("<a ") for bar in bars if bar)),
        "searchindex_bytes": (site / "searchindex.js").stat().st_size,
        "site_bytes": sum(path.stat().st_size for path in site.rglob("*") if path.is_file()),
    }


def browse(site: Path, rounds: int = 3) -> dict[str, float]:
    """Seconds to open the first page and a chapter, and from a search to its first result."""
    from playwright.sync_api import sync_playwright

    page_file = sorted(site.glob("*/tiny*.html"))[-1]
    found = re.search(r"<p>(\w+) ", page_file.read_text(encoding="utf-8"))
    assert found
    urls = {
        "open_intro_s": f"{site.as_uri()}/intro.html",
        "open_page_s": page_file.as_uri(),
        "search_s": f"{site.as_uri()}/search.html?q={found[1].lower()}",
    }
    taken: dict[str, list[float]] = {name: [] for name in urls}
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(rounds):
            for name, url in urls.items():
                page = browser.new_page()
                begun = time.perf_counter()
                page.goto(url)
                if name == "search_s":
                    page.wait_for_selector("ul.search li a", timeout=120_000)
                taken[name].append(time.perf_counter() - begun)
                page.close()
        browser.close()
    return {name: round(statistics.median(values), 2) for name, values in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="What a book of many classes costs.")
    parser.add_argument("--classes", type=int, default=400)
    parser.add_argument("--chapters", type=int, default=1)
    parser.add_argument("--words", type=int, default=600, help="of a chapter")
    parser.add_argument("--keep", type=Path, help="an empty folder for the book, to be looked at")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = options.keep or Path(made)
        runs = write_book(
            folder,
            classes=options.classes,
            chapters=options.chapters,
            count=options.words,
            rng=np.random.default_rng(0),
        )
        clock = time.perf_counter()
        publish.stage(runs, book=folder / "book", staged=folder / "build" / "book")
        staged = time.perf_counter() - clock
        before = os.times().children_user
        site = publish.build(folder / "build" / "book", config=ROOT / "_config.yml",
                             out=folder / "build")[0].parent  # fmt: skip
        result = {
            "classes": options.classes,
            "chapters": options.chapters,
            "stage_s": round(staged, 1),
            "build_s": round(time.perf_counter() - clock - staged, 1),
            "build_cpu_s": round(os.times().children_user - before, 1),
            **weigh(site),
            **browse(site),
            "sphinx": version("sphinx"),
            "machine": platform.machine(),
        }
    for name, value in result.items():
        print(f"{name:>18} {value}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
