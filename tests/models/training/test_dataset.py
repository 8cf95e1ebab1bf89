"""Clip sets: rendering and decoding to a network's geometry, caching, clear errors."""

from dataclasses import replace
from pathlib import Path

import learning
import numpy as np
import pytest

from vxhelpers.data import stage
from vxhelpers.data.clip import Clip
from vxhelpers.data.manifest import Row
from vxhelpers.data.sampling import view
from vxhelpers.errors import InputError, UnknownNameError, VideoError
from vxhelpers.io.cache import Store
from vxhelpers.models import zoo
from vxhelpers.models.training import dataset
from vxhelpers.models.training.clip_set import ClipSet
from vxhelpers.models.training.dataset import Geometry, from_footage, from_stage

ENTRY = replace(zoo.ENTRIES["stage_r3d"], resize=(24, 24), crop=(24, 24))


class Videos:
    """A data set of clips that grow brighter frame by frame; one kind cannot be read."""

    digest = "0"

    def clip(self, row: Row) -> Clip:
        if "broken" in row.path:
            raise VideoError(f"{row.path}: no video stream")
        length = int(row.path.split(".")[0])
        frames = np.zeros((length, 30, 40, 3), np.uint8) + np.arange(length)[:, None, None, None]
        return Clip(frames.astype(np.uint8), 25, row.path)


def row(path: str, label: str = "a") -> Row:
    return Row(path, path, label, "train", None, None)


def test_rendered_sets_show_what_the_network_sees() -> None:
    found = from_stage("motion", "val", ENTRY, count=5, size=48)
    assert found.frames.shape == (5, 16, 24, 24, 3)
    assert found.names == stage.TASKS["motion"].labels
    assert found.counts == {"carrying": 2, "forehand": 2, "reversed forehand": 1}
    scene = stage.render("motion", "val", 3, size=48)
    expected = view(scene.clip, frames=16, resize=(24, 24), crop=(24, 24))
    np.testing.assert_array_equal(found.frames[3], expected)
    assert found.names[found.labels[3]] == scene.label
    assert found.clips[3].source == scene.clip.source


def test_processes_render_the_same_clips() -> None:
    here = from_stage("motion", "train", ENTRY, count=64, size=24)
    there = from_stage("motion", "train", ENTRY, count=64, size=24, workers=2)
    np.testing.assert_array_equal(here.frames, there.frames)
    np.testing.assert_array_equal(here.labels, there.labels)
    assert here.digest() == there.digest()


def test_a_stored_set_is_not_rendered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    first = from_stage("static", "test", ENTRY, count=3, size=24, store=store)

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("rendered again")

    monkeypatch.setattr(stage, "render", refuse)
    again = from_stage("static", "test", ENTRY, count=3, size=24, store=store)
    np.testing.assert_array_equal(first.frames, again.frames)
    assert (again.names, again.sources) == (first.names, first.sources)
    for change in ({"seed": 1}, {"size": 32}, {"count": 2}):
        with pytest.raises(RuntimeError, match="rendered again"):
            options = {"count": 3, "size": 24, "store": store, **change}
            from_stage("static", "test", ENTRY, **options)  # type: ignore[arg-type]


def test_stage_names_and_counts_are_checked() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'motion'"):
        from_stage("motoin", "test", ENTRY)
    with pytest.raises(UnknownNameError, match="did you mean 'train'"):
        from_stage("motion", "trian", ENTRY)
    with pytest.raises(InputError, match="0 clips of split 'test': ask for 1 or more"):
        from_stage("motion", "test", ENTRY, count=0)


def test_footage_keeps_the_middle_and_says_how_much_is_clip() -> None:
    entry = replace(ENTRY, frames=4, stride=2)  # a window of 7 frames
    rows = [row("30.mp4"), row("9.mp4", "b"), row("3.mp4")]
    found = from_footage(Videos(), rows, entry, names=("b", "a"), reach=2)
    assert found.frames.shape == (3, 14, 24, 24, 3)
    assert found.labels.tolist() == [1, 0, 1]
    assert found.lengths is not None and found.lengths.tolist() == [14, 9, 7]
    values = found.frames[:, :, 0, 0, 0].tolist()
    assert values[0] == list(range(8, 22))
    assert values[1] == [*range(9), 8, 8, 8, 8, 8]
    assert values[2][:7] == [0, 1, 2, 0, 1, 2, 0]  # shorter than the window: looped, as in sampling


