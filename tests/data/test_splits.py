"""Videos parted: scored ones and those of concepts never share a video."""

from pathlib import Path

import numpy as np
import pytest

from vxhelpers.data.datasets import DataSet, open_data
from vxhelpers.data.manifest import Manifest, Row
from vxhelpers.data.splits import check_disjoint, divide, video_of
from vxhelpers.errors import InputError, UnknownNameError


def data_of(*rows: Row) -> DataSet:
    manifest = Manifest("mine", rows)
    return DataSet("mine.csv", manifest.labels, manifest, manifest.digest, Path())


def clips(split: str, videos: int, a_video: int = 1, label: str = "tennis") -> list[Row]:
    return [
        Row(f"{label}/{split}/{v}#{k}", f"{label}{split}{v}.mp4", label, split, k, k + 1)
        for v in range(videos)
        for k in range(a_video)
    ]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_concepts_come_from_the_other_splits() -> None:
    data = open_data("stage:tennis")
    rows, scored = divide(data, "playing tennis", rng=rng())
    assert len(rows) == 300 + 60 and {row.split for row in rows} == {"train", "val"}
    assert len(scored) == 30 and {row.split for row in scored} == {"test"}
    assert {row.label for row in rows + scored} == {"playing tennis"}
    assert divide(data, "playing tennis", rng=rng())[1] == scored
    assert divide(data, "playing tennis", rng=rng(1))[1] != scored


@pytest.mark.parametrize("seed", range(5))
def test_one_split_serves_both_with_half_of_its_videos_kept(seed: int) -> None:
    data = data_of(*clips("test", 7, 4), *clips("train", 3, label="golf"))
    rows, scored = divide(data, "tennis", scoring=30, allow_fewer=True, rng=rng(seed))
    assert len({row.path for row in scored}) == 3 and len(scored) == 12
    assert len({row.path for row in rows}) == 4 and len(rows) == 16


def test_windows_of_a_scored_video_are_no_concepts_in_another_split() -> None:
    cut_in_time = [
        Row(f"{v}#{k}", f"{v}.mp4", "tennis", "train" if k < 2 else "test", k, k + 1)
        for v in range(6)
        for k in range(3)
    ]
    rows, scored = divide(data_of(*cut_in_time), "tennis", scoring=3, rng=rng())
    assert len(scored) == 3 and rows
    assert not {row.path for row in rows} & {row.path for row in scored}


def test_one_file_under_two_names_is_one_video() -> None:
    same = "a" * 64
    twice = [
        Row("a", "a.mp4", "tennis", "test", sha256=same),
        Row("b", "b.mp4", "tennis", "train", sha256=same),
        Row("c", "c.mp4", "tennis", "train", sha256="c" * 64),
    ]
    rows, scored = divide(data_of(*twice), "tennis", scoring=1, rng=rng())
    assert [row.clip_id for row in scored] == ["a"]
    assert [row.clip_id for row in rows] == ["c"]


def test_scored_are_as_many_videos_as_there_are() -> None:
    data = data_of(*clips("test", 5, 6), *clips("train", 4))
    scored = divide(data, "tennis", scoring=5, rng=rng())[1]
    assert len({row.path for row in scored}) == 5


def test_too_little_is_said() -> None:
    data = data_of(*clips("test", 5), *clips("train", 4), *clips("train", 2, label="golf"))
    with pytest.raises(InputError, match=r"5 clips of 'tennis'.*30 asked for.*--allow-fewer"):
        divide(data, "tennis", rng=rng())
    assert len(divide(data, "tennis", allow_fewer=True, rng=rng())[1]) == 5
    with pytest.raises(InputError, match="no clip of 'golf' in split 'test'"):
        divide(data, "golf", rng=rng())
    with pytest.raises(InputError, match="1 video in split 'test' and no other"):
        divide(data_of(*clips("test", 1, 9)), "tennis", allow_fewer=True, rng=rng())
    with pytest.raises(UnknownNameError, match="did you mean 'tennis'"):
        divide(data, "tenis", rng=rng())


def test_shared_videos_are_listed() -> None:
    check_disjoint({"concepts": ["a", "b", "b"], "scored": ["c"]})
    with pytest.raises(
        InputError, match=r"2 videos(.|\n)*b: concepts, scored\n  d: random, scored"
    ):
        check_disjoint({"concepts": ["a", "b"], "random": ["c", "d"], "scored": ["d", "b"]})


def test_videos_of_two_data_sets_are_told_apart() -> None:
    row = Row("a", "a.mp4", "tennis", "test")
    mine = data_of(row)
    other = DataSet("other.csv", ("tennis",), mine.manifest, "", Path("elsewhere"))
    assert video_of(row, mine) != video_of(row, other)
