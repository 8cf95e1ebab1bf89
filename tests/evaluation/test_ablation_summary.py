"""What classes rely on, from the metrics of a book: verdicts, names, planted truth."""

from dataclasses import replace

import pandas as pd
import pytest

from vxhelpers.errors import InputError
from vxhelpers.evaluation.ablation_summary import ClassReliance, class_reliances, paired, truth
from vxhelpers.stats import Mean


def mean(value: float, half: float = 0.05, n: int = 12) -> Mean:
    return Mean(value, value - half, value + half, n)


def reliance_of(
    dataset: str = "stage:tennis", action: str = "juggling", **reliances: Mean
) -> ClassReliance:
    return ClassReliance(action, "net", action, dataset, "slug", None, reliances, {}, {})


def rows(slug: str, metrics: dict[str, tuple[float | None, ...]], **head: object) -> list[dict]:
    settings = {
        "action": "juggling",
        "dataset": "stage:tennis",
        "model": "stage_r3d",
        "weights": "tennis",
        "label": "juggling",
        "chapter": "networks",
        "slug": slug,
        **head,
    }
    return [
        settings | {"metric": name} | dict(zip(("value", "low", "high", "n"), numbers, strict=True))
        for name, numbers in metrics.items()
    ]


@pytest.mark.parametrize(
    ("reliances", "most"),
    [
        ({"motion": mean(0.9), "place": mean(0.0), "objects": mean(0.5)}, "motion"),
        ({"motion": mean(0.9), "place": mean(0.0), "objects": mean(0.85)}, "undecided"),
        ({"motion": mean(0.95, 0.01), "objects": mean(1.04, 0.01)}, "undecided"),
        ({"motion": mean(0.0), "place": mean(0.9), "person": mean(1.0)}, "place"),
        ({"motion": mean(0.0, 0.02), "place": mean(0.05, 0.02)}, "none of them"),
        ({"motion": mean(0.12), "place": mean(0.0)}, "undecided"),
        ({"motion": mean(0.9), "person": mean(0.2)}, "not measured"),
        ({"motion": mean(0.2), "the rest": mean(0.8), "what moves": mean(0.9)}, "the rest"),
        ({}, "not measured"),
    ],
)
def test_the_largest_is_claimed_where_it_is_clear(reliances: dict[str, Mean], most: str) -> None:
    assert reliance_of(**reliances).most == most


def test_clear_are_all_above_the_least_largest_first() -> None:
    one = reliance_of(motion=mean(0.3), order=mean(0.12), person=mean(0.9), place=mean(-0.5))
    assert one.clear == ("person", "motion")


def test_metrics_become_classes_in_the_books_order() -> None:
    table = pd.DataFrame(
        rows(
            "b",
            {
                "accuracy, normal": (0.9, 0.8, 1.0, 17),
                "accuracy, frozen": (0.1, 0.0, 0.2, 17),
                "reliance on place": (0.0, -0.1, 0.1, 12),
                "reliance on motion": (0.9, 0.8, 1.0, 12),
                "reliance on motion, random weights": (0.01, 0.0, 0.02, 12),
                "drop, frozen": (0.8, float("nan"), float("nan"), 17),
            },
        )
        + rows("b", {"energy minus area, objects": (0.1, 0.0, 0.2, 12)}, chapter="gradcam")
        + rows("a", {None: (None,) * 4}, action="dancing", label="dancing")  # type: ignore[dict-item]
    )
    first, second = class_reliances(table)
    assert (first.slug, first.name, first.network) == ("b", "juggling", "stage_r3d")
    assert first.accuracy == Mean(0.9, 0.8, 1.0, 17)
    assert list(first.reliances) == ["motion", "place"]
    assert first.blind == {"motion": Mean(0.01, 0.0, 0.02, 12)}
    assert first.energy == {"objects": Mean(0.1, 0.0, 0.2, 12)}
    assert (second.slug, second.reliances, second.accuracy) == ("a", {}, None)
    assert second.most == "not measured"


def test_a_number_without_interval_is_left_out() -> None:
    table = pd.DataFrame(
        rows("a", {"reliance on motion": (0.9, None, None, 12), "reliance on place": (None,) * 4})
    )
    assert class_reliances(table)[0].reliances == {}


def test_names_tell_data_sets_and_weights_apart_only_where_needed() -> None:
    noted = {"reliance on motion": (0.9, 0.8, 1.0, 12)}
    table = pd.DataFrame(
        rows("a", noted)
        + rows("b", noted, dataset="stage:shortcut", weights="shortcut")
        + rows("c", noted, model="stage_c3d")
        + rows("d", noted, model="stage_c3d", weights="runs/mine.safetensors")
        + rows("e", noted, action="dancing", model="swin", weights=None)
    )
    found = class_reliances(table)
    assert [one.name for one in found] == [
        "juggling (stage:tennis)",
        "juggling (stage:shortcut)",
        "juggling (stage:tennis)",
        "juggling (stage:tennis)",
        "dancing",
    ]
    networks = [
        "stage_r3d",
        "stage_r3d",
        "stage_c3d, tennis",
        "stage_c3d, mine.safetensors",
        "swin",
    ]
    assert [one.network for one in found] == networks


def test_a_table_without_columns_is_refused() -> None:
    with pytest.raises(InputError, match="lack the columns slug, low"):
        class_reliances(pd.DataFrame(rows("a", {"x": (1, 1, 1, 1)})).drop(columns=["slug", "low"]))


@pytest.mark.parametrize(
    ("one", "missed"),
    [
        (reliance_of("stage:motion", "carrying", motion=mean(0.9), place=mean(0.0)), ()),
        (reliance_of("stage:motion", "carrying", motion=mean(0.9), place=mean(0.5)), ("place",)),
        (reliance_of("stage:motion", "forehand", motion=mean(0.9)), ("no direction",)),
        (reliance_of("stage:static", "flag in park", place=mean(0.9), motion=mean(0.0)), ()),
        (
            reliance_of("stage:static", "flag in park", objects=mean(0.9), motion=mean(0.4)),
            ("motion",),
        ),
        (
            reliance_of("stage:static", "flag in park", motion=mean(0.0)),
            ("no place and no objects",),
        ),
        (reliance_of("stage:shortcut", "juggling", place=mean(0.9), motion=mean(0.5)), ()),
        (reliance_of("stage:shortcut", "juggling", motion=mean(0.5)), ("no place",)),
    ],
)
def test_planted_truth_is_held_against_what_was_found(
    one: ClassReliance, missed: tuple[str, ...]
) -> None:
    told = truth(one)
    assert told is not None and told.missed == missed


def test_nothing_is_known_where_nothing_was_planted_or_asked() -> None:
    assert truth(reliance_of("stage:tennis", motion=mean(0.9))) is None
    assert truth(reliance_of("stage:motion", "carrying")) is None


def test_two_networks_are_paired_by_class_and_data_set() -> None:
    a = reliance_of(motion=mean(0.9))
    b = replace(a, network="other", reliances={"motion": mean(0.2)})
    c = replace(b, dataset="stage:shortcut", reliances={"motion": mean(0.3)})
    d = replace(b, action="dancing", reliances={})
    assert paired([a, c, d, b], "net", "other", "motion") == [(mean(0.9), mean(0.2))]
    assert paired([a, b], "net", "other", "place") == []