def test_short_side_entries_keep_the_border_they_crop_away() -> None:
    entry = replace(ENTRY, frames=4, resize=20, crop=16)
    found = from_footage(Videos(), [row("9.mp4")], entry, names=("a",))
    assert found.frames.shape == (1, 4, 20, 20, 3)
    pair = replace(ENTRY, frames=4, resize=(20, 28), crop=16)
    assert from_footage(Videos(), [row("9.mp4")], pair, names=("a",)).frames.shape[2:4] == (20, 28)


def test_all_videos_that_cannot_be_read_are_listed() -> None:
    rows = [row("broken1.mp4"), row("20.mp4"), row("broken2.mp4")]
    with pytest.raises(VideoError) as caught:
        from_footage(Videos(), rows, ENTRY, names=("a",))
    text = str(caught.value)
    assert text.startswith("2 of 3 clips cannot be read")
    assert "broken1.mp4: no video stream" in text and "broken2.mp4" in text
    assert "vx data verify" in text


def test_a_label_that_the_model_lacks_is_named_before_decoding() -> None:
    rows = [row("broken.mp4"), row("9.mp4", "runing")]
    with pytest.raises(
        UnknownNameError, match=r"'runing' in clip '9\.mp4'; did you mean 'running'"
    ):
        from_footage(Videos(), rows, ENTRY, names=("a", "running"))


def test_no_rows_is_an_empty_split() -> None:
    with pytest.raises(InputError, match="without clips: is the split of the manifest empty"):
        from_footage(Videos(), [], ENTRY, names=("a",))


def test_large_sets_are_mapped_from_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row("20.mp4"), row("30.mp4")]
    small = from_footage(Videos(), rows, ENTRY, names=("a",))
    monkeypatch.setattr(dataset, "IN_MEMORY", 10)
    mapped = from_footage(Videos(), rows, ENTRY, names=("a",))
    assert isinstance(mapped.frames, np.memmap) and not isinstance(small.frames, np.memmap)
    np.testing.assert_array_equal(mapped.frames, small.frames)


def test_only_selects_and_renumbers() -> None:
    found = from_stage("motion", "val", ENTRY, count=6, size=24)
    some = found.only(("reversed forehand", "carrying"))
    assert some.labels.tolist() == [1, 0, 1, 0]
    np.testing.assert_array_equal(some.frames, found.frames[[0, 2, 3, 5]])
    assert some.sources == tuple(found.sources[i] for i in (0, 2, 3, 5))
    with pytest.raises(UnknownNameError, match="did you mean 'forehand'"):
        found.only(("forehands",))


def test_digest_follows_content() -> None:
    one, same, other = learning.bars(8, 0), learning.bars(8, 0), learning.bars(8, 1)
    assert one.digest() == same.digest() != other.digest()
    relabelled = ClipSet(one.frames, one.labels[::-1].copy(), one.names)
    assert relabelled.digest() != one.digest()
    assert ClipSet(one.frames, one.labels, ("b", "a")).digest() != one.digest()


def test_clips_come_back_without_padding() -> None:
    frames = np.zeros((2, 5, 4, 4, 3), np.uint8)
    clips = ClipSet(frames, np.zeros(2, np.int64), ("a",), np.array([5, 3]), ("one", "two")).clips
    assert [len(clip) for clip in clips[:]] == [5, 3]
    assert clips[1].source == "two" and len(clips) == 2


@pytest.mark.parametrize(
    ("frames", "labels", "text"),
    [
        (np.zeros((1, 2, 2, 2, 3)), [0], "uint8 frames of shape"),
        (np.zeros((1, 2, 2, 2), np.uint8), [0], "uint8 frames of shape"),
        (np.zeros((2, 2, 2, 2, 3), np.uint8), [0], "2 clips with labels of shape"),
        (np.zeros((1, 2, 2, 2, 3), np.uint8), [2], "labels must be 0 to 1"),
        (np.zeros((1, 2, 2, 2, 3), np.uint8), [-1], "labels must be 0 to 1"),
    ],
)
def test_sets_that_do_not_fit_together(frames: np.ndarray, labels: list[int], text: str) -> None:
    with pytest.raises(InputError, match=text):
        ClipSet(frames, np.array(labels, np.int64), ("a", "b"))


def test_geometry_of_a_network_with_stride() -> None:
    entry = replace(ENTRY, frames=4, stride=3, resize=16, crop=16)
    assert Geometry.of(entry) == (10, 10, 16, (16, 16))
    assert Geometry.of(entry, reach=4).frames == 40
