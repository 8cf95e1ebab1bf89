"""What a built book holds besides its chapters: its parts, pages of classes, and what runs cost.

A book of few classes has a part for each. Of many, each class has a page that leads to its
chapters, and one page lists all classes, so that no page carries a list of everything.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from statistics import median
from typing import Any

from vxhelpers.book.execute import Run
from vxhelpers.book.run_targets import Target
from vxhelpers.figures.report import escape_markdown
from vxhelpers.figures.table import Table, table

MANY = 12  # classes, from which on they have pages instead of parts
SHOWN = 300  # runs of the table of what each cost; of more, those that took longest
Part = dict[str, Any]


def parts(
    listed: Sequence[Part], runs: Sequence[Run], titles: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Parts of the built book's table of contents.

    Parameters
    ----------
    listed
        Parts of the sources; one with chapters is repeated once a class, unless it is marked
        ``once`` or ``summary``.
    runs
        Of the chapters that are repeated.
    titles
        Of all chapters that were run, by name.
    """
    made: list[Part] = []
    for part in listed:
        names = [chapter["file"] for chapter in part["chapters"]]
        plain = {k: v for k, v in part.items() if k not in ("once", "summary")}
        if part.keys() & {"once", "summary"}:
            titled = [
                {"file": name, "title": titles[name]} if name in titles else {"file": name}
                for name in names
            ]
            made.append(plain | {"chapters": titled})
        elif not titles.keys() & set(names):
            made.append(plain)
        else:
            made += _repeated(plain, runs, titles)
    return made


def _repeated(part: Part, runs: Sequence[Run], titles: Mapping[str, str]) -> list[Part]:
    """A part that each class has: once for each, or a page for each that leads to its chapters."""
    names = [chapter["file"] for chapter in part["chapters"]]
    copies = []
    for target in dict.fromkeys(run.target for run in runs):
        done = {run.chapter.stem for run in runs if run.target == target}
        entries = [
            {"file": f"{target.slug}/{name}", "title": titles[name]}
            if name in done
            else {"file": name}
            for name in names
            if name in done or name not in titles
        ]
        copies.append((target, _caption(target, runs), entries))
    if len(copies) <= MANY:
        return [part | {"caption": caption, "chapters": entries} for _, caption, entries in copies]
    pages = [
        {"file": f"{target.slug}/index", "title": caption, "sections": entries}
        for target, caption, entries in copies
    ]
    several = {key: value for key, value in part.items() if key != "caption"}
    return [
        {"caption": "Classes", "chapters": [{"file": "classes"}]},
        several | {"chapters": pages},
    ]


def _caption(target: Target, runs: Sequence[Run]) -> str:
    """A class as the list of pages names it, cut where it is long."""
    same = [run.target for run in runs if run.target.action == target.action]
    caption = " ".join(target.action.split())
    caption = caption if len(caption) <= 60 else caption[:59] + "\N{HORIZONTAL ELLIPSIS}"
    caption += target.label.removeprefix(target.action)
    return caption + (
        f" ({target.dataset})" if any(t.dataset != target.dataset for t in same) else ""
    )


def class_pages(runs: Sequence[Run], titles: Mapping[str, str]) -> dict[str, str]:
    """Markdown of the pages that a book of many classes has for them; none where they are few.

    Returns
    -------
    dict of str to str
        Document to text: ``SLUG/index`` for each class, and ``classes``, which lists them.
    """
    chapters: dict[Target, list[str]] = defaultdict(list)
    for run in runs:
        chapters[run.target].append(run.chapter.stem)
    if len(chapters) <= MANY:
        return {}
    pages = {}
    for target, names in chapters.items():
        lines = [f"- [{titles[name]}]({name}.ipynb)" for name in names]
        weights = target.weights or "the weights of the library"
        dataset, model, weights = map(escape_markdown, (target.dataset, target.model, weights))
        about = f"Class of {dataset}, explained with {model} ({weights})."
        pages[f"{target.slug}/index"] = "\n".join(
            [f"# {escape_markdown(target.label)}", "", about, "", *lines, "", "{doc}`/classes`", ""]
        )
    count = len({(target.action, target.dataset) for target in chapters})
    shown = table(
        {
            "class": [target.action for target in chapters],
            "data": [target.dataset for target in chapters],
            "network": [target.model for target in chapters],
            "chapters": [len(names) for names in chapters.values()],
        },
        caption=f"{count} classes"
        + (f", a row for each network: {len(chapters)}" if len(chapters) > count else ""),
        links=[f"{target.slug}/index.html" for target in chapters],
    )
    text = "# All classes\n\nEach name leads to the chapters of its class."
    pages["classes"] = f"{text}\n\n{_raw(shown)}\n"
    return pages


