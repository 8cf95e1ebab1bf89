"""The chapter across classes, on books of every size: it stands, and says only what is there."""

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from vxhelpers.book.chapters import read_text
from vxhelpers.book.run_targets import Target

CHAPTER = Path(__file__).parents[1] / "book" / "across.py"
NASTY = '<b>bold</b> & "quoted" $x_1$ [a](b) | {doc}`x`'


def shown(path: Path) -> list[Any]:
    """What the cells of the chapter show, run on a file of metrics."""
    found: list[Any] = []
    names: dict[str, Any] = {"__name__": "chapter"}
    for cell in cells():
        if cell.startswith("results = None"):
            exec(f"results, seed, profile = {str(path)!r}, 0, 'quick'", names)
            continue
        tree = ast.parse(cell)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "across", "exec"), names)
        if isinstance(last, ast.Expr):
            found.append(eval(compile(ast.Expression(last.value), "across", "eval"), names))
            assert getattr(found[-1], "data", cell).strip(), f"shows an empty text: {cell[:80]}"
    return found


def cells() -> Iterable[str]:
    for cell in read_text(CHAPTER).split("# %%")[1:]:
        head, _, source = cell.partition("\n")
        if not head.strip().startswith("[markdown]"):
            yield source.strip()


def texts(found: list[Any]) -> str:
    return "\n".join(one.data for one in found if hasattr(one, "data"))


def page(found: list[Any]) -> str:
    return "".join(one._repr_html_() for one in found if not hasattr(one, "data"))


def write(
    path: Path, targets: Iterable[Target], reliances: dict[str, float], **more: float
) -> Path:
    """Metrics of a book in which every class has the same values, half a tenth either way."""
    noted = {f"reliance on {what}": value for what, value in reliances.items()} | more
    noted |= {f"reliance on {what}, random weights": 0.0 for what in reliances}
    rows = [
        {
            "chapter": "networks",
            "action": target.action,
            "label": target.label,
            "slug": target.slug,
            "dataset": target.dataset,
            "model": target.model,
            "weights": target.weights,
            "seed": 0,
            "profile": "quick",
            "metric": name,
            "value": value,
            "low": None if value is None else value - 0.05,
            "high": None if value is None else value + 0.05,
            "n": 12,
        }
        for target in targets
        for name, value in (noted or {None: None}).items()
    ]
    pd.DataFrame(rows).to_parquet(path)
    return path


def test_two_classes_of_one_network(tmp_path: Path) -> None:
    both = [Target("playing tennis", "stage:tennis", "r3d"), Target("running", "stage:kth", "r3d")]
    found = shown(write(tmp_path / "a.parquet", both, {"motion": 0.9, "place": 0.0}))
    told = texts(found)
    assert "2 classes of 2 data sets" in told and "1 network (r3d)" in told
    assert "**r3d**, 2 classes: most on motion in 2." in told
    assert "0 clearly rely on the place, and 2 clearly rely on it by less" in told
    assert "no class with two networks" in told and "rank correlation |" not in told
    assert "this book has none" in told and "see below" not in told  # nothing is planted here
    assert 'href="running_stage-kth/networks.html"' in page(found)


def test_a_book_without_these_metrics(tmp_path: Path) -> None:
    told = texts(shown(write(tmp_path / "a.parquet", [Target("a", "stage:kth", "r3d")], {})))
    assert "None of these classes has the experiments" in told
    assert "None of this book's classes has been asked this" in told


def test_many_classes_are_in_the_table_and_the_ends_in_the_charts(tmp_path: Path) -> None:
    many = [
        Target(f"{NASTY} {k}" if k == 7 else f"class {k}", "kinetics", "swin") for k in range(400)
    ]
    reliances = {"motion": 0.2, "what moves": 0.1, "the rest": 0.8}
    found = shown(write(tmp_path / "a.parquet", many, reliances))
    markup, told = page(found), texts(found)
    assert markup.count("<tr>") > 400 and "<b>bold" not in markup and "<b>bold" not in told
    assert "&lt;b&gt;bold&lt;/b&gt;" in markup
    assert "the rest in 400" in told
    assert len(markup) < 2_000_000


def test_planted_truth_is_told_either_way(tmp_path: Path) -> None:
    labels = ("carrying", "forehand", "reversed forehand")
    targets = [
        Target(label, "stage:motion", model, apart=model == "c3d")
        for label in labels
        for model in ("r3d", "c3d")
    ]
    reliances = {"motion": 0.9, "direction": 0.9, "place": 0.0, "objects": 0.4}
    right = texts(shown(write(tmp_path / "a.parquet", targets, reliances)))
    assert "6 of 6 are as planted" in right and "The others are not" not in right
    wrong = texts(
        shown(write(tmp_path / "b.parquet", targets, reliances | {"place": 0.9, "motion": 0.0}))
    )
    assert "0 of 6 are as planted" in wrong and "**The others are not:**" in wrong
    assert "r3d, 3 classes: most on place in 3" in wrong.replace("**", "")


def test_networks_and_maps_are_correlated_where_classes_are_enough(tmp_path: Path) -> None:
    frames = []
    for k in range(6):
        for model in ("r3d", "c3d"):
            target = Target(f"class {k}", "stage:tennis", model, apart=model == "c3d")
            size = k if model == "r3d" else 5 - k
            path = write(
                tmp_path / "one.parquet",
                [target],
                {"motion": 0.15 * size + 0.2, "place": 0.0, "objects": 0.5 + 0.01 * k},
                **{"energy minus area, objects": 0.1 + 0.01 * k, "accuracy, normal": 0.95},
            )
            frames.append(pd.read_parquet(path))
    pd.concat(frames).to_parquet(tmp_path / "a.parquet")
    told = texts(shown(tmp_path / "a.parquet"))
    assert "| r3d and c3d | motion | -1.00 |" in told
    assert "| r3d and c3d | place | undefined: all the same |" in told
    assert "(6 in all, 2 of them above 0.5)" in told  # all motion; 0 and 5 by 0.75
    assert "| class 0 | motion | r3d: 0.20 [0.15, 0.25], n = 12 | c3d: 0.95 " in told
    assert "may have different reasons" in told
    assert "| objects | energy on objects | 1.00 |" in told
    assert "Of 12 that clearly rely on objects, 12 have maps that clearly favour them" in told


@pytest.mark.parametrize("text", list(cells()))
def test_no_text_of_an_output_has_a_role(text: str) -> None:
    """Roles are read in cells of markdown alone."""
    assert "{doc}" not in text and "{cite" not in text and "{numref}" not in text
