import resource
import signal
from dataclasses import replace

import blocks
import numpy as np
import pytest
import torch
from blocks import LAYERS, RECIPE
from reference import stce as slow

from vxhelpers.errors import InputError, NotFiniteError, UnknownNameError
from vxhelpers.io.cache import Store
from vxhelpers.io.files import WriteError
from vxhelpers.stce.features import SMALL, STANDARD, Computation, Recipe, cut, features

CLIPS = blocks.clips(3, 1)


@pytest.fixture(autouse=True)
def by_hand(monkeypatch):
    monkeypatch.setattr("vxhelpers.stce.features.segment", blocks.segment)


@pytest.fixture
def model():
    return blocks.model()


def test_pieces_are_every_clips_supervoxels(model) -> None:
    pieces = cut(model, CLIPS, RECIPE, batch_size=2)
    assert len(pieces) == 33 and pieces.owner.tolist() == [0] * 11 + [1] * 11 + [2] * 11
    assert pieces.place.tolist() == [*range(11)] * 3
    np.testing.assert_array_equal(pieces.mask(11 + 5), blocks.by_hand().mask(5))
    assert pieces.name(16) == "supervoxel 5 of video1-1.mp4 [0, 0.5) s"
    assert len({pieces.digest(row) for row in range(33)}) == 33


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("fill", ["mean", "black"])
def test_features_are_those_of_each_supervoxel_shown_alone(model, layer, fill) -> None:
    recipe = replace(RECIPE, fill=fill)
    pieces = cut(model, CLIPS, recipe)
    found = features(model, pieces, layer, recipe, computation=Computation(4))
    inputs = torch.cat(model.net.inputs)
    masks = blocks.by_hand().masks()
    value = [0.0 if fill == "mean" else -2.0] * 3
    for row in range(33):
        clip, place = divmod(row, 11)
        alone = slow.shown(model.prepare(CLIPS[clip])[0], masks[place], value)
        assert torch.equal(inputs[row], alone)
        net = model.net.net
        x = net.conv3(net.relu2(net.conv2(net.relu1(net.conv1(alone[None])))))
        x = x if layer == "net.conv3" else net.tail(x)
        torch.testing.assert_close(found[row], x[0].detach(), rtol=1e-5, atol=1e-6)


def test_one_forward_a_supervoxel_and_only_those_asked_for(model) -> None:
    pieces = cut(model, CLIPS, RECIPE)
    assert model.net.count == 0
    full = features(model, pieces, LAYERS[0], RECIPE, computation=Computation(4))
    assert model.net.count == len(pieces) == 33
    assert max(len(x) for x in model.net.inputs) == 4
    rows = np.array([30, 2, 12, 3])
    some = features(model, pieces, LAYERS[0], RECIPE, rows=rows, computation=Computation(4))
    assert model.net.count == 37
    torch.testing.assert_close(some, full[rows], rtol=1e-5, atol=1e-6)


def test_cropped_supervoxels_are_enlarged(model) -> None:
    recipe = replace(RECIPE, form="cropped")
    features(model, cut(model, CLIPS[:1], recipe), LAYERS[0], recipe)
    x = model.prepare(CLIPS[0])[0]
    expected = torch.nn.functional.interpolate(
        x[:, :, :4, 4:].transpose(0, 1), size=(8, 8), mode="bilinear"
    )
    torch.testing.assert_close(model.net.inputs[0][1], expected.transpose(0, 1))


class Streamed:
    """Clips made when asked for, of which at most so many may be alive at once."""

    def __init__(self, clips):
        self.clips, self.asked = clips, []

    def __len__(self):
        return len(self.clips)

    def __getitem__(self, index):
        self.asked.append(index)
        return self.clips[index]


def test_clips_are_taken_one_batch_at_a_time(model) -> None:
    clips = Streamed(CLIPS)
    pieces = cut(model, clips, RECIPE, batch_size=1)
    features(model, pieces, LAYERS[0], RECIPE)
    assert clips.asked == [0, 1, 2, 0, 1, 2]


