"""The book's own files: pairs are equal, lists are complete, citations exist."""

import re
from pathlib import Path

import nbformat
import pytest

from vxhelpers.book import chapters, publish
from vxhelpers.book.per_class_pages import labels_in
from vxhelpers.book.run_targets import PROFILES, Target, choose, read_table
from vxhelpers.book.runs import read_chapter
from vxhelpers.errors import InputError
from vxhelpers.models.zoo import SHIPPED

BOOK = Path(__file__).parents[1] / "book"
CHAPTERS = publish.chapter_scripts(BOOK)
PAGES = sorted(BOOK.glob("*.md"))
NAMES = [path.stem for path in CHAPTERS]


@pytest.mark.parametrize("script", CHAPTERS, ids=NAMES)
def test_pairs_are_equal_cell_by_cell(script: Path) -> None:
    assert chapters.differences(script, script.with_suffix(".ipynb")) == []


def test_a_diverged_pair_is_seen(tmp_path: Path) -> None:
    script = tmp_path / "a.py"
    script.write_text('# %% [markdown]\n# words\n\n# %% tags=["parameters"]\na = 1\n')
    notebook = script.with_suffix(".ipynb")
    with pytest.raises(InputError, match="vx pair"):
        chapters.differences(script, notebook)
    assert chapters.pair([script]) == [notebook]
    assert chapters.pair([script]) == []
    assert chapters.differences(script, notebook) == []
    content = nbformat.read(notebook, as_version=4)
    content.cells[1].source = "a = 2"
    content.cells[1].outputs = [nbformat.v4.new_output("stream", text="x")]
    content.cells.append(nbformat.v4.new_code_cell("b"))
    nbformat.write(content, notebook)
    found = "\n".join(chapters.differences(script, notebook))
    assert "3 cells, a.py has 2" in found
    assert "cell 2: another source" in found
    assert "cell 2: outputs" in found
    notebook.write_text("{")
    with pytest.raises(InputError, match=r"a\.ipynb"):
        chapters.differences(script, notebook)


def test_every_source_is_in_the_table_of_contents() -> None:
    toc = publish.read_toc(BOOK)
    listed = {toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])}
    assert listed == {path.stem for path in (*BOOK.glob("*.py"), *PAGES)}


@pytest.mark.parametrize("script", CHAPTERS, ids=NAMES)
def test_parameters_are_plain_and_complete(script: Path) -> None:
    cells = [c for c in read_chapter(script).cells if "parameters" in c.metadata.get("tags", ())]
    values: dict[str, object] = {}
    exec(cells[0].source, {"__builtins__": {}}, values)
    if script.stem in publish.summaries(BOOK):
        assert values.keys() == {"results", "seed", "profile"}
        return
    target = Target(**values)  # type: ignore[arg-type]
    optional = {"detector", "objects", "concepts"}  # of the chapters on concepts
    optional |= {"apart", "results"}  # of paths alone; of chapters that sum up
    assert set(target.__dict__) - optional <= set(values)
    assert target.profile in PROFILES


@pytest.mark.parametrize("script", CHAPTERS, ids=NAMES)
def test_cells_are_short_enough_to_read(script: Path) -> None:
    for cell in read_chapter(script).cells:
        hidden = {"hide-input", "hide-cell"} & set(cell.metadata.get("tags", ()))
        if cell.cell_type == "code" and not hidden:
            assert len(cell.source.splitlines()) <= 25, cell.source[:80]


def _texts() -> dict[str, str]:
    texts = {path.name: path.read_text(encoding="utf-8") for path in PAGES}
    for script in CHAPTERS:
        notebook = read_chapter(script)
        captions = [
            c.metadata.get("mystnb", {}).get("figure", {}).get("caption", "")
            for c in notebook.cells
        ]
        markdown = [c.source for c in notebook.cells if c.cell_type == "markdown"]
        texts[script.name] = "\n".join(markdown + captions)
    return texts


def test_citations_exist_and_are_unique() -> None:
    keys = re.findall(r"^@\w+\{([^,]+),", (BOOK / "references.bib").read_text(), re.MULTILINE)
    assert len(keys) == len(set(keys))
    for name, text in _texts().items():
        for cited in re.findall(r"\{cite[:\w]*\}`([^`]+)`", text):
            for key in cited.split(","):
                assert key.strip() in keys, f"{name} cites {key}"


def test_labels_are_unique_over_chapters_and_references_lead_somewhere() -> None:
    found = [label for script in CHAPTERS for label in sorted(labels_in(read_chapter(script)))]
    assert len(found) == len(set(found))
    pages = {m for p in PAGES for m in re.findall(r"^\((\S+)\)=$", p.read_text(), re.MULTILINE)}
    for name, text in _texts().items():
        for body in re.findall(r"\{(?:ref|numref|eq)\}`([^`]+)`", text):
            label = body.rpartition("<")[2].removesuffix(">")
            assert label in {*found, *pages}, f"{name} refers to {label}"


def test_terms_are_in_the_glossary() -> None:
    terms = set(re.findall(r"^(\w[^\n]*)\n  \S", (BOOK / "glossary.md").read_text(), re.MULTILINE))
    assert {"clip", "planted evidence", "Grad-CAM"} <= terms
    for name, text in _texts().items():
        for body in re.findall(r"\{term\}`([^`]+)`", text):
            assert body.rpartition("<")[2].removesuffix(">") in terms, f"{name}: {body}"


def test_the_classes_of_the_book_exist() -> None:
    targets = choose(read_table(BOOK / "_book.yml"))
    assert len(targets) >= 2
    assert len({target.slug for target in targets}) == len(targets)


def test_no_page_names_an_outside_script_or_font() -> None:
    texts = [path for path in (BOOK / "assets").iterdir() if path.suffix != ".webp"]
    for path in (*PAGES, *CHAPTERS, *texts):
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"<(?:script|link|img)[^>]+https?://|@import|url\(\s*['\"]?https?:", text
        )


def test_every_shipped_network_has_its_card_on_the_page() -> None:
    text = publish.shipped_cards()
    for path in SHIPPED.glob("*.safetensors"):
        arch, task = path.stem.split("-")
        assert f"## {arch} on stage:{task}\n" in text
    assert text.count("Causal check on test") == len(list(SHIPPED.glob("*.safetensors")))
    assert publish.CARDS in (BOOK / "models.md").read_text(encoding="utf-8")
