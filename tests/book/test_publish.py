"""The whole machinery on a tiny book of two classes: run, staged, built, opened in a browser."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import light
import pytest
import yaml
from site_ import barriers, served, visited, wide
from typer.testing import CliRunner

from vxhelpers.book import contents, publish
from vxhelpers.book.run_targets import Target
from vxhelpers.book.runs import Failure, Run, own_target, run_chapters
from vxhelpers.cli import app
from vxhelpers.errors import InputError, RunError

ROOT = Path(__file__).parents[2]
TINY = Path(__file__).parents[1] / "tiny_book"
NASTY = "<b>*a*</b> $x$ {ref}`q` & \"/run\\'s" + " long" * 40
TENNIS = Target("playing tennis", "stage:tennis", "stage_r3d", weights="tennis")
OTHER = Target(NASTY, "stage:kth", "stage_r3d")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of the tiny book, with the configuration and style of the real one."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(TINY, folder / "book")
    shutil.copytree(ROOT / "book" / "assets", folder / "book" / "assets")
    shutil.copy(ROOT / "book" / "references.bib", folder / "book")
    shutil.copy(ROOT / "_config.yml", folder)
    return folder


@pytest.fixture(scope="module")
def done(project: Path) -> list[Run]:
    tiny, single = publish.chapter_scripts(project / "book")
    own = own_target(single, seed=0, profile="standard")
    jobs = [(TENNIS, tiny), (OTHER, tiny), (own, single)]
    return run_chapters(jobs, out=project / "build")


def _publish(runs: list[Run], project: Path) -> tuple[Path, bool]:
    out, config = project / "build", project / "_config.yml"
    return publish.publish(runs, book=project / "book", config=config, out=out)


@pytest.fixture(scope="module")
def site(done: list[Run], project: Path) -> Path:
    index, anew = _publish(done, project)
    assert anew
    return index.parent


def test_every_class_has_its_part(site: Path, project: Path) -> None:
    toc = yaml.safe_load((project / "build" / "book" / "_toc.yml").read_text())
    tennis, other, shared, reference = toc["parts"]
    assert tennis["caption"] == "playing tennis"
    assert tennis["chapters"] == [{"file": f"{TENNIS.slug}/tiny", "title": "A tiny chapter"}]
    assert other["caption"].startswith(NASTY[:50])
    assert len(other["caption"]) == 60
    assert reference["caption"] == "Reference"
    single = {"file": "single", "title": "Held once"}
    assert shared == {"caption": "For all", "numbered": True, "chapters": [single]}
    for target in (TENNIS, OTHER):
        assert (site / target.slug / "tiny.html").is_file()


@pytest.mark.parametrize(("target", "number"), [(TENNIS, 1), (OTHER, 2)])
def test_references_of_a_copy_stay_in_it(site: Path, target: Target, number: int) -> None:
    text = (site / target.slug / "tiny.html").read_text()
    article = text[text.index("<article") : text.index("</article>")]
    first = article[: article.index("</section>")]
    prefix = re.sub("[^a-z0-9]+", "-", target.slug)
    links = set(re.findall(r'href="([^"]+)"[^>]*>(?:<\w+[^>]*>)*([^<]+)', first))
    assert (f"#{prefix}-tiny-more", "the section") in links
    assert (f"#{prefix}-fig-line", f"Figure {number}.1") in links
    assert (f"#{prefix}-fig-player", f"Picture {number}.2") in links
    assert (f"#equation-{prefix}-eq-mean", "#") in links
    assert f'eq-mean">({number}.1)</a>' in first
    assert ("../glossary.html#term-clip", "clip") in links
    assert "1927" in {text for _, text in links}
    assert "(tiny)= and {ref}`tiny` in a block" in re.sub("<[^>]*>", "", first)
    assert "<math " in first


def test_what_the_book_holds_once_stays_itself_and_links_to_the_first_class(site: Path) -> None:
    text = (site / "single.html").read_text()
    assert re.search(r"<h1>(<span[^>]*>3\. </span>)?Held once<", text)
    assert f'href="{TENNIS.slug}/tiny.html#' in text and "the section" in text
    assert 'href="#fig-alone"' in text and "Figure 3.1" in text
    assert "boxing 0 standard" in re.sub("<[^>]*>", "", text)  # seed and profile are the book's
    assert 'href="single.html"' in (site / "intro.html").read_text()


def test_pages_and_status_point_at_the_first_class(site: Path) -> None:
    text = (site / "intro.html").read_text()
    assert f'href="{TENNIS.slug}/tiny.html"' in text
    assert "Figure 1.1" in text
    assert "<td>playing tennis</td>" in text


def test_default_parameters_are_hidden_and_names_escaped(site: Path) -> None:
    text = (site / OTHER.slug / "tiny.html").read_text()
    assert text.count("tag_injected-parameters") == 1
    assert 'class="cell tag_parameters' not in text
    assert "tag_remove-cell" not in text
    assert "<b>*a*" not in text.replace("<div class='player'><b>", "")
    assert "<pre><span></span>100 %" in text  # of what a progress bar wrote, the end


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (800, True), (390, True)])
@pytest.mark.parametrize("over", ["disk", "http"])
def test_pages_ask_nobody_and_do_not_complain(
    site: Path, width: int, dark: bool, over: str
) -> None:
    with served(site) if over == "http" else nullcontext(site.as_uri()) as base:  # noqa: SIM117
        with visited(site, base, width=width, dark=dark) as pages:
            seen = []
            for name, page in pages:
                seen.append(name)
                assert not wide(page, width), name
                if name == f"{OTHER.slug}/tiny.html":
                    shown = " ".join(NASTY.split())
                    assert page.inner_text("article h1").removesuffix("#").endswith(shown)
                    assert page.inner_text(".player output") == "scripted"
                    assert page.evaluate(
                        "document.querySelector('mfrac').getBoundingClientRect().height > 20"
                    )
            assert {"intro.html", f"{TENNIS.slug}/tiny.html", "search.html"} <= set(seen)


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
def test_no_page_keeps_readers_out(site: Path, dark: bool) -> None:
    with visited(site, site.as_uri(), width=1280, dark=dark, still=True) as pages:
        for name, page in pages:
            if name == "single.html":
                page.wait_for_selector(".vx-chosen .vx-on")
            assert not barriers(page), name


@pytest.mark.slow
def test_axe_core_does_find_a_barrier(site: Path) -> None:
    with visited(site, site.as_uri(), width=1280, dark=False) as pages:
        _, page = next(pages)
        page.evaluate("document.querySelector('article').innerHTML += '<img src=\"data:,\">'")
        assert any(told.startswith("image-alt (critical, 1)") for told in barriers(page))


@pytest.mark.slow
@pytest.mark.parametrize("over", ["disk", "http"])
def test_a_reader_operates_what_pages_offer(site: Path, over: str) -> None:
    with served(site) if over == "http" else nullcontext(site.as_uri()) as base:  # noqa: SIM117
        with visited(site, base, width=1280, dark=False, still=True) as pages:
            _, page = next(pages)
            page.goto(f"{base}/single.html")
            page.wait_for_selector(".vx-chosen .vx-on")
            time_shown = page.locator(".vx-chosen .vx-time")
            assert time_shown.inner_text().startswith("4/6")  # and nothing moves by itself
            page.wait_for_timeout(300)
            assert time_shown.inner_text().startswith("4/6")
            page.locator(".vx-lists select").focus()
            page.keyboard.press("ArrowDown")
            page.wait_for_selector(".vx-chosen .vx-on >> text=right")
            reached = []
            for _ in range(6):
                page.keyboard.press("Tab")
                reached.append(
                    page.evaluate(
                        "(e => [e.className || e.tagName, getComputedStyle(e).outlineStyle])"
                        "(document.activeElement)"
                    )
                )
                if reached[-1][0] == "vx-frame":
                    page.keyboard.press("End")
            assert [name for name, _ in reached[:4]] == [
                "vx-play", "vx-frame", "vx-speed", "vx-opacity",
            ]  # fmt: skip
            assert all(outline != "none" for _, outline in reached[:4])
            assert time_shown.inner_text().startswith("6/6")
            rows = page.locator(".vx-table tbody th")
            assert rows.all_inner_texts() == ["b", "a"]
            page.get_by_role("button", name="name").click()
            assert rows.all_inner_texts() == ["a", "b"]
            page.goto(f"{base}/search.html?q=players")
            page.wait_for_selector("ul.search li a", state="attached")


def test_nothing_is_built_again_without_a_change(
    site: Path, done: list[Run], project: Path
) -> None:
    before = (site / "intro.html").stat().st_mtime_ns
    assert _publish(done, project) == (site / "index.html", False)
    assert (site / "intro.html").stat().st_mtime_ns == before


def test_a_failed_build_leaves_the_published_pages(
    site: Path, done: list[Run], project: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "book"
    shutil.copytree(project / "book", broken)
    (broken / "intro.md").write_text("# Intro\n\n{ref}`nowhere` and $\\nosuch$\n")
    before = {path: path.stat().st_mtime_ns for path in site.rglob("*") if path.is_file()}
    with pytest.raises(RunError, match=r"intro\.md:3.*nowhere") as raised:
        publish.publish(done, book=broken, config=project / "_config.yml", out=project / "build")
    assert "nosuch" in str(raised.value)
    assert {p: p.stat().st_mtime_ns for p in site.rglob("*") if p.is_file()} == before
    assert not list((project / "build").glob(".html-*"))


def test_a_failed_chapter_is_not_published(done: list[Run], project: Path) -> None:
    failed = replace(done[0], status="failed", failure=Failure("", "it broke", None))
    with pytest.raises(RunError, match=r"not published: tiny \(playing tennis\)"):
        publish.stage([failed, done[1]], book=project / "book", staged=project / "never")
    with pytest.raises(RunError, match="nothing to publish"):
        publish.stage([], book=project / "book", staged=project / "never")
    with pytest.raises(RunError, match="no chapter was run for a class"):
        publish.stage([done[2]], book=project / "book", staged=project / "never")
    assert not (project / "never").exists()


def test_a_class_that_is_left_out_leaves_no_page(
    site: Path, done: list[Run], project: Path, tmp_path: Path
) -> None:
    staged = tmp_path / "staged"
    publish.stage(done, book=project / "book", staged=staged)
    assert (staged / OTHER.slug).is_dir()
    publish.stage([done[0], done[2]], book=project / "book", staged=staged)
    assert not (staged / OTHER.slug).exists()
    assert OTHER.slug not in (staged / "_toc.yml").read_text()


@pytest.mark.parametrize(
    "text", ["root: intro", "root: intro\nparts: [{chapters: [{file: gone}]}]"]
)
def test_a_broken_table_of_contents_is_named(project: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "intro.md").write_text("# Intro\n")
    (tmp_path / "_toc.yml").write_text(text)
    with pytest.raises(InputError, match=r"_toc\.yml"):
        publish.read_toc(tmp_path)


@pytest.fixture
def cli(project: Path) -> Iterator[list[str]]:
    yield ["--book", str(project / "book"), "--out", str(project / "build")]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--action", "playing tenis"], "did you mean 'playing tennis'"),
        (["--chapter", "tinny"], "unknown chapter 'tinny'.*did you mean 'tiny'"),
        (["--profile", "quik"], "unknown profile 'quik'.*did you mean 'quick'"),
        (["--dataset", "stage:kth", "--manifest", "a.csv"], "give one of them"),
        (["--manifest", "gone.csv"], r"gone\.csv: no such manifest"),
        (["--model", "r3d_19"], "unknown model 'r3d_19'.*did you mean 'r3d_18'"),
    ],
)
def test_vx_run_names_what_is_wrong(cli: list[str], options: list[str], error: str) -> None:
    result = CliRunner().invoke(app, ["run", *cli, *options])
    assert result.exit_code == 1
    assert re.search(error, result.output, re.DOTALL)


def test_vx_book_stops_at_a_failed_chapter(
    site: Path, cli: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINY_BROKEN", "fails")
    before = (site / "intro.html").stat().st_mtime_ns
    options = ["--action", "boxing", "--profile", "standard", "--seed", "0"]
    result = CliRunner().invoke(app, ["book", *cli, *options])
    assert result.exit_code == 1
    assert "broken on purpose" in re.sub(r"\s+|│", " ", result.output).replace("  ", " ")
    assert (site / "intro.html").stat().st_mtime_ns == before


def test_vx_book_says_where_the_pages_are(done: list[Run], site: Path, cli: list[str]) -> None:
    result = CliRunner().invoke(
        app, ["run", *cli, "--action", "playing tennis", "--profile", "standard", "--seed", "0"]
    )
    assert result.exit_code == 0, result.output
    assert "2 chapters: 2 kept, 0 run" in result.output


@pytest.mark.slow
def test_a_chapter_held_once_runs_for_another_class_when_told(
    cli: list[str], tmp_path: Path
) -> None:
    words = ["run", *cli[:2], "--out", str(tmp_path), "--chapter", "single"]
    for options, made in (([], "boxing_stage-kth"), (["--action", "running"], "running_stage-kth")):
        result = CliRunner().invoke(app, [*words, *options])
        assert result.exit_code == 0, result.output
        assert (tmp_path / "runs" / made / "single.ipynb").is_file()
    assert len([*(tmp_path / "runs").iterdir()]) == 2


def test_a_chapter_held_once_must_name_what_it_is_about(tmp_path: Path) -> None:
    chapter = tmp_path / "single.py"
    text = (TINY / "single.py").read_text()
    chapter.write_text(text.replace('action = "boxing"\n', ""))
    with pytest.raises(RunError, match=r"single\.py: is held once .*action"):
        own_target(chapter, seed=0, profile="quick")


def test_parts_of_one_class_say_which_network_they_are_of() -> None:
    other = replace(TENNIS, model="stage_c3d", apart=True)
    runs = [Run(target, Path("tiny.py"), Path("tiny.ipynb"), "done") for target in (TENNIS, other)]
    part = {"caption": "Chapters", "chapters": [{"file": "tiny"}]}
    one, two = contents.parts([part], runs, {"tiny": "T"})
    assert one["caption"] == "playing tennis"
    assert two["caption"] == "playing tennis (stage_c3d, tennis)"
    assert one["chapters"] != two["chapters"]


def test_a_part_that_sums_up_stands_once_beside_those_of_the_classes(tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path / "book")
    toc = tmp_path / "book" / "_toc.yml"
    toc.write_text(toc.read_text().replace("once: true", "summary: true"))
    assert publish.summaries(tmp_path / "book") == {"single"} == publish.once(tmp_path / "book")
    run = Run(TENNIS, Path("tiny.py"), Path("tiny.ipynb"), "done")
    part = {"caption": "Sum", "summary": True, "chapters": [{"file": "single"}]}
    told = contents.parts([part], [run], {"single": "Held once"})
    assert told == [{"caption": "Sum", "chapters": [{"file": "single", "title": "Held once"}]}]


@pytest.mark.slow
def test_a_build_that_is_killed_takes_the_builder_with_it(
    done: list[Run], project: Path, tmp_path: Path
) -> None:
    staged, config, out = tmp_path / "book", project / "_config.yml", tmp_path
    publish.stage(done, book=project / "book", staged=staged)
    call = "import sys; from pathlib import Path; from vxhelpers.book.publish import build; "
    call += "build(Path(sys.argv[1]), config=Path(sys.argv[2]), out=Path(sys.argv[3]))"
    process = subprocess.Popen([sys.executable, "-c", call, str(staged), str(config), str(out)])
    end = time.monotonic() + 120
    while not [*out.glob(".html-*/_build")]:  # the builder is at work
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    (builder,) = light.family(process.pid)[1:]
    process.kill()
    process.wait()
    while Path(f"/proc/{builder}").exists():
        assert time.monotonic() < end, "the builder goes on alone"
        time.sleep(0.05)
    index, anew = publish.build(staged, config=config, out=out)
    assert anew and index.is_file() and not [*out.glob(".html-*")]