def status(runs: Sequence[Run], *, once: Collection[str] = ()) -> str:
    """Markdown of what runs ran on and what they cost: all of it, by chapter, run by run.

    Parameters
    ----------
    runs
        Finished runs, with their records.
    once
        Chapters that the book holds once: their pages lie above those of the classes.
    """
    records = [run.record for run in runs]
    seconds = [record["seconds"] for record in records]

    def of(key: str, cut: int | None = None) -> str:
        found = dict.fromkeys(str(record[key])[:cut] or "none" for record in records)
        return ", ".join(escape_markdown(one) for one in found)

    versions: dict[str, list[str]] = defaultdict(list)
    for record in records:
        for name, version in record["versions"].items():
            versions[name] += [version] if version not in versions[name] else []
    costs: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        costs[run.chapter.stem].append(run)
    slowest = sorted(runs, key=lambda run: -run.record["seconds"])
    last = slowest[0]
    lines = [
        f"{len(runs)} runs of chapters took {_spoken(sum(seconds))} in all, had they been one "
        "after another. The slowest was "
        f"{last.chapter.stem} for {escape_markdown(last.target.label)}, "
        f"{_spoken(max(seconds))}; the largest needed {max(r['peak_mib'] for r in records)} MiB.",
        "",
        f"Ran on {of('hardware')}, from commit {of('commit', 9)}, with "
        + ", ".join(f"{name} {' and '.join(found)}" for name, found in versions.items()) + ".",
        "",
        _raw(table(
            {
                "chapter": list(costs),
                "runs": [len(found) for found in costs.values()],
                "median (s)": [median(r.record["seconds"] for r in f) for f in costs.values()],
                "longest (s)": [max(r.record["seconds"] for r in f) for f in costs.values()],
                "all (s)": [sum(r.record["seconds"] for r in f) for f in costs.values()],
                "memory (MiB)": [max(r.record["peak_mib"] for r in f) for f in costs.values()],
            },
            caption="What each chapter costs", digits=0, filtered=False,
        )),
        "",
        _raw(_each(slowest[:SHOWN], len(runs), once)),
    ]  # fmt: skip
    return "\n".join(lines)


def _each(runs: Sequence[Run], count: int, once: Collection[str]) -> Table:
    """A row for each run, the slowest first."""
    which = f"{len(runs)} of {count} runs" if len(runs) < count else "Every run"
    return table(
        {
            "chapter": [run.chapter.stem for run in runs],
            "class": [run.target.action for run in runs],
            "network": [run.target.model for run in runs],
            "weights": [run.target.weights or "the library's" for run in runs],
            "data": [run.record["data"][:12] for run in runs],
            "time (s)": [run.record["seconds"] for run in runs],
            "memory (MiB)": [run.record["peak_mib"] for run in runs],
            "commit": [run.record["commit"][:9] or "none" for run in runs],
        },
        caption=f"{which}, the slowest first",
        links=[
            f"{'' if run.chapter.stem in once else f'{run.target.slug}/'}{run.chapter.stem}.html"
            for run in runs
        ],
        digits=0,
    )


def _spoken(seconds: float) -> str:
    """A time with a unit that suits it."""
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def _raw(shown: Table) -> str:
    """A table on a page of markdown."""
    return f"``````{{raw}} html\n{shown._repr_html_()}\n``````"