def test_what_was_computed_is_not_computed_again(model, tmp_path, monkeypatch) -> None:
    store = Store(tmp_path)

    def both(recipe=RECIPE, layer=LAYERS[0], model=model, clips=CLIPS):
        return features(
            model,
            cut(model, clips, recipe, store=store),
            layer,
            recipe,
            computation=Computation(store=store),
        )

    first = both()
    monkeypatch.setattr("vxhelpers.stce.features.segment", None)  # not called again
    renamed = [replace(clip, source="copy.mp4") for clip in CLIPS]
    assert torch.equal(both(clips=renamed), first) and model.net.count == 33
    both(layer=LAYERS[1])
    both(replace(RECIPE, fill="black"))
    both(model=replace(model, digest="1" * 64))
    assert model.net.count == 33 * 4
    both(replace(RECIPE, concepts=2))  # of no consequence here
    assert model.net.count == 33 * 4
    with pytest.raises(TypeError):
        both(replace(RECIPE, threshold=0.4))  # cut anew


def test_an_interrupted_run_goes_on_where_it_was(model, tmp_path) -> None:
    store = Store(tmp_path)
    pieces = cut(model, CLIPS, RECIPE, store=store)
    model.net.until = 4  # three batches a clip
    with pytest.raises(InputError, match="a batch of 4 does not fit in memory: try batch_size=2"):
        features(model, pieces, LAYERS[0], RECIPE, computation=Computation(4, store))
    model.net.until, model.net.inputs = 1000, []
    features(model, pieces, LAYERS[0], RECIPE, computation=Computation(4, store))
    assert model.net.count == 22


def test_a_full_disk_names_the_path_and_what_is_stored_stays_valid(model, tmp_path) -> None:
    """The limit on the size of files stands in for a full disk."""
    store = Store(tmp_path)
    kept = features(
        model,
        cut(model, CLIPS[:1], RECIPE, store=store),
        LAYERS[0],
        RECIPE,
        computation=Computation(store=store),
    )
    before = sorted(tmp_path.rglob("*.npz"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
        with pytest.raises(WriteError, match=rf"cannot write {tmp_path}.*free some space"):
            cut(model, CLIPS, RECIPE, store=store)
        pieces = cut(model, CLIPS, RECIPE)
        with pytest.raises(WriteError, match=rf"cannot write {tmp_path}"):
            features(model, pieces, LAYERS[0], RECIPE, computation=Computation(store=store))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == before
    count = model.net.count
    again = features(
        model,
        cut(model, CLIPS[:1], RECIPE, store=store),
        LAYERS[0],
        RECIPE,
        computation=Computation(store=store),
    )
    assert torch.equal(again, kept) and model.net.count == count


def test_bad_input(model) -> None:
    with pytest.raises(InputError, match="no clips to be cut"):
        cut(model, [], RECIPE)
    twin = replace(CLIPS[0], source="twin.mp4")
    with pytest.raises(InputError, match=r"the same clip twice: video1-0\.mp4 .* and twin\.mp4"):
        cut(model, [*CLIPS, twin], RECIPE)
    pieces = cut(model, CLIPS, RECIPE)
    with pytest.raises(InputError, match="no supervoxels"):
        features(model, pieces, LAYERS[0], RECIPE, rows=np.array([], int))
    with pytest.raises(UnknownNameError, match=r"did you mean 'net\.conv3'"):
        features(model, pieces, "net.conv3x", RECIPE)
    model.net.poison = True
    with pytest.raises(NotFiniteError, match=r"video1-0\.mp4 .* its supervoxels: NaN"):
        features(model, pieces, LAYERS[1], RECIPE)
    for bad in (
        {"segments": ()},
        {"concepts": 0},
        {"nearest": 3},
        {"threshold": 0.0},
        {"form": "cut"},
    ):
        with pytest.raises(InputError):
            Recipe(**bad)
    assert STANDARD.segments == (15, 50, 80) and STANDARD.concepts == 25 and STANDARD.nearest == 40
    assert SMALL.segments == (15, 30, 60) and SMALL.concepts == 15
